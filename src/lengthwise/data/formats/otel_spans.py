"""OpenTelemetry spans of generative AI: one inference call each.

    E2E = end - start of the span      TTFT = time_to_first_chunk      lengths = usage.*

Names changed over time (``gen_ai.system``, ``usage.prompt_tokens``, vLLM's ``gen_ai.latency.*``);
old ones are read too. A span that wraps another call of the same side is left out, so that one
request is one row.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping

from lengthwise.data.formats import overlap
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
from lengthwise.data.formats.otel_attributes import Span, is_flat, spans_of

NAME = "otel"
TITLE = "OpenTelemetry GenAI spans"

_INFERENCE = {"chat", "text_completion", "generate_content", "completion", "llm_request"}
_GENAI = (
    "gen_ai.provider.name", "gen_ai.system", "gen_ai.request.model", "gen_ai.operation.name",
    "gen_ai.response.model", "gen_ai.usage.input_tokens", "gen_ai.usage.prompt_tokens",
)  # fmt: skip
_INPUT = ("gen_ai.usage.input_tokens", "gen_ai.usage.prompt_tokens", "llm.usage.prompt_tokens")
_OUTPUT = (
    "gen_ai.usage.output_tokens", "gen_ai.usage.completion_tokens", "llm.usage.completion_tokens",
)  # fmt: skip
_CACHED = (
    "gen_ai.usage.cache_read.input_tokens", "gen_ai.usage.cache_read_input_tokens",
    "gen_ai.usage.input_tokens.cached",
)  # fmt: skip
_FIRST = (
    "gen_ai.response.time_to_first_chunk", "gen_ai.response.time_to_first_token",
    "gen_ai.latency.time_to_first_token", "gen_ai.server.time_to_first_token",
)  # fmt: skip


def matches(document: Document) -> bool:
    """Whether this is an export of spans."""
    values = document.rows
    sample = values[0] if values else None
    if isinstance(sample, list):
        sample = sample[0] if sample else None
    if isinstance(sample, Mapping) and {"resourceSpans", "resource_spans"} & set(sample):
        return True
    return is_flat(sample) and any(
        word in document.text for word in ("gen_ai.", "trace_id", "traceId", "SpanKind")
    )


def read(document: Document) -> Parsed:
    """Read one row per inference call."""
    spans = list(spans_of(document.rows))
    dropped: Counter[str] = Counter()
    calls = [span for span in spans if _is_call(span, dropped)]
    good = [span for span in _innermost(calls, dropped) if not _failed(span, dropped)]
    notes = [overlap.NOTE, "concurrency counts the calls in the file, which sampling may thin"]
    rows = [_row(span, notes) for span in good]
    for clock in {span.clock for span in good}:
        mine = [index for index, span in enumerate(good) if span.clock == clock]
        among = [span for span in calls if span.clock == clock]
        busy = overlap.in_flight(
            [good[i].start for i in mine], [good[i].end for i in mine],
            among=([span.start for span in among], [span.end for span in among]),
        )  # fmt: skip
        for index, count in zip(mine, busy, strict=True):
            rows[index]["concurrency"] = count
    return parsed(rows, dropped=dropped, assumptions=notes)


def _is_call(span: Span, dropped: Counter[str]) -> bool:
    if not any(name in span.attributes for name in _GENAI):
        dropped["not a GenAI span"] += 1
        return False
    operation = str(first(
        span.attributes.get("gen_ai.operation.name"), span.attributes.get("llm.request.type"),
        span.name if span.name in _INFERENCE else "chat",
    ))  # fmt: skip
    if operation not in _INFERENCE:
        dropped[f"GenAI span of another operation: {operation[:40]}"] += 1
        return False
    return True


def _innermost(calls: list[Span], dropped: Counter[str]) -> list[Span]:
    parents = {(span.parent_id, span.clock) for span in calls if span.parent_id}
    inner = [
        span for span in calls if not span.span_id or (span.span_id, span.clock) not in parents
    ]
    if len(inner) < len(calls):
        dropped["span that wraps another inference call"] += len(calls) - len(inner)
    return inner


def _failed(span: Span, dropped: Counter[str]) -> bool:
    if span.error:
        dropped[f"failed request: {span.error}"] += 1
        return True
    if not _tokens(span, _OUTPUT) >= 1:
        dropped["no output tokens in usage"] += 1
        return True
    return False


def _tokens(span: Span, names: tuple[str, ...]) -> float:
    return tokens(first(*(span.attributes.get(name) for name in names)), names[0])


def _row(span: Span, notes: list[str]) -> Row:
    said = span.attributes
    ttft = number(first(*(said.get(name) for name in _FIRST)), _FIRST[0])
    e2e = first(said.get("gen_ai.latency.e2e"), span.end - span.start)
    engine = first(said.get("gen_ai.provider.name"), said.get("gen_ai.system"))
    if engine:
        notes.append("engine is the provider the spans name")
    elif "gen_ai.latency.e2e" in said:
        engine = "vllm"  # the only one with these names
    if math.isnan(ttft):
        notes.append("calls without time_to_first_chunk have no ttft_ms and tpot_ms")
    isl, osl = _tokens(span, _INPUT), _tokens(span, _OUTPUT)
    cached = number(first(*(said.get(name) for name in _CACHED)), _CACHED[0])
    if cached >= isl:
        isl += cached
        notes.append("input tokens that do not exceed the cached ones leave those out: added")
    return request_row(
        ttft=ttft, end=number(e2e, "gen_ai.latency.e2e"), isl=isl, osl=osl,
        cached_tokens=cached_part(isl, cached), clock=span.clock, timestamp=span.start,
        model=first(said.get("gen_ai.response.model"), said.get("gen_ai.request.model")),
        engine=engine,
        queue_ms=1e3 * number(said.get("gen_ai.latency.time_in_queue"), "time_in_queue"),
        reasoning_tokens=_tokens(span, ("gen_ai.usage.reasoning.output_tokens",)),
        server_address=at(said, "server.address"),
    )  # fmt: skip
