"""A span of OpenTelemetry, and what the exporters write alike: attributes, times, errors."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lengthwise.data.formats.fields import at, damaged, first, number, unix_seconds

NS_PER_S = 1e9

CLIENT, SERVER = "client", "server"

_SERVER_KINDS = {"2", "SERVER"}
_OF_ENGINES = "gen_ai.latency."
_EVENT_TIMES = ("timeUnixNano", "time_unix_nano", "timestamp", "time", "Time")


@dataclass(frozen=True)
class Span:
    """One span: who it is, when it ran (unix seconds), what it says, and whether it failed.

    ``scope`` is the library that made it; ``events`` are names with times, in order.
    """

    name: str
    trace_id: str
    span_id: str
    parent_id: str
    clock: str
    start: float
    end: float
    attributes: Mapping[str, Any]
    error: str | None
    scope: str = ""
    events: tuple[tuple[str, float], ...] = ()

    @property
    def key(self) -> tuple[str, str]:
        """Its trace and itself."""
        return self.trace_id, self.span_id

    @property
    def parent(self) -> tuple[str, str]:
        """Its trace and the span that called it."""
        return self.trace_id, self.parent_id


def attributes_of(values: Any) -> dict[str, Any]:
    """Read attributes given as an object or as a list of keys and typed values.

    >>> attributes_of([{"key": "gen_ai.usage.input_tokens", "value": {"intValue": "512"}}])
    {'gen_ai.usage.input_tokens': '512'}
    >>> attributes_of([{"Key": "gen_ai.system", "Value": {"Type": "STRING", "Value": "vllm"}}])
    {'gen_ai.system': 'vllm'}
    """
    if isinstance(values, Mapping):
        return {str(key): value for key, value in values.items()}
    found = {}
    for item in values if isinstance(values, list) else []:
        value = first(at(item, "value"), at(item, "Value"))
        if isinstance(value, Mapping):
            value = next((part for name, part in value.items() if name.endswith("alue")), None)
        found[str(first(at(item, "key"), at(item, "Key")))] = value
    return found


def clock_of(kind: Any, attributes: Mapping[str, Any]) -> str:
    """Return whose clock a span is on: of the server, or of who called it.

    Only engines write ``gen_ai.latency.*``, whatever kind they give the span.

    >>> clock_of("SpanKind.SERVER", {}), clock_of(3, {}), clock_of(1, {"gen_ai.latency.e2e": 2.0})
    ('server', 'client', 'server')
    """
    if any(name.startswith(_OF_ENGINES) for name in attributes):
        return SERVER
    word = str(kind or "").upper().removeprefix("SPANKIND.").removeprefix("SPAN_KIND_")
    return SERVER if word in _SERVER_KINDS else CLIENT


def identity(*values: Any) -> str:
    """Return the first id that is there, as exporters with and without ``0x`` agree on it.

    >>> identity(None, "0x5B8E"), identity("0000000000000000")
    ('5b8e', '')
    """
    found = str(first(*values, "")).removeprefix("0x").lower()
    return found if found.strip("0") else ""


def time_of(value: Any, what: str) -> float:
    """Read a time, unix seconds: nanoseconds as a number, or ISO 8601."""
    if isinstance(value, (int, float)) or (isinstance(value, str) and value.isdigit()):
        return number(value, what) / NS_PER_S
    time = unix_seconds(value)
    if math.isnan(time):
        raise damaged("a span needs its start and end", f"{what}={value!r}")
    return time


def error_of(code: Any, attributes: Mapping[str, Any]) -> str | None:
    """Return why a span failed; None when it did not."""
    kind = attributes.get("error.type")
    word = str(first(code, "")).upper().removeprefix("STATUS_CODE_").removeprefix("STATUSCODE.")
    if kind or word in ("2", "ERROR"):
        return str(kind or "error")[:60]
    return None


def events_of(values: Any) -> tuple[tuple[str, float], ...]:
    """Read events with a name and a time, in order of time; others are left out."""
    found = []
    for item in values if isinstance(values, list) else []:
        name = first(at(item, "name"), at(item, "Name"))
        time = first(*(at(item, key) for key in _EVENT_TIMES))
        if name is not None and time is not None:
            found.append((str(name), time_of(time, "time of an event")))
    return tuple(sorted(found, key=lambda event: event[1]))
