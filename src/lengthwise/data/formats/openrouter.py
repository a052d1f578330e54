"""OpenRouter: statistics of generations (``/api/v1/generation``), one or a list, in ms.

``latency`` runs to the provider's first byte and ``generation_time`` to the last, both from the
same start: an answer that was streamed has TTFT = latency and E2E = generation_time. Where the
latency is the longer of the two, they do not follow one another, and the longer one is the E2E. An
answer that was not streamed has E2E only. Tokens are the provider's (``native_tokens_*``).
"""

from __future__ import annotations

import math
from collections import Counter

from lengthwise.data.formats.base import Document, Parsed
from lengthwise.data.formats.fields import (
    Row,
    cached_part,
    number,
    parsed,
    request_row,
    tokens,
    unix_seconds,
)
from lengthwise.data.formats.request_records import (
    EMPTY,
    FAILED,
    Record,
    add_no_load,
    records,
    sample,
)
from lengthwise.units import ms_to_s

NAME = "openrouter"
TITLE = "OpenRouter generation statistics"

_INSIDE = ("data",)
_MARKS = {"generation_time", "latency", "native_tokens_completion"}
_NOTE = (
    "ttft_ms is latency where the answer was streamed and generation_time is longer, else it is "
    "left out; e2e_ms is the longer of the two"
)


def matches(document: Document) -> bool:
    """Whether records have the two times and the provider's tokens."""
    return any(set(record) >= _MARKS for record in sample(document, _INSIDE)[:5])


def read(document: Document) -> Parsed:
    """Read one row per generation that was not cancelled."""
    dropped: Counter[str] = Counter()
    rows: list[Row] = []
    for record in records(document, _INSIDE):
        reason = _unusable(record)
        if reason:
            dropped[reason] += 1
        else:
            rows.append(_row(record))
    return parsed(rows, dropped=dropped, assumptions=[_NOTE, *add_no_load(rows)] if rows else [])


def _unusable(record: Record) -> str:
    if str(record.get("cancelled")).lower() == "true":
        return f"{FAILED}: cancelled"
    if record.get("finish_reason") == "error":
        return f"{FAILED}: error"
    if not number(record.get("generation_time"), "generation_time") > 0:
        return "generation without its time"
    return "" if _osl(record) >= 1 else EMPTY


def _osl(record: Record) -> float:
    return tokens(record.get("native_tokens_completion"), "native_tokens_completion")


def _row(record: Record) -> Row:
    began = ms_to_s(number(record.get("latency"), "latency"))
    ended = ms_to_s(number(record.get("generation_time"), "generation_time"))
    in_turn = began < ended or (began == ended and _osl(record) == 1)
    streamed = str(record.get("streamed")).lower() == "true" and in_turn
    isl = tokens(record.get("native_tokens_prompt"), "native_tokens_prompt")
    cached = number(record.get("native_tokens_cached"), "native_tokens_cached")
    return request_row(
        ttft=began if streamed else math.nan, end=max(began, ended) if began > 0 else ended,
        isl=isl, osl=_osl(record), cached_tokens=cached_part(isl, cached),
        model=record.get("model"), provider=record.get("provider_name"), clock="client",
        reasoning_tokens=tokens(record.get("native_tokens_reasoning"), "native_tokens_reasoning"),
        timestamp=unix_seconds(record.get("created_at")),
    )  # fmt: skip
