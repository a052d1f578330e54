"""Spans of OpenTelemetry from any JSON export: OTLP, the console exporter, flat JSON lines."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from lengthwise.data.formats.fields import at, damaged, first, number, unix_seconds

NS_PER_S = 1e9

_CLIENT, _SERVER = "client", "server"
_KINDS = {"2": _SERVER, "SERVER": _SERVER}
_STARTS = ("startTimeUnixNano", "start_time_unix_nano", "start_time", "startTime")
_ENDS = ("endTimeUnixNano", "end_time_unix_nano", "end_time", "endTime")


@dataclass(frozen=True)
class Span:
    """One span: who it is, when it ran (unix seconds), what it says, and whether it failed."""

    name: str
    span_id: str
    parent_id: str
    clock: str
    start: float
    end: float
    attributes: Mapping[str, Any]
    error: str | None


def spans_of(records: list[Any]) -> Iterator[Span]:
    """Read the spans of the JSON values of a file."""
    for record in records:
        for item in record if isinstance(record, list) else [record]:
            groups = first(at(item, "resourceSpans"), at(item, "resource_spans"))
            if groups is not None:
                yield from _otlp(groups)
            elif is_flat(item):
                yield _span(item, {})
            else:
                raise damaged("each record must be a span", repr(item)[:60])


def is_flat(item: Any) -> bool:
    """Whether an object is a span by itself."""
    return (
        isinstance(item, Mapping) and "name" in item
        and isinstance(item.get("attributes"), (Mapping, list))
        and any(name in item for name in _STARTS) and any(name in item for name in _ENDS)
    )  # fmt: skip


def _otlp(groups: Any) -> Iterator[Span]:
    for group in _items(groups, "resourceSpans"):
        shared = attributes_of(at(group, "resource", "attributes"))
        scopes = first(
            at(group, "scopeSpans"), at(group, "scope_spans"),
            at(group, "instrumentationLibrarySpans"), [],
        )  # fmt: skip
        for scope in _items(scopes, "scopeSpans"):
            for item in _items(first(at(scope, "spans"), []), "spans"):
                yield _span(item, shared)


def _items(values: Any, what: str) -> list[Any]:
    if not isinstance(values, list):
        raise damaged(f"{what} must be a list", repr(values)[:60])
    return values


def _span(item: Any, shared: Mapping[str, Any]) -> Span:
    if not isinstance(item, Mapping):
        raise damaged("a span must be an object", repr(item)[:60])
    attributes = {**attributes_of(at(item, "resource", "attributes")), **shared,
                  **attributes_of(item.get("attributes"))}  # fmt: skip
    kind = str(item.get("kind") or "").upper().removeprefix("SPANKIND.").removeprefix("SPAN_KIND_")
    span_id = first(item.get("spanId"), item.get("span_id"), at(item, "context", "span_id"), "")
    parent = first(item.get("parentSpanId"), item.get("parent_span_id"), item.get("parent_id"), "")
    return Span(
        str(item.get("name")), str(span_id), str(parent), _KINDS.get(kind, _CLIENT),
        _time(item, _STARTS), _time(item, _ENDS), attributes, _error(item, attributes),
    )  # fmt: skip


def attributes_of(values: Any) -> dict[str, Any]:
    """Read attributes given as an object or as OTLP's list of keys and typed values.

    >>> attributes_of([{"key": "gen_ai.usage.input_tokens", "value": {"intValue": "512"}}])
    {'gen_ai.usage.input_tokens': '512'}
    """
    if isinstance(values, Mapping):
        return {str(key): value for key, value in values.items()}
    found = {}
    for item in values if isinstance(values, list) else []:
        value = at(item, "value")
        if isinstance(value, Mapping):
            value = next((part for name, part in value.items() if name.endswith("alue")), None)
        found[str(at(item, "key"))] = value
    return found


def _time(item: Mapping[str, Any], names: tuple[str, ...]) -> float:
    """Read a time, unix seconds: nanoseconds as a number, or ISO 8601."""
    value = first(*(item.get(name) for name in names))
    if isinstance(value, (int, float)) or (isinstance(value, str) and value.isdigit()):
        return number(value, names[0]) / NS_PER_S
    time = unix_seconds(value)
    if math.isnan(time):
        raise damaged("a span needs its start and end", f"{names[0]}={value!r}")
    return time


def _error(item: Mapping[str, Any], attributes: Mapping[str, Any]) -> str | None:
    code = first(at(item, "status", "code"), at(item, "status", "status_code"), "")
    kind = attributes.get("error.type")
    if kind or str(code).upper().removeprefix("STATUS_CODE_").removeprefix("STATUSCODE.") in (
        "2", "ERROR",
    ):  # fmt: skip
        return str(kind or "error")[:60]
    return None
