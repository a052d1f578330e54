"""OpenTelemetry spans of generative AI: one request per inference call.

    E2E = end - start of the client's span      TTFT = time to the first chunk or token
    TPOT = (last - first token) / (osl - 1), on the clock that has both

Where a file has the client's and the server's span of one call, they are one request: the client
says when it was sent and answered; the server fills in the first token, where the client saw none,
the counts, the wait in the engine, and which engine it is.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping

from lengthwise.data.formats import otel_names as names
from lengthwise.data.formats.base import Document, Parsed
from lengthwise.data.formats.fields import Row, cached_part, first, number, parsed, request_row
from lengthwise.data.formats.loads import Times, fill_load
from lengthwise.data.formats.otel_attributes import SERVER, Span
from lengthwise.data.formats.otel_calls import Call, requests_of
from lengthwise.data.formats.otel_exports import groups_of, is_flat, reader_of, spans_of
from lengthwise.units import s_to_ms

NAME = "otel"
TITLE = "OpenTelemetry GenAI spans"

_JOINED = (
    "spans of client and server of one call are one request: e2e_ms is by the client's clock, "
    "ttft_ms by the client's where it saw chunks, else by the server's (ttft_server_ms)"
)
_RETRIED = "where a server was asked more than once, times are those of the attempt that answered"
_WORDS = ("gen_ai.", "trace_id", "traceId", "SpanKind", "openinference", "llm.token_count")


def matches(document: Document) -> bool:
    """Whether this is an export of spans."""
    values = document.rows
    sample = values[0] if values else None
    while isinstance(sample, list):
        sample = sample[0] if sample else None
    if not isinstance(sample, Mapping) or reader_of(sample) is None:
        return False
    if groups_of(sample) is not None and not is_flat(sample):
        return True
    return any(word in document.text for word in _WORDS)


def read(document: Document) -> Parsed:
    """Read one row per inference call."""
    spans = list(spans_of(document.rows))
    dropped: Counter[str] = Counter()
    calls = requests_of(spans, dropped)
    notes: list[str] = []
    rows = [_row(call, notes) for call in calls]
    _add_load(rows, calls, spans, notes)
    return parsed(rows, dropped=dropped, assumptions=notes)


def _add_load(rows: list[Row], calls: list[Call], spans: list[Span], notes: list[str]) -> None:
    """Count the calls in flight on the side that all of them were seen from."""
    for clock in sorted({call.spans[0].clock for call in calls}):
        mine = [index for index, call in enumerate(calls) if call.spans[0].clock == clock]
        among = [span for span in spans if span.clock == clock and _is_call(span)]
        notes += fill_load(
            [rows[index] for index in mine],
            spans=_times([calls[index].spans[0] for index in mine]), among=_times(among),
        )  # fmt: skip
    if rows:
        notes.append("concurrency counts the calls in the file, which sampling may thin")


def _times(spans: list[Span]) -> Times:
    return [span.start for span in spans], [span.end for span in spans]


def _is_call(span: Span) -> bool:
    operation = names.operation(span)
    return operation is not None and names.is_inference(operation)


def _row(call: Call, notes: list[str]) -> Row:
    client, server = call.client, call.server
    joined = client is not None and server is not None
    sender = server if client is None or (server is not None and call.attempts > 1) else client
    assert sender is not None
    notes += [_JOINED] * joined + [_RETRIED] * (call.attempts > 1)
    isl, osl = (_best(call, counts) for counts in (names.INPUT, names.OUTPUT))
    ttft = _ttft(call, sender, osl)
    if math.isnan(ttft):
        notes.append("calls without a time to the first chunk have no ttft_ms and tpot_ms")
    cached = _best(call, names.CACHED)
    if cached >= isl:
        isl += cached
        notes.append("input tokens that do not exceed the cached ones leave those out: added")
    row = request_row(
        ttft=ttft, end=names.e2e_s(sender), tpot=_tpot(call, osl), isl=isl, osl=osl,
        cached_tokens=cached_part(isl, cached), clock=sender.clock, timestamp=sender.start,
        model=first(*(names.model(span) for span in call.spans)), engine=_engine(call, notes),
        reasoning_tokens=_best(call, names.REASONING), attempts=call.attempts if joined else None,
        server_address=first(*(span.attributes.get("server.address") for span in call.spans)),
    )  # fmt: skip
    if server is not None:
        queue = server.attributes.get("gen_ai.latency.time_in_queue")
        row["queue_ms"] = s_to_ms(number(queue, "time_in_queue"))
    if joined:
        assert server is not None
        row["ttft_server_ms"] = s_to_ms(names.ttft_s(server, osl))
        row["e2e_server_ms"] = s_to_ms(names.e2e_s(server))
    return row


def _ttft(call: Call, sender: Span, osl: float) -> float:
    """By the clock of the sender where it saw the first chunk, else by the server's."""
    own = names.ttft_s(sender, osl)
    return names.ttft_s(call.server, osl) if math.isnan(own) and call.server is not None else own


def _tpot(call: Call, osl: float) -> float:
    """Mean time per token after the first, s, on the clock of either side that has both ends."""
    if not osl >= 2:
        return math.nan
    sides = [call.client, call.server] if call.attempts == 1 else [call.server]
    for span in sides:
        if span is not None and not math.isnan(names.ttft_s(span, osl)):
            return names.decode_s(span, osl) / (osl - 1)
    return math.nan


def _best(call: Call, counts: tuple[str, ...]) -> float:
    """Count by the server, else by the client."""
    return next((n for span in call.spans if (n := names.count(span, counts)) >= 1), math.nan)


def _engine(call: Call, notes: list[str]) -> str | None:
    span = call.spans[0]
    found = names.engine(span)
    if found and span.clock != SERVER:
        notes.append("engine is the provider the spans name")
    return found
