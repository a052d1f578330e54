r"""E3, the empirical correction delta: what the physics left over.

    residual   delta(x) = g_T(ln T) + g_c(ln c), two additive Gaussian processes (RBF, length scale
               ln 2, sd 0.1 together) on the log-residuals of the base, noise as fitted. They fade
               to zero within about a factor of four of the data, |delta| <= ln 1.5, and the
               amplitude is halved until the corrected law is monotone.
    isotonic   a monotone map of the base prediction (needs 30 points), constant ratio fading to one
               outside the data.
    off        delta = 0.

Additive functions of one variable are stored as tables and read by linear interpolation, so that a
correction costs two look-ups whatever the number of measurements.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.isotonic import IsotonicRegression

from lengthwise.domain.work import Work, thinned
from lengthwise.units import FloatArray

CAP = float(np.log(1.5))
LENGTH_SCALE = float(np.log(2.0))
AMPLITUDE = 0.1
ISOTONIC_MIN_POINTS = 30
FADE = float(np.log(4.0))
MARGIN = 1.15
MAX_POINTS = 400

Base = Callable[[Work], FloatArray]


@dataclass(frozen=True)
class Correction:
    """A correction as tables: ``grid -> delta`` for each axis it looks at.

    Attributes
    ----------
    kind
        ``off``, ``residual`` or ``isotonic``.
    tables
        For each axis (``tokens``, ``context`` or ``base``): grid of logarithms and delta on it.
    """

    kind: str = "off"
    tables: tuple[tuple[str, FloatArray, FloatArray], ...] = ()

    @property
    def is_identity(self) -> bool:
        """Whether there is nothing to apply."""
        return not self.tables

    def apply(self, work: Work, base: FloatArray) -> FloatArray:
        """Correct base predictions, shape (n,), seconds."""
        delta = np.zeros(len(base))
        for axis, grid, value in self.tables:
            delta += self._read(np.log(_axis(axis, work, base)), grid, value)
        return np.asarray(base * np.exp(np.clip(delta, -CAP, CAP)))

    def _read(self, u: FloatArray, grid: FloatArray, value: FloatArray) -> FloatArray:
        """Interpolate linearly, constant outside; even grids need no search for the interval."""
        if self.kind != "residual":
            return np.asarray(np.interp(u, grid, value))
        u -= grid[0]
        u *= (len(grid) - 1) / (grid[-1] - grid[0])
        np.clip(u, 0.0, len(grid) - 1.0, out=u)
        left = np.minimum(u.astype(np.int32), len(grid) - 2)
        u -= left
        u *= np.diff(value)[left]
        u += value[left]
        return u

    def enlarged(self, factor: float) -> Correction:
        """Give the same correction with every delta multiplied by ``factor``."""
        return Correction(self.kind, tuple((a, g, factor * v) for a, g, v in self.tables))

    def to_dict(self) -> dict[str, Any]:
        """Give the tables as plain lists."""
        tables = [{"axis": a, "grid": g.tolist(), "delta": v.tolist()} for a, g, v in self.tables]
        return {"kind": self.kind, "tables": tables}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Correction:
        """Build a correction from :meth:`to_dict`."""
        tables = tuple(
            (t["axis"], np.asarray(t["grid"], float), np.asarray(t["delta"], float))
            for t in data["tables"]
        )
        return cls(data["kind"], tables)


def fit(kind: str, work: Work, y_s: FloatArray, base: Base, sigma: float) -> Correction:
    """Fit a correction of ``kind`` on the residuals of ``base``.

    Parameters
    ----------
    work, y_s
        Training steps and times, seconds.
    base
        The fitted law without correction.
    sigma
        Relative noise of one observation.
    """
    if kind == "residual":
        some = thinned(work, MAX_POINTS)  # the cost of a Gaussian process is cubic
        return _residual(work.take(some), y_s[some], base, sigma)
    if kind == "isotonic" and len(work) >= ISOTONIC_MIN_POINTS:
        return _isotonic(work, y_s, base)
    return Correction()


def _axis(axis: str, work: Work, base: FloatArray) -> FloatArray:
    if axis == "tokens":
        return work.new_tokens
    return work.context_len if axis == "context" else base


def _residual(work: Work, y_s: FloatArray, base: Base, sigma: float) -> Correction:
    residual = np.clip(np.log(y_s) - np.log(base(work)), -CAP, CAP)
    axes = {name: np.log(_axis(name, work, y_s)) for name in ("tokens", "context")}
    axes = {name: u for name, u in axes.items() if np.ptp(u) > 0}
    if not axes:
        return Correction()
    variance = AMPLITUDE**2 / len(axes)
    covariance = sum((variance * _rbf(u, u) for u in axes.values()), np.zeros((len(work),) * 2))
    weights = np.linalg.solve(covariance + sigma**2 * np.eye(len(work)), residual)
    for amplitude in (1.0, 0.5, 0.25, 0.125):
        tables = tuple(
            (name, grid, amplitude * variance * _rbf(grid, u) @ weights)
            for name, u in axes.items()
            for grid in (np.arange(u.min() - 2 * FADE, u.max() + 2 * FADE, LENGTH_SCALE / 8),)
        )
        correction = Correction("residual", tables)
        if _is_monotone(correction, work, base):
            return correction
    return Correction()


def _rbf(a: FloatArray, b: FloatArray) -> FloatArray:
    return np.asarray(np.exp(-0.5 * ((a[:, None] - b[None, :]) / LENGTH_SCALE) ** 2))


def _is_monotone(correction: Correction, work: Work, base: Base) -> bool:
    """Check that length and batch never shorten a step, on a grid finer and wider than the tables.

    The check is made with the correction enlarged by ``MARGIN``: what holds at the points of
    the grid then holds between them.
    """
    longest = float(work.context_len.max()) * 16
    lengths = np.unique(np.concatenate([np.geomspace(1, longest, 600), work.context_len]))
    largest = float(work.sequences.max())
    batches = np.unique(np.concatenate([np.geomspace(1, largest * 4, 48), [1.0, largest]]))
    for c, b, axis in (
        (*np.meshgrid(lengths, [1.0, np.sqrt(largest), largest], indexing="ij"), 0),
        (*np.meshgrid(np.geomspace(1, longest, 24), batches, indexing="ij"), 1),
    ):
        query = c if work.phase == "prefill" else np.ones_like(c)
        grid = Work.of(
            work.phase, query_len=query.ravel(), context_len=c.ravel(), batch_size=b.ravel()
        )
        time = correction.enlarged(MARGIN).apply(grid, base(grid)).reshape(c.shape)
        if (np.diff(time, axis=axis) < 0).any():
            return False
    return True


def _isotonic(work: Work, y_s: FloatArray, base: Base) -> Correction:
    predicted = np.log(base(work))
    order = np.argsort(predicted)
    u = predicted[order]
    mapped = IsotonicRegression().fit_transform(u, np.log(y_s)[order])
    grid, first = np.unique(u, return_index=True)
    if len(grid) < 2:
        return Correction()
    delta = np.clip(mapped[first] - grid, -CAP, CAP)
    grid = np.concatenate([[grid[0] - FADE], grid, [grid[-1] + FADE]])
    return Correction("isotonic", (("base", grid, np.concatenate([[0.0], delta, [0.0]])),))
