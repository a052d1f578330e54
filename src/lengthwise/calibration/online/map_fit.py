"""Fit the log coefficients to rows in memory: robust maximum a posteriori.

Minimises  sum_i w_i rho((log y_i - log sum_k exp(theta_k) x_ik) / s) + |theta - mu|^2_prior / 2
by damped Gauss-Newton; the gradient of the log of the sum is the share of each term, between 0
and 1, which makes the problem tame. rho is Huber's,
and rows far out are then left out altogether.

A term whose typical coefficient is far too small has no share, hence no gradient, and would stay
small for ever: so fits also begin from least squares of relative errors with coefficients of at
least zero (Lawson & Hanson 1974), which knows no typical values, and the more probable end counts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.optimize import nnls

from lengthwise.units import FloatArray

HUBER = 2.0
WIDE, MANY = 5.0, 0.97
"""Rows beyond so many scales are left out in a second descent, unless they are fewer than 3 %."""
FLOOR = 0.02
"""Least scale of the log residual."""
STEPS = 40
FURTHEST = 1.0
"""Largest change of a log coefficient in one step."""
DEPENDENCE = 4.0
"""Rows of one server are alike: so many of them count as one in the covariance."""


@dataclass(frozen=True)
class Fitted:
    """Log coefficients (k,), covariance (k, k) and scale of the log residual."""

    theta: FloatArray
    covariance: FloatArray
    scale: float


def fit(
    x: FloatArray, log_y: FloatArray, weight: FloatArray, mean: FloatArray, covariance: FloatArray,
    start: FloatArray | None = None,
) -> Fitted:  # fmt: skip
    """Fit rows.

    Parameters
    ----------
    x
        Terms, shape (n, k), not negative, never all zero in a row.
    log_y, weight
        Log of the observation and its weight, shape (n,).
    mean, covariance
        Prior of the log coefficients, shapes (k,) and (k, k).
    start
        Where to begin; by default both the prior mean and what least squares say.

    Examples
    --------
    >>> x = np.column_stack([np.ones(50), np.arange(50.0)])
    >>> y = np.log(x @ [0.02, 0.003])
    >>> np.exp(fit(x, y, np.ones(50), np.log([0.1, 0.01]), 4 * np.eye(2)).theta).round(4)
    array([0.02 , 0.003])
    """
    prior = _inverse(covariance)
    starts = [mean, _least_squares(x, log_y, weight, mean)] if start is None else [start]
    ends = [_descend(x, log_y, weight, mean, prior, at) for at in starts]
    best = min(ends, key=lambda end: end[1])[0]
    near = np.abs(_linear(x, log_y, best.theta)[0]) <= WIDE * best.scale
    if near.sum() < MANY * len(near):  # Huber's weights alone would let so many rows pull
        best = _descend(x[near], log_y[near], weight[near], mean, prior, best.theta)[0]
    return best


def _least_squares(
    x: FloatArray, log_y: FloatArray, weight: FloatArray, mean: FloatArray
) -> FloatArray:
    """Log coefficients without a prior; terms that least squares leave out stay typical."""
    size = np.maximum(np.sqrt((x**2).mean(axis=0)), 1e-300)
    root = np.sqrt(weight)
    try:
        found, _ = nnls(x / size * (root / np.exp(log_y))[:, None], root, maxiter=50 * x.shape[1])
    except RuntimeError:  # no end in so many steps: the other start has to do
        return mean
    used = found > 0
    theta = np.array(mean)
    theta[used] = np.log(found[used] / size[used])
    return theta


def _descend(
    x: FloatArray, log_y: FloatArray, weight: FloatArray, mean: FloatArray, prior: FloatArray,
    start: FloatArray,
) -> tuple[Fitted, float]:  # fmt: skip
    """Go down from a start; gives the end and minus the log of its probability."""
    theta = np.array(start)
    scale, damping = 1.0, 1e-3
    residual, share = _linear(x, log_y, theta)
    for _ in range(STEPS):
        scale = _scale(residual, weight, scale)
        wide = weight * _huber(residual / scale) / (DEPENDENCE * scale**2)
        hessian = (share * wide[:, None]).T @ share + prior
        slope = share.T @ (wide * residual) - prior @ (theta - mean)
        now = _cost(residual, scale, weight, theta - mean, prior)
        for _ in range(6):
            step = np.linalg.solve(hessian + damping * np.diag(np.diag(hessian)), slope)
            step *= min(1.0, FURTHEST / max(float(np.abs(step).max()), 1e-12))
            trial, trial_share = _linear(x, log_y, theta + step)
            if _cost(trial, scale, weight, theta + step - mean, prior) <= now:
                damping = max(damping / 5, 1e-9)
                break
            damping *= 10
        else:
            break
        theta, residual, share = theta + step, trial, trial_share
        if np.abs(step).max() < 1e-3:
            break
    wide = weight * _huber(residual / scale) / (DEPENDENCE * scale**2)
    spread = _inverse((share * wide[:, None]).T @ share + prior)
    cost = _cost(residual, scale, weight, theta - mean, prior)
    cost += float(weight.sum()) / DEPENDENCE * float(np.log(scale))
    return Fitted(theta, spread, scale), cost


def _inverse(matrix: FloatArray) -> FloatArray:
    inverse: FloatArray = np.linalg.inv(matrix).astype(float)
    return inverse


def _linear(x: FloatArray, log_y: FloatArray, theta: FloatArray) -> tuple[FloatArray, FloatArray]:
    part = x * np.exp(theta)
    total = part.sum(axis=1)
    return log_y - np.log(total), part / total[:, None]


def _huber(z: FloatArray) -> FloatArray:
    weight: FloatArray = np.minimum(1.0, HUBER / np.maximum(np.abs(z), 1e-12))
    return weight


def _scale(residual: FloatArray, weight: FloatArray, before: float) -> float:
    """Scale from the median of |residual|, only ever falling so that the fit comes to rest."""
    order = np.argsort(np.abs(residual))
    mass = np.cumsum(weight[order])
    middle = np.abs(residual)[order][np.searchsorted(mass, 0.5 * mass[-1])]
    return float(min(before, max(1.4826 * middle, FLOOR)))


def _cost(
    residual: FloatArray, scale: float, weight: FloatArray, gap: FloatArray, prior: Any
) -> float:
    z = np.abs(residual) / scale
    rho = np.where(z <= HUBER, 0.5 * z * z, HUBER * (z - 0.5 * HUBER))
    return float((weight * rho).sum() / DEPENDENCE + 0.5 * gap @ prior @ gap)
