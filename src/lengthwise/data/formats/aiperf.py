"""AIPerf: ``profile_export.jsonl`` has requests, ``profile_export_aiperf.json`` a summary.

Times carry their unit and are read by it; ``metadata`` has unix nanoseconds. Unless it is asked
for --use-server-token-count, AIPerf counts output with a tokenizer of its own, and its
inter_token_latency divides by that count. Both counts are kept (``osl`` of the server,
``osl_client``), and TPOT is computed from the server's. Lines whose phase is not ``profiling`` are
warm-up; ``error`` may be absent instead of null.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from typing import Any

from lengthwise.data.formats.base import Document, Parsed
from lengthwise.data.formats.failures import failed_because
from lengthwise.data.formats.fields import (
    Row,
    at,
    cached_part,
    first,
    mismatch_flags,
    number,
    numbers,
    parsed,
    request_row,
    tokens,
)
from lengthwise.data.formats.loads import fill_load, fill_means
from lengthwise.data.formats.metric_blocks import TIMES, ms_per_unit, requests_per_s, summary_row
from lengthwise.data.formats.serving_runs import gap_columns
from lengthwise.data.report import Flag
from lengthwise.units import counted, ms_to_s

NAME = "aiperf"
TITLE = "AIPerf"

NS_PER_S = 1e9

_COUNTS = ("output_sequence_length", "usage_completion_tokens")
_OWN = {"was_cancelled", "error_summary"}

Line = Mapping[str, Any]


def matches(document: Document) -> bool:
    """Whether the content is a line of a request or a summary."""
    found = document.objects[0] if document.objects else {}
    return _is_line(found) or _is_summary(found)


def read(document: Document) -> Parsed:
    """One row per request that was profiled and succeeded, or one of means for a summary."""
    if _is_summary(document.objects[0]):
        return _summaries(document.objects)
    dropped: Counter[str] = Counter()
    rows, spans = [], []
    for line in document.objects:
        reason = _reason_to_drop(line)
        spans.append(_span(line))
        if reason:
            dropped[reason] += 1
        else:
            rows.append({**_row(line), "_span": spans[-1]})
    notes = _add_load(rows, spans)
    for row in rows:
        row.pop("_span")
    pairs = ("osl", "osl_client", "output tokens"), ("isl", "isl_client", "prompt tokens")
    return parsed(
        rows, dropped=dropped, assumptions=notes, flags=mismatch_flags(rows, *pairs)
    )  # fmt: skip


def _is_line(found: Line) -> bool:
    return at(found, "metadata", "request_start_ns") is not None and "metrics" in found


def _is_summary(found: Line) -> bool:
    """Say whether this sums requests up; its export of server metrics has a version too.

    Before it wrote its version it wrote genai-perf's blocks with keys of its own beside them, and
    at first all blocks inside ``records``.
    """
    blocks = _blocks(found)
    if not any(name in blocks for name in TIMES.values()):
        return "aiperf_version" in found and bool(_errors(found))
    return "aiperf_version" in found or blocks is not found or bool(_OWN & set(found))


def _blocks(found: Line) -> Line:
    records = found.get("records")
    return records if isinstance(records, Mapping) else found


def _reason_to_drop(line: Line) -> str | None:
    phase = at(line, "metadata", "benchmark_phase")
    if not _is_line(line):
        return "line without a request"
    if phase not in (None, "profiling"):
        return f"{phase} request"
    if line.get("error"):
        return failed_because(line["error"])
    if at(line, "metadata", "was_cancelled"):
        return "cancelled request"
    counts = [at(line, "metrics", name, "value") for name in _COUNTS]
    told = [number(count, "output tokens") for count in counts if count is not None]
    return failed_because("empty answer") if told and not any(told) else None


def _span(line: Line) -> tuple[float, float]:
    start, end = (
        number(at(line, "metadata", f"request_{edge}_ns"), f"request_{edge}_ns") / NS_PER_S
        for edge in ("start", "end")
    )
    return start, end


def _row(line: Line) -> Row:
    metrics = line["metrics"]
    isl_client, osl_client = (
        tokens(at(metrics, f"{what}_sequence_length", "value"), what)
        for what in ("input", "output")
    )
    isl_server, osl_server = (
        tokens(at(metrics, f"usage_{what}_tokens", "value"), what)
        for what in ("prompt", "completion")
    )
    isl, osl = (s if s == s else c for s, c in ((isl_server, isl_client), (osl_server, osl_client)))
    cached = number(at(metrics, "usage_prompt_cache_read_tokens", "value"), "cached tokens")
    gaps = numbers(at(metrics, "inter_chunk_latency", "value"), "inter_chunk_latency")
    unit = ms_per_unit(metrics["inter_chunk_latency"], "inter_chunk_latency") if len(gaps) else 1.0
    start, _ = _span(line)
    return request_row(
        ttft=_seconds(metrics, "time_to_first_token"), end=_seconds(metrics, "request_latency"),
        isl=isl, osl=osl, isl_client=isl_client, osl_client=osl_client, clock="client",
        cached_tokens=cached_part(isl, cached) if cached == cached else math.nan,
        timestamp=start, client_queue_ms=_client_queue_ms(line),
        chunks=len(gaps) + 1 if len(gaps) else None, request_id=_request_id(line),
        **gap_columns(ms_to_s(gaps * unit)),
    )  # fmt: skip


def _seconds(metrics: Line, name: str) -> float:
    block = metrics.get(name)
    if not isinstance(block, Mapping) or block.get("value") is None:
        return math.nan
    return float(ms_to_s(number(block["value"], name) * ms_per_unit(block, name)))


def _client_queue_ms(line: Line) -> float:
    issued = number(at(line, "metadata", "credit_issued_ns"), "credit_issued_ns")
    start = number(at(line, "metadata", "request_start_ns"), "request_start_ns")
    return max(start - issued, 0.0) / 1e6 if issued == issued else math.nan


def _request_id(line: Line) -> Any:
    return first(at(line, "metadata", "x_request_id"), at(line, "metadata", "session_num"))


def _add_load(rows: list[Row], spans: list[tuple[float, float]]) -> list[str]:
    """Say how many requests ran at once: the file does not, but it has every start and end."""
    known = [span for span in spans if span[1] >= span[0]]
    if not rows or not known:
        return []
    starts, ends = zip(*known, strict=True)
    own = [row["_span"] for row in rows]
    return fill_load(
        rows, spans=([s for s, _ in own], [e for _, e in own]), among=(starts, ends)
    )  # fmt: skip


def _summaries(objects: list[dict[str, Any]]) -> Parsed:
    rows: list[Row] = []
    flags: list[Flag] = []
    notes: list[str] = []
    dropped: Counter[str] = Counter()
    for found in objects:
        blocks, config = _blocks(found), found.get("input_config")
        row, seen = summary_row(blocks)
        if not any(column in row for column in TIMES):
            dropped += _errors(found)
            continue
        lost = sum(_errors(found).values())
        notes += [f"{counted(lost, 'request')} failed and are in no mean"] if lost else []
        rows.append({**row, "model": _model(config)})
        notes += fill_means(rows[-1], **_offer(config), requests_per_s=requests_per_s(blocks))
        flags += seen
    return parsed(rows, dropped=dropped, flags=flags, assumptions=notes)


def _errors(found: Line) -> Counter[str]:
    """Count requests that failed, by reason."""
    told = found.get("error_summary")
    errors: Counter[str] = Counter()
    for one in told if isinstance(told, list) else []:
        count = number(at(one, "count"), "error_summary.count")
        errors[failed_because(at(one, "error_details"))] += int(count) if count > 0 else 0
    return +errors


def _model(config: Any) -> str | None:
    """Read the model from any place where a version of the tool writes it."""
    models = first(
        at(config, "endpoint", "model_names"), at(config, "models", "items"), at(config, "models"),
        at(config, "endpoint", "models"),
    )  # fmt: skip
    model = models[0] if isinstance(models, list) and models else models
    name = first(at(model, "name"), model)
    return name if isinstance(name, str) else None


def _offer(config: Any) -> dict[str, Any]:
    """Read the load; where there is a rate, the concurrency is a limit."""
    phases = at(config, "phases")
    phase = phases[-1] if isinstance(phases, list) and phases else at(phases, "profiling")
    load = at(config, "loadgen")
    return {
        "concurrency": first(at(load, "concurrency"), at(phase, "concurrency")),
        "rate": first(at(load, "request_rate"), at(phase, "rate")),
    }
