"""Tables of a server: percentiles of every point, failures, its own clock."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from lengthwise.measurement.http.summary import MANY
from lengthwise.reporting.run_page.content import Column, Grid
from lengthwise.reporting.run_page.words import counts, numbers

LABELS = {"ttft_ms": "TTFT", "tpot_ms": "TPOT", "itl_ms": "ITL", "e2e_ms": "E2E"}
SHOWN = {"ttft_ms": ("p50", "p90", "p99"), "tpot_ms": ("p50", "p99"), "itl_ms": ("p50", "p99"),
         "e2e_ms": ("p50", "p99"), "client_queue_ms": ("p99",)}  # fmt: skip
GROUPS = {name: f"{label} (ms)" for name, label in LABELS.items()} | {
    "client_queue_ms": "queue (ms)"
}
SERVER_MEANS = {"ttft_ms": "TTFT", "itl_ms": "ITL", "e2e_ms": "E2E", "client_queue_ms": "queue"}


def grid_of(points: Sequence[Mapping[str, Any]]) -> Grid:
    """List every point: percentiles of times, throughput, failures."""
    at = [p["point"] for p in points]
    columns = [Column("isl"), Column("osl"), Column("load", numeric=False)]
    cells = [counts([p["isl"] for p in at]), counts([p["osl"] for p in at]),
             [p["load"] for p in at]]  # fmt: skip
    few = [p["metrics"]["e2e_ms"]["n"] < MANY for p in points]
    open_loop = any(p.get("request_rate") is not None for p in at)
    for name, shown in SHOWN.items():
        for part in shown if open_loop or name != "client_queue_ms" else ():
            texts = numbers([p["metrics"][name][part] for p in points])
            if part == "p99":
                texts = [f"{t}*" if star and t != "-" else t
                         for t, star in zip(texts, few, strict=True)]  # fmt: skip
            columns.append(Column(part, GROUPS[name]))
            cells.append(texts)
    wanted: list[tuple[str, str, Callable[..., list[str]]]] = [
        ("requests_per_s", "requests", numbers), ("output_tokens_per_s", "tokens out", numbers),
        ("requests", "n", counts), ("failed", "failed", counts),
    ]  # fmt: skip
    for key, title, write in wanted:
        columns.append(Column(title, "per second" if key.endswith("_per_s") else ""))
        cells.append(write([p[key] for p in points]))
    note = "Warm-up left out. Queue: in the client, no part of the other times. " * open_loop
    note = note or "Warm-up left out. "
    note += "TTFT, TPOT and E2E are times of requests, ITL those of all gaps."
    if any(few):
        note += f" * p99 of fewer than {MANY} requests is little more than their maximum."
    return Grid("Points", tuple(columns), tuple(zip(*cells, strict=True)), note)


def other_grids(points: Sequence[Mapping[str, Any]]) -> list[Grid]:
    """List failures, and what the server says of itself."""
    grids = []
    failures = [(where(p), label, f"{f['n']:,}", str(f["example"]))
                for p in points for label, f in p["failures"].items()]  # fmt: skip
    if failures:
        titles = (Column("point", numeric=False), Column("failed with", numeric=False),
                  Column("n"), Column("example", numeric=False, long=True))  # fmt: skip
        grids.append(Grid("Failed requests", titles, tuple(failures)))
    told = [p for p in points if p.get("server")]
    names = [n for n in SERVER_MEANS if any(n in p["server"] for p in told)]
    if names:
        texts = [numbers([p["server"].get(n, {}).get("mean") for p in told]) for n in names]
        columns = (Column("point", numeric=False), *(Column(SERVER_MEANS[n]) for n in names))
        rows = tuple(zip(map(where, told), *texts, strict=True))
        grids.append(Grid("Means by the server's own clock (ms)", columns, rows,
                          "From its /metrics; warm-up included."))  # fmt: skip
    return grids


def where(point: Mapping[str, Any]) -> str:
    """Name a point."""
    at = point["point"]
    return f"isl {at['isl']}, osl {at['osl']}, {at['load']}"
