"""Spans from any JSON export.

OTLP and Tempo, the console exporters of Python and Go, flat JSON lines, Jaeger, Zipkin.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from lengthwise.data.formats.fields import at, damaged, first, number
from lengthwise.data.formats.otel_attributes import (
    Span,
    attributes_of,
    clock_of,
    error_of,
    events_of,
    identity,
    time_of,
)

_US_PER_S = 1e6
_STARTS = ("startTimeUnixNano", "start_time_unix_nano", "start_time", "startTime", "StartTime")
_ENDS = ("endTimeUnixNano", "end_time_unix_nano", "end_time", "endTime", "EndTime")
_GROUPS = ("resourceSpans", "resource_spans", "batches")
_ZIPKIN = {"traceId", "id", "timestamp", "duration"}


def spans_of(records: list[Any]) -> Iterator[Span]:
    """Read the spans of the JSON values of a file."""
    for item in _flattened(records):
        read = reader_of(item)
        if read is None:
            raise damaged("each record must be a span", repr(item)[:60])
        yield from read(item)


def reader_of(item: Any) -> Callable[[Any], Iterator[Span]] | None:
    """Return what reads an object of an export; None when it is none."""
    if groups_of(item) is not None:
        return _otlp
    if any(isinstance(trace, Mapping) and "spans" in trace for trace in _traces(item)):
        return _jaeger
    if isinstance(item, Mapping) and set(item) >= _ZIPKIN:
        return _zipkin
    return _one if is_flat(item) else None


def groups_of(item: Any) -> Any:
    """Return the groups of spans of OTLP, where an object has them."""
    inner = first(at(item, "trace"), item)
    return first(*(at(inner, name) for name in _GROUPS))


def is_flat(item: Any) -> bool:
    """Whether an object is a span by itself."""
    return (
        isinstance(item, Mapping) and bool({"name", "Name"} & set(item))
        and isinstance(first(item.get("attributes"), item.get("Attributes")), (Mapping, list))
        and any(name in item for name in _STARTS) and any(name in item for name in _ENDS)
    )  # fmt: skip


def _flattened(values: list[Any]) -> Iterator[Any]:
    for value in values:
        if isinstance(value, list):
            yield from _flattened(value)
        else:
            yield value


def _otlp(item: Any) -> Iterator[Span]:
    for group in _items(groups_of(item), "resourceSpans"):
        shared = attributes_of(at(group, "resource", "attributes"))
        scopes = first(
            at(group, "scopeSpans"), at(group, "scope_spans"),
            at(group, "instrumentationLibrarySpans"), [],
        )  # fmt: skip
        for scope in _items(scopes, "scopeSpans"):
            maker = first(at(scope, "scope", "name"), at(scope, "instrumentationLibrary", "name"))
            for span in _items(first(at(scope, "spans"), []), "spans"):
                yield _span(span, shared, str(maker or ""))


def _items(values: Any, what: str) -> list[Any]:
    if not isinstance(values, list):
        raise damaged(f"{what} must be a list", repr(values)[:60])
    return values


def _one(item: Any) -> Iterator[Span]:
    scope = first(
        at(item, "instrumentation_scope", "name"), at(item, "InstrumentationScope", "Name")
    )
    yield _span(item, {}, str(scope or ""))


def _span(item: Any, shared: Mapping[str, Any], scope: str) -> Span:
    if not isinstance(item, Mapping):
        raise damaged("a span must be an object", repr(item)[:60])
    resource = first(at(item, "resource", "attributes"), item.get("Resource"))
    own = first(item.get("attributes"), item.get("Attributes"))
    attributes = {**attributes_of(resource), **shared, **attributes_of(own)}
    context = first(item.get("context"), item.get("SpanContext"))
    status = first(item.get("status"), item.get("Status"))
    code = first(at(status, "code"), at(status, "status_code"), at(status, "Code"))
    start, end = (first(*(item.get(name) for name in names)) for names in (_STARTS, _ENDS))
    return Span(
        name=str(first(item.get("name"), item.get("Name"))),
        trace_id=identity(item.get("traceId"), item.get("trace_id"), at(context, "trace_id"),
                          at(context, "TraceID")),
        span_id=identity(item.get("spanId"), item.get("span_id"), at(context, "span_id"),
                         at(context, "SpanID")),
        parent_id=identity(item.get("parentSpanId"), item.get("parent_span_id"),
                           item.get("parent_id"), at(item, "Parent", "SpanID")),
        clock=clock_of(first(item.get("kind"), item.get("SpanKind")), attributes),
        start=time_of(start, _STARTS[0]), end=time_of(end, _ENDS[0]), attributes=attributes,
        error=error_of(code, attributes), scope=scope,
        events=events_of(first(item.get("events"), item.get("Events"))),
    )  # fmt: skip


def _traces(item: Any) -> list[Any]:
    """Traces of Jaeger: the answer of its interface, or one trace."""
    data = at(item, "data")
    return data if isinstance(data, list) else [item] if at(item, "traceID") else []


def _jaeger(item: Any) -> Iterator[Span]:
    """Read spans of Jaeger; times are microseconds, the kind and the error are tags."""
    for trace in _traces(item):
        for span in _items(at(trace, "spans"), "spans"):
            process = at(trace, "processes", str(at(span, "processID")))
            tags = {
                "service.name": at(process, "serviceName"),
                **attributes_of(at(process, "tags")), **attributes_of(at(span, "tags")),
            }  # fmt: skip
            start = number(at(span, "startTime"), "startTime") / _US_PER_S
            parents = [
                at(ref, "spanID") for ref in at(span, "references") or []
                if at(ref, "refType") == "CHILD_OF"
            ]  # fmt: skip
            yield Span(
                name=str(at(span, "operationName")), trace_id=identity(at(span, "traceID")),
                span_id=identity(at(span, "spanID")),
                parent_id=identity(*parents[:1]),
                clock=clock_of(tags.get("span.kind"), tags), start=start,
                end=start + number(at(span, "duration"), "duration") / _US_PER_S,
                attributes=tags, error=_tagged_error(tags), scope=_tagged_scope(tags),
                events=tuple(_jaeger_events(at(span, "logs") or [])),
            )  # fmt: skip


def _jaeger_events(logs: list[Any]) -> Iterator[tuple[str, float]]:
    for log in logs:
        fields = attributes_of(at(log, "fields"))
        name = first(fields.get("event"), fields.get("message"))
        yield str(name), number(at(log, "timestamp"), "timestamp") / _US_PER_S


def _zipkin(item: Mapping[str, Any]) -> Iterator[Span]:
    """Read a span of Zipkin; times are microseconds."""
    tags = {"service.name": at(item, "localEndpoint", "serviceName"),
            **attributes_of(item.get("tags"))}  # fmt: skip
    start = number(item["timestamp"], "timestamp") / _US_PER_S
    notes = item.get("annotations") or []
    yield Span(
        name=str(item.get("name")), trace_id=identity(item["traceId"]),
        span_id=identity(item["id"]), parent_id=identity(item.get("parentId")),
        clock=clock_of(item.get("kind"), tags), start=start,
        end=start + number(item["duration"], "duration") / _US_PER_S, attributes=tags,
        error=_tagged_error(tags), scope=_tagged_scope(tags),
        events=tuple(
            (str(at(note, "value")), number(at(note, "timestamp"), "timestamp") / _US_PER_S)
            for note in notes
        ),
    )  # fmt: skip


def _tagged_error(tags: Mapping[str, Any]) -> str | None:
    told = tags.get("error")
    code = "ERROR" if told not in (None, False, "false", "") else tags.get("otel.status_code")
    return error_of(code, tags)


def _tagged_scope(tags: Mapping[str, Any]) -> str:
    return str(first(tags.get("otel.scope.name"), tags.get("otel.library.name"), ""))
