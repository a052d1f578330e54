r"""E2 as a monotone spline: T exp(g(ln T)).

psi holds the slopes of g between knots, each in [-1, 1], so the local exponent of T, 1 + slope,
lies in [0, 2]. g is 0 at the last knot and beyond it. Below the first knot the first exponent goes
on down to ``flat_below`` tokens and time is flat under that.

Prior: slopes of neighbouring segments differ by N(0, lam^2), and the last slope is N(0, lam^2): a
ridge on second differences that tends to proportional time at the long end.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from lengthwise.units import FloatArray

MIN_DISTINCT = 3
"""Distinct token counts a spline needs: the ridge keeps fewer from being identified by noise, and
batch sweeps rarely hold more than six batches."""


@dataclass(frozen=True)
class Spline:
    """Monotone spline on the logarithm of tokens.

    >>> spline = Spline(knots=(math.log(128.0), math.log(1024.0)), flat_below=128.0)
    >>> round(spline.scalar(64.0, [-0.5]), 1), round(spline.scalar(2048.0, [-0.5]), 1)
    (362.0, 2048.0)
    """

    knots: tuple[float, ...]
    flat_below: float
    lam: float = 0.3
    name: ClassVar[str] = "spline"

    @classmethod
    def over(cls, tokens: FloatArray, flat_below: float) -> Spline:
        """Place knots at the data, at least a factor two apart."""
        logs = np.log(np.unique(tokens))
        knots = [float(logs[0])]
        for value in logs[1:]:
            if value - knots[-1] >= 0.99 * math.log(2.0):
                knots.append(float(value))
        if len(knots) < 2:
            knots.append(float(max(logs[-1], knots[0] + 1e-3)))
        return cls(tuple(knots), float(min(flat_below, math.exp(knots[0]))))

    @property
    def parameters(self) -> tuple[str, ...]:
        """One slope per segment."""
        return tuple(f"slope_{math.exp(k):.0f}" for k in self.knots[:-1])

    @cached_property
    def _edges(self) -> FloatArray:
        return np.asarray(self.knots)

    def starts(self) -> list[FloatArray]:
        """Proportional time."""
        return [np.full(len(self.knots) - 1, -0.05)]

    def bounds(self) -> tuple[FloatArray, FloatArray]:
        """Slopes in [-1, 1]."""
        ones = np.ones(len(self.knots) - 1)
        return -ones, ones

    def prior(self, psi: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Smoothness in standard deviations; see the module."""
        size = len(psi)
        rows = np.zeros((size, size))
        rows[np.arange(size - 1), np.arange(size - 1)] = -1.0
        rows[np.arange(size - 1), np.arange(1, size)] = 1.0
        rows[-1, -1] = 1.0
        rows /= self.lam
        return rows @ psi, rows

    def _run(self, u: FloatArray) -> FloatArray:
        """Signed length of each segment between u and the last knot, shape (n, segments)."""
        left, right = self._edges[:-1].copy(), self._edges[1:]
        left[0] = min(left[0], math.log(self.flat_below))
        return -np.clip(right - u[:, None], 0.0, right - left)

    def tokens(self, t: FloatArray, psi: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Effective tokens and their log-derivative."""
        clipped = np.maximum(t, self.flat_below)
        run = self._run(np.log(clipped))
        return np.asarray(clipped * np.exp(run @ psi)), run

    def _table(self, psi: FloatArray) -> tuple[FloatArray, FloatArray]:
        grid = np.concatenate([[math.log(self.flat_below)], self._edges])
        return grid, self._run(grid) @ psi

    def values(self, t: FloatArray, psi: FloatArray) -> FloatArray:
        """Effective tokens by interpolation in a table of the knots."""
        clipped = np.maximum(t, self.flat_below)
        grid, g = self._table(psi)
        scaled = np.interp(np.log(clipped), grid, g)
        np.exp(scaled, out=scaled)
        scaled *= clipped
        return np.asarray(scaled)

    def scalar(self, t: float, psi: list[float]) -> float:
        """Effective tokens of one step."""
        clipped = max(t, self.flat_below)
        u, g = math.log(clipped), 0.0
        for i in range(len(psi) - 1, -1, -1):
            right = self.knots[i + 1]
            if u >= right:
                break
            left = self.knots[i] if i else min(self.knots[0], math.log(self.flat_below))
            g -= psi[i] * (right - max(u, left))
        return clipped * math.exp(g)

    def settings(self) -> dict[str, Any]:
        """Knots and where time turns flat."""
        return {"knots": list(self.knots), "flat_below": self.flat_below, "lam": self.lam}
