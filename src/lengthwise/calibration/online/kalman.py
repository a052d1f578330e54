"""Follow the law between fits: an extended Kalman filter on log residuals.

State by pod type: log coefficients and a log level; a random walk each, the level a faster one.
By pod: a log offset, shrunk to zero by its prior. Observation: log y, with the shares of the terms
as gradient. Rows far off count less (Huber), so that a stall does not bend the law.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from lengthwise.calibration.online.model import Model
from lengthwise.units import FloatArray

WALK_THETA = 1e-4
"""Standard deviation of the random walk of a log coefficient, per row."""
WALK_LEVEL = 3e-4
WALK_POD = 1e-3
HUBER = 2.0
FURTHEST = 1.0


def update(
    model: Model, share: FloatArray, residual: FloatArray, sd: FloatArray, types: Any, pods: Any
) -> float:
    """Learn a block of rows.

    Parameters
    ----------
    model
        Changed in place.
    share
        Shares of the terms, shape (m, k).
    residual, sd
        Log residual of the model as it is, and its standard deviation, shape (m,).
    types, pods
        Positions of the labels, shape (m,).

    Returns
    -------
    float
        How far coefficients and level moved the rows, mean of the logarithm.
    """
    weight = np.minimum(1.0, HUBER * sd / np.maximum(np.abs(residual), 1e-12))
    precision = weight / sd**2
    left = residual.copy()
    for kind in np.flatnonzero(np.bincount(types)):
        at = types == kind
        left[at] -= _coefficients(model, int(kind), share[at], residual[at], precision[at])
    _offsets(model, left, precision, pods)
    return float((residual - left).mean())


def _coefficients(
    model: Model, kind: int, share: FloatArray, residual: FloatArray, precision: FloatArray
) -> FloatArray:
    """Move coefficients and level; returns what the move explains, shape (m,)."""
    m, k = share.shape
    p = model.covariance[kind]
    walk = np.full(k + 1, WALK_THETA**2 * m)
    walk[k] = WALK_LEVEL**2 * m
    p[np.diag_indices(k + 1)] += walk
    full = np.ones((m, k + 1))
    full[:, :k] = share
    root = np.sqrt(precision)
    h = full * root[:, None]
    hp = h @ p
    inside = hp @ h.T
    inside[np.diag_indices(m)] += 1.0
    solved = np.linalg.solve(inside, np.column_stack([root * residual, hp]))
    step = hp.T @ solved[:, 0]
    if not np.isfinite(solved).all():
        return np.zeros(m)
    step *= min(1.0, FURTHEST / max(float(np.abs(step).max()), 1e-12))
    p -= hp.T @ solved[:, 1:]
    model.covariance[kind] = 0.5 * (p + p.T)
    model.theta[kind] += step[:k]
    model.level[kind] += step[k]
    explained: FloatArray = full @ step
    return explained


def _offsets(model: Model, left: FloatArray, precision: FloatArray, pods: Any) -> None:
    """Move the offsets of pods by what is left of the residuals."""
    size = len(model.offset)
    if size == 1:
        return
    weight = np.bincount(pods, precision, size)
    pull = np.bincount(pods, precision * left, size)
    seen = weight > 0
    seen[0] = False
    variance = np.minimum(model.variance[seen] + WALK_POD**2, max(model.between, WALK_POD**2))
    variance = 1.0 / (1.0 / np.maximum(variance, 1e-12) + weight[seen])
    model.variance[seen] = variance
    model.offset[seen] += np.clip(variance * pull[seen], -FURTHEST, FURTHEST)
