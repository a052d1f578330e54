"""Make charts of evaluations and ablations: everything but the drawing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from lengthwise.evaluation.ablation import AblationResult
from lengthwise.evaluation.result import EvaluationResult
from lengthwise.reporting.figures.chart import Axis, Bar, Bars, Chart, Line, Points
from lengthwise.reporting.figures.prepare import length_axis

NUDGE = 7.0
"""Pixels between the columns of residuals of two formulations."""


def residual_chart(result: EvaluationResult, group: str, names: Sequence[str]) -> Chart:
    """Measured over predicted against length, for points the laws did not see."""
    at = result.points[result.points["group"] == group]
    series = []
    for role, name in enumerate(names):
        mine = at[at["formulation"] == name]
        if len(mine):
            ratio = (mine["actual_ms"] / mine["predicted_ms"]).to_numpy(float)
            nudge = NUDGE * (role - (len(names) - 1) / 2)
            series.append(Points(name, mine["length"].to_numpy(float), ratio, role, nudge))
    phase = str(at["phase"].iloc[0]) if len(at) else "prefill"
    low, high = _ratio_ends(series)
    off = sum(int(((s.y < low) | (s.y > high)).sum()) for s in series)
    note = "above 1: slower than predicted; held-out points only"
    return Chart(
        title="measured / predicted", x=length_axis(phase),
        y=Axis("measured / predicted", "ratio", low, high),
        points=tuple(reversed(series)), level_line=1.0, subject=group,
        note=f"{note}; {off} outside the frame" if off else note,
    )  # fmt: skip


def distance_chart(
    result: EvaluationResult, longest: Mapping[str, float], names: Sequence[str], phase: str
) -> Chart:
    """MAPE against how far beyond the training lengths a point of a phase lies.

    Parameters
    ----------
    result
        An evaluation on a length split.
    longest
        Longest length fitted of each group, tokens.
    names
        Formulations, in the order of their colours.
    phase
        Phase to show: phases reach differently far, and a mean over both would jump where one ends.
    """
    points = result.points[result.points["phase"] == phase]
    factor = points["length"] / points["group"].map(longest)
    error = 100.0 * (points["predicted_ms"] / points["actual_ms"] - 1.0).abs()
    step = np.round(np.log2(np.maximum(factor, 1.0)))
    columns = {"name": points["formulation"], "group": points["group"], "step": step}
    table = pd.DataFrame(columns | {"error": error})
    per_group = table.groupby(["name", "group", "step"])["error"].mean()
    medians = per_group.groupby(["name", "step"]).median()
    lines = []
    for role, name in enumerate(names):
        if name in medians.index.get_level_values("name"):
            mine = medians.loc[name]
            x, y = 2.0 ** mine.index.to_numpy(float), np.maximum(mine.to_numpy(float), 0.1)
            lines.append(Line(name, x, y, role))
    return Chart(
        title=f"{phase}: error against extrapolation",
        x=Axis("length / longest length fitted", "factor"),
        y=Axis("MAPE", "percent"), lines=tuple(reversed(lines)),
        points=tuple(Points("", line.x, line.y, line.role) for line in reversed(lines)),
        note="median over deployments of the MAPE at this distance",
    )  # fmt: skip


def ablation_bars(result: AblationResult, factor: float) -> Bars:
    """MAPE of every subset of terms, in range and beyond."""
    table = result.table
    panels = {
        title: tuple(
            Bar(float(row[f"{side}_mape_percent"]), float(row[f"{side}_mape_lo_percent"]),
                float(row[f"{side}_mape_hi_percent"]))
            for row in table.to_dict("records")
        )
        for title, side in (("in range", "in_range"), (f"{factor:g}x beyond", "extrapolation"))
    }  # fmt: skip
    rows = tuple(str(t) for t in table["terms"])
    return Bars("MAPE of each set of terms", rows, panels, highlight="all",
                note="median over groups; line: 95 % bootstrap interval")  # fmt: skip


def ranking_bars(result: EvaluationResult, order: Sequence[str]) -> Bars:
    """MAPE of every formulation, best rank first."""
    overall = result.overall.set_index("formulation")
    bars = tuple(
        Bar(*overall.loc[n, ["mape_percent", "mape_lo_percent", "mape_hi_percent"]].astype(float))
        for n in order
    )  # fmt: skip
    return Bars("MAPE of each formulation", tuple(order), {"median MAPE": bars},
                highlight=result.formulations[0],
                note="median over groups, by mean rank; line: 95 % bootstrap interval")  # fmt: skip


def _ratio_ends(series: Sequence[Points]) -> tuple[float, float]:
    """Return the ends of the ratio axis: at least 0.8 to 1.25, at most 0.1 to 10."""
    values = np.concatenate([s.y for s in series] or [np.ones(1)])
    low, high = float(values.min()), float(values.max())
    return max(min(low, 0.8), 0.1), min(max(high, 1.25), 10.0)
