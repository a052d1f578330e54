"""Residuals on rows before they were learnt: their quantiles by cell, adapted to hold online.

Two layers. Quantiles of recent residuals by cell, drawn to the pooled ones where a cell has few
rows; and adaptive conformal inference (Gibbs & Candes 2021): every level a at which quantiles are
kept has a working level b, moved after each row by  b += rate (a - [residual <= q_b]),  so that
coverage holds in the long run whatever the traffic does.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from lengthwise.calibration.online.packing import pack, unpack
from lengthwise.formulations.online.context import (
    CELLS,
    LOAD_EDGES,
    Context,
    Frame,
    load,
)
from lengthwise.formulations.online.spread import LEVELS, MIDDLE, SCORES, Spread
from lengthwise.units import FloatArray

RING = 6000
FEW = 60.0
"""Rows at which a cell's own quantiles count half."""
RATE = 0.001
LENGTH_AT = (0.35, 0.7, 0.93)
LOAD_AT = (0.25, 0.5, 0.8)
LEAST_SD = 0.01
TAIL = 0.025
"""Share of far rows up to which they are the tail of an honest queue."""


class Residuals:
    """Recent residuals of one target; newest last.

    The ring holds prompt tokens, load, log residual, log y, and 1 for far rows: they count for
    quantiles as long as they are few, the tail of an honest queue, and never for the mean.

    By cell, ``sd`` is the standard deviation that the middle of the residuals has, and ``core``
    that of their narrower side, which bad rows on the other side hardly widen.
    """

    def __init__(self) -> None:
        self._ring = np.empty((5, 0))
        self._new: list[FloatArray] = []
        self.working = LEVELS.copy()
        self.mean = np.ones(CELLS)
        self.quantiles = Spread.cold().quantiles
        self.sd = np.full(CELLS, 0.7)
        self.core = self.sd.copy()

    @property
    def ring(self) -> FloatArray:
        """Rows, shape (5, n)."""
        if self._new:
            self._ring = np.concatenate([self._ring, *self._new], axis=1)[:, -RING:]
            self._new = []
        return self._ring

    @ring.setter
    def ring(self, rows: FloatArray) -> None:
        self._ring, self._new = rows, []

    def add(
        self, length: FloatArray, busy: FloatArray, residual: FloatArray, log_y: FloatArray,
        far: bool = False,
    ) -> None:  # fmt: skip
        """Add rows, all of them far or none; the oldest go."""
        new = np.empty((5, len(residual)))
        new[0], new[1], new[2], new[3], new[4] = length, busy, residual, log_y, far
        self._new.append(new)

    def replace(self, context: Context, residual: FloatArray, log_y: FloatArray) -> None:
        """Begin again from residuals of a new law on rows it was not fitted to."""
        rows = context.rows
        near = np.zeros(len(residual))
        new = np.stack([rows.input_tokens, load(rows), residual, log_y, near])
        self.ring = new[:, -RING // 2 :]

    def forget(self, rows: int) -> None:
        """Drop the newest rows: they belong to a change."""
        self.ring = self.ring[:, : max(self.ring.shape[1] - rows, 0)]

    def adapt(self, cell: Any, residual: FloatArray) -> None:
        """Move the working levels after rows that lay inside the data, shape (m,)."""
        below = residual[:, None] <= self.adjusted()[cell]
        self.working += RATE * (LEVELS * len(residual) - below.sum(axis=0))
        np.clip(self.working, LEVELS[0] / 4, 1 - LEVELS[0] / 4, out=self.working)
        self.working.sort()

    def adjusted(self) -> FloatArray:
        """Quantiles at the working levels, shape (cells, levels)."""
        scores = np.interp(self.working, LEVELS, SCORES)
        at = np.searchsorted(SCORES, scores).clip(1, len(SCORES) - 1)
        share = (scores - SCORES[at - 1]) / (SCORES[at] - SCORES[at - 1])
        low, high = self.quantiles[:, at - 1], self.quantiles[:, at]
        table: FloatArray = low + share * (high - low)
        return table

    def middle(self) -> FloatArray:
        """Median residual of every cell, shape (cells,): answers are moved by it."""
        return self.adjusted()[:, MIDDLE]

    def summarise(self, frame: Frame) -> None:
        """Compute quantiles, mean and spread of every cell anew."""
        far = self.ring[4] > 0
        ring = self.ring if far.sum() <= TAIL * len(far) else self.ring[:, ~far]
        length, busy, residual, log_y, _ = ring
        if len(residual) < 30:
            return
        near = ring[4] == 0
        cell = frame.length_edges.searchsorted(length) * (LOAD_EDGES + 1)
        cell += frame.load_edges.searchsorted(busy)
        pooled = _quantiles(residual, LEVELS)
        factor = _mean_factor(residual[near], log_y[near])
        for c in range(CELLS):
            here = cell == c
            own = residual[here]
            trust = len(own) / (len(own) + FEW)
            row = trust * _quantiles(own, LEVELS) if len(own) else 0.0
            self.quantiles[c] = np.maximum.accumulate(row + (1 - trust) * pooled)
            here &= near
            mean = _mean_factor(residual[here], log_y[here]) if here.any() else factor
            self.mean[c] = trust * mean + (1 - trust) * factor
        low, high = np.searchsorted(LEVELS, [0.2, 0.8])
        middle = (self.quantiles[:, high] - self.quantiles[:, low]) / (SCORES[high] - SCORES[low])
        self.sd = np.maximum(middle, LEAST_SD)
        below, above = (np.abs(self.quantiles[:, at] - self.quantiles[:, MIDDLE]) / SCORES[high]
                        for at in (low, high))  # fmt: skip
        self.core = np.maximum(np.minimum(below, above), LEAST_SD)

    def spread(self, gamma: float, widen: float) -> Spread:
        """Build the tables a law answers from; six digits, so that files stay small."""
        settled, moved = (np.maximum.accumulate(np.round(table, 6), axis=1)
                          for table in (self.quantiles, self.adjusted()))  # fmt: skip
        return Spread(settled, np.round(self.mean, 6), round(gamma, 6), round(widen, 6), moved)

    def tables(self) -> Residuals:
        """Copy the tables without the rows."""
        copy = Residuals()
        for name in ("working", "mean", "quantiles", "sd", "core"):
            setattr(copy, name, getattr(self, name).copy())
        return copy

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON."""
        names = ("ring", "working", "mean", "quantiles", "sd", "core")
        return {name: pack(getattr(self, name)) for name in names}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Residuals:
        """Read :meth:`to_dict` back."""
        residuals = cls()
        for name in ("ring", "working", "mean", "quantiles", "sd"):
            setattr(residuals, name, unpack(data[name]))
        residuals.core = unpack(data["core"]) if "core" in data else residuals.sd.copy()
        if len(residuals.ring) == 4:  # written before far rows were marked
            residuals.ring = np.vstack([residuals.ring, np.zeros(residuals.ring.shape[1])])
        return residuals


def edges(length: FloatArray, busy: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Edges of cells from the rows seen, shapes (3,) and (3,).

    >>> edges(np.arange(100.0), np.zeros(100))[0].round(1).tolist()
    [34.6, 69.3, 92.1]
    """
    return np.quantile(length, LENGTH_AT), np.quantile(busy, LOAD_AT)


def _quantiles(values: FloatArray, levels: Any) -> Any:
    """Quantiles as numpy's, for many levels at once and faster."""
    n = len(values)
    return np.interp(levels * (n - 1), np.arange(n), np.sort(values))


def _mean_factor(residual: FloatArray, log_y: FloatArray) -> float:
    """Sum observed over sum predicted as median, the largest residual of 50 rows cut off."""
    if not len(residual):
        return 1.0
    median = np.exp(log_y - residual)
    cut = np.minimum(residual, _quantiles(residual, 0.98))
    return float((median * np.exp(cut)).sum() / median.sum())
