"""perf_analyzer: ``profile_export.json``, the arrivals of every response of every request, in ns.

    TTFT = first response with text - timestamp        E2E = last response - timestamp

The tool counts no tokens. Lengths come from ``usage`` in the responses where the server told it;
without it a response may hold any number of tokens, so that a request has no ``osl`` and no
``tpot_ms``: ``chunks`` and the gaps between them are kept beside.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from lengthwise.data.formats.base import Document, Parsed
from lengthwise.data.formats.fields import (
    Row,
    at,
    damaged,
    first,
    number,
    numbers,
    parsed,
    request_row,
    tokens,
    tpot_s,
)
from lengthwise.data.formats.loads import fill_load
from lengthwise.data.formats.request_records import EMPTY, FAILED, Record, nested
from lengthwise.data.formats.serving_runs import gap_columns
from lengthwise.data.parsing import json_inside

NAME = "perf-analyzer"
TITLE = "perf_analyzer (profile_export.json)"

S_PER_NS = 1e-9
_NO_COUNTS = (
    "the server told no token counts (stream_options include_usage): no tpot_ms; chunks and "
    "itl_mean_ms are of responses, which may hold several tokens"
)


def matches(document: Document) -> bool:
    """Whether experiments hold requests with the arrivals of their responses."""
    return any(_is_export(found) for found in document.objects[:1])


def read(document: Document) -> Parsed:
    """Read one row per request that succeeded."""
    rows: list[Row] = []
    dropped: Counter[str] = Counter()
    notes: list[str] = []
    for found in document.objects:
        for experiment in found["experiments"]:
            notes += _read_experiment(experiment, rows, dropped)
    return parsed(rows, dropped=dropped, assumptions=notes)


def _is_export(found: Record) -> bool:
    experiments = found.get("experiments")
    some = experiments[0] if isinstance(experiments, list) and experiments else None
    requests = at(some, "requests")
    return isinstance(requests, list) and (
        not requests or {"timestamp", "response_timestamps"} <= set(requests[0] or ())
    )


def _read_experiment(
    experiment: Mapping[str, Any], rows: list[Row], dropped: Counter[str]
) -> list[str]:
    mine: list[Row] = []
    spans: list[tuple[float, float]] = []
    for request in experiment.get("requests") or ():
        if not isinstance(request, Mapping):
            raise damaged("each request must be an object", repr(request)[:60])
        start = S_PER_NS * number(request.get("timestamp"), "timestamp")
        arrivals = S_PER_NS * numbers(request.get("response_timestamps"), "response_timestamps")
        spans.append((start, float(arrivals[-1]) if len(arrivals) else math.nan))
        made = _row(request, start, arrivals - start)
        if isinstance(made, str):
            dropped[made] += 1
        else:
            mine.append({**made, "_start": start, "_end": spans[-1][1]})
    notes = _load(mine, spans, experiment.get("experiment"))
    rows += mine
    return notes + ([_NO_COUNTS] if any(math.isnan(row["osl"]) for row in mine) else [])


def _load(rows: list[Row], spans: Sequence[tuple[float, float]], settings: Any) -> list[str]:
    starts, ends = [row.pop("_start") for row in rows], [row.pop("_end") for row in rows]
    whole = [span for span in spans if math.isfinite(span[1])]
    told = number(at(settings, "value"), "value")
    value = told if told > 0 else None
    mode = str(at(settings, "mode"))
    return fill_load(
        rows, clients=value if mode == "concurrency" else None,
        rate=value if mode == "request_rate" else None, spans=(starts, ends),
        among=([start for start, _ in whole], [end for _, end in whole]),
    )  # fmt: skip


def _row(request: Record, start: float, arrivals: np.ndarray) -> Row | str:
    outputs = [_parts(output) for output in request.get("response_outputs") or ()]
    if any("error" in part or part.get("object") == "error" for out in outputs for part in out):
        return FAILED
    if not len(arrivals):
        return EMPTY
    texts = [any(_text(part) for part in out) for out in outputs]
    seen = np.array(texts, bool) if len(texts) == len(arrivals) else np.ones(len(arrivals), bool)
    if not seen.any():
        return EMPTY
    pieces = arrivals[seen]
    usage = [part["usage"] for out in outputs for part in out if nested(part.get("usage"))]
    told = usage[-1] if usage else {}
    isl = tokens(told.get("prompt_tokens"), "prompt_tokens")
    osl = tokens(told.get("completion_tokens"), "completion_tokens")
    streamed = len(pieces) > 1 or osl == 1
    payload = nested(at(request, "request_inputs", "payload"))
    return request_row(
        ttft=float(pieces[0]) if streamed else math.nan, end=float(arrivals[-1]), isl=isl, osl=osl,
        tpot=tpot_s(float(pieces[0]), float(pieces[-1]), osl) if streamed else math.nan,
        cached_tokens=number(at(told, "prompt_tokens_details", "cached_tokens"), "cached_tokens"),
        model=first(payload.get("model"), at(request, "request_inputs", "model")),
        chunks=len(pieces) if streamed else None, clock="client", timestamp=start,
        **gap_columns(np.diff(pieces)),
    )  # fmt: skip


def _parts(output: Any) -> list[Record]:
    """Return the JSON objects of one response: plain, or lines of server-sent events."""
    if not isinstance(output, Mapping):
        return []
    text = output.get("response")
    if not isinstance(text, str):
        return [output]
    found = []
    for line in text.splitlines():
        body = line.removeprefix("data:").strip()
        if body.startswith("{"):
            found.append(json_inside(body))
    return [part for part in found if isinstance(part, Mapping)]


def _text(part: Record) -> bool:
    choices = part.get("choices")
    choice = choices[0] if isinstance(choices, list) and choices else part
    return bool(first(
        at(choice, "text"), at(choice, "delta", "content"), at(choice, "message", "content"),
        at(choice, "delta", "reasoning_content"), at(choice, "delta", "reasoning"),
        part.get("text_output"), part.get("generated_text"),
    ))  # fmt: skip
