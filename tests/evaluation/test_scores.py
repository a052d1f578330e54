"""Scores against numbers worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from lengthwise.errors import InputError
from lengthwise.evaluation import scores

ACTUAL = [100.0, 200.0, 400.0, 50.0]
PREDICTED = [110.0, 180.0, 400.0, 65.0]
times = arrays(float, 6, elements=st.floats(0.1, 1e5))


def test_relative_scores_by_hand() -> None:
    # APE: 10, 10, 0, 30 %
    assert scores.mape(ACTUAL, PREDICTED) == pytest.approx(12.5)
    assert scores.median_ape(ACTUAL, PREDICTED) == pytest.approx(10.0)
    assert scores.p90_ape(ACTUAL, PREDICTED) == pytest.approx(24.0)
    assert scores.bias(ACTUAL, PREDICTED) == pytest.approx(7.5)


def test_absolute_scores_by_hand() -> None:
    # errors: 10, -20, 0, 15 ms
    assert scores.mae_ms(ACTUAL, PREDICTED) == pytest.approx(11.25)
    assert scores.rmse_ms(ACTUAL, PREDICTED) == pytest.approx(math.sqrt(725 / 4))


def test_log_error_is_symmetric_in_ratio() -> None:
    assert scores.log_error([1, 1], [4, 1]) == scores.log_error([1, 1], [0.25, 1])


def test_rank_correlation_by_hand() -> None:
    # ranks 2 3 4 1 on both sides
    assert scores.spearman(ACTUAL, PREDICTED) == pytest.approx(1.0)
    assert scores.spearman([1, 2, 3], [3, 2, 1]) == pytest.approx(-1.0)
    assert math.isnan(scores.spearman([1, 2, 3], [5, 5, 5]))


def test_interval_scores_by_hand() -> None:
    lo, hi = [90.0, 190.0, 350.0, 60.0], [120.0, 195.0, 400.0, 70.0]
    assert scores.coverage(ACTUAL, lo, hi) == 0.5
    assert scores.width_percent(ACTUAL, lo, hi).tolist() == [30.0, 2.5, 12.5, 20.0]


def test_pinball_is_least_at_the_quantile() -> None:
    sample = np.arange(1.0, 101.0)
    losses = [scores.pinball_ms(sample, np.full(100, q), 0.9) for q in sample]
    assert sample[int(np.argmin(losses))] == pytest.approx(90.0, abs=1)


def test_noise_floor_uses_repeated_points_only() -> None:
    # point 0: 90 100 110 -> 10 0 10; point 1: 200 204 around 202; point 2 measured once
    floor = scores.noise_floor([90, 100, 110, 200, 204, 7], [0, 0, 0, 1, 1, 2])
    assert floor == pytest.approx(100 * 2 / 202)
    assert math.isnan(scores.noise_floor([1.0, 2.0], [0, 1]))


@given(actual=times, predicted=times, unit=st.sampled_from([1e-3, 1e3]))
def test_relative_scores_do_not_depend_on_the_unit(
    actual: np.ndarray, predicted: np.ndarray, unit: float
) -> None:
    for score in (scores.mape, scores.median_ape, scores.bias, scores.log_error):
        plain, scaled = score(actual, predicted), score(actual * unit, predicted * unit)
        assert scaled == pytest.approx(plain, rel=1e-6, abs=1e-9)


@given(actual=times)
def test_a_perfect_prediction_has_no_error(actual: np.ndarray) -> None:
    for score in (scores.mape, scores.p90_ape, scores.mae_ms, scores.rmse_ms, scores.bias):
        assert score(actual, actual) == 0


@pytest.mark.parametrize("actual", [[0.0, 1.0], [-1.0, 1.0], [float("nan"), 1.0]])
def test_actual_times_must_be_positive(actual: list[float]) -> None:
    with pytest.raises(InputError, match="actual times must be finite and positive"):
        scores.mape(actual, [1.0, 1.0])


def test_lengths_must_agree_and_predictions_be_numbers() -> None:
    with pytest.raises(InputError, match="same length"):
        scores.mape([1.0], [1.0, 2.0])
    with pytest.raises(InputError, match="same length"):
        scores.mape([], [])
    with pytest.raises(InputError, match="must not be NaN"):
        scores.mape([1.0], [float("nan")])


@pytest.mark.parametrize("quantile", [0, 1, 90])
def test_a_quantile_lies_between_zero_and_one(quantile: float) -> None:
    with pytest.raises(InputError, match=r"quantile must lie in \(0, 1\)"):
        scores.pinball_ms([1.0], [1.0], quantile)
