"""The page of an engine measured in its process: its steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from lengthwise.measurement.quality import POINT, points_of
from lengthwise.reporting.figures.chart import Chart
from lengthwise.reporting.run_page.content import Column, Facts, Grid, Tile
from lengthwise.reporting.run_page.manifest import took
from lengthwise.reporting.run_page.marks import Dimension, Mark, chart_of
from lengthwise.reporting.run_page.words import counts, facts_of, numbers

if TYPE_CHECKING:
    import pandas as pd

PHASES = ("prefill", "decode", "mixed")
MIDDLE, ALL = "the middle half of all times", "fastest to slowest"
BATCH = Dimension("batch_size", "batch size (sequences)", "batch {:g}".format)
CACHED = Dimension("cached_tokens", "cached tokens", "{:,.0f} cached".format)
NEW = Dimension("new", "new tokens", "{:,.0f} new".format)
DIMENSIONS = {
    "prefill": (Dimension("isl", "prompt length (tokens)", "isl {:,.0f}".format), BATCH, CACHED),
    "decode": (Dimension("context_len", "context length (tokens)", "at {:,.0f}".format), BATCH),
    "mixed": (
        Dimension("sum_context_len", "tokens in the KV cache", "{:,.0f} in cache".format),
        Dimension("sum_query_len", "new tokens", "{:,.0f} new".format),
        BATCH,
    ),
}
COLUMNS = {
    "isl": "prompt (tokens)", "cached_tokens": "cached", "context_len": "context (tokens)",
    "sum_query_len": "new tokens", "sum_context_len": "KV tokens", "batch_size": "batch", "n": "n",
}  # fmt: skip
TIMES = {"median_ms": "median (ms)", "min_ms": "fastest (ms)", "max_ms": "slowest (ms)",
         "spread_percent": "spread (%)", "cpu_ms": "CPU (ms)"}  # fmt: skip
ORDER = ("isl", "cached_tokens", "context_len", "sum_query_len", "sum_context_len", "batch_size",
         *TIMES, "n")  # fmt: skip


def title_of(manifest: Mapping[str, Any]) -> tuple[str, str]:
    """Name model and engine."""
    labels = manifest.get("labels", {})
    engine = f"{labels.get('engine', '')} {labels.get('engine_version', '')}".strip()
    about = (engine, labels.get("precision"), labels.get("hardware"))
    return str(labels.get("model", "")), ", ".join(str(part) for part in about if part)


def tiles_of(manifest: Mapping[str, Any], summary: Mapping[str, Any]) -> tuple[Tile, ...]:
    """Give the figures on top."""
    points, rows = summary["points"], summary["rows"]
    found = [
        Tile("points", f"{len(points):,}", f"{rows:,} timed steps"),
        took(manifest, "loading not counted"),
    ]
    spread, over = summary.get("spread_percent"), summary.get("wall_over_cpu")
    drift = summary.get("drift_percent")
    if spread is not None:
        found.append(Tile("spread of repeats", f"{spread:.1f} %", "of a typical point"))
    if over is not None and manifest.get("options", {}).get("threads", 1) == 1:
        found.append(Tile("wall / CPU time", f"{over:.2f}", "1 when nobody else uses the machine"))
    if drift is not None:
        found.append(Tile("drift", f"{drift:+.1f} %", "of one point, from begin to end"))
    return tuple(found)


def charts_of(
    points: Sequence[Mapping[str, Any]], table: pd.DataFrame | None = None
) -> tuple[Chart, ...]:
    """Draw each phase over length, or over batch where there are more batches than lengths."""
    charts = []
    if table is not None:
        points = middle_halves(table)
    for phase in PHASES:
        mine = [p for p in points if p["phase"] == phase]
        dimensions = DIMENSIONS[phase]
        marks = [
            Mark({**{d.name: p.get(d.name) for d in dimensions}, "new": _new(p)}, p["median_ms"],
                 p.get("low_ms", p["min_ms"]), p.get("high_ms", p["max_ms"]))
            for p in mine
        ]  # fmt: skip
        if phase == "prefill" and _chunked(marks):
            dimensions = (*dimensions[:2], NEW)
        chart = chart_of(f"{phase} step", f"time of one {phase} step", marks, dimensions,
                         band=ALL if table is None else MIDDLE) if marks else None  # fmt: skip
        charts += [chart] if chart else []
    return tuple(charts)


def middle_halves(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Summarise steady rows by point as the summary does, with the quartiles of each."""
    steady = table[~table["warmup"].astype(bool)]
    grouped = steady.groupby([k for k in POINT if k in steady], sort=True, dropna=False)
    quartiles = [grouped["latency_ms"].quantile(q).to_numpy() for q in (0.25, 0.75)]
    points = points_of(table).assign(low_ms=quartiles[0], high_ms=quartiles[1])
    known = points.astype(object).where(points.notna(), None)
    return [{str(k): v for k, v in row.items()} for row in known.to_dict("records")]


def grid_of(points: Sequence[Mapping[str, Any]]) -> Grid:
    """List every point; columns that say nothing are left out."""
    rows = sorted(points, key=lambda p: PHASES.index(p["phase"]))
    named = COLUMNS | TIMES
    known = [c for c in ORDER if any(p.get(c) is not None for p in rows)]
    if not any(p.get("cached_tokens") for p in rows):
        known = [c for c in known if c != "cached_tokens"]
    texts = [_cells(rows, name) for name in known]
    columns = (Column("phase", numeric=False), *(Column(named[c]) for c in known))
    cells = zip([p["phase"] for p in rows], *texts, strict=True)
    note = "Warm-up left out. Spread: standard deviation over mean of the repeats."
    return Grid("Points", columns, tuple(cells), note)


def _cells(points: Sequence[Mapping[str, Any]], name: str) -> list[str]:
    values = [p.get(name) for p in points]
    if name == "spread_percent":
        return ["-" if v is None else f"{v:.1f}" for v in values]
    if name == "context_len":  # a prefill's is its prompt
        values = [None if p["phase"] == "prefill" else p.get(name) for p in points]
    return numbers(values) if name in TIMES else counts(values)


def facts(manifest: Mapping[str, Any]) -> Facts:
    """Say what was measured."""
    labels, options = manifest.get("labels", {}), manifest.get("options", {})
    plan = manifest.get("plan", {})
    return facts_of([
        *labels.items(), ("threads", options.get("threads")), ("device", options.get("device")),
        ("settings", options.get("settings")), ("repeats", plan.get("repeats")),
        *manifest.get("notes", {}).items(),
    ])  # fmt: skip


def _new(point: Mapping[str, Any]) -> float | None:
    if point.get("isl") is None:
        return None
    return float(point["isl"]) - float(point.get("cached_tokens") or 0)


def _chunked(marks: Sequence[Mark]) -> bool:
    """Tell whether prompts came in parts: then the parts have few sizes, and many offsets."""
    return len({m.at["cached_tokens"] for m in marks}) > len({m.at["new"] for m in marks})
