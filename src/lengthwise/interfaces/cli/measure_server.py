"""``lengthwise measure http://...``: time any OpenAI-compatible server."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lengthwise.errors import InputError, NothingUsableError
from lengthwise.interfaces.cli.common import disk_errors, log, print_json, print_table
from lengthwise.interfaces.cli.interrupts import saving
from lengthwise.interfaces.cli.measure_run import MeasuredRun
from lengthwise.interfaces.cli.outputs import INTERRUPTED

if TYPE_CHECKING:
    from lengthwise.measurement.http.points import Point
    from lengthwise.measurement.http.recorder import Recorder
    from lengthwise.measurement.http.server_run import RunOptions, ServerRun

SAME_SERVER = ("model", "engine", "engine_version", "path", "prompts")
"""What a server must say of itself for a run on it to go on."""


@dataclass(frozen=True)
class _Asked:
    """What the command line asked."""

    url: str
    output: Path
    options: RunOptions
    as_json: bool
    quiet: bool
    resume: bool


def measure_server(
    url: str, *, output: Path, isl: list[int], osl: list[int], concurrency: list[int],
    request_rate: list[float], arrival: str, burstiness: float, trace: Path | None,
    requests: int | None, duration_s: float | None, endpoint: str, model: str | None,
    timeout_s: float, warmup_requests: int, labels: dict[str, str], scrape: bool, seed: int,
    as_json: bool, quiet: bool, dry_run: bool, resume: bool = False,
) -> int:  # fmt: skip
    """Run every combination of lengths and loads against a server; give the exit code.

    Writes the measurement table to ``output`` and the run to ``<output stem>.run/``.
    """
    from lengthwise.measurement.http.discover import split_url
    from lengthwise.measurement.http.points import sweep
    from lengthwise.measurement.http.server_run import RunOptions
    from lengthwise.measurement.http.traces import read_trace

    split_url(url)
    if not timeout_s > 0:
        raise InputError("a timeout must be positive", got=f"{timeout_s:g} s",
                         remedy="write seconds, for example 600")  # fmt: skip
    points = sweep(
        isl, osl, concurrency=concurrency, request_rate=request_rate, arrival=arrival,
        burstiness=burstiness, trace=None if trace is None else read_trace(trace),
        requests=requests, duration_s=duration_s, warmup_requests=warmup_requests,
    )  # fmt: skip
    if dry_run:
        return _dry_run(url, points, as_json)
    options = RunOptions(endpoint, model, timeout_s, scrape, seed, labels)
    return _measure(points, _Asked(url, output, options, as_json, quiet, resume))


def _measure(points: list[Point], asked: _Asked) -> int:
    from lengthwise.interfaces.cli.measure_server_text import Live
    from lengthwise.measurement.http.recorder import LINES, Recorder, whole_points
    from lengthwise.measurement.http.server_run import run_server

    run = MeasuredRun(asked.output, _settings(points, asked), resume=asked.resume)
    kept = whole_points(run.into) if asked.resume else []

    def record(outcome: ServerRun) -> Recorder:
        found = _found(outcome)
        if kept:
            same = {f"server.{name}": found["server"][name] for name in SAME_SERVER}
            run.check_same(same, remedy="start the same server")
        run.begin(found, LINES, there=f"{len(kept)} of {len(points)} points are there")
        return Recorder(run.into.path, kept)

    live = Live(len(points), asked.quiet)
    with disk_errors(run.into.path):
        if len(kept) == len(points):
            Recorder(run.into.path, kept).close()  # cuts off what no point claims
        outcome = run_server(asked.url, points, asked.options, record, kept=kept,
                             begin=live.begin, show=live.show)  # fmt: skip
    live.end()
    with saving() if outcome.status == "interrupted" else nullcontext():
        return _finish(outcome, run, asked)


def _finish(outcome: ServerRun, run: MeasuredRun, asked: _Asked) -> int:
    import pandas as pd

    from lengthwise.data.table import prepare

    if outcome.target is None:
        log(f"nothing is left to measure: all {len(outcome.kept)} points are there")
        outcome.notes = run.manifest.get("notes", [])
    rows, points = outcome.rows(asked.options.labels), outcome.summaries()
    table = prepare(pd.DataFrame(rows)) if rows else None
    summary = {"status": outcome.status, "notes": outcome.notes, "points": points}
    with disk_errors(run.into.path):
        run.end(table, summary, [_flat(point) for point in points],
                {"status": outcome.status, "notes": outcome.notes})  # fmt: skip
    if asked.as_json:
        print_json(run.files() | summary)
    else:
        _show(summary)
    if rows:
        run.say_written()
    return _exit_code(outcome, rows)


def _show(summary: dict[str, Any]) -> None:
    from lengthwise.interfaces.cli.measure_server_text import show_summary

    if any(p["requests"] for p in summary["points"]):
        show_summary(summary["points"])
    for note in summary["notes"]:
        log(f"note: {note}")
    warnings = [(w, p["point"]) for p in summary["points"] for w in p["warnings"]]
    for text in dict.fromkeys(w for w, _ in warnings):
        where = [f"isl {p['isl']}, {p['load']}" for w, p in warnings if w == text]
        log(f"warning: {text}" + (f" [{where[0]}]" if len(summary["points"]) > 1 else ""))


def _exit_code(outcome: ServerRun, rows: list[dict[str, Any]]) -> int:
    if outcome.status == "interrupted":
        log("interrupted: what was measured is kept; go on with --resume")
        return INTERRUPTED
    if outcome.problem is not None:
        log(f"error: {outcome.problem}")
        log("the run ended early: what was measured is kept; go on with --resume")
        return 1
    if not any(row["status"] == "ok" for row in rows):
        raise _all_failed(rows)
    return 0


def _all_failed(rows: list[dict[str, Any]]) -> NothingUsableError:
    """Say that no request succeeded, and what to do about the first failure."""
    label = rows[0]["error"] if rows else ""
    got = f"{label}: {rows[0]['error_detail']}" if rows else "no request"
    remedy = {
        "timeout": "raise --timeout, or see the log of the server",
        "http_429": "wait until the limit of the server is over, or ask for less",
        "no_tokens": "ask for more tokens (--osl), or switch hidden reasoning off at the server",
    }.get(label, "see the log of the server")
    return NothingUsableError("at least one request must succeed", got=got, remedy=remedy)


def _settings(points: list[Point], asked: _Asked) -> dict[str, Any]:
    """Give what all parts of a resumed run share, ready for the manifest."""
    options, trace = asked.options, points[0].trace
    found = {
        "url": asked.url, "points": [point.to_dict() for point in points], "seed": options.seed,
        "endpoint": options.endpoint, "asked_model": options.model,
        "timeout_s": options.timeout_s, "scrape": options.scrape, "labels": dict(options.labels),
        "clock": "client",
    }  # fmt: skip
    if trace is not None:
        found["trace"] = {"format": trace.format, "requests": len(trace.isl),
                          "sha256": trace.digest}  # fmt: skip
    return found


def _found(outcome: ServerRun) -> dict[str, Any]:
    """Give what only the server could say; headers sent may hold a key and stay out."""
    target = outcome.target
    assert target is not None
    server = {
        "model": target.model, "engine": target.engine, "engine_version": target.engine_version,
        "path": target.path, "prompts": "ids" if target.ids else "words",
        "tokens_per_word": target.tokens_per_word, "template_tokens": target.template_tokens,
        "extras": dict(target.extras), "headers": dict(target.server),
    }  # fmt: skip
    return {"server": server, "notes": list(outcome.notes)}


def _flat(point: dict[str, Any]) -> dict[str, Any]:
    """Give a point as one row, units in the names."""
    named = ("isl", "osl", "load", "concurrency", "request_rate")
    head: dict[str, Any] = {k: point["point"].get(k) for k in named}
    kept = ("requests", "failed", "requests_per_s", "output_tokens_per_s", "complete")
    figures = {f"{m}_{k}": v for m, s in point["metrics"].items() for k, v in s.items()}
    return {**head, **{k: point[k] for k in kept}, **figures}


def _dry_run(url: str, points: list[Point], as_json: bool) -> int:
    if as_json:
        print_json({"url": url, "points": [p.to_dict() for p in points]})
        return 0
    rows = [[p.isl, p.osl, p.load, p.requests, p.warmup_requests, _seconds(p)] for p in points]
    print_table(("isl", "osl", "load", "requests", "warm-up", "time (s)"), rows,
                title=f"would send to {url}")  # fmt: skip
    log("nothing was sent; a closed loop takes as long as the server needs")
    return 0


def _seconds(point: Point) -> str | None:
    if point.trace is not None:
        return f"{float(point.trace.arrival_s[-1]):.0f}"
    if point.request_rate is not None and point.total is not None:
        return f"{point.total / point.request_rate:.0f}"
    return None if point.duration_s is None else f"{point.duration_s:.0f}"
