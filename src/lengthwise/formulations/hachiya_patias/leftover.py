r"""What products and cache leave over together: a cell of batch and context with a cost of its own.

Where tokens and context vary apart, residuals of the averaged law at the measured steps are
smoothed by a Gaussian process with covariance s^2 exp(-(d_T + d_c) / 2), d distances in ln tokens
and ln context, and noise: it interpolates between the cells of a table and is no part of what the
terms of the law are fitted to. s and the noise are those of greatest evidence.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from lengthwise.domain.work import Work
from lengthwise.units import FloatArray

MEMORY = 2.0
FEWEST = 12
"""Steps from which on cells can be told from noise."""
SPREADS = (0.0, 0.02, 0.05, 0.1, 0.2)
NOISES = (0.25, 0.5, 1.0)
"""Standard deviations of the cells, and noises in parts of sigma, tried by their evidence."""


def leftover(work: Work, residual: FloatArray, sigma: float) -> Callable[[Work], FloatArray]:
    """Smooth residuals over tokens and context.

    Parameters
    ----------
    work
        Measured steps.
    residual
        ln(measured / predicted), shape (n,).
    sigma
        Noise of one measurement as the members see it, an upper bound.

    Returns
    -------
    What to add to ln t of any steps; 0 with few steps or where nothing but noise is left.
    """
    none = np.zeros_like
    robust = np.clip(residual, -3.0 * np.std(residual), 3.0 * np.std(residual))
    if len(work) < FEWEST or not np.any(robust):
        return lambda at: none(at.context_len)
    kernel = _kernel(work, work)
    spread, noise = max(
        ((s, share * sigma) for s in SPREADS for share in NOISES),
        key=lambda pair: _log_evidence(kernel, robust, *pair),
    )
    if spread == 0.0:
        return lambda at: none(at.context_len)
    weights = np.linalg.solve(spread**2 * kernel + noise**2 * np.eye(len(work)), robust)
    return lambda at: np.asarray(spread**2 * _kernel(at, work) @ weights)


def _log_evidence(kernel: FloatArray, residual: FloatArray, spread: float, noise: float) -> float:
    factor = np.linalg.cholesky(spread**2 * kernel + noise**2 * np.eye(len(kernel)))
    white = np.linalg.solve(factor, residual)
    return float(-0.5 * white @ white - np.log(np.diag(factor)).sum())


def _kernel(a: Work, b: Work) -> FloatArray:
    context = np.abs(np.log(a.context_len)[:, None] - np.log(b.context_len)[None])
    tokens = np.abs(np.log(a.new_tokens)[:, None] - np.log(b.new_tokens)[None])
    return np.asarray(np.exp(-(context + tokens) / MEMORY))
