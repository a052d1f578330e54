r"""Scores of predicted times, one small function each.

y is the actual time and f the predicted one, both of shape (n,) in milliseconds; [lo, hi] is the
interval asked for at ``level``. Relative scores are in percent of the actual time, coverage is a
share (0 to 1) so that it can be held against ``level``.

    APE_i = 100 |f_i - y_i| / y_i            absolute percentage error
    bias  = 100 mean[(f_i - y_i) / y_i]      > 0 predicts too slow
    pinball_q = mean[max(q (y - f_q), (q - 1) (y - f_q))]     (Koenker and Bassett 1978)

MAPE punishes predicting too slow more than too fast (at most 100 %), hence ``log_error`` beside it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from lengthwise.errors import InputError
from lengthwise.units import FloatArray


def ape_percent(actual_ms: Any, predicted_ms: Any) -> FloatArray:
    """Absolute percentage error of each point, shape (n,), percent.

    >>> ape_percent([100.0, 200.0], [110.0, 150.0]).tolist()
    [10.0, 25.0]
    """
    actual, predicted = _pair(actual_ms, predicted_ms)
    return np.asarray(100.0 * np.abs(predicted - actual) / actual)


def mape(actual_ms: Any, predicted_ms: Any) -> float:
    """Mean absolute percentage error, percent.

    >>> mape([100.0, 200.0], [110.0, 150.0])
    17.5
    """
    return float(ape_percent(actual_ms, predicted_ms).mean())


def median_ape(actual_ms: Any, predicted_ms: Any) -> float:
    """Median absolute percentage error, percent.

    >>> median_ape([100.0, 100.0, 100.0], [101.0, 105.0, 190.0])
    5.0
    """
    return float(np.median(ape_percent(actual_ms, predicted_ms)))


def p90_ape(actual_ms: Any, predicted_ms: Any) -> float:
    """90th percentile of the absolute percentage error, percent (linear interpolation).

    >>> p90_ape([100.0] * 11, list(range(100, 111)))
    9.0
    """
    return float(np.quantile(ape_percent(actual_ms, predicted_ms), 0.9))


def mae_ms(actual_ms: Any, predicted_ms: Any) -> float:
    """Mean absolute error, milliseconds.

    >>> mae_ms([10.0, 20.0], [12.0, 16.0])
    3.0
    """
    actual, predicted = _pair(actual_ms, predicted_ms)
    return float(np.abs(predicted - actual).mean())


def rmse_ms(actual_ms: Any, predicted_ms: Any) -> float:
    """Root mean squared error, milliseconds.

    >>> rmse_ms([10.0, 20.0], [13.0, 17.0])
    3.0
    """
    actual, predicted = _pair(actual_ms, predicted_ms)
    return float(np.sqrt(np.mean((predicted - actual) ** 2)))


def bias(actual_ms: Any, predicted_ms: Any) -> float:
    """Mean signed relative error, percent; positive means predicted too slow.

    >>> bias([100.0, 100.0], [110.0, 95.0])
    2.5
    """
    actual, predicted = _pair(actual_ms, predicted_ms)
    return float(100.0 * np.mean((predicted - actual) / actual))


def log_error(actual_ms: Any, predicted_ms: Any) -> float:
    """Mean of abs(ln(f / y)): twice too slow and twice too fast cost the same.

    >>> round(log_error([1.0, 1.0], [2.0, 0.5]), 4)
    0.6931
    """
    actual, predicted = _pair(actual_ms, predicted_ms)
    floor = np.finfo(float).tiny
    return float(np.abs(np.log(np.maximum(predicted, floor) / actual)).mean())


def spearman(actual_ms: Any, predicted_ms: Any) -> float:
    """Spearman rank correlation, -1 to 1; NaN with fewer than two distinct values on a side.

    >>> spearman([1.0, 2.0, 3.0], [10.0, 30.0, 20.0])
    0.5
    """
    actual, predicted = _pair(actual_ms, predicted_ms)
    if np.ptp(actual) == 0 or np.ptp(predicted) == 0:
        return float("nan")
    ranks = pd.DataFrame({"actual": actual, "predicted": predicted}).rank().to_numpy()
    return float(round(np.corrcoef(ranks, rowvar=False)[0, 1], 12))


def coverage(actual_ms: Any, lo_ms: Any, hi_ms: Any) -> float:
    """Share of actual times inside their interval, 0 to 1.

    >>> coverage([1.0, 2.0, 3.0, 4.0], [0.0] * 4, [3.0] * 4)
    0.75
    """
    actual, lo = _pair(actual_ms, lo_ms)
    _, hi = _pair(actual_ms, hi_ms)
    return float(np.mean((lo <= actual) & (actual <= hi)))


def width_percent(actual_ms: Any, lo_ms: Any, hi_ms: Any) -> FloatArray:
    """Width of each interval relative to the actual time, shape (n,), percent.

    >>> width_percent([100.0, 50.0], [90.0, 40.0], [110.0, 65.0]).tolist()
    [20.0, 50.0]
    """
    actual, lo = _pair(actual_ms, lo_ms)
    _, hi = _pair(actual_ms, hi_ms)
    return np.asarray(100.0 * (hi - lo) / actual)


def pinball_ms(actual_ms: Any, quantile_ms: Any, quantile: float) -> float:
    """Pinball loss of a predicted quantile, milliseconds; smaller is better.

    >>> pinball_ms([10.0, 10.0], [8.0, 12.0], 0.9)
    1.0
    """
    if not 0 < quantile < 1:
        raise InputError("quantile must lie in (0, 1)", got=f"quantile={quantile}")
    actual, predicted = _pair(actual_ms, quantile_ms)
    gap = actual - predicted
    return float(np.maximum(quantile * gap, (quantile - 1.0) * gap).mean())


def interval_pinball_ms(actual_ms: Any, lo_ms: Any, hi_ms: Any, level: float) -> float:
    """Mean pinball loss of both ends of an interval, milliseconds; rewards narrow and right.

    >>> round(interval_pinball_ms([10.0], [8.0], [13.0], level=0.8), 6)
    0.25
    """
    tail = (1.0 - level) / 2.0
    return 0.5 * (pinball_ms(actual_ms, lo_ms, tail) + pinball_ms(actual_ms, hi_ms, 1.0 - tail))


def interval_score_percent(actual_ms: Any, lo_ms: Any, hi_ms: Any, level: float) -> FloatArray:
    """Interval score of each point relative to the actual time, shape (n,), percent.

    The width, and 2 / (1 - level) times the distance of an actual time outside: no interval scores
    better on average than the true quantiles (Gneiting and Raftery 2007). Smaller is better.

    Raises
    ------
    InputError
        If the level is not in (0, 1), lengths differ or an actual time is not positive.

    Examples
    --------
    >>> interval_score_percent([100.0, 100.0], [90.0, 60.0], [110.0, 95.0], 0.9).round(6).tolist()
    [20.0, 135.0]
    """
    if not 0 < level < 1:
        raise InputError("level must lie in (0, 1)", got=f"level={level}")
    actual, lo = _pair(actual_ms, lo_ms)
    _, hi = _pair(actual_ms, hi_ms)
    outside = np.maximum(lo - actual, 0.0) + np.maximum(actual - hi, 0.0)
    return np.asarray(100.0 * (hi - lo + 2.0 / (1.0 - level) * outside) / actual)


def noise_floor(times_ms: Any, point: Any) -> float:
    """Median relative deviation of repeats from the median of their point, percent.

    No law can be expected to do better than this on single measurements. Points measured once say
    nothing about noise and are left out.

    Parameters
    ----------
    times_ms
        Measured times, shape (n,), milliseconds.
    point
        Number of the point each row repeats, shape (n,).

    Returns
    -------
    float
        Percent; NaN when nothing was repeated.

    Examples
    --------
    >>> noise_floor([98.0, 100.0, 103.0, 7.0], [0, 0, 0, 1])
    2.0
    """
    times = np.asarray(times_ms, dtype=float)
    grouped = pd.Series(times).groupby(np.asarray(point))
    repeated = grouped.transform("size").to_numpy() > 1
    if not repeated.any():
        return float("nan")
    deviation = np.abs(times / grouped.transform("median").to_numpy() - 1.0)[repeated]
    return float(round(100.0 * np.median(deviation), 12))


def _pair(actual_ms: Any, other_ms: Any) -> tuple[FloatArray, FloatArray]:
    actual = np.asarray(actual_ms, dtype=float).ravel()
    other = np.asarray(other_ms, dtype=float).ravel()
    if len(actual) != len(other) or not len(actual):
        raise InputError(
            "actual and predicted times must be of the same length, at least 1",
            got=f"{len(actual)} and {len(other)}",
        )
    bad: npt.NDArray[np.bool_] = ~(np.isfinite(actual) & (actual > 0))
    if bad.any():
        raise InputError(
            "actual times must be finite and positive", got=f"{actual[int(np.argmax(bad))]}",
            remedy="drop failed measurements",
        )  # fmt: skip
    if np.isnan(other).any():
        raise InputError("predicted times must not be NaN", got=f"{int(np.isnan(other).sum())} NaN")
    return actual, other
