"""GuideLLM reports: JSON or YAML with every request, CSV with statistics.

``request_latency`` is seconds, names in ``_ms`` are milliseconds, ``info.timings`` unix seconds.
Two of its words are not ours: its ``time_per_output_token_ms`` is (last token - start) / n with the
first token inside; its ``inter_token_latency_ms`` is (last - first) / (n - 1), our TPOT. TPOT is
computed from the timings where they are there. GuideLLM has left warm-up and cool-down out already.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from typing import Any

from lengthwise.data.formats import guidellm_files as files
from lengthwise.data.formats.aggregates import mean_of, statistic_columns
from lengthwise.data.formats.base import Document, Parsed
from lengthwise.data.formats.failures import failed_because
from lengthwise.data.formats.fields import (
    Row,
    at,
    cached_part,
    first,
    number,
    parsed,
    request_row,
    tokens,
    tpot_s,
)
from lengthwise.data.formats.guidellm_first import as_later_report, is_first_report
from lengthwise.data.formats.guidellm_load import add_load, fill_offer

NAME = "guidellm"
TITLE = "GuideLLM"

UNFINISHED = "request cut off when the run ended"
EMPTY = failed_because("empty answer")

Part = Mapping[str, Any]


def matches(document: Document) -> bool:
    """Whether the content is a report of this tool."""
    found = document.json
    return (
        files.is_report(found) or is_first_report(found)
        or files.is_yaml(document) or files.is_csv(document)
    )  # fmt: skip


def read(document: Document) -> Parsed:
    """One row per successful request; one of means for a benchmark whose requests are not kept."""
    dropped: Counter[str] = Counter()
    if files.is_csv(document):
        means = list(files.rows_of_csv(document, dropped))
        said = [
            note for row in means
            for note in fill_offer([row], row.pop("strategy"), row.pop("mean"))
        ]  # fmt: skip
        return parsed(means, dropped=dropped, assumptions=said)
    report = _report(document)
    rows: list[Row] = []
    notes: list[str] = []
    for benchmark in report["benchmarks"]:
        before = len(rows)
        common = _common(benchmark, report)
        requests = benchmark.get("requests") or {}
        done = at(requests, "successful") or []
        dropped.update(failed_because(_error(request)) for request in at(requests, "errored") or [])
        dropped.update(UNFINISHED for _ in at(requests, "incomplete") or [])
        answered = [request for request in done if not _is_empty(request)]
        dropped.update({EMPTY: len(done) - len(answered)} if len(answered) < len(done) else {})
        rows += [_row(request) | common for request in answered]
        measured = number(_of_all(benchmark, "request_latency").get("count"), "count")
        if not done and benchmark.get("metrics") and measured != 0:
            rows.append(_means(benchmark) | common)
        elif done and measured > len(done):
            notes.append(f"{len(done)} of {measured:g} requests are in the file (a sample)")
        notes += add_load(rows[before:], _strategy(benchmark), benchmark.get("metrics"), requests,
                          whole=bool(done) and not measured > len(done))  # fmt: skip
    return parsed(rows, dropped=dropped, assumptions=notes)


def _report(document: Document) -> Part:
    found = document.json
    if is_first_report(found):
        return as_later_report(found)
    return found if files.is_report(found) else files.load_yaml(document)


def _error(request: Any) -> Any:
    return first(at(request, "info", "error"), at(request, "error"), at(request, "message"), "")


def _is_empty(request: Part) -> bool:
    return number(request.get("output_tokens"), "output_tokens") == 0


def _strategy(benchmark: Part) -> Any:
    return first(
        at(benchmark, "config", "strategy"), at(benchmark, "args", "strategy"),
        at(benchmark, "scheduler", "strategy"), at(benchmark, "settings", "strategy"),
    )  # fmt: skip


def _common(benchmark: Part, report: Part) -> Row:
    model = first(
        at(benchmark, "config", "backend", "model"), at(benchmark, "worker", "backend_model"),
        at(benchmark, "benchmarker", "backend", "model"), at(report, "args", "model"),
    )  # fmt: skip
    return {"model": model if isinstance(model, str) else None, "clock": "client"}


def _row(request: Part) -> Row:
    timings = first(
        at(request, "info", "timings"), at(request, "scheduler_info", "request_timings")
    )
    times = {**request, **(timings or {})}

    def moment(*names: str) -> float:
        return number(first(*(times.get(name) for name in names)), names[0])

    start = moment("request_start", "start_time")
    token_1 = moment("first_token_iteration", "first_token_time", "first_iteration")
    token_n = moment("last_token_iteration", "last_token_time", "last_iteration")
    osl = tokens(request.get("output_tokens"), "output_tokens")
    isl = tokens(request.get("prompt_tokens"), "prompt_tokens")
    told = number(request.get("request_latency"), "request_latency")
    end = told if told == told else moment("request_end", "end_time") - start
    ttft = token_1 - start
    if math.isnan(ttft):
        ttft = number(request.get("time_to_first_token_ms"), "time_to_first_token_ms") / 1e3
    ttft = ttft if ttft > 0 else math.nan
    cached = number(request.get("cached_tokens"), "cached_tokens")
    targeted = moment("targeted_start")
    return request_row(
        ttft=ttft, end=end, isl=isl, osl=osl,
        tpot=_tpot(request, ttft, token_1, token_n, osl), timestamp=start,
        cached_tokens=cached_part(isl, cached) if cached == cached else math.nan,
        client_queue_ms=max(start - targeted, 0.0) * 1e3 if targeted == targeted else math.nan,
        chunks=times.get("token_iterations") or None, request_id=request.get("request_id"),
    )  # fmt: skip


def _tpot(request: Part, ttft: float, token_1: float, token_n: float, osl: float) -> float:
    """Mean time per token after the first, s: from the timings, else from what the tool prints."""
    if token_n > token_1:
        return tpot_s(token_1, token_n, osl)
    after_first = number(request.get("inter_token_latency_ms"), "inter_token_latency_ms")
    if after_first > 0 or osl < 2:
        return after_first / 1e3 if after_first > 0 else math.nan
    with_first = number(request.get("time_per_output_token_ms"), "time_per_output_token_ms")
    return tpot_s(ttft, with_first / 1e3 * osl, osl)


def _of_all(benchmark: Part, *names: str) -> Part:
    """Statistics of the successful requests of the first metric that is there."""
    found = (at(benchmark, "metrics", name, "successful") for name in names)
    return next((block for block in found if isinstance(block, Mapping)), {})


def _means(benchmark: Part) -> Row:
    row: Row = {"phase": "request", "statistic": "mean"}
    for column, name, factor in files.METRICS:
        block = _of_all(benchmark, name)
        row[column] = mean_of(block, name) * factor
        row |= statistic_columns(
            {**block, **(block.get("percentiles") or {}), "stddev": block.get("std_dev")},
            column, factor,
        )  # fmt: skip
    row["n_requests"] = number(_of_all(benchmark, "request_latency").get("count"), "count")
    for column, names in files.LENGTHS.items():
        row[column] = tokens(_finite(mean_of(_of_all(benchmark, *names), column)), column)
    return row


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
