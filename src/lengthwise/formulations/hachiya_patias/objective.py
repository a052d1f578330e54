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
from scipy.optimize import least_squares

from lengthwise.units import FloatArray

ROBUST_SCALE = 2.0
NOISE_S0 = 0.03
NOISE_STRENGTH = 4.0
CLIP = 2.5

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
    """
    fits = [_from(times, prior, np.log(y_s), weight, start, bounds) for start in starts]
    return max(fits, key=lambda fit: fit.log_evidence)


def _from(
    times: Evaluate, prior: Evaluate, log_y: FloatArray, weight: FloatArray,
    start: FloatArray, bounds: tuple[FloatArray, FloatArray],
) -> Posterior:  # fmt: skip
    theta, sigma = np.clip(start, *bounds), NOISE_S0
    root = np.sqrt(weight)
    for _ in range(4):
        objective = _Objective(times, prior, log_y, root, sigma)
        result = least_squares(
            objective.residuals, theta, jac=objective.jacobian, bounds=bounds,  # type: ignore[arg-type]
            x_scale="jac", max_nfev=40, ftol=1e-8, xtol=1e-8, gtol=1e-8,
        )  # fmt: skip
        theta = result.x
        new = _noise(np.log(times(theta)[0]) - log_y, weight)
        settled = abs(new - sigma) < 0.02 * sigma
        sigma = new
        if settled:
            break
    jacobian = result.jac
    information = jacobian.T @ jacobian
    covariance = np.linalg.pinv(information, hermitian=True)
    n = weight.sum()
    noise_prior = NOISE_STRENGTH * (np.log(sigma) + 0.5 * (NOISE_S0 / sigma) ** 2)
    evidence = -result.cost - n * np.log(sigma) - noise_prior
    evidence -= 0.5 * np.linalg.slogdet(information + 1e-12 * np.eye(len(theta)))[1]
    evidence += _log_prior_scale(prior(theta)[1])
    return Posterior(theta, covariance, sigma, float(evidence))


class _Objective:
    """Residuals and Jacobian at fixed noise, sharing one evaluation per theta."""

    def __init__(
        self, times: Evaluate, prior: Evaluate, log_y: FloatArray, root: FloatArray, sigma: float
    ) -> None:
        self.times, self.prior = times, prior
        self.log_y, self.root, self.sigma = log_y, root, sigma

    def residuals(self, theta: FloatArray) -> FloatArray:
        e = (np.log(self.times(theta)[0]) - self.log_y) / self.sigma
        bent = np.sqrt(1.0 + (e / ROBUST_SCALE) ** 2)
        robust = np.sign(e) * ROBUST_SCALE * np.sqrt(2.0 * (bent - 1.0))
        return np.concatenate([self.root * robust, self.prior(theta)[0]])

    def jacobian(self, theta: FloatArray) -> FloatArray:
        time, slope = self.times(theta)
        e = (np.log(time) - self.log_y) / self.sigma
        bent = np.sqrt(1.0 + (e / ROBUST_SCALE) ** 2)
        robust = ROBUST_SCALE * np.sqrt(2.0 * (bent - 1.0))
        small = np.abs(e) < 1e-6
        derivative = np.where(small, 1.0, np.abs(e) / (bent * np.where(small, 1.0, robust)))
        return np.vstack(
            [slope * (self.root * derivative / self.sigma)[:, None], self.prior(theta)[1]]
        )


def _log_prior_scale(rows: FloatArray) -> float:
    """Logarithm of the normalising constant of the proper part of a Gaussian prior."""
    proper = rows[:, np.any(rows != 0.0, axis=0)]
    if not proper.size:
        return 0.0
    return float(0.5 * np.linalg.slogdet(proper.T @ proper)[1])


def _noise(residual: FloatArray, weight: FloatArray) -> float:
    spread = max(1.4826 * float(np.median(np.abs(residual))), 0.002)
    clipped = np.minimum(np.abs(residual), CLIP * spread)
    freedom = max(weight.sum() - 2.5, 0.5)
    total = NOISE_STRENGTH * NOISE_S0**2 + float(weight @ clipped**2)
    return float(np.sqrt(total / (NOISE_STRENGTH + freedom)))
