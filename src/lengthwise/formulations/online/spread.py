"""How far observations lie from the law: quantiles by cell, wider the less is known.

The log residual of a row at level a is::

    r(a) = m + sign(q_a - m) sqrt( (w (q_a - m))^2 + z_a^2 v )

with q_a the quantile of its cell, m the median of its cell, z_a the normal quantile, w >= 1 after a
change that is not learnt yet, and v the variance of what the law itself does not know: its
coefficients, a pod never seen, and (gamma d)^2 at d doublings outside the data.

There are two tables. One holds the quantiles of some thousand rows: they stand for any time to
come. The other has been moved, row by row, until as many answers hold as should: it is right now,
and follows whatever wave of load passes. A law that has just learnt answers from the second.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from statistics import NormalDist
from typing import Any

import numpy as np

from lengthwise.formulations.online.context import CELLS, array
from lengthwise.units import FloatArray

LEVELS = np.array([
    0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5,
    0.6, 0.7, 0.8, 0.85, 0.9, 0.95, 0.975, 0.99, 0.995, 0.999,
])  # fmt: skip
"""Levels at which quantiles are kept; between them they are interpolated on the normal scale."""
SCORES = np.array([NormalDist().inv_cdf(a) for a in LEVELS])
MIDDLE = len(LEVELS) // 2
STEPS, MOST_COLUMNS = 64, 256
"""Steps between the two tables, and quantiles that are remembered."""
COLD_SD = 0.7
"""Standard deviation of the log residual that a law without data admits."""


@dataclass(frozen=True)
class Spread:
    """Quantiles of the log residual.

    Attributes
    ----------
    quantiles
        Log residual at ``LEVELS``, shape (cells, levels), rising along a row.
    mean
        Mean of observed over predicted median, shape (cells,).
    gamma
        Log error per doubling outside the data.
    widen
        Factor on the width, at least 1.
    moved
        The second table, like ``quantiles``; None: the same.
    """

    quantiles: FloatArray
    mean: FloatArray
    gamma: float = 0.15
    widen: float = 1.0
    moved: FloatArray | None = None
    _columns: dict[tuple[float, int], tuple[FloatArray, FloatArray, float]] = field(
        default_factory=dict, compare=False, repr=False
    )

    @classmethod
    def cold(cls, sd: float = COLD_SD) -> Spread:
        """Take residuals as normal with a standard deviation."""
        return cls(np.tile(sd * SCORES, (CELLS, 1)), np.ones(CELLS))

    def at(self, alpha: float, cell: Any, variance: FloatArray, fresh: float = 0.0) -> FloatArray:
        """Log residual at level ``alpha``, shape (n,).

        Parameters
        ----------
        alpha
            Level, inside (0, 1).
        cell, variance
            Of the rows, shape (n,).
        fresh
            Weight of the second table, 0 to 1: 1 if the law has just learnt.

        Examples
        --------
        >>> value = Spread.cold(0.1).at(0.9, np.array([0]), np.array([0.0]))
        >>> round(float(value[0]), 4)
        0.1282
        """
        column, middle, square = self._columns_at(alpha, round(STEPS * fresh))
        offset = column.take(cell)
        wide: FloatArray = offset * offset
        wide += square * variance
        np.sqrt(wide, out=wide)
        if alpha < 0.5:
            np.negative(wide, out=wide)
        wide += middle.take(cell)
        return wide

    def _columns_at(self, alpha: float, step: int) -> tuple[FloatArray, FloatArray, float]:
        """Widened distance of a quantile from the median, the median, each (cells,), and z^2."""
        found = self._columns.get((alpha, step))
        if found is None:
            table = self.quantiles
            if self.moved is not None and step:
                table = table + step / STEPS * (self.moved - table)
            z, middle = NormalDist().inv_cdf(alpha), table[:, MIDDLE]
            at = np.array([interpolate(z, row) for row in table])
            found = (self.widen * (at - middle), middle, z * z)
            if len(self._columns) < MOST_COLUMNS:
                self._columns[alpha, step] = found
        return found

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON."""
        return {"quantiles": self.quantiles.tolist(), "mean": self.mean.tolist(),
                "gamma": self.gamma, "widen": self.widen,
                "moved": None if self.moved is None else self.moved.tolist()}  # fmt: skip

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Spread:
        """Read :meth:`to_dict` back."""
        quantiles = _table(data["quantiles"])
        moved = data.get("moved")
        (gamma,) = array([data["gamma"]], (1,), 0.0, 10.0)
        (widen,) = array([data["widen"]], (1,), 1.0, 100.0)
        mean = array(data["mean"], (CELLS,), 1e-6, 1e6)
        return cls(quantiles, mean, float(gamma), float(widen),
                   None if moved is None else _table(moved))  # fmt: skip


def _table(values: Any) -> FloatArray:
    table = array(values, (CELLS, len(LEVELS)), -50.0, 50.0)
    if (np.diff(table, axis=1) < 0).any():
        raise ValueError("quantiles must rise with the level")
    return table


def interpolate(z: float, row: FloatArray) -> float:
    """Quantile at normal score ``z`` from those at ``SCORES``; straight on beyond the ends.

    >>> round(interpolate(4.0, SCORES), 6)
    4.0
    """
    if SCORES[0] <= z <= SCORES[-1]:
        return float(np.interp(z, SCORES, row))
    a, b = (0, 1) if z < SCORES[0] else (-2, -1)
    slope = (row[b] - row[a]) / (SCORES[b] - SCORES[a])
    end = 0 if z < SCORES[0] else -1
    return float(row[end] + slope * (z - SCORES[end]))
