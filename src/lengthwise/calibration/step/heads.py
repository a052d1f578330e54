"""Corrections of one quantity (TTFT, TPOT, a prefill or decode step) and how sure they are.

A deployment with rows of its own is corrected by the process. One that nobody measured, of a model
and on hardware that others measured, gets a mean of the process and of boosted trees, shrunk: their
errors differ, so that it is better than either. An architecture or a processor that is new gets as
much of that mean as left-out ones of its kind were better off with, which may be nothing.
Samples of one's own, learnt later, correct that mean by a process of the deployment alone.

The interval is the correction and q standard deviations, where q is such that intervals hold the
errors of left-out rows: of whole deployments for a deployment nobody measured, of single rows for
one that was (conformal on standardised errors, Papadopoulos et al. 2008).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from lengthwise.calibration.step.kinship import Kin
from lengthwise.calibration.step.own import OwnSamples
from lengthwise.calibration.step.process import ARCHITECTURE, DEPLOYMENT, HARDWARE, Process
from lengthwise.calibration.step.trees import Features, Trees
from lengthwise.formulations.typed_json import read_dataclass, to_json
from lengthwise.units import FloatArray

LEVELS_KEPT = np.array([0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95, 0.98, 0.99])
NORMAL = np.array([0.674, 0.842, 1.036, 1.282, 1.44, 1.645, 1.96, 2.326, 2.576])
"""Two-sided quantiles of a normal distribution at these levels, for want of left-out rows."""
ENOUGH = 20
"""Rows from which intervals are calibrated."""
TREE_ROWS, TREE_DEPLOYMENTS = 300, 8
"""Rows and deployments from which trees are learnt and intervals need no normal floor."""
FOLDS = 5
LIMIT = {"ttft": 2.0, "tpot": 1.0, "prefill": 1.0, "decode": 1.0}
"""Largest correction learnt from one row, natural logarithm."""
ENOUGH_GROUPS = 3
SHARES = (0.3, 0.6)
"""Weights of the process and of the trees for a deployment nobody measured."""
NEW = {"architecture": ARCHITECTURE, "hardware": HARDWARE}
"""What may be new about a deployment, by level."""
TRUSTS = np.array([0.0, 0.25, 0.5, 0.75, 1.0])
"""Shares of the correction tried for what is new."""


@dataclass(frozen=True)
class LeftOutError:
    """Error on rows the correction did not see, percent.

    Attributes
    ----------
    by
        What was left out at a time: ``deployment``, ``row``, or ``nothing`` with too few rows.
    rows
        Rows behind the figures.
    median_percent, mape_percent
        Median and mean absolute relative error; NaN without a left-out row.
    """

    by: str
    rows: int
    median_percent: float
    mape_percent: float

    @classmethod
    def of(cls, by: str, mean: FloatArray, corrections: FloatArray) -> LeftOutError:
        """Score predicted corrections against those found."""
        miss = np.abs(np.expm1(mean - corrections))
        return cls(by, len(miss), 100.0 * float(np.median(miss)), 100.0 * float(miss.mean()))


NO_ERROR = LeftOutError("nothing", 0, float("nan"), float("nan"))


@dataclass(frozen=True)
class Seen:
    """What corrections are made from, for n rows."""

    kin: Kin
    features: Features

    def take(self, index: Any) -> Seen:
        """Select rows."""
        return Seen(self.kin.take(index), self.features.take(index))


@dataclass(frozen=True)
class Head:
    """The corrections of one quantity.

    Attributes
    ----------
    process, trees
        What was learnt from many deployments; None where there was too little.
    known, unknown
        q at ``LEVELS_KEPT`` for deployments with rows of their own, and for others.
    own
        Samples learnt later.
    trust
        Share of the correction that a new architecture, a new processor gets.
    error
        Error on left-out rows.
    """

    process: Process | None = None
    trees: Trees | None = None
    known: FloatArray = field(default_factory=NORMAL.copy)
    unknown: FloatArray = field(default_factory=NORMAL.copy)
    own: OwnSamples | None = None
    trust: Mapping[str, float] = field(default_factory=dict)
    error: LeftOutError = NO_ERROR

    @classmethod
    def fit(
        cls, name: str, seen: Seen, corrections: FloatArray, *, calibrated: bool = True
    ) -> Head:
        """Learn from rows; unless told not to, calibrate the intervals on left-out ones."""
        y = np.clip(corrections, -LIMIT[name], LIMIT[name])
        process = Process.fit(seen.kin, y)
        deployments = seen.kin.labels[DEPLOYMENT]
        enough = len(y) >= TREE_ROWS and len(set(deployments)) >= TREE_DEPLOYMENTS
        head = cls(process, trust=_trusts(process, seen, y, enough))
        if enough:
            head = replace(head, trees=Trees.fit(seen.features, y))
        if len(y) < ENOUGH or not calibrated:
            return head
        scores, error = _scores(*process.left_out(np.arange(len(y))), corrections, "row")
        known = np.maximum(scores, NORMAL)
        head = replace(head, known=known, unknown=known, error=error)
        if len(set(deployments)) < ENOUGH_GROUPS:
            return head
        mean, sd = process.left_out(deployments)
        if enough:
            mean = _shared(mean, trees_left_out(seen.features, y, deployments))
        unknown, error = _scores(mean, sd, corrections, "deployment")
        floor = scores if enough else known
        return replace(head, unknown=np.maximum(unknown, floor), error=error)

    def more(self, name: str, seen: Seen, corrections: FloatArray) -> Head:
        """Learn samples of one's own; what was learnt from many stays as it is."""
        mean, _ = self._pooled(seen)
        left = np.clip(corrections - mean, -LIMIT[name], LIMIT[name])
        samples = OwnSamples.of(name, seen.kin, left, self._spread())
        return replace(self, own=samples if self.own is None else self.own.join(samples))

    def own_covariance(self, name: str, kin: Kin) -> FloatArray:
        """Give the covariance of what samples of one's own would still correct, shape (n, n)."""
        if self.own is None and self.process is not None:
            learnt = set(self.process.kin.labels[DEPLOYMENT])
            if all(label in learnt for label in kin.labels[DEPLOYMENT]):
                return self.process.covariance_after(kin)
        own = OwnSamples.none(name, kin, self._spread()) if self.own is None else self.own
        return own.covariance_after(kin)

    def predict(self, seen: Seen, level: float) -> tuple[FloatArray, FloatArray]:
        """Give the correction and half the width of its interval, natural logarithms."""
        mean, half = self._pooled(seen, level)
        if self.own is not None:
            shift, sd, at = self.own.predict(seen.kin)
            mean = mean + shift
            half = np.where(at, _at(NORMAL, level) * sd, half)
        return mean, half

    def _pooled(self, seen: Seen, level: float = 0.9) -> tuple[FloatArray, FloatArray]:
        if self.process is None:
            return np.zeros(len(seen.kin)), np.full(len(seen.kin), np.nan)
        mean, sd = self.process.predict(seen.kin)
        learnt = set(self.process.kin.labels[DEPLOYMENT])
        own = np.array([label in learnt for label in seen.kin.labels[DEPLOYMENT]])
        if not own.all():
            pooled = mean
            if self.trees is not None:
                pooled = _shared(mean, self.trees.predict(seen.features))
            for name, level_of in NEW.items():
                learnt = set(self.process.kin.labels[level_of])
                new = np.array([label not in learnt for label in seen.kin.labels[level_of]])
                pooled = np.where(new, self.trust.get(name, 1.0) * pooled, pooled)
            mean = np.where(own, mean, pooled)
        return mean, np.where(own, _at(self.known, level), _at(self.unknown, level)) * sd

    def _spread(self) -> float:
        """Give the sd of what is left of a deployment nobody measured, natural logarithm."""
        if self.process is None:
            return 0.0
        return float(_at(self.unknown, 0.9) / _at(NORMAL, 0.9) * self.process.typical_sd)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON."""
        parts = {"process": self.process, "trees": self.trees, "own": self.own}
        return {
            **{k: None if v is None else v.to_dict() for k, v in parts.items()},
            "known": np.round(self.known, 4).tolist(),
            "unknown": np.round(self.unknown, 4).tolist(), "trust": dict(self.trust),
            "error": to_json(self.error),
        }  # fmt: skip

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Head:
        """Read :meth:`to_dict` back."""

        def part(name: str, reader: Any) -> Any:
            return None if data[name] is None else reader.from_dict(data[name])

        return cls(
            part("process", Process), part("trees", Trees), np.asarray(data["known"], float),
            np.asarray(data["unknown"], float), part("own", OwnSamples),
            {str(k): float(v) for k, v in data["trust"].items()},
            read_dataclass(LeftOutError, data["error"], "error"),
        )  # fmt: skip


def _shared(process: FloatArray, trees: FloatArray) -> FloatArray:
    return SHARES[0] * process + SHARES[1] * trees


def _trusts(process: Process, seen: Seen, y: FloatArray, trees: bool) -> dict[str, float]:
    """Choose the share of the correction for what is new, by the error on left-out ones."""
    found = {}
    for name, level in NEW.items():
        groups = seen.kin.labels[level]
        if len(set(groups)) >= ENOUGH_GROUPS:
            mean, _ = process.left_out(groups)
            if trees:
                mean = _shared(mean, trees_left_out(seen.features, y, groups))
            misses = [np.abs(share * mean - y).mean() for share in TRUSTS]
            found[name] = float(TRUSTS[int(np.argmin(misses))])
    return found


def trees_left_out(features: Features, y: FloatArray, groups: Any) -> FloatArray:
    """Predict rows by trees that saw none of their group: groups are dealt out to ``FOLDS`` folds.

    Returns
    -------
    array of shape (n,).
    """
    names, index = np.unique(np.asarray(groups).astype(str), return_inverse=True)
    dealt = np.random.default_rng(0).permutation(len(names)) % min(FOLDS, len(names))
    fold = dealt[index]
    out = np.zeros(len(y))
    for k in range(int(fold.max()) + 1):
        test = fold == k
        out[test] = Trees.fit(features.take(~test), y[~test]).predict(features.take(test))
    return out


def _scores(
    mean: FloatArray, sd: FloatArray, corrections: FloatArray, by: str
) -> tuple[FloatArray, LeftOutError]:
    """Give standardised errors of left-out rows at the kept levels, and their plain error."""
    far = np.abs(corrections - mean) / sd
    return np.asarray(np.quantile(far, LEVELS_KEPT)), LeftOutError.of(by, mean, corrections)


def _at(scores: FloatArray, level: float) -> float:
    """Give q at a level, between the kept ones along the normal scale, beyond them on its slope."""
    wanted = float(np.interp(level, LEVELS_KEPT, NORMAL))
    return float(np.interp(wanted, NORMAL, scores))
