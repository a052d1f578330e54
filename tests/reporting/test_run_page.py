"""The page of a run shows what was measured, safely, and never costs the measurement."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from strict_html import check_self_contained

from lengthwise.data.table import prepare
from lengthwise.measurement.engine import Event, Shape, Timer
from lengthwise.measurement.http.points import Point
from lengthwise.measurement.http.record import Job, Record
from lengthwise.measurement.http.session import PointResult
from lengthwise.measurement.http.summary import summary_of as server_summary
from lengthwise.measurement.plan import plan_of
from lengthwise.measurement.quality import summary_of
from lengthwise.measurement.run_directory import RunDirectory
from lengthwise.measurement.sweep import run_sweep
from lengthwise.reporting.figures.chart import Chart
from lengthwise.reporting.figures.style import ticks_of
from lengthwise.reporting.run_page import run_page, write_run_page
from lengthwise.reporting.run_page.marks import Dimension, Mark, chart_of

ISL = Dimension("isl", "prompt length (tokens)", "isl {:g}".format)
BATCH = Dimension("batch", "batch size", "batch {:g}".format)
NASTY = "m</td><script>alert(1)</script>"


class Known:
    """Prefill 1 ms + 0.01 ms a token of the batch, decode 1 ms + 0.001 ms a token of context."""

    labels: Mapping[str, str | int] = {"model": NASTY, "hardware": "none", "engine": "synthetic"}
    notes: Mapping[str, Any] = {"attention": "sdpa"}

    def run(self, shape: Shape) -> list[Event]:
        times = [1 + 0.01 * shape.isl * shape.batch_size] + [
            1 + 0.001 * (shape.isl + i) for i in range(1, shape.decode_steps + 1)
        ]
        return [Event.of(shape, i, Timer(t, t, 0.0)) for i, t in enumerate(times)]

    def close(self) -> None:
        pass


def measured(isl: list[int], batches: list[int]) -> tuple[dict[str, Any], pd.DataFrame]:
    rows = run_sweep(Known(), plan_of(isl, batches, repeats=3)).rows
    table = prepare(pd.DataFrame(rows).drop(columns=["visit_rows"]))
    return {"status": "complete", **summary_of(table)}, table


MANIFEST: dict[str, Any] = {
    "command": "lengthwise measure openvino --isl '64-256*2'", "status": "complete",
    "started": "2026-03-01T12:30:05+00:00", "engine": "openvino", "labels": dict(Known.labels),
    "notes": dict(Known.notes), "plan": {"repeats": 3, "seed": 7}, "options": {"threads": 1},
    "machine": {"cpu": "Z80", "cpus": 1, "versions": {"lengthwise": "9.9", "numpy": "2"}},
    "output": "t.parquet", "rows": 99, "seconds": 12.3,
    "parts": [{"started": "2026-03-01T12:30:05.000+00:00", "seconds": 12.3}],
}  # fmt: skip


def server_result(point: Point, number: int = 0, ms: float = 20.0, n: int = 6) -> PointResult:
    """Make requests of known times, each a tenth slower than the one before."""
    records = []
    for i in range(n):
        slower = 1 + 0.1 * i
        job = Job(f"r{i}", point.isl, point.osl, number, i, False, point.concurrency,
                  point.request_rate)  # fmt: skip
        records.append(Record(
            job, "ok", timestamp=1e9 + i, ttft_ms=ms * slower, tpot_ms=2.0 * slower,
            e2e_ms=ms * slower + 14, osl_server=8, osl_client=8, isl_server=point.isl,
            client_queue_ms=0.1, sent_ns=int(i * 1e9), last_ns=int(i * 1e9 + 5e8),
            gaps_ms=np.full(7, 2.0),
        ))  # fmt: skip
    return PointResult(point, records, complete=True, number=number)


def served(points: list[Point]) -> tuple[dict[str, Any], pd.DataFrame]:
    results = [server_result(p, i, 10.0 + p.isl / 8) for i, p in enumerate(points)]
    rows = [record.to_row() for result in results for record in result.records]
    summary = {"status": "complete", "notes": [], "points": [server_summary(r) for r in results]}
    return summary, prepare(pd.DataFrame(rows))


SERVED = {name: MANIFEST[name] for name in ("started", "machine", "output", "rows", "seconds")} | {
    "command": "lengthwise measure http://host:8000", "url": "http://host:8000", "seed": 0,
    "server": {"model": "org/m-7b", "engine": "vllm", "engine_version": "0.9", "prompts": "ids"},
    "parts": [{"started": "2026-03-01T12:30:05.000+00:00", "seconds": 5.0}] * 2,
}  # fmt: skip


def curves(chart: Chart) -> dict[str, tuple[list[float], list[float]]]:
    return {line.name: (line.x.tolist(), line.y.tolist()) for line in chart.lines}


def test_an_engine_is_drawn_by_phase_and_batch() -> None:
    summary, table = measured([64, 128, 256], [1, 2])
    page = run_page(MANIFEST, summary, table)
    prefill, decode = page.charts
    assert curves(prefill) == {
        "batch 1": ([64, 128, 256], pytest.approx([1.64, 2.28, 3.56])),
        "batch 2": ([64, 128, 256], pytest.approx([2.28, 3.56, 6.12])),
    }
    assert decode.x.label == "context length (tokens)"
    assert curves(decode)["batch 1"][1] == pytest.approx([1.069, 1.133, 1.261], abs=2e-3)
    assert (decode.y.low, decode.y.log) == (0.0, False)  # times that hardly differ start at 0
    (grid,) = page.grids
    assert [row[0] for row in grid.rows] == ["prefill"] * 6 + ["decode"] * 6
    assert [c.name for c in grid.columns][:4] == ["phase", "prompt (tokens)", "context (tokens)",
                                                  "batch"]  # fmt: skip
    assert grid.rows[0][1:6] == ("64", "-", "1", "1.64", "1.64")
    assert {t.what: t.value for t in page.tiles}["measured for"] == "12.3 s"
    facts = {name: dict(pairs) for name, pairs in page.facts.items()}
    assert facts["Run"]["table"] == "t.parquet, 99 rows"
    assert facts["Run"]["seed"] == "7"
    assert facts["Engine"]["attention"] == "sdpa"
    assert facts["Machine"]["versions"] == "lengthwise 9.9, numpy 2"


def test_prompts_in_chunks_are_drawn_by_size_of_the_chunk() -> None:
    """Parts of a prompt are prefills on a cache: few sizes, many offsets."""
    points = [
        {"phase": "prefill", "isl": done, "cached_tokens": done - 512, "batch_size": 1,
         "median_ms": done / 100, "min_ms": done / 100, "max_ms": done / 100, "n": 3}
        for done in range(512, 4097, 512)
    ]  # fmt: skip
    summary = {"points": points, "rows": 24}
    (chart,) = run_page(MANIFEST, summary).charts
    assert [len(line.x) for line in chart.lines] == [8]


def test_a_server_is_drawn_over_length_then_load() -> None:
    loads = [Point(isl, 8, concurrency=n) for isl in (64, 256, 1024) for n in (1, 4)]
    charts = run_page(SERVED, *served(loads)).charts
    assert [c.y.label for c in charts] == ["TTFT", "TPOT", "E2E"]
    ttft = curves(charts[0])
    assert ttft["4 in flight"] == ([64, 256, 1024], pytest.approx([22.5, 52.5, 172.5]))
    assert charts[0].bands[0].hi[0] == pytest.approx(18 * 1.45)  # p90 of six requests
    few = [Point(64, 8, concurrency=n) for n in (1, 2, 4)]
    rates = [Point(64, 8, request_rate=n) for n in (1.0, 2.0)]
    charts = run_page(SERVED, *served(few + rates)).charts
    assert [c.x.label for c in charts[::4]] == ["requests in flight", "requests per second"]
    assert charts[3].title == "throughput"


def test_a_single_point_is_drawn_request_by_request() -> None:
    summary, table = served([Point(64, 8, concurrency=1)])
    page = run_page(SERVED, summary, table)
    assert [len(c.points[0].x) for c in page.charts] == [6, 6, 6]
    assert page.charts[0].x.label == "seconds since the first request"
    assert [line.name for line in page.charts[0].lines] == ["p50 22.5 ms", "p99 26.9 ms"]
    assert page.title == "org/m-7b"
    assert page.grids[0].groups[1] == ("TTFT (ms)", 3)
    assert any(cell.endswith("*") for cell in page.grids[0].rows[0])
    assert "; " in dict(page.facts["Run"])["parts"]
    assert run_page(SERVED, summary).charts == ()  # nothing to draw without the requests


def test_warnings_and_failures_are_on_the_page() -> None:
    summary, table = served([Point(64, 8, concurrency=1), Point(128, 8, concurrency=1)])
    for point in summary["points"]:
        point["warnings"] = ["the client was the bottleneck"]
        point["failures"] = {"http_500": {"n": 2, "example": NASTY}}
    page = run_page(SERVED, summary | {"notes": ["through a proxy"]}, table)
    assert page.warnings == ("the client was the bottleneck [isl 64, osl 8, concurrency 1 "
                             "and 1 more]",)  # fmt: skip
    assert page.notes == ("through a proxy",)
    assert page.grids[1].rows[0][1:] == ("http_500", "2", NASTY)


@pytest.mark.parametrize("kind", ["engine", "server"])
@pytest.mark.parametrize("status", ["complete", "interrupted", "failed", "budget"])
def test_the_file_is_self_contained_and_safe(tmp_path: Path, kind: str, status: str) -> None:
    into = RunDirectory(tmp_path)
    if kind == "engine":
        summary, table = measured([64, 128, 256], [1, 2])
        write_run_page(into, MANIFEST, summary | {"status": status}, table)
    else:
        summary, table = served([Point(n, 8, concurrency=1) for n in (64, 128)])
        summary["points"][0]["failures"] = {"http_500": {"n": 2, "example": NASTY}}
        write_run_page(into, SERVED, summary | {"status": status}, table)
    page = (tmp_path / "report.html").read_text()
    check_self_contained(page, frozenset({"http://host:8000"}))
    assert "&lt;script&gt;alert(1)" in page
    assert ("Not complete" in page) == (status != "complete")
    assert page.count("<svg") == 2 * len(re.findall("<figure>", page)) > 0  # wide and narrow
    assert len(page.encode()) < 300_000
    assert not list(tmp_path.glob(".*"))


def test_large_runs_stay_small(tmp_path: Path) -> None:
    points = [Point(64 + n, 8, concurrency=c) for n in range(50) for c in range(1, 21)]
    summary, table = served(points)
    write_run_page(RunDirectory(tmp_path), SERVED, json.loads(json.dumps(summary)), table)
    assert (tmp_path / "report.html").stat().st_size < 2_000_000
    charts = run_page(SERVED, summary, table).charts
    assert len(charts[0].lines) == 8
    assert "8 of 20 curves" in charts[0].note
    assert charts[0].bands == ()  # so many would hide each other


def test_the_axis_with_most_values_is_x() -> None:
    def marks(lengths: list[int], batches: list[int]) -> list[Mark]:
        return [Mark({"isl": n, "batch": b}, n * b, n * b, n * b + 1)
                for n in lengths for b in batches]  # fmt: skip

    wide = chart_of("t", "y", marks([64, 128], [1, 2, 4, 8]), (ISL, BATCH))
    assert wide is not None
    assert (wide.x.label, sorted(wide.ends)) == ("batch size", ["isl 128", "isl 64"])
    both = chart_of("t", "y", marks([64, 128], [1, 2]), (ISL, BATCH))
    assert both is not None
    assert both.x.label == "prompt length (tokens)"
    assert chart_of("t", "y", marks([64], [1]), (ISL, BATCH)) is None
    assert chart_of("t", "y", [], (ISL, BATCH)) is None


def test_axes_fit_what_is_measured() -> None:
    far = [Mark({"isl": n}, n / 10, n / 10, n / 10) for n in (64, 4096)]
    far[1] = Mark({"isl": 4096}, 400.0, 390.0, 9000.0)  # one value far out does not flatten it
    chart = chart_of("t", "y", far, (ISL,))
    assert chart is not None
    assert (chart.y.log, chart.y.high) == (True, 800.0)
    close = chart_of("t", "y", [Mark({"isl": n}, 5.0, 5.0, 5.0) for n in (600, 900)], (ISL,))
    assert close is not None
    assert len(ticks_of(close.x.kind, 600, 900, log=close.x.log)) > 2  # no power of two in between
    assert close.y.low == 0.0
