"""Coefficients of at least zero from measured times: least squares on relative errors.

    minimise  sum w_i * (sum_j c_j * phi_j(x_i) / t_i  -  1)^2,      c_j >= 0

Weights fall with the error of the last round, so that the middle of the errors counts and a few odd
kernels do not (the sum of absolute errors, smoothed below ``delta``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls

from lengthwise.errors import InputError

Array = NDArray[np.float64]
ROUNDS = 6
DELTA = 0.03
MOST_ROWS = 4000
LEAST_SHARE = 0.002
"""A term that is never more than this share of the time is left out."""


def fit_terms(
    terms: Mapping[str, Callable[[Any], Array]], sizes: Any, seconds: Array, *, seed: int = 0
) -> dict[str, float]:
    """Fit the coefficients of a sum of terms.

    Parameters
    ----------
    terms
        Name to function of ``sizes``, each giving seconds of shape (n,).
    sizes
        Whatever the terms take.
    seconds
        Measured times, shape (n,), positive.
    seed
        Of the choice of rows when there are more than ``MOST_ROWS``.

    Returns
    -------
    dict[str, float]
        Coefficients above zero.

    Examples
    --------
    >>> x = np.linspace(1.0, 50.0, 40)
    >>> terms = {"one": np.ones_like, "x": lambda v: v, "square": np.square}
    >>> found = fit_terms(terms, x, 3 + 2 * x)
    >>> {name: round(value, 6) for name, value in found.items()}
    {'one': 3.0, 'x': 2.0}
    """
    seconds = np.asarray(seconds, dtype=np.float64)
    if seconds.ndim != 1 or not len(seconds) or not np.all(seconds > 0):
        raise InputError("a curve is fitted to positive times", got=f"shape {seconds.shape}")
    names = list(terms)
    table = np.column_stack([np.broadcast_to(f(sizes), seconds.shape) for f in terms.values()])
    if len(seconds) > MOST_ROWS:
        chosen = np.random.default_rng(seed).permutation(len(seconds))[:MOST_ROWS]
        table, seconds = table[chosen], seconds[chosen]
    shares = table / seconds[:, None]
    found = _rounds(shares)
    kept = np.flatnonzero(np.max(shares * found, axis=0) > LEAST_SHARE)
    found = _rounds(shares[:, kept])
    return {names[j]: float(c) for j, c in zip(kept, found, strict=True) if c > 0}


def _rounds(shares: Array) -> Array:
    scale = np.maximum(np.linalg.norm(shares, axis=0) / np.sqrt(len(shares)), 1e-30)
    scaled = shares / scale
    weights = np.ones(len(shares))
    found = np.zeros(shares.shape[1])
    for _ in range(ROUNDS):
        found, _norm = nnls(scaled * weights[:, None], weights, maxiter=50 * shares.shape[1])
        error = np.abs(scaled @ found - 1.0)
        weights = 1.0 / np.sqrt(np.maximum(error, DELTA))
        weights /= weights.max()
    return np.asarray(found / scale)
