"""The trainer: reads new observations, learns, publishes laws.

One round: read batches after the cursor, predict them (for the live page), set aside what must not
be learnt, learn the rest, then write law, quarantine and status in one transaction. The state of
the learner is written with its cursor, in most rounds and at least every ``CHECKPOINT_S``; a
trainer that is killed begins again from there: nothing is lost and nothing is learnt twice.

A batch that makes learning fail is found by learning batch by batch from the last checkpoint. It is
set aside whole when one of the next batches can be learnt without it: one bad batch cannot stop the
service from learning. When none can, the fault is not the batch's: everything is kept and waits.
"""

from __future__ import annotations

import json
import threading
import time
from contextlib import suppress
from typing import Any

import numpy as np

from lengthwise.calibration.online.learner import OnlineLearner
from lengthwise.errors import LengthwiseError
from lengthwise.formulations.online.law import OnlineLaw
from lengthwise.interfaces.service.ages import Ages
from lengthwise.interfaces.service.clock import LivedTime
from lengthwise.interfaces.service.law_check import LawCheck
from lengthwise.interfaces.service.lesson import Lesson, lesson_of, set_aside
from lengthwise.interfaces.service.live import TARGETS, LiveRecord
from lengthwise.interfaces.service.settings import ServiceSettings
from lengthwise.interfaces.service.store import (
    OvertakenError,
    Rejected,
    Round,
    ServiceUnavailable,
    Store,
    Stored,
)
from lengthwise.interfaces.service.study import begin, resume
from lengthwise.interfaces.service.trainer_report import (
    NewEvents,
    learnt_of,
    note_of,
    process_facts,
    say,
)

ROWS = 4096
"""Rows read at once."""
CHECKPOINT_S, PRUNE_S, HEARTBEAT_S, FAILED_S = 10.0, 60.0, 10.0, 10.0
TWICE_S = 600.0
"""Time between two copies of the learner: the one to go back to when it is damaged."""
SAVE_SHARE = 20.0
"""Times the effort of saving the learner that pass before the next saving, up to a checkpoint."""
TRIED = 3
"""Batches tried in place of one that cannot be learnt."""
SHOWN = 128
"""Rows of a reading that are predicted for the live page."""


class LawUnreadableError(LengthwiseError):
    """What was learnt makes a law that cannot be read."""


class LearningFailedError(LengthwiseError):
    """Neither a batch nor those after it can be learnt."""


