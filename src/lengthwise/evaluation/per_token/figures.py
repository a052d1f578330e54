"""Figures of a prediction: the thesis's MAE and RMSE, and relative errors beside them.

Intervals are 95 % percentile bootstraps over whole requests, since tokens of one request err
together. The same requests are drawn for every predictor, so differences are paired.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from lengthwise.evaluation import scores
from lengthwise.evaluation.bootstrap import DRAWS, resampled_means
from lengthwise.units import FloatArray

LEVEL = 0.95


@dataclass(frozen=True)
class Figures:
    """Errors on n test events; ``*_lo`` and ``*_hi`` bound the 95 % interval.

    Attributes
    ----------
    n
        Test events.
    mae_ms, rmse_ms
        Mean absolute and root mean squared error, ms.
    mape_percent, median_ape_percent
        Mean and median absolute percentage error.
    """

    n: int
    mae_ms: float
    mae_lo_ms: float
    mae_hi_ms: float
    rmse_ms: float
    rmse_lo_ms: float
    rmse_hi_ms: float
    mape_percent: float
    median_ape_percent: float


def figures_of(actual_ms: Any, predicted_ms: Any, request: Any, *, seed: int = 0) -> Figures:
    """Compute the figures of a prediction.

    Parameters
    ----------
    actual_ms, predicted_ms
        Times, shape (n,), ms.
    request
        Number of the request of each event, shape (n,).
    seed
        Seed of the bootstrap.

    Examples
    --------
    >>> one = figures_of([10.0, 20.0], [13.0, 17.0], [0, 1])
    >>> one.mae_ms, one.rmse_ms, one.median_ape_percent
    (3.0, 3.0, 22.5)
    """
    mae, rmse, _ = _draws(actual_ms, predicted_ms, request, seed)
    return Figures(
        len(np.asarray(actual_ms)),
        scores.mae_ms(actual_ms, predicted_ms), *_interval(mae),
        scores.rmse_ms(actual_ms, predicted_ms), *_interval(rmse),
        scores.mape(actual_ms, predicted_ms), scores.median_ape(actual_ms, predicted_ms),
    )  # fmt: skip


@dataclass(frozen=True)
class Change:
    """What one prediction errs less than another; negative is better; with 95 % intervals.

    MAE and RMSE in ms. ``mape_percent`` is in percentage points; every event counts alike in it,
    where a few long prompts decide MAE and RMSE.
    """

    mae_ms: float
    mae_lo_ms: float
    mae_hi_ms: float
    rmse_ms: float
    rmse_lo_ms: float
    rmse_hi_ms: float
    mape_percent: float
    mape_lo_percent: float
    mape_hi_percent: float


def change(actual_ms: Any, before_ms: Any, after_ms: Any, request: Any, *, seed: int = 0) -> Change:
    """Compare two predictions of the same events.

    >>> change([10.0, 20.0], [13.0, 17.0], [11.0, 19.0], [0, 1]).mae_ms
    -2.0
    """
    old = _draws(actual_ms, before_ms, request, seed)
    new = _draws(actual_ms, after_ms, request, seed)
    return Change(
        scores.mae_ms(actual_ms, after_ms) - scores.mae_ms(actual_ms, before_ms),
        *_interval(new[0] - old[0]),
        scores.rmse_ms(actual_ms, after_ms) - scores.rmse_ms(actual_ms, before_ms),
        *_interval(new[1] - old[1]),
        scores.mape(actual_ms, after_ms) - scores.mape(actual_ms, before_ms),
        *_interval(100.0 * (new[2] - old[2])),
    )


def _draws(actual: Any, predicted: Any, request: Any, seed: int) -> tuple[FloatArray, ...]:
    """MAE, RMSE and relative error of resampled requests, each of shape (draws,).

    They are ratios of sums over requests.
    """
    truth = np.asarray(actual, dtype=float)
    error = np.abs(np.asarray(predicted, dtype=float) - truth)
    _, codes = np.unique(np.asarray(request), return_inverse=True)
    count = np.bincount(codes).astype(float)

    def mean(values: FloatArray) -> FloatArray:
        return resampled_means([values], draws=DRAWS, seed=seed)[:, 0]

    events = mean(count)
    mae = mean(np.bincount(codes, weights=error).astype(float)) / events
    square = mean(np.bincount(codes, weights=error**2).astype(float)) / events
    relative = mean(np.bincount(codes, weights=error / truth).astype(float)) / events
    return np.asarray(mae), np.sqrt(square), np.asarray(relative)


def _interval(draws: FloatArray) -> tuple[float, float]:
    lo, hi = np.quantile(draws, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(lo), float(hi)
