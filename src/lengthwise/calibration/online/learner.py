"""Learn an online law from completed requests."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from lengthwise.calibration.online import quarantine, relabel, repeats, state
from lengthwise.calibration.online.events import Event
from lengthwise.calibration.online.labels import Labels
from lengthwise.calibration.online.memory import pack_rows
from lengthwise.calibration.online.repeats import Repeats
from lengthwise.calibration.online.residuals import edges
from lengthwise.calibration.online.settings import LearnerSettings
from lengthwise.calibration.online.target import TargetLearner
from lengthwise.errors import InputError
from lengthwise.formulations.online.context import BOX, Frame
from lengthwise.formulations.online.law import OnlineLaw
from lengthwise.formulations.online.rows import NUMBERS, RouterRows
from lengthwise.formulations.online.terms import TARGETS
from lengthwise.units import FloatArray

EVENTS = 1000
"""Events kept."""
EDGE_ROWS = 3
"""Rows that must lie at or beyond the end of the domain: one stray row is no data."""


class OnlineLearner:
    """Learns from live traffic, one law at a time.

    Parameters
    ----------
    settings
        How to learn.
    prior
        Law to begin from; the cold one by default.

    Attributes
    ----------
    events
        Changes noticed and made, oldest first; the last 1000.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> n = rng.integers(50, 4000, 1000)
    >>> rows = RouterRows.of({"input_tokens": n})
    >>> ttft = (0.03 + 5e-5 * n) * rng.lognormal(0, 0.1, 1000)
    >>> learner = OnlineLearner()
    >>> _ = learner.observe(rows, ttft, np.full(1000, np.nan), np.arange(1000.0))
    >>> answer = learner.law.predict(RouterRows.of({"input_tokens": [2000, 16000]}))
    >>> answer.ttft_s.round(1).tolist(), answer.in_domain.tolist()
    ([0.1, 0.9], [True, False])
    """

    def __init__(
        self, settings: LearnerSettings | None = None, prior: OnlineLaw | None = None
    ) -> None:
        self.settings = settings or LearnerSettings()
        cold = OnlineLaw.cold()
        prior = prior or cold
        self.targets = {
            t: TargetLearner(t, self.settings, prior.targets[t], _known(prior, cold, t))
            for t in TARGETS
        }
        self.labels = Labels()
        self.frame = Frame()
        self.events: list[Event] = []
        self.ignored = 0
        self.repeats = Repeats()
        self._rng = np.random.default_rng(self.settings.seed)
        self._law: OnlineLaw | None = prior

    @property
    def law(self) -> OnlineLaw:
        """The law learnt so far; a new object after rows were learnt."""
        if self._law is None:
            every = self.targets
            self._law = OnlineLaw(
                {name: t.law() for name, t in every.items()}, self.frame,
                sum(t.version for t in every.values()),
                {name: t.ready for name, t in every.items()},
                {name: t.learnt for name, t in every.items()},
                {name: t.error for name, t in every.items()}, self.suspect,
            )  # fmt: skip
        return self._law

    def observe(self, rows: RouterRows, ttft_s: Any, tpot_s: Any, time_s: Any) -> Any:
        """Learn from completed requests, in the order given.

        Parameters
        ----------
        rows
            What the router knew, n rows.
        ttft_s, tpot_s
            What happened, seconds, shape (n,); NaN or 0 says nothing about that target.
        time_s
            When, seconds on any clock, shape (n,); used for events only.

        Returns
        -------
        object array of str, shape (n,)
            Why a row was not believed, of either target; "" if it was.
        """
        seconds = {"ttft": _column("ttft_s", ttft_s, rows), "tpot": _column("tpot_s", tpot_s, rows)}
        times = np.nan_to_num(_column("time_s", time_s, rows), posinf=0.0, neginf=0.0)
        if not len(rows):
            return np.empty(0, dtype=object)
        columns = {name: getattr(rows, name) for name in NUMBERS}
        why = quarantine.reasons(columns, seconds["ttft"], seconds["tpot"])
        self.ignored += int((why != "").sum())
        why[self._repeated(columns, seconds) & (why == "")] = repeats.REASON
        fine = why == ""
        types, pods = self._label(rows, fine)
        for name, y in seconds.items():
            use = np.flatnonzero(fine & (y > 0))
            if len(use):
                block = pack_rows(rows.take(use), types[use], pods[use], np.log(y[use]))
                found = why[use]
                self._learn(self.targets[name], block, times[use], found)
                why[use] = found
        self._law = None
        return why

    def _repeated(self, columns: Mapping[str, Any], seconds: Mapping[str, FloatArray]) -> Any:
        both = np.stack([*columns.values(), *seconds.values()])
        return np.array(self.repeats.too_many(both), dtype=bool)

    @property
    def suspect(self) -> dict[str, str]:
        """Why nothing told of a target is sure, by target; empty when all is well."""
        return {name: t.suspect for name, t in self.targets.items() if t.suspect}

    def status(self) -> dict[str, Any]:
        """Plain JSON about what was learnt and how well it does."""
        return {
            "version": sum(t.version for t in self.targets.values()), "ignored": self.ignored,
            "pods": len(self.labels.pods) - 1, "pod_types": list(self.labels.types[1:]),
            "events": len(self.events),
            "targets": {name: state.describe(t) for name, t in self.targets.items()},
        }  # fmt: skip

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON from which learning goes on exactly."""
        return state.learner_to_dict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> OnlineLearner:
        """Read :meth:`to_dict` back.

        Raises
        ------
        ArtifactError
            The state is damaged or of another schema version.
        """
        return state.learner_from_dict(cls, data)

    def _label(self, rows: RouterRows, fine: Any) -> tuple[Any, Any]:
        types, pods, moved_types, moved_pods = self.labels.place(rows, fine)
        for target in self.targets.values():
            if moved_types is not None:
                relabel.move_types(target, moved_types)
            if moved_pods is not None:
                relabel.move_pods(target, moved_pods)
        self._frame()
        for t in self.targets.values():
            t.fit_labels(len(self.labels.types), len(self.labels.pods))
        return types, pods

    def _learn(self, target: TargetLearner, block: FloatArray, times: FloatArray, why: Any) -> None:
        done = 0
        while done < block.shape[1]:
            done += target.observe(block[:, done:], times[done:], self.frame, self._rng,
                                   self._note, why[done:])  # fmt: skip
            if target.until_fit == 0 and len(target.memory) and len(target.holdout):
                self._refit(target, float(times[done - 1]))

    def _refit(self, target: TargetLearner, now: float) -> None:
        self._frame(anew=True)
        target.refit(self.frame, now, self._note)
        for t in self.targets.values():
            t.summarise(self.frame)

    def _frame(self, anew: bool = False) -> None:
        """Bring labels, and after a fit also cells and domain, into the frame."""
        labels = tuple(self.labels.types), tuple(self.labels.pods)
        old = self.frame
        if anew:
            both = [t.memory.data for t in self.targets.values() if len(t.memory)]
            box = np.concatenate([d[[NUMBERS.index(n) for n in BOX]] for d in both], axis=1)
            box.sort(axis=1)
            few = min(EDGE_ROWS, box.shape[1])
            rings = [t.residuals.ring for t in self.targets.values() if t.residuals.ring.size]
            ring = max(rings, key=lambda r: r.shape[1])
            self.frame = Frame(*labels, *edges(ring[0], ring[1]), box[:, few - 1], box[:, -few])
        elif labels != (old.types, old.pods):
            self.frame = Frame(*labels, old.length_edges, old.load_edges, old.lo, old.hi)

    def _note(self, time_s: float, kind: str, target: str, detail: dict[str, Any]) -> None:
        self.events.append(Event(time_s, kind, target, detail))
        del self.events[:-EVENTS]


def _known(prior: OnlineLaw, cold: OnlineLaw, target: str) -> bool:
    """Whether a prior says more than the cold law: learnt, or derived from a step law."""
    return not np.array_equal(prior.targets[target].theta, cold.targets[target].theta)


def _column(name: str, values: Any, rows: RouterRows) -> FloatArray:
    column = np.asarray(values, dtype=float)
    if column.shape != (len(rows),):
        raise InputError(
            f"{name} must have one value per row",
            got=f"shape {column.shape} for {len(rows)} rows",
            remedy="send NaN where nothing was observed",
        )
    return column
