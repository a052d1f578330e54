"""What an evaluation found: predictions of every held-out point, scores per group and overall.

Scores are computed per group first, and the overall figure is the median over groups, so that a
deployment with many rows does not outvote the others; ``pooled_mape_percent`` counts points.
A group with a point that was not predicted is not scored as if it had been: it is counted in
``failed_groups`` and stays out of the medians.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from lengthwise.data.splits import Skipped
from lengthwise.errors import InputError
from lengthwise.evaluation import scores
from lengthwise.evaluation.bootstrap import Confidence, median_over_groups

SHOWN = 4
"""Formulations that a representation names."""
SCORES = {
    "mape_percent": "mean absolute percentage error",
    "median_ape_percent": "median absolute percentage error",
    "p90_ape_percent": "90th percentile of the absolute percentage error",
    "bias_percent": "mean signed relative error, positive predicts too slow",
    "mae_ms": "mean absolute error",
    "rmse_ms": "root mean squared error",
    "log_error": "mean absolute log ratio",
    "spearman": "rank correlation",
    "coverage": "share of actual times inside the interval",
    "mean_width_percent": "mean width of the interval relative to the actual time",
    "median_width_percent": "median width of the interval relative to the actual time",
    "interval_pinball_ms": "pinball loss of both ends of the interval",
}
"""Scores of a group and what they mean."""


@dataclass(frozen=True)
class Failure:
    """A group that a formulation could not fit, predict or give intervals for."""

    formulation: str
    fold: str
    group: str
    stage: str
    reason: str


@dataclass(frozen=True, repr=False)
class EvaluationResult:
    """Outcome of :func:`lengthwise.evaluation.protocol.evaluate`.

    Attributes
    ----------
    split, factor
        Which split; ``factor`` is None where it has none.
    level
        Nominal coverage of the intervals.
    pooled, per_row
        Whether groups were fitted together; whether every row was tested, not medians of repeats.
    formulations
        Names, the one of interest first.
    points
        One row per held-out point and formulation: ``formulation``, ``fold``, ``group``, ``phase``,
        ``length``, ``batch``, ``repeats``, ``actual_ms``, ``predicted_ms``, ``lo_ms``, ``hi_ms``.
    expected
        Held-out points of each group, whether predicted or not.
    noise_percent
        Noise floor of each group; NaN where nothing was repeated.
    failures, skipped, notes
        What could not be fitted, what could not be split, what was warned about.
    fit_s
        CPU seconds spent fitting, per formulation.
    partial
        Whether it was interrupted.
    """

    split: str
    factor: float | None
    level: float
    pooled: bool
    per_row: bool
    formulations: tuple[str, ...]
    points: pd.DataFrame
    expected: dict[str, int]
    noise_percent: dict[str, float]
    failures: tuple[Failure, ...]
    skipped: tuple[Skipped, ...]
    notes: tuple[str, ...]
    fit_s: dict[str, float]
    partial: bool = False

    def __repr__(self) -> str:
        of = f"{self.split}{f', factor {self.factor:g}' if self.factor else ''}"
        head = f"EvaluationResult({of}: {len(self.expected)} groups"
        scores = ", ".join(
            f"{row['formulation']} {row['mape_percent']:.1f} %"
            for row in self.overall.head(SHOWN).to_dict("records")
        )
        more = len(self.formulations) - SHOWN
        partial = "; interrupted" if self.partial else ""
        return f"{head}; MAPE {scores}{f' and {more} more' if more > 0 else ''}{partial})"

    def _repr_html_(self) -> str:
        columns = ["formulation", "groups", "mape_percent", "worst_mape_percent", "coverage"]
        caption = f"{self.split} split, {len(self.expected)} groups, level {self.level:g}"
        table = self.overall[columns].round(2).to_html(index=False, border=0)
        return f"<p>{caption}</p>{table}"

    @cached_property
    def groups(self) -> pd.DataFrame:
        """Scores per formulation and group, with ``points``, ``missing_points`` and noise."""
        rows = []
        for name in self.formulations:
            mine = self.points[self.points["formulation"] == name]
            for group, expected in self.expected.items():
                at = mine[mine["group"] == group]
                row = {"formulation": name, "group": group, "points": len(at),
                       "missing_points": expected - len(at)}  # fmt: skip
                noise = {"noise_percent": self.noise_percent[group]}
                rows.append(row | score_points(at, self.level) | noise)
        return pd.DataFrame(rows)

    @cached_property
    def overall(self) -> pd.DataFrame:
        """Scores per formulation: medians over groups, the worst group, pooled figures."""
        return pd.DataFrame([self._overall(name) for name in self.formulations])

    def complete(self, formulation: str) -> pd.DataFrame:
        """Scores of the groups that a formulation predicted in full."""
        groups = self.groups
        return groups[(groups["formulation"] == formulation) & (groups["missing_points"] == 0)]

    def errors_of(self, formulation: str, groups: list[str]) -> list[np.ndarray]:
        """APE of the points of each group in a fixed order, percent; one array per group."""
        mine = self.points[self.points["formulation"] == formulation]
        apart = {g: at for g, at in mine.groupby("group") if g in groups}
        order = ["fold", "phase", "length", "batch", "actual_ms"]
        return [_ape(apart[g].sort_values(order, kind="stable")) for g in groups]

    def confidence(self, formulation: str, *, level: float = 0.95, seed: int = 0) -> Confidence:
        """Median MAPE over complete groups with its bootstrap interval, percent."""
        groups = self.complete(formulation)["group"].tolist()
        if not groups:
            nan = float("nan")
            return Confidence(nan, nan, nan, level)
        return median_over_groups(self.errors_of(formulation, groups), level=level, seed=seed)

    def to_dict(self) -> dict[str, Any]:
        """Give everything, ready for JSON: no NaN, no infinity (null instead)."""
        out = {
            "split": self.split, "factor": self.factor, "level": self.level, "pooled": self.pooled,
            "truth": "row" if self.per_row else "median of repeats", "partial": self.partial,
            "formulations": list(self.formulations),
            "overall": self.overall.to_dict("records"),
            "groups": self.groups.to_dict("records"),
            "points": self.points.to_dict("records"),
            "failures": [asdict(f) for f in self.failures],
            "skipped": [asdict(s) for s in self.skipped],
            "notes": list(self.notes),
            "scores": SCORES,
        }  # fmt: skip
        clean: dict[str, Any] = jsonable(out)
        return clean

    def _overall(self, name: str) -> dict[str, Any]:
        groups, points = self.complete(name), self.points[self.points["formulation"] == name]
        ci = self.confidence(name)
        worst = groups.nlargest(1, "mape_percent").iloc[0] if len(groups) else None
        return {
            "formulation": name,
            "groups": len(groups),
            "failed_groups": len(self.expected) - len(groups),
            "points": len(points),
            "mape_lo_percent": ci.lo,
            "mape_hi_percent": ci.hi,
            "worst_mape_percent": float("nan") if worst is None else float(worst["mape_percent"]),
            "worst_group": None if worst is None else str(worst["group"]),
            "pooled_mape_percent": float(_ape(points).mean()) if len(points) else float("nan"),
            "pooled_coverage": score_points(points, self.level)["coverage"],
            **{key: _median(groups, key) for key in (*SCORES, "noise_percent")},
            "fit_s": round(self.fit_s.get(name, 0.0), 4),
        }


def score_points(points: pd.DataFrame, level: float) -> dict[str, float]:
    """Score the points of one group; NaN where there is nothing to score.

    >>> at = pd.DataFrame({"actual_ms": [100.0], "predicted_ms": [90.0], "lo_ms": [80.0],
    ...                    "hi_ms": [110.0]})
    >>> score_points(at, 0.9)["mape_percent"], score_points(at, 0.9)["coverage"]
    (10.0, 1.0)
    """
    out = dict.fromkeys(SCORES, float("nan"))
    if not len(points):
        return out
    pair = points["actual_ms"].to_numpy(float), points["predicted_ms"].to_numpy(float)
    out |= {
        "mape_percent": scores.mape(*pair), "median_ape_percent": scores.median_ape(*pair),
        "p90_ape_percent": scores.p90_ape(*pair), "bias_percent": scores.bias(*pair),
        "mae_ms": scores.mae_ms(*pair), "rmse_ms": scores.rmse_ms(*pair),
        "log_error": scores.log_error(*pair), "spearman": scores.spearman(*pair),
    }  # fmt: skip
    return out | _interval_scores(points.dropna(subset=["lo_ms", "hi_ms"]), level)


def check_metric(metric: str) -> str:
    """Give the column of a score, which may be written without its unit.

    >>> check_metric("mape"), check_metric("spearman")
    ('mape_percent', 'spearman')
    """
    for name in (metric, f"{metric}_percent", f"{metric}_ms"):
        if name in SCORES:
            return name
    known = ", ".join(SCORES)
    raise InputError("metric must be one of the scores", got=repr(metric), remedy=f"use {known}")


def jsonable(value: Any) -> Any:
    """Replace what JSON cannot hold: NaN and infinity become None, numpy numbers plain ones.

    >>> jsonable({"a": [float("nan"), np.float64(2.5)]})
    {'a': [None, 2.5]}
    """
    if isinstance(value, dict):
        return {str(key): jsonable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [jsonable(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not np.isfinite(value) else value


def _interval_scores(points: pd.DataFrame, level: float) -> dict[str, float]:
    if not len(points):
        return {}
    actual, lo, hi = (points[c].to_numpy(float) for c in ("actual_ms", "lo_ms", "hi_ms"))
    width = scores.width_percent(actual, lo, hi)
    return {
        "coverage": scores.coverage(actual, lo, hi),
        "mean_width_percent": float(width.mean()),
        "median_width_percent": float(np.median(width)),
        "interval_pinball_ms": scores.interval_pinball_ms(actual, lo, hi, level),
    }


def _ape(points: pd.DataFrame) -> np.ndarray:
    return scores.ape_percent(points["actual_ms"], points["predicted_ms"])


def _median(groups: pd.DataFrame, column: str) -> float:
    values = groups[column].dropna().to_numpy(float)
    return float(np.median(values)) if len(values) else float("nan")
