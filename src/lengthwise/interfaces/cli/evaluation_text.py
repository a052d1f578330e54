"""Evaluations as rows of text: what the terminal shows of them."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from lengthwise.units import counted

if TYPE_CHECKING:
    from lengthwise.evaluation.ablation import AblationResult
    from lengthwise.evaluation.result import EvaluationResult

MOST_NOTES = 12
TITLES = {
    "length": "trained on lengths up to max/{factor:g}, tested above",
    "batch": "trained on batch sizes up to max/{factor:g}, tested above",
    "random": "random points in range held out",
    "deployment": "one deployment held out at a time",
    "hardware": "one hardware held out at a time",
}
SUMMARY = (
    "formulation", "groups", "MAPE %", "95 % CI", "worst %", "bias %", "coverage", "width %",
    "noise %", "wins",
)  # fmt: skip
ABLATION = (
    "terms", "in range MAPE %", "95 % CI", "worst %", "coverage",
    "beyond MAPE %", "95 % CI", "worst %", "coverage", "failed",
)  # fmt: skip


def summary_rows(result: EvaluationResult, metric: str = "mape") -> list[list[Any]]:
    """Rows of the summary, best first: see ``SUMMARY`` for the columns."""
    from lengthwise.evaluation.leaderboard import leaderboard

    overall = result.overall.set_index("formulation")
    rows = []
    for rank in leaderboard(result, metric).to_dict("records"):
        name, at = rank["formulation"], overall.loc[rank["formulation"]]
        failed = f" of {len(result.expected)}" if at["failed_groups"] else ""
        interval = f"[{number(at['mape_lo_percent'])}, {number(at['mape_hi_percent'])}]"
        row = [
            name, f"{at['groups']}{failed}", number(at["mape_percent"]),
            interval if at["groups"] else None, number(at["worst_mape_percent"]),
            number(at["bias_percent"], sign=True), number(at["pooled_coverage"], digits=3),
            number(at["median_width_percent"]), number(at["noise_percent"]), int(rank["wins"]),
        ]  # fmt: skip
        rows.append(row if metric in ("mape", "mape_percent") else [*row, number(rank["median"])])
    return rows


def group_rows(result: EvaluationResult) -> tuple[list[str], list[list[Any]]]:
    """Columns and rows of the table of each deployment and phase."""
    wide = result.groups.pivot(index="group", columns="formulation", values="mape_percent")
    rows: list[list[Any]] = []
    for group, points in result.expected.items():
        scores = [number(wide.loc[group, name]) for name in result.formulations]
        rows.append([group, points, number(result.noise_percent[group]), *scores])
    return ["deployment and phase", "points", "noise %", *result.formulations], rows


def remarks(result: EvaluationResult, *, worst: bool = True) -> list[str]:
    """Say what is missing from the figures: worst groups, skipped groups, failures, warnings."""
    first = result.overall.iloc[0]
    lines = []
    if worst and first["worst_group"]:
        lines.append(f"worst of {first['formulation']}: {first['worst_group']}")
    lines += [f"skipped {s.group}: {s.reason}" for s in result.skipped]
    failed = Counter((f.formulation, f.stage, f.reason) for f in result.failures)
    lines += [
        f"{name} failed at {stage} on {counted(count, 'group')}: {reason}"
        for (name, stage, reason), count in failed.items()
    ]
    lines += [f"note: {text}" for text in result.notes]
    hidden = len(lines) - MOST_NOTES
    return [*lines[:MOST_NOTES], *([f"and {hidden} more: see --json"] if hidden > 0 else [])]


def ablation_rows(result: AblationResult) -> list[list[Any]]:
    """Rows of the ablation table: see ``ABLATION`` for the columns."""
    rows = []
    for at in result.table.to_dict("records"):
        sides = [cell for side in ("in_range", "extrapolation") for cell in _side(at, side)]
        counts = [at[f"{side}_failed_groups"] for side in result.sides]
        rows.append([at["terms"], *sides, int(sum(counts))])
    return rows


def _side(at: dict[Any, Any], side: str) -> list[str | None]:
    mape, lo, hi, worst = (
        number(at[f"{side}_{name}_percent"])
        for name in ("mape", "mape_lo", "mape_hi", "worst_mape")
    )
    coverage = number(at[f"{side}_coverage"], digits=3)
    return [mape, f"[{lo}, {hi}]" if lo else None, worst, coverage]


def number(value: Any, *, digits: int = 1, sign: bool = False) -> str | None:
    """Format a score; None when there is none.

    >>> number(12.345), number(-3.0, sign=True), number(float("nan")), number(76300.0)
    ('12.3', '-3.0', None, '7.6e+04')
    """
    if value is None or value != value:
        return None
    plus = "+" if sign else ""
    return f"{value:{plus}.1e}" if abs(value) >= 1e4 else f"{value:{plus}.{digits}f}"
