"""Coefficients of at least zero from measured times: least squares on relative errors.

    minimise  sum w_i * (sum_j c_j * phi_j(x_i) / t_i  -  1)^2,      c_j >= 0

Weights fall with the error of the last round, so that the middle of the errors counts and a few odd
kernels do not (the sum of absolute errors, smoothed below ``delta``).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls

from lengthwise.errors import InputError

Array = NDArray[np.float64]
ROUNDS = 6
DELTA = 0.03
MOST_ROWS = 4000
LEAST_JUDGED = 20
ROWS_JUDGED = 1500
MUCH_BETTER = 0.5
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
    return _fit(list(terms), _table(terms, sizes, seconds), np.asarray(seconds), seed)


def _table(terms: Mapping[str, Callable[[Any], Array]], sizes: Any, seconds: Array) -> Array:
    """Shares of each measured time that terms of coefficient 1 would have, shape (n, terms)."""
    seconds = np.asarray(seconds, dtype=np.float64)
    if seconds.ndim != 1 or not len(seconds) or not np.all(seconds > 0):
        raise InputError("a curve is fitted to positive times", got=f"shape {seconds.shape}")
    columns = [np.broadcast_to(f(sizes), seconds.shape) for f in terms.values()]
    return np.asarray(np.column_stack(columns) / seconds[:, None])


def _fit(names: list[str], shares: Array, seconds: Array, seed: int = 0) -> dict[str, float]:
    if len(seconds) > MOST_ROWS:
        shares = shares[np.random.default_rng(seed).permutation(len(seconds))[:MOST_ROWS]]
    found = _rounds(shares)
    kept = np.flatnonzero(np.max(shares * found, axis=0) > LEAST_SHARE)
    found = _rounds(shares[:, kept])
    return {names[j]: float(c) for j, c in zip(kept, found, strict=True) if c > 0}


def fit_parts(
    terms: Mapping[str, Callable[[Any], Array]], parts: Sequence[tuple[Any, Array]]
) -> dict[str, float]:
    """Fit one set of coefficients to several sets of sizes and times.

    >>> x = np.linspace(1.0, 9.0, 30)
    >>> found = fit_parts({"x": lambda v: v, "one": np.ones_like}, [(x, 2 * x), (5 * x, 10 * x)])
    >>> round(found["x"], 6)
    2.0
    """
    tables = [_table(terms, sizes, seconds) for sizes, seconds in parts]
    return _fit(list(terms), np.vstack(tables), np.concatenate([s for _, s in parts]))


def fit_chosen(
    terms: Mapping[str, Callable[[Any], Array]], doubtful: Sequence[Collection[str]], sizes: Any,
    seconds: Array, lengths: Array,
) -> dict[str, float]:  # fmt: skip
    """Fit with each group of doubtful terms only if long calls are then predicted much better.

    Every choice is fitted to calls up to a quarter of the greatest length and judged beyond it.

    >>> x = np.linspace(1.0, 64.0, 64)
    >>> terms = {"x": lambda v: v, "root": np.sqrt}
    >>> sorted(fit_chosen(terms, [["root"]], x, 2 * x + 3 * np.sqrt(x), x))
    ['root', 'x']
    """
    names = np.array(list(terms))
    table = _table(terms, sizes, seconds)
    near = lengths <= np.max(lengths) / 4.0
    best, lowest = names, np.inf
    if np.sum(~near) >= LEAST_JUDGED and np.sum(near) >= LEAST_JUDGED:
        for kept in product((False, True), repeat=len(doubtful)):
            left_out = {n for group, keep in zip(doubtful, kept, strict=True)
                        for n in group if not keep}  # fmt: skip
            columns = np.array([n not in left_out for n in names])
            loss = _judged(table[:, columns], near) / MUCH_BETTER ** sum(kept)
            if loss < lowest:
                best, lowest = names[columns], loss
    return _fit([str(n) for n in best], table[:, np.isin(names, best)], seconds)


def _judged(shares: Array, near: NDArray[np.bool_]) -> float:
    found = _rounds(shares[near][:: 1 + int(np.sum(near)) // ROWS_JUDGED], rounds=3)
    error = np.abs(shares[~near] @ found - 1.0)
    return float(np.median(error) + np.quantile(error, 0.9))


def _rounds(shares: Array, rounds: int = ROUNDS) -> Array:
    scale = np.maximum(np.linalg.norm(shares, axis=0) / np.sqrt(len(shares)), 1e-30)
    scaled = shares / scale
    weights = np.ones(len(shares))
    found = np.zeros(shares.shape[1])
    for _ in range(rounds):
        rows = np.column_stack([scaled, np.ones(len(scaled))]) * weights[:, None]
        # The same sums of squares in as many rows as columns.
        small = np.asarray(np.linalg.qr(rows, mode="r"), dtype=np.float64)
        found, _norm = nnls(small[:, :-1], small[:, -1], maxiter=50 * shares.shape[1])
        error = np.abs(scaled @ found - 1.0)
        weights = 1.0 / np.sqrt(np.maximum(error, DELTA))
        weights /= weights.max()
    return np.asarray(found / scale)
