"""Text Generation Inference: its log, text or JSON, and the headers of its responses.

    E2E = total_time        osl = inference_time / time_per_token        wait = queue_time

All times are the server's. ``time_per_token`` is inference time / tokens and so holds the prompt:
it is no TPOT, and no line tells when the first token came. The log tells no prompt length either;
the headers (``x-prompt-tokens``, whole milliseconds) do.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from lengthwise.data.formats.base import Document, Parsed
from lengthwise.data.formats.fields import (
    Row,
    number,
    parsed,
    request_row,
    tokens,
    unix_seconds,
)
from lengthwise.data.formats.request_records import EMPTY, FAILED, Record, add_load
from lengthwise.units import ms_to_s, s_to_ms

NAME = "tgi"
TITLE = "Text Generation Inference (log, headers)"

_WORDS = ("total_time", "validation_time", "queue_time", "inference_time", "time_per_token")
_PAIR = re.compile(rf'\b({"|".join(_WORDS)})="?([^"\s}}]+)"?')
_PART = re.compile(r"([\d.]+)(ns|µs|us|ms|s|m|h)")
_UNIT_S = {"ns": 1e-9, "µs": 1e-6, "us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_STAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)?")
_HEADERS = {"x-total-time", "x-inference-time", "x-time-per-token"}
_NOTES = (
    "time_per_token holds the prompt and is not read as tpot_ms; when the first token came is not "
    "told, so that rows have e2e_ms only",
    "osl is inference_time / time_per_token where the tokens are not told",
)


def matches(document: Document) -> bool:
    """Whether lines or objects hold the times TGI logs, or the headers it sends."""
    if document.objects:
        return any(_headers(found) or _span(found) for found in document.objects[:50])
    data = document.data
    return all(f'{word}="'.encode() in data for word in ("total_time", "time_per_token"))


def read(document: Document) -> Parsed:
    """Read one row per answered request."""
    dropped: Counter[str] = Counter()
    rows: list[Row] = []
    for said in _records(document):
        osl = said["osl"]
        if said.get("failed"):
            dropped[FAILED] += 1
        elif not osl >= 1:
            dropped[EMPTY] += 1
        else:
            rows.append(_row(said, osl))
    ends = [row.pop("_end") for row in rows]
    starts = [end - ms_to_s(row["e2e_ms"]) for end, row in zip(ends, rows, strict=True)]
    notes = [*_NOTES, *add_load(rows, starts, ends)] if rows else []
    return parsed(rows, dropped=dropped, assumptions=notes)


def _records(document: Document) -> Iterator[dict[str, Any]]:
    """Yield what is said of each request, times in seconds."""
    if not document.objects:
        for line in document.text.splitlines():
            said = {name: seconds(text) for name, text in _PAIR.findall(line)}
            stamp = _STAMP.search(line)
            if "total_time" in said:
                yield _whole(said, {}) | {"end": unix_seconds(stamp[0]) if stamp else math.nan,
                                          "failed": " ERROR " in line}  # fmt: skip
        return
    for record in document.objects:
        headers, span = _headers(record), _span(record)
        if headers:
            said = {w: ms_to_s(number(headers.get(f"x-{w.replace('_', '-')}"), w)) for w in _WORDS}
            yield _whole(said, headers)
        elif span:
            said = {w: seconds(str(span[w])) for w in _WORDS if w in span}
            failed = str(record.get("level", "")).upper() == "ERROR"
            yield _whole(said, {}) | {"end": unix_seconds(record.get("timestamp")),
                                      "failed": failed}  # fmt: skip


def _whole(said: Mapping[str, float], headers: Mapping[str, Any]) -> dict[str, Any]:
    each, spent = said.get("time_per_token", 0.0), said.get("inference_time", 0.0)
    told = tokens(headers.get("x-generated-tokens"), "x-generated-tokens")
    guess = float(round(spent / each)) if each > 0 and not headers else math.nan
    return {
        **said, "osl": guess if math.isnan(told) else told, "model": headers.get("x-model-id"),
        "isl": tokens(headers.get("x-prompt-tokens"), "x-prompt-tokens"),
        "hardware": headers.get("x-compute-type"), "end": math.nan,
    }  # fmt: skip


def _row(said: Mapping[str, Any], osl: float) -> Row:
    row = request_row(
        ttft=math.nan, tpot=math.nan, end=said["total_time"], isl=said["isl"], osl=osl,
        queue_ms=s_to_ms(said.get("queue_time", math.nan)), engine="tgi", clock="server",
        timestamp=said["end"] - said["total_time"], model=said["model"], _end=said["end"],
    )  # fmt: skip
    return row | {"validation_ms": s_to_ms(said.get("validation_time", math.nan))}


def seconds(text: str) -> float:
    """Read a duration as Rust prints it, in seconds; NaN when it is none.

    >>> seconds("4.065s"), seconds("250µs"), seconds("1m2s")
    (4.065, 0.00025, 62.0)
    """
    parts = _PART.findall(text)
    if not parts or "".join(value + unit for value, unit in parts) != text:
        return math.nan
    return sum(float(value) * _UNIT_S[unit] for value, unit in parts)


def _headers(record: Record) -> Mapping[str, Any]:
    for found in (record, record.get("headers"), record.get("response_headers")):
        if isinstance(found, Mapping):
            lower = {str(name).lower(): value for name, value in found.items()}
            if set(lower) >= _HEADERS:
                return lower
    return {}


def _span(record: Record) -> Mapping[str, Any]:
    """Return the span of a JSON log line in which the times stand."""
    spans = record.get("spans")
    inner = spans[-1] if isinstance(spans, list) and spans else None
    for found in (record.get("span"), inner, record.get("fields"), record):
        if isinstance(found, Mapping) and {"total_time", "time_per_token"} <= set(found):
            return found
    return {}
