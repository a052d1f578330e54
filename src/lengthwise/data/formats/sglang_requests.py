"""SGLang: what the server says of each request.

Three files hold it: the JSON lines of ``--export-metrics-to-file`` (and responses of
``/generate``), with the fields of ``meta_info``; the log of ``--log-requests``, text or JSON, whose
``Finish`` lines hold the same; and the ``Req Time Stats`` lines of
``--enable-request-time-stats-logging``. Times are the server's, in seconds:

    E2E = e2e_latency        TTFT = prefill_finished_ts - request_received_ts

Where the prefill's end is not told, TTFT of a streamed request follows from ``decode_throughput``,
which is completion_tokens / (end - first token). ``Req Time Stats`` give the wait and the E2E only.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from typing import Any

from lengthwise.data.formats.base import Document, Parsed
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
from lengthwise.data.formats.request_records import EMPTY, FAILED, Record, add_load, nested
from lengthwise.data.formats.sglang_request_log import finished, has_lines, time_stats
from lengthwise.units import s_to_ms

NAME = "sglang-requests"
TITLE = "SGLang (requests of the server)"

CLOCK_S = 1e-5
"""Rounding of unix times, s."""

_META = {"prompt_tokens", "completion_tokens", "e2e_latency"}
_NO_FIRST = "ttft_ms is left out where the server does not tell when the first token came"
_BY_RATE = "ttft_ms follows from decode_throughput where the end of the prefill is not told"


def matches(document: Document) -> bool:
    """Whether objects hold a meta_info of the server, or lines of its log do."""
    if document.objects:
        return any(_meta(found) is not None for found in document.objects[:50])
    return has_lines(document)


def read(document: Document) -> Parsed:
    """Read one row per request that was answered."""
    dropped: Counter[str] = Counter()
    rows: list[Row] = []
    stats = {}
    if document.objects:
        found = [(record, _meta(record)) for record in document.objects]
    else:
        stats = {row["rid"]: row for row in time_stats(document.text, dropped)}
        found = [(record, _meta(record)) for record in finished(document.text)]
    for record, meta in found:
        reason = _unusable(meta)
        if reason or meta is None:
            dropped[reason] += 1
            continue
        row = _row(record, meta)
        waited = stats.pop(row["rid"], {})
        rows.append({**row, "queue_ms": first(row["queue_ms"], waited.get("queue_ms"))})
    rows += stats.values()
    return _parsed(rows, dropped)


def _parsed(rows: list[Row], dropped: Counter[str]) -> Parsed:
    notes = []
    if rows:
        starts = [row.get("timestamp", math.nan) for row in rows]
        ends = [s + row["e2e_ms"] * 1e-3 for s, row in zip(starts, rows, strict=True)]
        notes += add_load(rows, starts, ends)
        if any(row.pop("_by_rate", False) for row in rows):
            notes.append(_BY_RATE)
        if any(math.isnan(row["ttft_ms"]) for row in rows):
            notes.append(_NO_FIRST)
    kept = [{k: v for k, v in row.items() if k not in ("rid", "_by_rate")} for row in rows]
    return parsed(kept, dropped=dropped, assumptions=notes)


def _meta(record: Record) -> Mapping[str, Any] | None:
    for found in (record.get("meta_info"), at(record, "out", "meta_info"), record):
        if isinstance(found, Mapping) and set(found) >= _META:
            return found
    return None


def _unusable(meta: Mapping[str, Any] | None) -> str:
    if meta is None:
        return "record without meta_info"
    reason = meta.get("finish_reason")
    kind = at(reason, "type") if isinstance(reason, Mapping) else reason
    if kind == "abort":
        return f"{FAILED}: abort"
    return "" if tokens(meta["completion_tokens"], "completion_tokens") >= 1 else EMPTY


def _row(record: Record, meta: Mapping[str, Any]) -> Row:
    end = number(meta["e2e_latency"], "e2e_latency")
    osl = tokens(meta["completion_tokens"], "completion_tokens")
    isl = tokens(meta["prompt_tokens"], "prompt_tokens")
    received = number(meta.get("request_received_ts"), "request_received_ts")
    ttft, by_rate = _ttft(record, meta, end, osl, received)
    last = number(meta.get("decode_finished_ts"), "decode_finished_ts") - received
    last = last if ttft <= last <= end else end
    return request_row(
        ttft=ttft, end=end, tpot=tpot_s(ttft, last, osl), isl=isl, osl=osl,
        cached_tokens=cached_part(isl, number(meta.get("cached_tokens"), "cached_tokens")),
        queue_ms=_waited(meta), engine="sglang", clock="server", timestamp=received,
        retractions=first(meta.get("num_retractions"), meta.get("total_retractions")),
        spec_acceptance_length=meta.get("spec_accept_length"),
        rid=str(first(meta.get("id"), record.get("rid"), "")), _by_rate=by_rate,
    )  # fmt: skip


def _waited(meta: Mapping[str, Any]) -> float | None:
    waited = s_to_ms(number(meta.get("queue_time"), "queue_time"))
    return None if math.isnan(waited) else float(waited)


def _ttft(
    record: Record, meta: Mapping[str, Any], end: float, osl: float, received: float
) -> tuple[float, bool]:
    """Return the time to first token, s, and whether it was derived from a rate."""
    told = first(meta.get("prefill_finished_ts"), meta.get("prefill_finished_time"))
    done = number(told, "prefill_finished_ts") - received
    if 0 < done <= end + CLOCK_S:
        return min(done, end), False
    streamed = first(
        nested(record.get("request_parameters")).get("stream"), at(record, "obj", "stream"),
        record.get("stream"),
    )  # fmt: skip
    rate = number(meta.get("decode_throughput"), "decode_throughput")
    if streamed is True and osl == 1:
        return end, False
    if streamed is True and rate > 0 and end - osl / rate > 0:
        return end - osl / rate, True
    return math.nan, False
