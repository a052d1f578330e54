"""LiteLLM: spend logs of the proxy (JSON, JSON lines, CSV of the table) and its logging payloads.

    TTFT = completionStartTime - startTime        E2E = endTime - startTime

Times are the proxy's, a client of the model. Where an answer was not streamed, LiteLLM writes the
end for the start of the completion: such requests have E2E only. Answers from LiteLLM's own cache
never reached the model and are left out.
"""

from __future__ import annotations

import math
from collections import Counter

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
)
from lengthwise.data.formats.request_records import (
    EMPTY,
    FAILED,
    Record,
    add_load,
    either,
    moment,
    nested,
    records,
    sample,
)

NAME = "litellm"
TITLE = "LiteLLM spend logs"

_INSIDE = ("data", "logs", "spend_logs")
_MARKS = {"startTime", "endTime", "prompt_tokens", "completion_tokens"}
_OWN = {"spend", "call_type", "litellm_call_id", "response_cost", "api_base"}
_CALLS = ("completion", "text_completion", "generate_content", "anthropic_messages", "responses")
_WHOLE = "requests whose completion starts when it ends were not streamed: no ttft_ms, no tpot_ms"


def matches(document: Document) -> bool:
    """Whether records are of the table of spend logs, or logging payloads."""
    return any(_is_log(record) for record in sample(document, _INSIDE)[:5])


def read(document: Document) -> Parsed:
    """Read one row per call that a model answered."""
    dropped: Counter[str] = Counter()
    rows: list[Row] = []
    spans: list[tuple[float, float]] = []
    for record in records(document, _INSIDE):
        start, end = moment(record.get("startTime"), "start"), moment(record.get("endTime"), "end")
        reason = _unusable(record) if math.isfinite(end - start) else "call without its times"
        if reason in ("", FAILED, EMPTY):
            spans.append((start, end))
        if reason:
            dropped[reason] += 1
        else:
            rows.append(_row(record, start, end))
    mine = [row["timestamp"] for row in rows], [row.pop("_end") for row in rows]
    notes = add_load(rows, *mine, ([s for s, _ in spans], [e for _, e in spans]))
    if any(math.isnan(row["ttft_ms"]) for row in rows):
        notes.append(_WHOLE)
    return parsed(rows, dropped=dropped, assumptions=notes)


def _is_log(record: Record) -> bool:
    return set(record) >= _MARKS and bool(set(record) & _OWN)


def _unusable(record: Record) -> str:
    call = str(record.get("call_type") or "completion").lower()
    told = nested(record.get("metadata"))
    status = str(first(record.get("status"), told.get("status"), "success")).lower()
    if not any(word in call for word in _CALLS):
        return f"call of another kind: {call[:40]}"
    if status != "success" or record.get("error_str"):
        return FAILED
    if str(record.get("cache_hit", "")).lower() == "true":
        return "answer from the cache of LiteLLM"
    return "" if tokens(record.get("completion_tokens"), "completion_tokens") >= 1 else EMPTY


def _row(record: Record, start: float, end: float) -> Row:
    began = moment(record.get("completionStartTime"), "completionStartTime")
    isl = tokens(record.get("prompt_tokens"), "prompt_tokens")
    osl = tokens(record.get("completion_tokens"), "completion_tokens")
    streamed = start < began < end or (began == end and osl == 1)
    usage = nested(nested(record.get("metadata")).get("usage_object"))
    cached = number(at(usage, "prompt_tokens_details", "cached_tokens"), "cached_tokens")
    return request_row(
        ttft=began - start if streamed else math.nan, end=end - start, isl=isl, osl=osl,
        cached_tokens=cached_part(isl, cached), model=record.get("model"),
        provider=either(record, "custom_llm_provider"), clock="client", timestamp=start, _end=end,
    )  # fmt: skip
