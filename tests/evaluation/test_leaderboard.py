"""Ranks and paired comparisons."""

from __future__ import annotations

import numpy as np
import pytest
from evaluation_estimators import linear_table, make

from lengthwise.errors import InputError
from lengthwise.evaluation.leaderboard import compare, leaderboard
from lengthwise.evaluation.protocol import evaluate

RESULT = evaluate(
    linear_table(("a", "b", "c")), formulations=["broken", "mean", "linear"], make=make
)


def test_the_better_law_wins_every_group_and_failures_rank_last() -> None:
    board = leaderboard(RESULT).set_index("formulation")
    assert list(board.index) == ["linear", "mean", "broken"]
    assert board["wins"].to_dict() == {"linear": 6, "mean": 0, "broken": 0}
    assert board["mean_rank"].to_dict() == {"linear": 1.0, "mean": 2.0, "broken": 3.0}
    assert board["failed_groups"].to_dict() == {"linear": 0, "mean": 0, "broken": 6}
    assert board.loc["mean", "worst_group"] in RESULT.expected


def test_the_median_of_a_board_is_that_of_the_summary() -> None:
    board = leaderboard(RESULT).set_index("formulation")
    overall = RESULT.overall.set_index("formulation")
    assert board.loc["mean", "median"] == pytest.approx(overall.loc["mean", "mape_percent"])
    assert board.loc["mean", "worst"] == pytest.approx(overall.loc["mean", "worst_mape_percent"])


@pytest.mark.parametrize("metric", ["bias", "coverage", "rmse", "interval_pinball"])
def test_other_scores_rank_the_right_law_first(metric: str) -> None:
    assert leaderboard(RESULT, metric=metric)["formulation"].iloc[0] == "linear"


def test_comparison_of_points_shared_by_both() -> None:
    gap = compare(RESULT, "linear", "mean")
    assert gap.difference_percent < 0
    assert gap.hi_percent < 0
    assert gap.clear
    assert (gap.wins, gap.losses, gap.groups) == (6, 0, 6)
    mirrored = compare(RESULT, "mean", "linear")
    assert mirrored.difference_percent == pytest.approx(-gap.difference_percent)
    assert mirrored.lo_percent == pytest.approx(-gap.hi_percent, rel=0.2)


def test_a_law_does_not_differ_from_itself() -> None:
    gap = compare(RESULT, "mean", "mean")
    assert (gap.difference_percent, gap.lo_percent, gap.hi_percent) == (0, 0, 0)
    assert not gap.clear
    assert gap.median_ratio == 1.0


def test_a_comparison_needs_shared_groups_and_known_names() -> None:
    with pytest.raises(InputError, match="predicted one group in full"):
        compare(RESULT, "broken", "linear")
    with pytest.raises(InputError, match="part of the evaluation"):
        compare(RESULT, "linear", "unknown")
    with pytest.raises(InputError, match="metric must be one of"):
        leaderboard(RESULT, metric="unknown")
    assert np.isnan(RESULT.confidence("broken").estimate)
