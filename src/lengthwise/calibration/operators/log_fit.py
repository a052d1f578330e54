"""Fit positive coefficients to times over many orders of magnitude.

Residuals are differences of logarithms under a loss that is quadratic near zero and linear beyond;
each coefficient is pulled towards a typical value on its own scale, so that what a table cannot
tell stays where it usually is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import OptimizeResult, least_squares

Array = NDArray[np.float64]
PULL = 0.3
"""Weight of the pull of one coefficient, in the units of one row's residual."""
HEAT = 15
"""Jacobians each start gets before the best one goes on."""
SCALE = 0.1
"""Residual at which the loss turns from quadratic to linear."""


def fit_logs(
    predict: Callable[[dict[str, float]], Array],
    seconds: Array,
    typical: Mapping[str, tuple[float, float]],
    *,
    starts: Sequence[Mapping[str, float]] = ({},),
    lower: Mapping[str, float] | None = None,
    upper: Mapping[str, float] | None = None,
    evaluations: int = 30,
) -> dict[str, float]:
    """Find positive coefficients whose predictions match the measured times.

    Parameters
    ----------
    predict
        Times of all rows, seconds, from the coefficients by name.
    seconds
        Measured times, shape (rows,).
    typical
        By name: typical value and spread of its logarithm.
    starts
        Values to start from in place of the typical ones; the best after a few steps goes on.
    lower, upper
        Smallest and largest allowed values.
    evaluations
        Largest number of Jacobians.

    Returns
    -------
    dict
        Coefficients by name.

    Examples
    --------
    >>> x = np.array([1.0, 10.0, 100.0])
    >>> found = fit_logs(lambda c: c["a"] + c["b"] * x, 2.0 + 3.0 * x, {"a": (1, 3), "b": (1, 3)})
    >>> round(found["a"], 1), round(found["b"], 1)
    (1.9, 3.0)
    """
    names = list(typical)
    start = np.log([typical[n][0] for n in names])
    spread = np.array([typical[n][1] for n in names])
    top = np.array([np.log((upper or {}).get(n, np.inf)) for n in names])
    target = np.log(seconds)

    def residuals(p: Array) -> Array:
        times = predict(dict(zip(names, np.exp(p).tolist(), strict=True)))
        return np.append(np.log(times) - target, PULL * (p - start) / spread)

    low = np.minimum(start, top) - 12.0
    low = np.array(
        [np.log((lower or {}).get(n, np.exp(v))) for n, v in zip(names, low, strict=True)]
    )

    def search(first: Array, most: int) -> OptimizeResult:
        return least_squares(
            residuals, np.clip(first, low + 1e-3, top - 1e-3), bounds=(low, top),
            loss="soft_l1", f_scale=SCALE, max_nfev=most,
        )  # fmt: skip

    tried = [
        search(
            np.array([np.log(s.get(n, np.exp(v))) for n, v in zip(names, start, strict=True)]),
            evaluations if len(starts) == 1 else HEAT,
        )
        for s in starts
    ]
    best = min(tried, key=lambda found: float(found.cost))
    if len(starts) > 1:
        best = search(np.asarray(best.x), evaluations)
    return dict(zip(names, np.exp(best.x).tolist(), strict=True))


def sample(rows: int, most: int, seed: int = 0) -> NDArray[np.intp]:
    """Pick at most ``most`` of ``rows`` row numbers, always the same ones, in order.

    >>> len(sample(10, 4)), len(sample(3, 4))
    (4, 3)
    """
    return np.sort(np.random.default_rng(seed).permutation(rows)[:most])
