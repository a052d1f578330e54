"""Logs of requests with points in time: arrival, queued, scheduled, first and last token.

    TTFT = first token - arrival    TPOT = (last - first token) / (osl - 1)    E2E = end - arrival

CSV, JSON lines or JSON under any of the usual names (``arrival_time``, ``queued_ts``,
``first_scheduled_time``, ``firstTokenAt``, ``finished_time``, ...), also inside an object such as
``metrics``; that is how vLLM's and TensorRT-LLM's request metrics are mostly written down. The
wait is apart: ``queue_ms`` runs from queued, or arrival, to scheduled. The unit comes from the
name, from the size of unix times, or from what a token can take, and is said.

Some engines write arrival by the wall clock and the rest by a monotonic one (vLLM 1): times of two
clocks are never subtracted, and the request then begins when it was queued.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence

import numpy as np

from lengthwise.data.formats import langfuse, litellm_spend, sglang_requests
from lengthwise.data.formats.base import Document, Parsed
from lengthwise.data.formats.fields import Row, number, parsed, request_row, tokens, tpot_s
from lengthwise.data.formats.request_log_names import Columns, columns_of, flattened
from lengthwise.data.formats.request_log_times import Clock, Moments, clock_of, moments
from lengthwise.data.formats.request_records import (
    EMPTY,
    FAILED,
    Record,
    add_load,
    disagreement,
    records,
    sample,
)
from lengthwise.data.report import Flag
from lengthwise.errors import FileFormatError
from lengthwise.units import counted, s_to_ms

_NARROWER = (litellm_spend, langfuse, sglang_requests)
"""Formats of a tool whose records are logs of requests too."""

NAME = "request-log"
TITLE = "logs of requests (arrival, first token, last token)"

_INSIDE = ("requests", "data", "results")
_BAD = re.compile(
    r"abort|error|fail|cancel|timeout|timed.?out|reject|exception|invalid|disconnect|ignored|drop"
    r"|oom|^[45]\d\d(?:\.0)?$"
)
_OPEN = re.compile(r"^(?:running|waiting|pending|queued|in.?progress|scheduled|started|preempted)$")
_NO = {"0", "0.0", "false", "no", "n", "f"}


def matches(document: Document) -> bool:
    """Whether records have the points in time at which a request began, answered and ended."""
    if any(other.matches(document) for other in _NARROWER):
        return False
    some = sample(document, _INSIDE)
    return bool(some) and columns_of([flattened(record) for record in some]).is_log


def read(document: Document) -> Parsed:
    """Read one row per answered request."""
    found = [flattened(record) for record in records(document, _INSIDE)]
    columns = columns_of(found)
    clock = clock_of(found, columns)
    dropped: Counter[str] = Counter()
    rows: list[Row] = []
    kept: list[Record] = []
    spans: list[tuple[float, float]] = []
    for record in found:
        at = moments(record, columns, clock)
        spans.append((at.start, at.end))
        reason = _unusable(record, columns, at)
        if reason:
            dropped[reason] += 1
        else:
            rows.append(_row(record, columns, at))
            kept.append(record)
    _check_order(dropped, len(found), document)
    starts, ends = [row.pop("_start") for row in rows], [row.pop("_end") for row in rows]
    whole = [span for span in spans if all(map(math.isfinite, span))]
    load = add_load(rows, starts, ends, ([s for s, _ in whole], [e for _, e in whole]))
    notes = [note for note in (clock.said, *load, columns.said) if note and rows]
    flags = [*_unit_flags(clock, rows), *_printed_flags(kept, rows, columns)]
    return parsed(rows, dropped=dropped, assumptions=notes, flags=flags)


_ORDER = "times out of order"


def _unusable(record: Record, columns: Columns, at: Moments) -> str:
    reason = _outcome(record, columns)
    if reason:
        return reason
    if not math.isfinite(at.end - at.start):
        return "request without its times"
    if not at.start <= at.end or (math.isfinite(at.first) and not at.start <= at.first <= at.last):
        return _ORDER
    if columns.osl and not tokens(record.get(columns.osl), columns.osl) >= 1:
        return EMPTY
    return "" if math.isfinite(at.first) else "no first token"


def _outcome(record: Record, columns: Columns) -> str:
    """Return why a record is no answered request by what it says of its outcome, else nothing."""
    if (record.get(columns.error) if columns.error else None) not in (None, "", False, "None"):
        return FAILED
    for name in columns.outcomes:
        said = record.get(name)
        status = "" if said is None else str(said).strip().lower()
        if _BAD.search(status) or (name.lower().startswith("succe") and status in _NO):
            return f"{FAILED}: {status[:40]}"
        if _OPEN.search(status):
            return "request that was not finished"
    return ""


def _row(record: Record, columns: Columns, at: Moments) -> Row:
    def count(name: str) -> float:
        return tokens(record.get(name), name) if name else math.nan

    osl = count(columns.osl)
    streamed = at.first < at.last or osl == 1
    first = at.first - at.start
    row = request_row(
        ttft=first if streamed else math.nan, end=at.end - at.start, isl=count(columns.isl),
        tpot=tpot_s(first, at.last - at.start, osl) if streamed else math.nan, osl=osl,
        cached_tokens=count(columns.cached), queue_ms=s_to_ms(at.waited), clock="server",
        _start=at.start, _end=at.end,
    )  # fmt: skip
    if at.unix:
        row["timestamp"] = at.start
    labels = {target: record.get(name) for target, name in columns.labels.items()}
    return {**row, **labels, **{name: record.get(name) for name in columns.kept}}


def _check_order(dropped: Counter[str], n: int, document: Document) -> None:
    """Refuse a file in most of whose records the first token came before the arrival."""
    if dropped[_ORDER] > n / 2:
        raise FileFormatError(
            "arrival, first token and end must be points in time, one after the other",
            got=f"{document.path}, where they are not in {dropped[_ORDER]:,} of {n:,} records",
            remedy="if some are durations: --format table with --map ttft_ms=... --map e2e_ms=...",
        )


def _printed_flags(kept: Sequence[Record], rows: Sequence[Row], columns: Columns) -> list[Flag]:
    """Check times the log has computed itself, in whichever unit, against those of the rows."""
    flags: list[Flag] = []
    for target, name in columns.printed.items():
        computed = [row[target] for row in rows]
        told = [number(record.get(name), name) for record in kept]
        ratios = [c / t for c, t in zip(computed, told, strict=True) if t > 0 and c > 0]
        scale = 10 ** (3 * round(math.log10(float(np.median(ratios))) / 3)) if ratios else 1.0
        flags += disagreement(rows, [scale * t for t in told], computed, f"{target} in {name}")
    return flags


def _unit_flags(clock: Clock, rows: Sequence[Row]) -> list[Flag]:
    if not clock.guessed or not rows:
        return []
    seen = (
        f"neither names nor sizes tell the unit of the times: read as {clock.unit}, the only one "
        f"with a plausible time per token, in {counted(len(rows), 'row')}"
    )
    remedy = f"put the unit in the names of the columns, such as arrival_{clock.unit}"
    return [Flag.of("unit of times guessed", "warning", range(len(rows)), seen, remedy)]
