"""Scales of the effects from data: the largest marginal likelihood under a weak prior.

    log p(y | scales) = -1/2 y' K^-1 y - 1/2 log |K| - n/2 log 2 pi

with its gradient in closed form (Rasmussen and Williams 2006, equations 5.8 and 5.9), and a normal
prior of standard deviation 1 on the logarithm of each scale around its usual value.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.linalg import cho_solve, lapack
from scipy.optimize import minimize

from lengthwise.calibration.step.kinship import LEVELS, Kin, Spreads, same, similarity
from lengthwise.units import FloatArray

MOST_ROWS = 1200
"""Rows used to find scales; thinning keeps the time at seconds."""
ITERATIONS = 40
FAILED = 1e12


def find_spreads(kin: Kin, y: FloatArray, start: Spreads, seed: int = 0) -> Spreads:
    """Find the scales that make the corrections ``y`` (n,) most likely."""
    if len(kin) > MOST_ROWS:
        chosen = np.random.default_rng(seed).choice(len(kin), MOST_ROWS, replace=False)
        kin, y = kin.take(chosen), y[chosen]
    evidence = _Evidence(kin, y, start.vector)
    found = minimize(evidence, start.vector, jac=True, method="L-BFGS-B",
                     options={"maxiter": ITERATIONS})  # fmt: skip
    return Spreads.from_vector(found.x)


class _Evidence:
    """Minus the log posterior of the scales and its gradient."""

    def __init__(self, kin: Kin, y: FloatArray, usual: FloatArray) -> None:
        self.kin, self.y, self.usual = kin, y, usual
        self.same = [same(x, x) if names else None
                     for x, (_, names, _) in zip(kin.labels, LEVELS, strict=True)]  # fmt: skip

    def __call__(self, vector: FloatArray) -> tuple[float, FloatArray]:
        spreads = Spreads.from_vector(vector)
        kin = self.kin
        waves = {"settings": similarity(kin.settings, kin.settings, spreads.settings),
                 "shares": similarity(kin.shares, kin.shares, spreads.shares)}  # fmt: skip
        total = np.zeros((len(kin), len(kin)))
        for i, (_, _, axis) in enumerate(LEVELS):
            effect = spreads.offset[i] ** 2 + spreads.smooth[i] ** 2 * waves[axis]
            total += self._where(i, effect)
        total[np.diag_indices(len(kin))] += spreads.noise**2
        factor, failed = lapack.dpotrf(total, lower=1)
        if failed:
            return FAILED, np.zeros_like(vector)
        weights = cho_solve((factor, True), self.y)
        value = 0.5 * self.y @ weights + np.log(np.diag(factor)).sum()
        inverse, _ = lapack.dpotri(factor, lower=1)
        inverse = np.tril(inverse) + np.tril(inverse, -1).T
        gradient = self._gradient(spreads, waves, 0.5 * (inverse - np.outer(weights, weights)))
        away = vector - self.usual
        return float(value + 0.5 * away @ away), gradient + away

    def _where(self, i: int, values: Any) -> Any:
        agree = self.same[i]
        return values if agree is None else np.where(agree, values, 0.0)

    def _gradient(self, spreads: Spreads, waves: Any, m: FloatArray) -> FloatArray:
        n = len(LEVELS)
        offset, smooth = np.zeros(n), np.zeros(n)
        slopes = {axis: np.zeros_like(m) for axis in waves}
        for i, (_, _, axis) in enumerate(LEVELS):
            offset[i] = 2.0 * spreads.offset[i] ** 2 * self._where(i, m).sum()
            waved = self._where(i, m * waves[axis])
            smooth[i] = 2.0 * spreads.smooth[i] ** 2 * waved.sum()
            slopes[axis] += spreads.smooth[i] ** 2 * waved
        along = [_scale_slopes(slopes["settings"], self.kin.settings / spreads.settings),
                 _scale_slopes(slopes["shares"], self.kin.shares / spreads.shares)]  # fmt: skip
        noise = 2.0 * spreads.noise**2 * np.trace(m)
        return np.r_[offset, smooth, *along, noise]


def _scale_slopes(weighted: FloatArray, points: FloatArray) -> FloatArray:
    """Sum of ``weighted`` times the squared distance along every axis."""
    rows = weighted.sum(axis=1)
    return 2.0 * (rows @ points**2 - np.einsum("ij,ik,kj->j", points, weighted, points))
