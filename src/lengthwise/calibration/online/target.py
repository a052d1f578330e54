"""Learn one target: predict each row before learning it, then filter, remember, fit again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from lengthwise.calibration.online import change, kalman, refit, takeover, trial
from lengthwise.calibration.online.batch import Batch
from lengthwise.calibration.online.doubt import EXPLAINED, Doubt
from lengthwise.calibration.online.drift import Detector
from lengthwise.calibration.online.gate import Gate, reason
from lengthwise.calibration.online.history import History
from lengthwise.calibration.online.labels import MOST_PODS
from lengthwise.calibration.online.ladder import REFIT_AFTER, Ladder
from lengthwise.calibration.online.memory import LOG_Y, SEQUENCE, SHIFT, Memory, place
from lengthwise.calibration.online.model import Model
from lengthwise.calibration.online.pace import Pace
from lengthwise.calibration.online.residuals import Residuals
from lengthwise.calibration.online.score import Score
from lengthwise.calibration.online.settings import LearnerSettings
from lengthwise.calibration.online.trial import Shadow
from lengthwise.calibration.online.trusted import Shelf
from lengthwise.calibration.online.weighing import Weighing
from lengthwise.formulations.online import terms
from lengthwise.formulations.online.context import Frame
from lengthwise.formulations.online.target import TargetLaw
from lengthwise.units import FloatArray

Note = Callable[[float, str, str, dict[str, Any]], None]
"""Takes time, kind, target and detail of an event."""
WATCH_FROM = 400
"""Rows learnt before changes are looked for: a young law changes by itself."""
CONFIRM, CONFIRM_LEAST, CONFIRM_MOST = 0.3, 100, 1000
"""Rows that confirm a change: this share of those the law had explained, within bounds."""
SUMMARY_EVERY = 256
FOLLOW_SD = 0.05
"""How far a level may at least move after a small change, standard deviation."""


class TargetLearner:
    """State of one target.

    Attributes
    ----------
    model, anchor
        Law in use, and the law as it stood when detectors last began.
    version
        Promotions, roll-backs and repairs so far.
    seen, learnt
        Rows observed, and those learnt from (one in ``holdout_every`` only judges).
    """

    def __init__(self, target: str, settings: LearnerSettings, law: TargetLaw, known: bool) -> None:
        self.target, self.settings = target, settings
        self.model = Model.start(target, law, known)
        self.prior = (self.model.theta[0].copy(), self.model.covariance[0, :-1, :-1].copy())
        self.memory, self.holdout = Memory(settings.memory), Memory(settings.holdout)
        self.residuals, self.ladder = Residuals(), Ladder()
        self.detector = Detector() if settings.drift else None
        self.anchor = self.model.copy()
        self.anchored = 1, 1
        self.history = History()
        self.shadow: Shadow | None = None
        self.shift = 0.0
        self.seen = self.learnt = self.version = self.fits = self.since_fit = 0
        self.soon = self.explained_at = -1
        self.unsummed = self.followed = 0
        self.score, self.gate, self.doubt, self.shelf = Score(), Gate(), Doubt(), Shelf()
        self.begun = self.confirmed_at = 0
        self.weighing, self.pace = Weighing(), Pace()

    @property
    def error(self) -> float | None:
        """Median absolute relative error of the last rows believed, before they were learnt."""
        return self.score.robust if self.fits else None

    @property
    def ready(self) -> bool:
        """Whether enough was learnt and the error is known."""
        return self.learnt >= self.settings.min_rows and self.error is not None

    @property
    def suspect(self) -> str:
        """Why nothing told is sure, "" if it is."""
        if self.gate.suspect:
            return f"{self.gate.share:.0%} of the latest rows contradict the law and are set aside"
        if self.seen < self.confirmed_at:
            return f"a change is not confirmed: {self.confirmed_at - self.seen} rows to go"
        return "a law fitted to the latest rows contradicts this one" if self.doubt.against else ""

    @property
    def steady(self) -> bool:
        """Whether the law can be trusted as it is."""
        return self.fits > 0 and self.ladder.rung == 0 and not self.suspect

    @property
    def long_run(self) -> float:
        """Long-run over short-run standard deviation of residuals, at least 1."""
        return max(float(np.sqrt(self.detector.variance)), 1.0) if self.detector else 1.4

    def models(self) -> list[Model]:
        """All models kept."""
        past = [model for _, model in self.history.kept]
        trusted = [one.model for one in self.shelf.kept]
        shadow = [self.shadow.model] if self.shadow else []
        return [self.model, self.anchor, *past, *trusted, *shadow]

    def fit_labels(self, types: int, pods: int) -> None:
        """Make room for new pod types and pods."""
        for model in self.models():
            model.fit_labels(types, pods)

    def law(self) -> TargetLaw:
        """Build what workers answer from."""
        spread = self.residuals.spread(self.model.gamma, self.ladder.widen)
        return self.model.law(spread, self.pace.recent)

    @property
    def until_fit(self) -> int:
        """Rows to learn before the next fit."""
        s = self.settings
        grown = s.refit_growth * (self.learnt - self.begun) if self.fits else 0.0
        due = max(s.refit_first, grown)
        due = min(due, s.refit_most)
        due = min(due, self.soon) if self.soon >= 0 else due
        return max(int(due) - self.since_fit, 0)

    def observe(
        self, block: FloatArray, time_s: FloatArray, frame: Frame, rng: np.random.Generator,
        note: Note, why: Any,
    ) -> int:  # fmt: skip
        """Learn rows of a memory block, shape (15, n), up to the next fit; gives how many.

        Rows that are not believed get the reason in ``why``, object array (n,); those that have
        one already are not believed here either.
        """
        n = min(int(block.shape[1]), max(self.until_fit, 1))
        batch = Batch(self.target, block[:, :n], time_s[:n], frame)
        done = 0
        while done < n:
            done += self._block(batch, done, min(done + self.settings.block, n), rng, note, why)
        if self.unsummed >= SUMMARY_EVERY:
            self.summarise(frame)
        return n

    def _block(
        self, batch: Batch, start: int, stop: int, rng: np.random.Generator, note: Note, why: Any
    ) -> int:
        """Learn one block; ends at the row in which a change is found."""
        every = slice(start, stop)
        types, pods, cell = (a[every] for a in (batch.context.types, batch.context.pods,
                                                batch.context.cell))  # fmt: skip
        extra = batch.extra(self.model)
        physics, share = self.model.physics(batch.x[every], types)
        plain = batch.log_y[every] - physics - self.model.offset[pods]
        used = self.model.trust * extra[every] if extra is not None else np.zeros(stop - start)
        residual, sd = plain - used, self.residuals.sd[cell]
        middle, core = self.residuals.middle()[cell], self.residuals.core[cell]
        level = self.pace.level_now
        off = residual - middle - level
        key = types * MOST_PODS + pods
        outside = self.gate.far(key, off, core, self.fits > 0)
        if self.fits:  # wrong about one target, not believed about another
            outside |= why[every] != ""
        far = outside | self._holds(outside)
        near = np.flatnonzero(~far) if far.any() else slice(None)
        m, by = self._look(batch, every, near, used, residual, sd)
        self.history.keep(self.seen, self.model)
        every, far = slice(start, start + m), far[:m]
        near = np.flatnonzero(~far) if far.any() else slice(None)
        at = every if isinstance(near, slice) else start + near
        now = float(batch.time_s[every.stop - 1])
        self._keep_score(batch, every, residual[:m], far, level)
        if far.any():
            self._set_aside(batch, every, off[:m], far, why)
        self.gate.note(key[:m], off[:m], core[:m], outside[:m], batch.log_y[every])
        explained = int((np.abs(off[:m]) < EXPLAINED).sum())
        self.doubt.note(batch.block[:, every], explained, self.shift)
        if len(residual[:m][near]):
            if extra is not None:
                self._weigh(plain[:m][near], extra[at], now, note)
            self.pace.learn((residual - middle)[:m][near], sd[:m][near] * self.long_run, now)
            learn = self._remember(batch.block, at, rng)
            if len(learn):
                own = (np.arange(m) if isinstance(near, slice) else near)[learn]
                noise = sd[own] * self.long_run
                self.pace.moved(kalman.update(self.model, share[own], residual[own], noise,
                                              types[own], pods[own]))  # fmt: skip
            self._judge(batch.block[:, at], batch, now, note)
        if by:
            change.repair(self, by, now, note)
        else:
            self._climb((residual / sd)[:m][near], now, note)
        self.doubt.settle(self, batch.frame, now, note)
        if self.steady:
            self.shelf.keep(self.seen, self.doubt.trust, self.model, self.residuals, self.shift)
        return m

    def _holds(self, outside: Any) -> bool:
        """Whether rows near the law are not believed either: most of those around them are far."""
        return self.fits > 0 and self.gate.holds and bool(outside.any() or self.gate.suspect)

    def _set_aside(self, batch: Batch, at: slice, off: FloatArray, far: Any, why: Any) -> None:
        """Write down why rows are not believed; they count for the tail of quantiles only."""
        shared = self.gate.shared(batch.log_y[at])
        for i in np.flatnonzero(far):
            why[at.start + i] = why[at.start + i] or reason(self.target, off[i], int(shared[i]))

    def _look(
        self, batch: Batch, every: slice, near: Any, used: Any, now: FloatArray, sd: FloatArray
    ) -> tuple[int, str]:
        """Rows of the block before the law changes (all of them, mostly), and who saw a change.

        Only rows ``near`` the law, or moved with most others, are looked at. A type or a pod that
        came after the detectors began is watched by the law as it is ``now``.
        """
        rows = every.stop - every.start
        if self.detector is None or not self.fits or self.learnt < WATCH_FROM or not len(now[near]):
            return rows, ""
        types, pods = batch.context.types[every], batch.context.pods[every]
        physics, _ = self.anchor.physics(batch.x[every], types)
        residual = batch.log_y[every] - physics - self.anchor.offset[pods] - used
        new = (types >= self.anchored[0]) | (pods >= self.anchored[1])
        position, by = self.detector.update((np.where(new, now, residual) / sd)[near])
        if not by:
            return rows, ""
        return (position if isinstance(near, slice) else int(near[position])) + 1, by

    def _keep_score(
        self, batch: Batch, at: slice, residual: FloatArray, far: Any, level: float
    ) -> None:
        cell, load = batch.context.cell[at], batch.load[at]
        length, log_y = batch.context.rows.input_tokens[at], batch.log_y[at]
        aside = far if far.any() else None
        self.score.add(np.log(self.residuals.mean[cell]) + level, residual, aside)
        here = np.ones(len(residual), dtype=bool) if batch.inside is None else batch.inside[at]
        if self.fits:
            count = here if aside is None or self.gate.tail() else here & ~far
            if count.any():
                self.residuals.adapt(cell[count], residual[count] - level)
        near = here if aside is None else here & ~far
        self.residuals.add(length[near], load[near], residual[near], log_y[near])
        if aside is not None and self.fits:
            out = here & far
            self.residuals.add(length[out], load[out], residual[out], log_y[out], far=True)
        self.unsummed += int(here.sum())

    def _remember(self, block: FloatArray, at: Any, rng: np.random.Generator) -> Any:
        """Put rows into memory or among those held out; gives positions of the former."""
        count = len(block[0, at])
        block[SHIFT, at] = self.shift
        block[SEQUENCE, at] = self.seen + np.arange(count)
        rows = block[:, at]
        hold = rows[SEQUENCE] % self.settings.holdout_every == 0
        self.memory.add(rows[:, ~hold], rng)
        if hold.any():
            self.holdout.add(rows[:, hold], None)
        learn = np.flatnonzero(~hold)
        self.seen += count
        self.learnt += len(learn)
        self.since_fit += len(learn)
        return learn

    def _weigh(self, plain: FloatArray, extra: FloatArray, now: float, note: Note) -> None:
        """Use as much of the correction as wins on rows that it was not learnt from."""
        turned = self.weighing.learn(plain, extra)
        self.model.trust = self.weighing.share
        if turned:
            note(now, f"correction_{turned}", self.target, {"share": self.model.trust})

    def _judge(self, block: FloatArray, batch: Batch, now: float, note: Note) -> None:
        """Compare the law with the one before it on rows held out; go back if it is worse."""
        hold = block[SEQUENCE] % self.settings.holdout_every == 0
        if self.shadow is None or not hold.any():
            return
        context = place(block[:, hold], batch.frame)
        verdict = self.shadow.judge(
            self.model, context, terms.matrix(self.target, context.rows), block[LOG_Y][hold]
        )
        if verdict == "rolled_back":
            rows = self.shadow.rows
            detail = {"rows": rows, "error_before": self.shadow.before / rows,
                      "error_after": self.shadow.after / rows}  # fmt: skip
            self.model = self.shadow.model
            self.restart()
            note(now, "rolled_back", self.target, detail | {"version": self.version})
        if verdict:
            self.shadow = None

    def _climb(self, z: FloatArray, now: float, note: Note) -> None:
        """Go one rung up or down after a change."""
        kind = self.ladder.judge(z, self.long_run)
        if kind == "covariance_reset":
            change.reset(self)
            self.soon = self.since_fit + REFIT_AFTER
        if kind:
            note(now, kind, self.target, {"widen": self.ladder.widen})

    def follow(self, jump: float, slow: bool = False) -> None:
        """Let the filter follow a small change, of the log level; detectors begin again.

        After a ``slow`` one only the detector of slow changes does: a fast one may be under way.
        """
        self.followed += 1
        self.model.covariance[:, -1, -1] += max(FOLLOW_SD, 0.5 * abs(jump)) ** 2
        if slow and self.detector is not None:
            self.detector.restart_slow()
            return
        self.version -= 1
        self.restart()

    def restart(self) -> None:
        """Count a new version and let detectors begin from the law as it is."""
        self.version += 1
        self.anchor, self.history = self.model.copy(), History()
        self.pace.restart()
        self.anchored = len(self.model.theta), len(self.model.offset)
        if self.detector is not None:
            self.detector.settle()
            self.detector.reset()

    def unconfirmed(self) -> None:
        """Count a change that is believed for the time being."""
        wait = CONFIRM * self.doubt.trust
        self.confirmed_at = self.seen + int(min(max(wait, CONFIRM_LEAST), CONFIRM_MOST))

    def refit(self, frame: Frame, now: float, note: Note) -> None:
        """Fit again from memory; the new law is promoted only if it wins on rows held out."""
        self.since_fit, self.soon = 0, -1
        new = refit.challenger(
            self.model,
            self.memory,
            frame,
            self.shift,
            self.prior,
            self.residuals.sd,
            self.settings.correction,
        )
        before, after = (
            trial.held_out_loss(m, self.holdout, frame, self.shift) for m in (self.model, new.model)
        )
        self.fits += 1
        takeover.purge(self, new.model)
        detail = {"error_before": before, "error_after": after, "rows": len(self.memory),
                  "correction": new.model.correction is not None}  # fmt: skip
        if not after < (1 - trial.MARGIN) * before:
            note(now, "kept", self.target, detail)
            return
        self.shadow = Shadow(self.model)
        self.model = new.model
        self.weighing = Weighing()
        self.residuals.replace(new.context, new.residual, new.log_y)
        self.restart()
        note(now, "promoted", self.target, detail | {"version": self.version})

    def summarise(self, frame: Frame) -> None:
        """Compute quantiles anew."""
        self.unsummed = 0
        middle = self.residuals.middle().mean()
        self.residuals.summarise(frame)
        self.pace.moved(float(self.residuals.middle().mean() - middle))
        if self.detector is not None and self.ladder.rung == 0:
            self.detector.settle()
