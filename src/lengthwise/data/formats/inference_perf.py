"""inference-perf: one record per request, or statistics per stage and over all stages.

The tool spreads a chunk over the tokens it believes the chunk holds (``output_token_times``), so a
tokenizer that splits differently from the server's makes gaps of zero and halves its per-token
times. Hence only ``chunk_times`` and the server's counts are used:

    TTFT = first chunk with text - start_time     TPOT = (last - first chunk) / (osl - 1)
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np

from lengthwise.data.formats.base import Document, Parsed
from lengthwise.data.formats.failures import failed_because, is_error_message
from lengthwise.data.formats.fields import (
    Row,
    at,
    cached_part,
    damaged,
    first,
    mismatch_flags,
    number,
    numbers,
    parsed,
    request_row,
    tokens,
    tpot_s,
)
from lengthwise.data.formats.inference_perf_summary import is_summary, read_summary
from lengthwise.data.formats.loads import fill_load
from lengthwise.data.parsing import json_inside
from lengthwise.units import FloatArray

NAME = "inference-perf"
TITLE = "inference-perf"


def matches(document: Document) -> bool:
    """Whether this is a per-request, stage or summary file of inference-perf."""
    data = document.json
    if isinstance(data, list):
        return bool(data) and isinstance(data[0], Mapping) and _is_request(data[0])
    return is_summary(data)


def read(document: Document) -> Parsed:
    """Read one row per request, or the means of a stage as one row."""
    if not isinstance(document.json, list):
        return read_summary(document.json)
    records = [_checked(record) for record in document.json]
    rows: list[Row] = []
    dropped: Counter[str] = Counter()
    notes: list[str] = []
    for record in records:
        reason = _failure(record)
        if reason:
            dropped[reason] += 1
        else:
            rows.append(_row(record, notes))
    begin, end = ([number(r[name], name) for r in records] for name in ("start_time", "end_time"))
    mine = [(row.pop("_start"), row.pop("_end")) for row in rows]
    spans = ([m[0] for m in mine], [m[1] for m in mine])
    notes = [*fill_load(rows, spans=spans, among=(begin, end)), *notes]
    flags = mismatch_flags(
        rows, ("osl", "osl_client", "output tokens"),
        ("isl", "isl_client", "prompt tokens"),
    )  # fmt: skip
    return parsed(rows, dropped=dropped, assumptions=notes, flags=flags)


def _is_request(record: Mapping[str, Any]) -> bool:
    info = record.get("info")
    return {"start_time", "end_time"} <= set(record) and (
        "error" in record or "request" in record or isinstance(info, Mapping)
        or isinstance(record.get("response"), Mapping)
    ) and isinstance(info, (Mapping, type(None)))  # fmt: skip


def _checked(record: Any) -> Mapping[str, Any]:
    if not isinstance(record, Mapping) or not _is_request(record):
        raise damaged("each request needs start_time, end_time and info", repr(record)[:60])
    response = record.get("response")
    if not isinstance(response, Mapping) or "info" in record:
        return record
    info = response.get("info")  # the first versions
    counts = {"input_tokens": at(info, "prompt_len"), "output_tokens": at(info, "output_len")}
    return {**record, "info": counts if info else None, "error": response.get("error")}


def _failure(record: Mapping[str, Any]) -> str | None:
    error = record.get("error")
    if error:
        return failed_because(error)
    if not record.get("info"):
        return "request without info"
    bodies = [record.get("response")]
    bodies += at(record, "info", "response_metrics", "response_chunks") or []
    if any(is_error_message(_parsed(body)) for body in bodies):
        return failed_because("error in the answer")
    if not _output_tokens(record["info"])[0] >= 1:
        return "no output token"
    return None


def _output_tokens(info: Mapping[str, Any]) -> tuple[float, float]:
    """Output tokens that count (the server's if it told) and those of the client."""
    usage = at(info, "response_metrics", "server_usage")
    told = first(at(usage, "completion_tokens"), at(usage, "output_tokens"))
    client = first(at(info, "response_metrics", "output_tokens"), info.get("output_tokens"))
    counted = tokens(client, "output_tokens")
    return (counted if told is None else tokens(told, "completion_tokens")), counted


def _row(record: Mapping[str, Any], notes: list[str]) -> Row:
    info = record["info"]
    usage = at(info, "response_metrics", "server_usage")
    start, end = number(record["start_time"], "start_time"), number(record["end_time"], "end_time")
    osl, osl_client = _output_tokens(info)
    told = first(at(usage, "prompt_tokens"), at(usage, "input_tokens"))
    isl_client = tokens(
        first(at(info, "request_metrics", "text", "input_tokens"), info.get("input_tokens")),
        "input_tokens",
    )
    isl = isl_client if told is None else tokens(told, "prompt_tokens")
    if at(usage, "completion_tokens") is None and at(usage, "output_tokens") is None:
        notes.append("where the server told no output tokens, the client's count is used")
    cached = number(at(usage, "prompt_tokens_details", "cached_tokens"), "cached_tokens")
    arrivals = _arrivals(info, notes)
    ttft, tpot = math.nan, math.nan
    if len(arrivals) > 1 or (len(arrivals) == 1 and osl == 1):
        ttft = float(arrivals[0]) - start
        tpot = tpot_s(float(arrivals[0]), float(arrivals[-1]), osl)
    else:
        notes.append("requests that were not streamed have no ttft_ms and tpot_ms")
    return request_row(
        ttft=ttft, tpot=tpot, end=end - start, isl=isl, osl=osl,
        cached_tokens=cached_part(isl, cached), osl_client=osl_client,
        isl_client=isl_client, model=_model(record), clock="client",
        chunks=len(arrivals) or None, _start=start, _end=end,
    )  # fmt: skip


def _arrivals(info: Mapping[str, Any], notes: list[str]) -> FloatArray:
    """Give the times at which chunks with text came, s, shape (chunks,)."""
    response = info.get("response_metrics")
    times = numbers(at(response, "chunk_times"), "chunk_times")
    if len(times):
        chunks = at(response, "response_chunks")
        if isinstance(chunks, list) and len(chunks) == len(times):
            text = np.array([_has_text(chunk) for chunk in chunks], dtype=bool)
            return times[text] if text.any() else times
        notes.append("the first and last chunk are taken for the first and last token")
        return times
    spread = first(at(response, "output_token_times"), info.get("output_token_times"))
    if spread:
        notes.append("without chunk_times, distinct output_token_times are taken for chunks")
    return np.unique(numbers(spread, "output_token_times"))


def _parsed(body: Any) -> Any:
    """JSON of a body or of an event of a stream; None when it is none."""
    return json_inside(body.removeprefix("data:")) if isinstance(body, str) else body


def _has_text(chunk: Any) -> bool:
    data = _parsed(chunk)
    choices = at(data, "choices")
    choice = choices[0] if isinstance(choices, list) and choices else data
    return bool(
        first(at(choice, "text"), at(choice, "delta", "content"), at(choice, "delta", "text"))
    )


def _model(record: Mapping[str, Any]) -> str | None:
    request = record.get("request")
    request = json_inside(request) if isinstance(request, str) else None
    model = at(request, "model")
    return str(model) if model else None
