"""What a failed request is, though it may have been answered with status 200."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from lengthwise.measurement.http.counts import counts_of
from lengthwise.measurement.http.exchange import Exchange

LONGEST_WAIT_S = 30.0


def failure_of(exchange: Exchange, asked_osl: int) -> tuple[str, str] | None:
    """Return label and words of what is wrong with an answer, None if nothing is.

    Labels are ``http_STATUS``, ``server_error`` (an error inside the stream), ``aborted``,
    ``content_filter``, ``malformed``, ``disconnect`` (the end is missing), ``not_streaming`` and
    ``no_tokens`` (an empty answer).
    """
    stream = exchange.stream
    if exchange.status != 200:
        return f"http_{exchange.status}", exchange.message
    if stream.problem:
        return stream.problem
    if not exchange.streaming and not stream.chunks:
        kind = exchange.response_headers.get("content-type", "no type")
        return "not_streaming", f"an answer of {kind}: {exchange.message}"
    if exchange.streaming and not stream.finished:
        return "disconnect", "the stream ended without saying that it is complete"
    return _empty(exchange, asked_osl) or _cut_off(exchange, asked_osl)


def _empty(exchange: Exchange, asked_osl: int) -> tuple[str, str] | None:
    """Say so if there is no text, unless each token asked for has its empty chunk."""
    stream = exchange.stream
    if stream.arrivals_ns:
        return None
    counted = counts_of(stream).osl or 0
    plain = sum(not (chunk.role or chunk.end) for chunk in stream.chunks)
    if stream.finish_reason == "length" and counted == asked_osl == plain:
        return None
    words = f", though the server counts {counted} tokens: they are not shown" if counted else ""
    return "no_tokens", f"an answer without text{words}"


def _cut_off(exchange: Exchange, asked_osl: int) -> tuple[str, str] | None:
    """Say so if a short answer has neither a reason to end nor a count."""
    stream = exchange.stream
    known = stream.finish_reason or counts_of(stream).osl or not exchange.streaming
    if known or len(stream.chunks) >= asked_osl:
        return None
    return "disconnect", (
        f"the stream ended after {len(stream.arrivals_ns)} chunks with text, without "
        "finish_reason and usage"
    )


def retry_after_s(exchange: Exchange) -> float:
    """Return how long a server asks to be left alone, s, at most 30; 0 if it does not.

    >>> retry_after_s(Exchange("POST", "/", status=429, response_headers={"retry-after": "2"}))
    2.0
    """
    text = exchange.response_headers.get("retry-after", "")
    try:
        wait_s = float(text)
    except ValueError:
        wait_s = _until(text)
    return min(max(wait_s, 0.0), LONGEST_WAIT_S) if wait_s == wait_s else 0.0


def _until(date: str) -> float:
    try:
        return (parsedate_to_datetime(date) - datetime.now(UTC)).total_seconds()
    except (TypeError, ValueError):
        return 0.0
