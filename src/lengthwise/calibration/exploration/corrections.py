"""Corrections of a law on its log residuals: none, an offset, a Gaussian process, trees.

Each learns from (points, ln observed - ln predicted) and predicts what to add to ln t. The process
falls back to the offset far from the data; trees do not know how far they are.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np

from lengthwise.calibration.exploration.points import Points
from lengthwise.units import FloatArray

MEMORY = 200
"""Latest residuals that a correction learns from."""
RECENT = 40
"""Latest residuals of the offset."""
PRIOR_WEIGHT = 2.0
"""Readings that the prior offset of 0 is worth."""
SIGNAL, NOISE = 0.25, 0.08
SCALE = np.array([1.5, 1.5])
"""Lengths of the process in ln length and ln batch."""
TREES, DEPTH, RATE = 40, 3, 0.15


class Correction(Protocol):
    """Learns residuals of a law."""

    name: str

    def fit(self, points: Points, residual: FloatArray) -> None:
        """Learn from n residuals, shape (n,)."""
        ...

    def predict(self, points: Points) -> FloatArray:
        """Give what to add to ln t, shape (n,)."""
        ...


class NoCorrection:
    """Trust the law."""

    name = "none"

    def fit(self, points: Points, residual: FloatArray) -> None:
        """Learn nothing."""

    def predict(self, points: Points) -> FloatArray:
        """Give zeros."""
        return np.zeros(len(points))


class Offset:
    """One factor per phase, from the latest residuals.

    Examples
    --------
    >>> offset, points = Offset(), Points.of("prefill", np.full(38, 512.0))
    >>> offset.fit(points, np.full(38, 0.3))
    >>> offset.predict(points.take([0])).round(3).tolist()
    [0.285]
    """

    name = "offset"

    def __init__(self) -> None:
        self.by_phase = np.zeros(2)

    def fit(self, points: Points, residual: FloatArray) -> None:
        """Take the shrunk mean of the latest residuals of each phase."""
        for phase in (0, 1):
            mine = residual[points.decode == bool(phase)][-RECENT:]
            self.by_phase[phase] = mine.sum() / (len(mine) + PRIOR_WEIGHT)

    def predict(self, points: Points) -> FloatArray:
        """Give the factor of the phase."""
        return np.asarray(self.by_phase[points.decode.astype(int)])


class Process:
    """Gaussian process in ln length and ln batch around the offset, one per phase."""

    name = "process"

    def __init__(self) -> None:
        self.offset = Offset()
        self.known: list[tuple[FloatArray, FloatArray]] = []

    def fit(self, points: Points, residual: FloatArray) -> None:
        """Solve for the weights of the latest residuals."""
        self.offset.fit(points, residual)
        rest, self.known = residual - self.offset.predict(points), []
        for phase in (False, True):
            mine = np.flatnonzero(points.decode == phase)[-MEMORY // 2 :]
            x = _coordinates(points.take(mine))
            K = _kernel(x, x) + NOISE**2 * np.eye(len(mine))
            self.known.append((x, np.asarray(np.linalg.solve(K, rest[mine]), dtype=float)))

    def predict(self, points: Points) -> FloatArray:
        """Give the mean of the process."""
        out = self.offset.predict(points).copy()
        for phase, (x, weights) in zip((False, True), self.known, strict=False):
            mine = points.decode == phase
            if mine.any() and len(x):
                out[mine] += _kernel(_coordinates(points.take(mine)), x) @ weights
        return np.asarray(out)


class Trees:
    """Gradient-boosted trees on phase, ln length and ln batch."""

    name = "trees"

    def __init__(self, seed: int = 0) -> None:
        self.seed = seed
        self.model: object | None = None

    def fit(self, points: Points, residual: FloatArray) -> None:
        """Grow the trees on the latest residuals."""
        from sklearn.ensemble import GradientBoostingRegressor

        model = GradientBoostingRegressor(
            n_estimators=TREES, max_depth=DEPTH, learning_rate=RATE, random_state=self.seed
        )
        self.model = model.fit(_columns(points)[-MEMORY:], residual[-MEMORY:])

    def predict(self, points: Points) -> FloatArray:
        """Give the trees' mean; zeros before any fit."""
        if self.model is None:
            return np.zeros(len(points))
        return np.asarray(self.model.predict(_columns(points)))  # type: ignore[attr-defined]


def corrections() -> list[Correction]:
    """Make one of each.

    >>> [c.name for c in corrections()]
    ['none', 'offset', 'process', 'trees']
    """
    return [NoCorrection(), Offset(), Process(), Trees()]


def _coordinates(points: Points) -> FloatArray:
    return np.asarray(np.log(np.stack([points.length, points.batch], axis=1)) / SCALE)


def _columns(points: Points) -> FloatArray:
    return np.column_stack([points.decode, np.log(points.length), np.log(points.batch)])


def _kernel(x: FloatArray, y: FloatArray) -> FloatArray:
    square = ((x[:, None] - y[None]) ** 2).sum(axis=2)
    return np.asarray(SIGNAL**2 * np.exp(-0.5 * square))
