"""The eleven public prefill curves, on which formulations differ most when they extrapolate."""

from __future__ import annotations

import pandas as pd
import pytest
from evaluation_estimators import make

from lengthwise.data.datasets import table
from lengthwise.evaluation.protocol import evaluate

pytestmark = pytest.mark.data


@pytest.fixture
def curves(needs_data: None) -> pd.DataFrame:
    splitwise, jetson = table("splitwise"), table("edgereasoning")
    sweep = splitwise.query("phase == 'prefill' and batch_size == 1 and osl == 128")
    return pd.concat([sweep, jetson.query("phase == 'prefill'")], ignore_index=True)


def test_a_straight_line_is_a_quarter_too_fast_four_times_beyond(curves: pd.DataFrame) -> None:
    result = evaluate(curves, split="length", factor=4, formulations=["linear"], make=make)
    overall = result.overall.iloc[0]
    assert overall["groups"] == 11
    assert overall["mape_percent"] == pytest.approx(28, abs=2)
    assert overall["bias_percent"] < -20
    assert result.points["length"].min() > 1024


def test_repeats_of_splitwise_give_a_noise_floor_and_single_readings_none(
    curves: pd.DataFrame,
) -> None:
    result = evaluate(curves, split="length", factor=4, formulations=["linear"], make=make)
    noise = result.groups.set_index("group")["noise_percent"]
    assert noise.notna().sum() == 8
    assert noise.max() < 5
