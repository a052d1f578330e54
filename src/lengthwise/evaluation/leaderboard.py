"""Rank formulations over groups, and compare two of them on the same points.

Ranks are taken inside each group (1 is the smallest MAPE, ties share the mean rank), so that an
easy deployment counts as much as a hard one (Demsar 2006, JMLR 7:1-30). A group a formulation
failed on is its last rank there. The difference of two formulations is bootstrapped on paired
points: both are resampled alike, which removes what the points have in common.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from lengthwise.errors import InputError
from lengthwise.evaluation.bootstrap import DRAWS, resampled_means
from lengthwise.evaluation.result import EvaluationResult, check_metric

NO_ERROR_PERCENT = 1e-6
"""Smaller MAPE counts as this when two are divided."""


@dataclass(frozen=True)
class Comparison:
    """MAPE of ``first`` minus MAPE of ``second`` over the groups that both predicted.

    Attributes
    ----------
    first, second
        Names of the formulations.
    difference_percent
        Median over groups, percentage points; negative means ``first`` is better.
    lo_percent, hi_percent
        Bootstrap interval of that median.
    wins, losses, groups
        Groups where ``first`` has the smaller and the larger MAPE, and groups in all.
    median_ratio
        Median over groups of MAPE of ``second`` over that of ``first``.
    level
        Confidence of the interval.
    """

    first: str
    second: str
    difference_percent: float
    lo_percent: float
    hi_percent: float
    wins: int
    losses: int
    groups: int
    median_ratio: float
    level: float

    @property
    def clear(self) -> bool:
        """Whether the interval excludes no difference."""
        return not self.lo_percent <= 0 <= self.hi_percent


def leaderboard(result: EvaluationResult, metric: str = "mape") -> pd.DataFrame:
    """Rank the formulations of an evaluation, best first.

    Parameters
    ----------
    result
        An evaluation of one or more formulations.
    metric
        Score to rank by; failures rank last.

    Returns
    -------
    DataFrame
        Columns ``rank``, ``formulation``, ``median``, ``worst``, ``worst_group``, ``wins``,
        ``mean_rank``, ``failed_groups``; scores in the unit of the metric.
    """
    column = check_metric(metric)
    wide = _scores_by_group(result, column)
    cost = _cost(wide, column, result.level)
    ranks = cost.fillna(np.inf).rank(axis=1, method="average")
    best = cost.eq(cost.min(axis=1), axis=0) & cost.notna()
    out = pd.DataFrame(
        {
            "formulation": wide.columns,
            "median": wide.median().to_numpy(),
            "worst": [_worst(wide[name], cost[name])[0] for name in wide],
            "worst_group": [_worst(wide[name], cost[name])[1] for name in wide],
            "wins": best.sum().to_numpy(),
            "mean_rank": ranks.mean().to_numpy(),
            "failed_groups": wide.isna().sum().to_numpy(),
        }
    )
    order = np.lexsort([out["formulation"], cost.median().fillna(np.inf), out["mean_rank"]])
    out = out.iloc[order].reset_index(drop=True)
    out.insert(0, "rank", np.arange(1, len(out) + 1))
    return out


def compare(
    result: EvaluationResult, first: str, second: str, *, level: float = 0.95, seed: int = 0
) -> Comparison:
    """Compare two formulations on the points of the groups that both predicted in full."""
    for name in (first, second):
        if name not in result.formulations:
            raise InputError("formulation must be part of the evaluation", got=repr(name),
                             remedy=f"choose of {', '.join(result.formulations)}")  # fmt: skip
    shared = sorted(set(result.complete(first)["group"]) & set(result.complete(second)["group"]))
    if not shared:
        raise InputError("both formulations must have predicted one group in full",
                         got=f"none of {len(result.expected)}")  # fmt: skip
    a, b = result.errors_of(first, shared), result.errors_of(second, shared)
    gap = [x - y for x, y in zip(a, b, strict=True)]
    drawn = np.median(resampled_means(gap, draws=DRAWS, seed=seed), axis=1)
    lo, hi = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2])
    mean_gap = np.array([g.mean() for g in gap])
    mean_a, mean_b = (np.array([e.mean() for e in errors]) for errors in (a, b))
    ratio = np.maximum(mean_b, NO_ERROR_PERCENT) / np.maximum(mean_a, NO_ERROR_PERCENT)
    return Comparison(
        first, second, float(np.median(mean_gap)), float(lo), float(hi), int((mean_gap < 0).sum()),
        int((mean_gap > 0).sum()), len(shared), float(np.median(ratio)), level,
    )  # fmt: skip


def _cost(wide: pd.DataFrame, column: str, level: float) -> pd.DataFrame:
    """Turn scores into what is best small: bias near zero, coverage near the level asked for."""
    if column == "bias_percent":
        return wide.abs()
    if column == "coverage":
        return (wide - level).abs()
    return -wide if column == "spearman" else wide


def _scores_by_group(result: EvaluationResult, column: str) -> pd.DataFrame:
    groups = result.groups
    known = groups[column].where(groups["missing_points"] == 0)
    wide = groups.assign(score=known).pivot(index="group", columns="formulation", values="score")
    return wide[list(result.formulations)]


def _worst(values: pd.Series[float], cost: pd.Series[float]) -> tuple[float, str | None]:
    if not cost.notna().any():
        return float("nan"), None
    at = int(np.nanargmax(cost.to_numpy(float)))
    return float(values.iloc[at]), str(values.index[at])
