r"""Robust maximum a posteriori fit on the logarithm of time, with a Laplace posterior.

With residuals e_i = [ln t(x_i; theta) - ln y_i] / sigma and prior residuals r_j(theta), minimise

    1/2 sum_i w_i rho(e_i) + 1/2 sum_j r_j^2,     rho(e) = 2 c^2 [sqrt(1 + (e/c)^2) - 1], c = 2

(soft-L1: quadratic near 0, linear far out, so that one bad reading cannot bend the law). Relative
errors count alike at all lengths. The noise sigma is re-estimated between fits from clipped
residuals, shrunk to sigma0 with ``NOISE_STRENGTH`` pseudo-observations. Curvature at the optimum
gives the covariance of theta and the evidence by which discrete choices are compared.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from lengthwise.units import FloatArray

ROBUST_SCALE = 2.0
NOISE_S0 = 0.03
NOISE_STRENGTH = 4.0
CLIP = 2.5
NOISE_ROUNDS = 4
MAX_STEPS = 60

Evaluate = Callable[[FloatArray], tuple[FloatArray, FloatArray]]
"""theta -> (time shape (n,), d ln time / d theta shape (n, size))."""


@dataclass(frozen=True)
class Posterior:
    """Laplace posterior of a fit.

    Attributes
    ----------
    theta
        Mode, shape (size,).
    covariance
        Shape (size, size).
    sigma
        Relative noise of one observation.
    log_evidence
        Logarithm of the marginal likelihood up to a constant common to all candidates.
    """

    theta: FloatArray
    covariance: FloatArray
    sigma: float
    log_evidence: float


def maximise(
    times: Evaluate,
    prior: Evaluate,
    y_s: FloatArray,
    weight: FloatArray,
    starts: Sequence[FloatArray],
    bounds: tuple[FloatArray, FloatArray],
    sigma: float = NOISE_S0,
) -> Posterior:
    """Find the best posterior mode over several starts.

    Parameters
    ----------
    times
        The law: theta -> (seconds, log-Jacobian).
    prior
        theta -> (residuals in standard deviations, Jacobian).
    y_s, weight
        Measured times, seconds, and weights; shape (n,).
    starts, bounds
        Starting points and box, shape (size,) each.
    sigma
        Relative noise to start from.
    """
    fits = [_from(times, prior, np.log(y_s), weight, start, bounds, sigma) for start in starts]
    return max(fits, key=lambda fit: fit.log_evidence)


def _from(
    times: Evaluate,
    prior: Evaluate,
    log_y: FloatArray,
    weight: FloatArray,
    start: FloatArray,
    bounds: tuple[FloatArray, FloatArray],
    sigma: float,
) -> Posterior:
    theta, root = np.clip(start, *bounds), np.sqrt(weight)
    for _ in range(NOISE_ROUNDS):
        linearise = _linearised(times, prior, log_y, root, sigma)
        theta, cost, information = _levenberg_marquardt(linearise, theta, bounds)
        new = _noise(np.log(times(theta)[0]) - log_y, weight)
        settled = abs(new - sigma) < 0.05 * sigma
        sigma = new
        if settled:
            break
    covariance: FloatArray = np.asarray(np.linalg.pinv(information, hermitian=True), dtype=float)
    noise_prior = NOISE_STRENGTH * (np.log(sigma) + 0.5 * (NOISE_S0 / sigma) ** 2)
    evidence = -cost - weight.sum() * np.log(sigma) - noise_prior
    evidence -= 0.5 * np.linalg.slogdet(information + 1e-12 * np.eye(len(theta)))[1]
    evidence += _log_prior_scale(prior(theta)[1])
    return Posterior(theta, covariance, sigma, float(evidence))


def _linearised(
    times: Evaluate, prior: Evaluate, log_y: FloatArray, root: FloatArray, sigma: float
) -> Evaluate:
    """Robust residuals of data and prior, and their Jacobian, at fixed noise."""

    def linearise(theta: FloatArray) -> tuple[FloatArray, FloatArray]:
        time, slope = times(theta)
        e = (np.log(time) - log_y) / sigma
        bent = np.sqrt(1.0 + (e / ROBUST_SCALE) ** 2)
        # sqrt(2 (bent - 1)) without cancellation, so that its derivative at 0 is exactly 1.
        robust = e * np.sqrt(2.0 / (bent + 1.0))
        derivative = np.sqrt((bent + 1.0) / 2.0) / bent
        prior_residual, prior_slope = prior(theta)
        residual = np.concatenate([root * robust, prior_residual])
        return residual, np.vstack([slope * (root * derivative / sigma)[:, None], prior_slope])

    return linearise


def _levenberg_marquardt(
    linearise: Evaluate, theta: FloatArray, bounds: tuple[FloatArray, FloatArray]
) -> tuple[FloatArray, float, FloatArray]:
    """Minimise half the sum of squares in a box: theta, cost and Gauss-Newton Hessian.

    scipy's ``least_squares`` finds the same optimum; a fit makes hundreds of such solves of five
    unknowns, where its bookkeeping costs ten times the arithmetic.
    """
    low, high = bounds
    residual, jacobian = linearise(theta)
    cost, damping = 0.5 * float(residual @ residual), 1e-3
    for _ in range(MAX_STEPS):
        gradient, hessian = jacobian.T @ residual, jacobian.T @ jacobian
        held = ((theta <= low) & (gradient > 0)) | ((theta >= high) & (gradient < 0))
        free = np.flatnonzero(~held)
        if not len(free) or np.abs(gradient[free]).max() < 1e-7:
            break
        damped = hessian[np.ix_(free, free)]
        damped[np.diag_indices(len(free))] *= 1.0 + damping
        damped[np.diag_indices(len(free))] += 1e-12
        proposal = theta.copy()
        proposal[free] -= np.linalg.solve(damped, gradient[free])
        proposal = np.clip(proposal, low, high)
        new_residual, new_jacobian = linearise(proposal)
        new_cost = 0.5 * float(new_residual @ new_residual)
        if new_cost < cost:
            gain = cost - new_cost
            theta, residual, jacobian, cost = proposal, new_residual, new_jacobian, new_cost
            damping = max(damping / 5.0, 1e-9)
            if gain < 1e-6 * (1.0 + cost):
                break
        else:
            damping *= 6.0
            if damping > 1e8:
                break
    return theta, cost, jacobian.T @ jacobian


def _log_prior_scale(rows: FloatArray) -> float:
    """Logarithm of the normalising constant of a Gaussian prior on all but the scale alpha_1."""
    proper = rows[:, 1:][:, np.any(rows[:, 1:] != 0.0, axis=0)]
    if not proper.size:
        return 0.0
    return float(0.5 * np.linalg.slogdet(proper.T @ proper)[1])


def _noise(residual: FloatArray, weight: FloatArray) -> float:
    spread = max(1.4826 * float(np.median(np.abs(residual))), 0.002)
    clipped = np.minimum(np.abs(residual), CLIP * spread)
    freedom = max(weight.sum() - 2.5, 0.5)
    total = NOISE_STRENGTH * NOISE_S0**2 + float(weight @ clipped**2)
    return float(np.sqrt(total / (NOISE_STRENGTH + freedom)))
