r"""Scales of the effects from data: those that predict deployments left out best.

With A = (K + N)^-1, w = A y and the rows g of one deployment, the rest predicts these rows with the
error r_g = (A_gg)^-1 w_g (Rasmussen and Williams 2006, section 5.4.2, for groups). The scales
minimise

    sum over rows of d (sqrt(1 + (r / d)^2) - 1)  +  1/2 |log scales - log usual|^2

a robust loss, since unrecorded settings are common, under a weak prior. Marginal likelihood was
tried: it fits how settings act within a deployment and says little about the next one.

Gradient: with s = dloss/dr and q_g = (A_gg)^-1 s_g,  dloss = tr(M dK),
M = -sym(w (A q)') + A blockdiag(sym(r_g q_g')) A.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.linalg import lapack
from scipy.optimize import minimize

from lengthwise.calibration.step.kinship import LEVELS, Kin, Spreads, same, similarity
from lengthwise.units import FloatArray

MOST_ROWS = 1000
"""Rows used to find scales; thinning keeps the time at seconds."""
ITERATIONS = 40
FAILED = 1e12


def find_spreads(
    kin: Kin, y: FloatArray, groupings: Sequence[Any], start: Spreads, *, tolerance: float,
    seed: int = 0,
) -> Spreads:  # fmt: skip
    """Find the scales with which left-out groups are predicted best.

    Parameters
    ----------
    kin, y
        Rows and their corrections, shape (n,).
    groupings
        Ways to leave rows out, each an array of labels of shape (n,); all count alike.
    start
        Scales to start from, and the centre of the prior.
    tolerance
        d, the error from which the loss is linear, natural logarithm.
    """
    if len(kin) > MOST_ROWS:
        chosen = thinned(groupings[0], MOST_ROWS, seed)
        kin, y, groupings = kin.take(chosen), y[chosen], [g[chosen] for g in groupings]
    loss = _LeftOutLoss(kin, y, groupings, start.vector, tolerance)
    found = minimize(loss, start.vector, jac=True, method="L-BFGS-B",
                     options={"maxiter": ITERATIONS})  # fmt: skip
    return Spreads.from_vector(found.x)


def thinned(groups: Any, most: int, seed: int = 0) -> Any:
    """Choose about ``most`` rows, so that large groups lose more than small ones.

    >>> groups = np.repeat(["a", "b"], [90, 10])
    >>> chosen = thinned(groups, 30)
    >>> int((groups[chosen] == "a").sum()), int((groups[chosen] == "b").sum())
    (20, 10)
    """
    labels, index, counts = np.unique(groups.astype(str), return_inverse=True, return_counts=True)
    each = counts.min()
    while np.minimum(counts, each + 1).sum() <= most:
        each += 1
    rng = np.random.default_rng(seed)
    parts = [rng.permutation(np.flatnonzero(index == i))[:each] for i in range(len(labels))]
    return np.sort(np.concatenate(parts))


class _LeftOutLoss:
    """The loss of scales and its gradient."""

    def __init__(
        self, kin: Kin, y: FloatArray, groupings: Sequence[Any], usual: FloatArray, tolerance: float
    ) -> None:
        self.kin, self.y, self.usual, self.tolerance = kin, y, usual, tolerance
        self.groups = [[np.flatnonzero(g == label) for label in dict.fromkeys(g.tolist())]
                       for g in groupings]  # fmt: skip
        self.same = [same(x, x) if names else None
                     for x, (_, names, _) in zip(kin.labels, LEVELS, strict=True)]  # fmt: skip

    def __call__(self, vector: FloatArray) -> tuple[float, FloatArray]:
        spreads, kin = Spreads.from_vector(vector), self.kin
        waves = {"settings": similarity(kin.settings, kin.settings, spreads.settings),
                 "shares": similarity(kin.shares, kin.shares, spreads.shares)}  # fmt: skip
        total = np.zeros((len(kin), len(kin)))
        for i, (_, _, axis) in enumerate(LEVELS):
            total += self._where(i, spreads.offset[i] ** 2 + spreads.smooth[i] ** 2 * waves[axis])
        total[np.diag_indices(len(kin))] += spreads.noise**2
        factor, failed = lapack.dpotrf(total, lower=1)
        if failed:
            return FAILED, np.zeros_like(vector)
        inverse, _ = lapack.dpotri(factor, lower=1)
        inverse = np.tril(inverse) + np.tril(inverse, -1).T
        value, m = 0.0, np.zeros_like(inverse)
        for groups in self.groups:
            part, slope = self._left_out(inverse, groups)
            value, m = value + part / len(self.groups), m + slope / len(self.groups)
        away = vector - self.usual
        return value + 0.5 * float(away @ away), self._gradient(spreads, waves, m) + away

    def _left_out(self, inverse: FloatArray, groups: list[Any]) -> tuple[float, FloatArray]:
        weights = inverse @ self.y
        value, q, blocks = 0.0, np.zeros_like(self.y), np.zeros_like(inverse)
        for rows in groups:
            spread = np.linalg.inv(inverse[np.ix_(rows, rows)])
            miss = spread @ weights[rows]
            root = np.sqrt(1.0 + (miss / self.tolerance) ** 2)
            value += float(self.tolerance * (root - 1.0).sum())
            q[rows] = spread @ (miss / self.tolerance / root)
            cross = np.outer(miss, q[rows])
            blocks[np.ix_(rows, rows)] = 0.5 * (cross + cross.T)
        lent = np.outer(weights, inverse @ q)
        return value, inverse @ blocks @ inverse - 0.5 * (lent + lent.T)

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
        return np.asarray(np.r_[offset, smooth, *along, noise])


def _scale_slopes(weighted: FloatArray, points: FloatArray) -> FloatArray:
    """Sum of ``weighted`` times the squared distance along every axis."""
    rows = weighted.sum(axis=1)
    return np.asarray(2.0 * (rows @ points**2 - np.einsum("ij,ij->j", points, weighted @ points)))
