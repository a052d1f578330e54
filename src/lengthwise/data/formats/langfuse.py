"""Langfuse: exported observations (JSON, JSON lines, CSV), of which generations are requests.

    TTFT = completionStartTime - startTime        E2E = endTime - startTime

Names are in camel case (API, interface) or in snake case (blob storage); times are the traced
application's. Tokens are those it reported: ``usageDetails``, ``usage``, or ``promptTokens``.
"""

from __future__ import annotations

import math
from collections import Counter

from lengthwise.data.formats.base import Document, Parsed
from lengthwise.data.formats.fields import (
    Row,
    cached_part,
    first,
    number,
    parsed,
    request_row,
    tokens,
)
from lengthwise.data.formats.request_records import (
    EMPTY,
    FAILED,
    Record,
    add_load,
    disagreement,
    either,
    moment,
    nested,
    records,
    sample,
)
from lengthwise.data.report import Flag
from lengthwise.units import ms_to_s

NAME = "langfuse"
TITLE = "Langfuse observations"

_INSIDE = ("data", "observations")
_USAGE = ("usageDetails", "usage_details", "usage")
_INPUT = ("input", "input_tokens", "prompt_tokens", "promptTokens")
_OUTPUT = ("output", "output_tokens", "completion_tokens", "completionTokens")
_CACHED = ("input_cached_tokens", "input_cache_read", "cache_read_input_tokens")
_KINDS = {"GENERATION", "SPAN", "EVENT", "AGENT", "TOOL", "CHAIN", "RETRIEVER", "EMBEDDING"}
_NOTE = "isl and osl are the tokens the application reported; times are the application's"


def matches(document: Document) -> bool:
    """Whether records are observations of a trace."""
    return any(_is_observation(record) for record in sample(document, _INSIDE)[:5])


def read(document: Document) -> Parsed:
    """Read one row per generation that gave tokens."""
    dropped: Counter[str] = Counter()
    rows: list[Row] = []
    told: list[float] = []
    spans: list[tuple[float, float]] = []
    for record in records(document, _INSIDE):
        start = moment(either(record, "startTime", "start_time"), "startTime")
        end = moment(either(record, "endTime", "end_time"), "endTime")
        reason = _unusable(record) if math.isfinite(end - start) else "observation without an end"
        if reason in ("", FAILED, EMPTY):
            spans.append((start, end))
        if reason:
            dropped[reason] += 1
            continue
        rows.append(_row(record, start, end))
        told.append(number(record.get("latency"), "latency"))
    mine = [row["timestamp"] for row in rows], [row.pop("_end") for row in rows]
    load = add_load(rows, *mine, ([s for s, _ in spans], [e for _, e in spans]))
    notes = [_NOTE, *load] if rows else []
    return parsed(rows, dropped=dropped, assumptions=notes, flags=_printed(rows, told))


def _is_observation(record: Record) -> bool:
    traced = {"traceId", "trace_id"} & set(record) and {"startTime", "start_time"} & set(record)
    return bool(traced) and str(record.get("type", "")).upper() in _KINDS


def _unusable(record: Record) -> str:
    kind = str(record.get("type", "")).upper()
    if kind != "GENERATION":
        return f"observation that is no generation: {kind.lower()[:40]}"
    if str(record.get("level", "")).upper() == "ERROR":
        return FAILED
    return "" if _count(record, _OUTPUT) >= 1 else EMPTY


def _count(record: Record, names: tuple[str, ...]) -> float:
    for key in _USAGE:
        told = either(nested(record.get(key)), *names)
        if told is not None:
            return tokens(told, names[0])
    return tokens(either(record, *names[1:]), names[0])


def _row(record: Record, start: float, end: float) -> Row:
    began = moment(either(record, "completionStartTime", "completion_start_time"), "start of it")
    isl, osl = _count(record, _INPUT), _count(record, _OUTPUT)
    cached = _count(record, _CACHED)
    if math.isfinite(cached):  # Langfuse keeps cached tokens beside the others
        isl += cached
    streamed = start < began < end or (began == end and osl == 1)
    return request_row(
        ttft=began - start if streamed else math.nan, end=end - start, isl=isl, osl=osl,
        cached_tokens=cached_part(isl, cached), clock="client", timestamp=start, _end=end,
        model=first(*(record.get(n) for n in ("model", "provided_model_name",
                                              "providedModelName", "model_id"))),
    )  # fmt: skip


def _printed(rows: list[Row], told: list[float]) -> list[Flag]:
    """Check E2E against ``latency``, which is in seconds, or in ms in some exports."""
    e2e = [ms_to_s(row["e2e_ms"]) for row in rows]
    in_s = [t / 1e3 if abs(t / 1e3 - e) < abs(t - e) else t for t, e in zip(told, e2e, strict=True)]
    return disagreement(rows, in_s, e2e, "latency")
