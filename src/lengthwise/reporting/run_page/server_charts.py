"""Figures of a server: medians of every point, or the requests of a single one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from lengthwise.reporting.figures.chart import MEASURED, Axis, Chart, Line, Points
from lengthwise.reporting.run_page.marks import Dimension, Mark, chart_of
from lengthwise.reporting.run_page.server_grids import LABELS
from lengthwise.units import FloatArray, format_ms

if TYPE_CHECKING:
    import pandas as pd

TITLES = {"ttft_ms": "time to first token (TTFT)", "tpot_ms": "time per output token (TPOT)",
          "itl_ms": "gap between tokens (ITL)", "e2e_ms": "whole request (E2E)"}  # fmt: skip
UPPER = {"ttft_ms": "p90", "tpot_ms": "p90", "itl_ms": "p99", "e2e_ms": "p90"}
DIMENSIONS = (
    Dimension("isl", "prompt length (tokens)", "isl {:,.0f}".format),
    Dimension("concurrency", "requests in flight", "{:,.0f} in flight".format),
    Dimension("request_rate", "requests per second", "{:g} req/s".format, "ratio"),
    Dimension("osl", "output length (tokens)", "osl {:,.0f}".format),
)
MOST_DOTS, FEWEST_DOTS = 800, 4


def charts_of(points: Sequence[Mapping[str, Any]], table: pd.DataFrame | None) -> tuple[Chart, ...]:
    """Draw medians of every point over length or load; of a single point, its requests."""
    kinds = [[p for p in points if p["point"].get(kind) is not None]
             for kind in ("concurrency", "request_rate")]  # fmt: skip
    lengths = {p["point"]["isl"] for p in points}
    groups = [list(points)] if len(lengths) > max(len(_loads(k)) for k in kinds) else kinds
    charts = [chart for group in groups if group for chart in _of_group(group)]
    if not charts and table is not None:
        charts = _of_requests(table)
    return tuple(charts)


def _loads(points: Sequence[Mapping[str, Any]]) -> set[tuple[Any, Any]]:
    return {(p["point"].get("concurrency"), p["point"].get("request_rate")) for p in points}


def _of_group(points: Sequence[Mapping[str, Any]]) -> list[Chart]:
    places = [{d.name: p["point"].get(d.name) for d in DIMENSIONS} for p in points]
    charts = []
    for name, title in TITLES.items():
        upper, found = UPPER[name], [p["metrics"][name] for p in points]
        marks = [Mark(at, m["p50"], m["p50"], m[upper])
                 for at, m in zip(places, found, strict=True) if m["p50"] is not None]  # fmt: skip
        charts.append(chart_of(title, LABELS[name], marks, DIMENSIONS, band=f"up to {upper}"))
    rates = [Mark(at, v, v, v) for at, p in zip(places, points, strict=True)
             if (v := p["output_tokens_per_s"]) is not None]  # fmt: skip
    if len({m.at["isl"] for m in rates}) < len(_loads(points)):
        charts.append(chart_of("throughput", "output tokens/s", rates, DIMENSIONS, kind="ratio",
                               alone="output"))  # fmt: skip
    return [chart for chart in charts if chart is not None]


def _of_requests(table: pd.DataFrame) -> list[Chart]:
    """Draw single requests: over their length where that varies, else over time."""
    good = table[(table["status"] == "ok") & ~table["warmup"].astype(bool)]
    if len(good) < FEWEST_DOTS:
        return []
    by_length = good["isl"].nunique() >= FEWEST_DOTS
    seconds = good["timestamp"].astype(float)
    at = good["isl"].astype(float) if by_length else seconds - seconds.min()
    axis = (Axis("prompt length (tokens)", "tokens") if by_length
            else Axis("seconds since the first request", "ratio", log=False))  # fmt: skip
    charts = []
    for name in ("ttft_ms", "tpot_ms", "e2e_ms"):
        known = good[name].notna() & (good[name] > 0)
        x, y = (np.asarray(v[known], np.float64) for v in (at, good[name]))
        if len(y) >= FEWEST_DOTS:
            charts.append(_dots(TITLES[name], LABELS[name], axis, x, y))
    return charts


def _dots(title: str, label: str, axis: Axis, x: FloatArray, y: FloatArray) -> Chart:
    order = np.unique(np.linspace(0, len(x) - 1, min(len(x), MOST_DOTS)).astype(int))
    note = "each dot is a request"
    if len(order) < len(x):
        note += f"; {len(order):,} of {len(x):,} are drawn"
    log = float(y.max()) > 4 * float(y.min())
    ends = np.array([x.min(), x.max()])
    p50, p99 = (float(v) for v in np.percentile(y, (50, 99)))
    lines = [
        Line(f"{name} {format_ms(value)}", ends, np.full(2, value), role, dashed=True)
        for role, (name, value) in enumerate((("p50", p50), ("p99", p99)))
    ]
    y_axis = Axis(label, "ms") if log else Axis(label, "ms", 0.0, float(y.max()), log=False)
    return Chart(title, axis, y_axis, tuple(lines),
                 points=(Points("", x[order], y[order], MEASURED),), note=note)  # fmt: skip
