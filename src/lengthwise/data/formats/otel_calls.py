"""Requests out of spans: what the client and the server say of one call belongs together.

A server's span is joined to the nearest span of a client above it in the same trace, whatever HTTP
spans lie between. Where those are not in the file, it is joined to the one client's span of its
trace that ran all the while. A span that wraps another call of the same side is no request.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from lengthwise.data.formats import otel_names as names
from lengthwise.data.formats.failures import failed_because
from lengthwise.data.formats.otel_attributes import CLIENT, SERVER, Span

WRAPPER = "span that wraps another inference call"
NO_TOKENS = "no output tokens in usage"

_CLOCKS_APART_S = 0.05


@dataclass(frozen=True)
class Call:
    """One request as its client, its server or both saw it; ``attempts`` of it at the server."""

    client: Span | None
    server: Span | None
    attempts: int = 1

    @property
    def spans(self) -> list[Span]:
        """What is known of it, the server first."""
        return [span for span in (self.server, self.client) if span is not None]


def requests_of(spans: list[Span], dropped: Counter[str]) -> list[Call]:
    """Return the requests that succeeded; count what is none, and what failed, by reason."""
    inference = [span for span in spans if _is_inference(span, dropped)]
    calls = _without_wrappers(inference, spans, dropped)
    joined = _joined(calls, spans)
    found = []
    for client, servers in joined:
        for call in _attempts(client, servers, dropped):
            reason = _why_not(call)
            if reason:
                dropped[reason] += 1
            else:
                found.append(call)
    return found


def _is_inference(span: Span, dropped: Counter[str]) -> bool:
    operation = names.operation(span)
    if operation is None:
        dropped["not a GenAI span"] += 1
    elif not names.is_inference(operation):
        dropped[f"GenAI span of another operation: {operation[:40]}"] += 1
    else:
        return True
    return False


def _ancestors(span: Span, by_key: dict[tuple[str, str], Span]) -> Iterator[Span]:
    seen = {span.key}
    while span.parent_id and span.parent in by_key and span.parent not in seen:
        span = by_key[span.parent]
        seen.add(span.key)
        yield span


def _by_key(spans: list[Span]) -> dict[tuple[str, str], Span]:
    return {span.key: span for span in spans if span.span_id}


def _without_wrappers(calls: list[Span], spans: list[Span], dropped: Counter[str]) -> list[Span]:
    by_key, own = _by_key(spans), {(span.key, span.clock) for span in calls}
    wrappers = {
        (above.key, above.clock)
        for span in calls for above in _ancestors(span, by_key)
        if above.clock == span.clock and (above.key, above.clock) in own
    }  # fmt: skip
    inner = [span for span in calls if (span.key, span.clock) not in wrappers]
    if len(inner) < len(calls):
        dropped[WRAPPER] += len(calls) - len(inner)
    return inner


def _joined(calls: list[Span], spans: list[Span]) -> list[tuple[Span | None, list[Span]]]:
    """Clients with their servers, then servers without a client."""
    by_key = _by_key(spans)
    clients = [span for span in calls if span.clock == CLIENT]
    places = {span.key: place for place, span in enumerate(clients) if span.span_id}
    servers: list[list[Span]] = [[] for _ in clients]
    alone: list[Span] = []
    for span in (span for span in calls if span.clock == SERVER):
        above = next((a.key for a in _ancestors(span, by_key) if a.key in places), None)
        if above is None:
            alone.append(span)
        else:
            servers[places[above]].append(span)
    free = [place for place, mine in enumerate(servers) if not mine]
    left: list[tuple[Span | None, list[Span]]] = []
    for span in alone:
        fits = [place for place in free if _ran_within(span, clients[place])]
        if len(fits) == 1:
            servers[fits[0]].append(span)
        else:
            left.append((None, [span]))
    return [*zip(clients, servers, strict=True), *left]


def _ran_within(server: Span, client: Span) -> bool:
    return (
        bool(server.trace_id) and server.trace_id == client.trace_id
        and server.start >= client.start - _CLOCKS_APART_S
        and server.end <= client.end + _CLOCKS_APART_S
    )  # fmt: skip


def _attempts(client: Span | None, servers: list[Span], dropped: Counter[str]) -> list[Call]:
    """One call; several when a client's span holds several answers of a server."""
    good = [span for span in servers if not names.failure(span)]
    answers = [span for span in good if names.count(span, names.OUTPUT) > 1]
    if len(answers) > 1:
        if client is not None:
            dropped[WRAPPER] += 1
        return [Call(None, span) for span in servers]
    answered = answers or good or servers
    if not answered:
        return [Call(client, None)]
    last = max(answered, key=lambda span: span.end)
    for span in servers:
        if span is not last and names.failure(span):
            dropped[failed_because(names.failure(span))] += 1
    return [Call(client, last, len(servers))]


def _why_not(call: Call) -> str | None:
    reasons = [names.failure(span) for span in call.spans]
    reason = next((text for text in reasons if text), None)
    if reason:
        return failed_because(reason)
    if not any(names.count(span, names.OUTPUT) >= 1 for span in call.spans):
        return NO_TOKENS
    return None