class Trainer:
    """Learns from a store.

    Parameters
    ----------
    settings
        Of the service.
    store
        Where observations are and laws go.
    """

    def __init__(self, settings: ServiceSettings, store: Store) -> None:
        self._settings, self._store = settings, store
        self._learner: OnlineLearner | None = None
        self._published = ""
        self._live, self._clock, self._ages = LiveRecord(), LivedTime(), Ages()
        self._check = LawCheck()
        self._failed = self._failed_at = 0
        self._cursor = self._before = self._careful_until = self._asked = 0
        self._started_s = time.time()
        self._rows = self._rounds = 0
        self._events = NewEvents()
        self._rejected: list[Rejected] = []
        self._saved = self._pruned = self._told = self._save_s = 0.0
        self._twice = -TWICE_S
        self._unsaved = self._anew = False
        self._refused = ""
        self._last: dict[str, Any] = {"last_round_s": None, "last_retrain_s": None}

    def run(self, stop: threading.Event) -> None:
        """Learn until told to stop; what was learnt is written at the end."""
        waits = ""
        while not stop.wait(0.0):
            began = time.monotonic()
            try:
                if self._store.lead():
                    self.round()
                waits = ""
            except ServiceUnavailable as error:
                if str(error) != waits:  # said once, not every second
                    waits = str(error)
                    say(f"training waits: {waits}")
            except OvertakenError:
                self._learner = None
            except LearningFailedError as error:
                say(str(error))
                self._learn_anew()
                stop.wait(FAILED_S)
            except Exception as error:  # whatever it was, the next round begins anew
                self._begin_again(error)
            pause = max(0.05, self._settings.train_every_s - (time.monotonic() - began))
            stop.wait(pause)
        if self._learner is not None and self._unsaved:
            self._twice = -TWICE_S
            try:
                self._commit(save=True)
            except LengthwiseError as error:
                say(f"the last lesson is learnt again at the next start: {error}")

    def round(self) -> int:
        """Learn what is new, at most for one interval; gives rows learnt."""
        learner = self._learner or self._begin()
        requests = self._obey()
        began = time.monotonic()
        rows = 0
        while time.monotonic() - began < max(0.2, 0.8 * self._settings.train_every_s):
            careful = self._cursor < self._careful_until
            batches = self._store.batches(self._cursor, 1 if careful else ROWS)
            if not batches:
                break
            try:
                lesson = self._study(learner, batches)
            except Exception as error:  # whatever it was, learning must go on
                rows = 0
                learner = self._recover(batches, careful, error)
                continue
            rows += lesson.rows
            self._rejected += lesson.rejected
            self._cursor = batches[-1].last
            if careful:
                self._commit(save=True)
        self._rows += rows
        self._rounds += 1
        self._last["last_round_s"] = time.monotonic() - began
        due = self._due(self._saved, min(CHECKPOINT_S, SAVE_SHARE * self._save_s))
        if (
            rows
            or self._rejected
            or requests
            or self._due(self._told, HEARTBEAT_S)
            or (self._unsaved and due)
        ):
            self._commit(save=due)
        if self._due(self._pruned, PRUNE_S):
            self._pruned = time.monotonic()
            accepted = int(self._store.counts()["accepted"])
            old = self._ages.old(accepted, self._settings.keep_days * 86400.0)
            self._store.prune(self._settings.keep_rows, old)
        return rows

    # learning -------------------------------------------------------------------------------

    def _begin(self) -> OnlineLearner:
        """Go on from what is stored."""
        status = self._store.get("trainer") or {}
        self._live = LiveRecord.from_dict(self._store.get("live"))
        self._asked = int(status.get("asked", 0))
        self._last["last_retrain_s"] = status.get("last_retrain_s")
        clock = self._store.get("clock")
        self._ages = Ages(self._store.get("ages"))
        self._published = self._newest()
        self._before, text = self._store.progress()
        self._cursor = self._before
        learner = resume(text) if text is not None else None
        is_new = learner is None
        if learner is None and self._before:  # it is lost, damaged or of another version
            learner, clock = self._resume_earlier(), None
        if learner is None:
            learner, self._clock = begin(self._settings, self._store), LivedTime()
        else:
            self._clock = LivedTime.going_on(clock, learner.law)
        self._learner, self._events, self._rejected = learner, NewEvents(), []
        if is_new or not self._published:
            self._commit(save=True)
        return learner

    def _resume_earlier(self) -> OnlineLearner | None:
        """Go back to the copy of the learner, or to nothing; rows after it are learnt again."""
        found = self._store.earlier()
        learner = None if found is None else resume(found[1])
        if found is not None and learner is not None:
            self._cursor = min(found[0], self._before)
        else:
            self._cursor = int(self._store.counts()["pruned"])
        again = self._before - self._cursor
        say(f"the state of the learner cannot be read; {again} rows are learnt again")
        self._live.event(time.time(), "learner_reset", rows_again=again)
        return learner

    def _newest(self) -> str:
        """Newest law published, as it is compared."""
        for info in self._store.laws()[:1]:
            law = json.loads(self._store.law(info.version) or "{}")
            return json.dumps({**law, "version": 0}, sort_keys=True)
        return ""

    def _study(self, learner: OnlineLearner, batches: list[Stored]) -> Lesson:
        lesson = lesson_of(batches, self._clock)
        if lesson.rows:
            law = learner.law
            why = learner.observe(lesson.router, lesson.ttft_s, lesson.tpot_s, lesson.time_s)
            self._show(law, lesson, why == "")
            self._check.remember(lesson, why == "")
            lesson.rejected.extend(lesson.not_believed(why))
            self._unsaved = True
        return lesson

    def _show(self, law: OnlineLaw, lesson: Lesson, believed: Any) -> None:
        """Predict some of the rows by the law before they were learnt, of each target its own.

        A router reports TTFT and TPOT in rows that alternate.
        """
        for target in TARGETS:
            observed = getattr(lesson, f"{target}_s")
            known = np.flatnonzero(np.isfinite(observed))
            if not len(known):
                continue
            index = known[:: max(1, len(known) // SHOWN)]
            now_s = float(lesson.time_s[index].min())
            answer = law.predict(lesson.router.take(index), now_s=now_s)
            self._live.add(target, lesson.time_s[index] - self._clock.offset_s, observed[index],
                           getattr(answer, f"{target}_s"), getattr(answer, f"{target}_lo_s"),
                           getattr(answer, f"{target}_hi_s"), believed[index])  # fmt: skip

    def _recover(self, batches: list[Stored], careful: bool, error: Exception) -> OnlineLearner:
        """Learning failed: go back to the checkpoint, find the batch, set it aside."""
        kind = f"{type(error).__name__}: {error}"[:200]
        say(f"learning failed ({kind}); going on from the last checkpoint")
        if careful:
            batch = batches[0]
            if not self._learns_after(batch):
                self._learner = None
                raise LearningFailedError("learning must not fail", got=kind,
                                          remedy="upgrade; all is kept and waits")  # fmt: skip
            rejected = set_aside(batch, "learning failed")
            change = Round(before=self._before, cursor=batch.last, rejected=rejected)
            self._store.commit(change)
            self._live.event(time.time(), "batch_set_aside", reason=kind, rows=batch.count)
        else:
            self._careful_until = max(batches[-1].last, self._careful_until)
        live = self._live
        learner = self._begin()
        self._live = live
        return learner

    def _begin_again(self, error: Exception) -> None:
        """Go on from what is stored after a round failed, or from the law when that fails too."""
        kind = f"{type(error).__name__}: {error}"[:200]
        say(f"a round of training failed ({kind}); going on from what is stored")
        self._failed += 1
        self._failed_at = max(self._failed_at, self._cursor)
        self._learner = None
        if self._failed >= TRIED:
            self._failed = 0
            self._start_over(kind)

    def _learn_anew(self) -> None:
        """Distrust the state of the learner, once: all stored rows are learnt again."""
        if not self._anew:
            self._anew = True
            with suppress(LengthwiseError):
                self._store.commit(Round(learner="null", twice=True))
                say("the state of the learner may be at fault: all stored rows are learnt again")

    def _start_over(self, reason: str) -> None:
        """Forget what the learner holds and go on from the law in use, after the failing rows."""
        try:
            learner = begin(self._settings, self._store)
            before, _ = self._store.progress()
            after = max(before, self._failed_at)
            text = json.dumps(learner.to_dict())
            self._store.commit(Round(before=before, cursor=after, learner=text))
        except LengthwiseError as error:
            say(f"training waits: {error}")
            return
        self._live.event(time.time(), "learner_reset", reason=reason, rows_left_out=after - before)
        live = self._live
        self._begin()
        self._live = live

    def _refuse(self, problem: str) -> None:
        """Keep the law that was published; say so, once for each reason."""
        if problem != self._refused:
            self._refused = problem
            say(f"a law is not published: {problem}")
            self._live.event(time.time(), "law_refused", reason=problem)
        if self._check.unreadable:
            raise LawUnreadableError("a law that is published must be readable", got=problem)

    def _learns_after(self, batch: Stored) -> bool:
        """Whether one of the next batches can be learnt when this one is left out."""
        last = batch.last
        for _ in range(TRIED):
            following = self._store.batches(last, 1)
            if not following:
                return False
            text = self._store.progress()[1]
            learner = (resume(text) if text else None) or begin(self._settings, self._store)
            try:
                lesson = lesson_of(following, LivedTime())
                learner.observe(lesson.router, lesson.ttft_s, lesson.tpot_s, lesson.time_s)
            except Exception:
                last = following[-1].last
            else:
                return True
        return False

    # writing --------------------------------------------------------------------------------

    def _commit(self, *, save: bool) -> None:
        learner = self._learner
        assert learner is not None
        for event in self._events.of(learner):
            data = event.to_dict()
            data["time_s"] -= self._clock.offset_s
            if data not in self._live.events:  # learnt again after a crash: told before
                self._live.events.append(data)
        law = learner.law.to_dict()
        for target in law["targets"].values():  # workers look at the wall clock
            target["recent"]["at_s"] -= self._clock.offset_s
        text = json.dumps({**law, "version": 0}, sort_keys=True)
        changed = text != self._published
        if changed and (problem := self._check.problem(text)):
            self._refuse(problem)
            law, changed = {}, False
        if changed and learnt_of(learner):
            self._last["last_retrain_s"] = time.time()
        began = time.monotonic()
        state = json.dumps(learner.to_dict()) if save else None
        twice = save and self._due(self._twice, TWICE_S)
        self._save_s = time.monotonic() - began if save else self._save_s
        version = self._store.commit(Round(
            before=self._before, cursor=self._cursor if save else None, learner=state, twice=twice,
            law=law if changed else None, note=note_of(learner), rejected=self._rejected,
            documents={"trainer": self._status(learner), "live": self._live.to_dict(),
                       **({"clock": self._clock.to_dict(), "ages": self._ages.to_dict()}
                          if save else {})},
        ))  # fmt: skip
        self._rejected = []  # not before: a commit that failed is tried again
        self._told = time.monotonic()
        self._failed = 0
        if version is not None:
            self._published = text
            self._check.published(text)
        if twice:
            self._twice = self._told
        if save:
            self._saved, self._before, self._unsaved = time.monotonic(), self._cursor, False

    def _status(self, learner: OnlineLearner) -> dict[str, Any]:
        return {
            **self._last, **process_facts(), "started_s": self._started_s,
            "rounds": self._rounds, "rows": self._rows, "cursor": self._cursor,
            "asked": self._asked, "clock": self._clock.to_dict(), "learner": learner.status(),
        }  # fmt: skip

    def _obey(self) -> int:
        """Do what was asked for since the last round; gives how many requests."""
        requests = self._store.asked(self._asked)
        for number, command, detail in requests:
            if command == "flush":
                self._live.forget(
                    recent=bool(detail.get("test")), error=bool(detail.get("metrics"))
                )
                self._live.event(time.time(), "flushed", **detail)
            elif command == "activate":
                kind = "released" if detail.get("version") is None else "pinned"
                self._live.event(time.time(), kind, **detail)
            self._asked = number
        return len(requests)

    def _due(self, last: float, every_s: float) -> bool:
        return time.monotonic() - last >= every_s
