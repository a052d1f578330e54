"""Which column of a log of requests is which point in time, count or label."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from lengthwise.data.formats.request_records import Record
from lengthwise.data.lookalikes import meant
from lengthwise.data.schema import COLUMNS, DEPLOYMENT, TIMES

UNITS = {"ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1.0}
"""Seconds in a unit of time."""

_UNIT_WORDS = {
    "s": "s", "sec": "s", "secs": "s", "seconds": "s", "ms": "ms", "msec": "ms", "millis": "ms",
    "milliseconds": "ms", "us": "us", "usec": "us", "micros": "us", "microseconds": "us",
    "ns": "ns", "nsec": "ns", "nanos": "ns", "nanoseconds": "ns",
}  # fmt: skip
_POINTS: dict[str, tuple[str, ...]] = {
    "arrival": (
        "arrival", "arrived", "arrive", "received", "receive", "ingress", "entered", "enter",
        "submitted", "submit", "submission", "sent", "send", "issued", "issue", "start", "started",
        "begin", "began", "server_arrival", "created", "request",
    ),
    "queued": ("queued", "queue_entry", "enqueued", "enqueue", "queue_enter", "queue_entered",
               "queue_start", "wait_queue_entry", "added_to_queue"),
    "scheduled": ("scheduled", "first_scheduled", "schedule", "dequeued", "dequeue",
                  "prefill_start", "prefill_started", "prefill_begin", "execution_start",
                  "exec_start", "forward_entry", "processing_start", "running", "queue_exit",
                  "queue_end", "queue_leave", "service_start", "dispatched", "dispatch"),
    "first": ("first_token", "first_token_received", "first_token_generated",
              "first_token_arrival", "first_token_emitted", "first_token_sent",
              "first_output_token", "first_output", "first_chunk", "first_response",
              "first_byte", "completion_start", "token_first", "prefill_completed",
              "prefill_complete", "prefill_finished", "prefill_end", "prefill_done",
              "server_first_token"),
    "last": ("last_token", "last_token_received", "last_token_generated", "last_token_emitted",
             "last_token_sent", "last_output_token", "last_output", "last_chunk", "final_token",
             "token_last"),
    "end": ("finished", "finish", "completed", "complete", "completion", "end", "ended", "done",
            "response_end", "response_sent", "stopped", "stop", "egress", "departure",
            "departed", "exit"),
}  # fmt: skip
"""Names of points in time without words such as time, timestamp or at: the most exact first."""

_WORDS = {
    "arr": "arrival", "req": "request", "tok": "token", "sched": "scheduled", "recv": "received",
    "rcvd": "received", "1st": "first", "fin": "finished", "finsh": "finished", "tkn": "token",
}  # fmt: skip
_PREFIX = re.compile(r"^(?:time_of|timestamp|timing|time|ts|t|when|request)_(?=[a-z])")
_SUFFIX = re.compile(
    r"_(?:timestamp|timestamps|time_stamp|stamp|time|times|ts|at|t|unix|epoch|clock|utc|wall"
    r"|monotonic|perf_counter)$"
)
_STATUS = ("status", "outcome", "state", "success", "succeeded")
_REASON = ("finish_reason", "finish_type", "stop_reason")
_ERROR = ("error", "error_message", "error_msg", "exception")
_FEW = 5
_COUNTS = {
    "isl": ("num_input_tokens", "input_token_count", "prompt_token_count", "prefill_tokens",
            "num_prefill_tokens", "request_num_prefill_tokens", "n_prompt_tokens", "num_in_tokens",
            "input_tokens_count", "prompt_tokens_count"),
    "osl": ("num_generation_tokens", "generation_tokens", "num_generated_tokens", "generated",
            "output_token_count", "completion_token_count", "num_completion_tokens",
            "decode_tokens", "num_decode_tokens", "request_num_decode_tokens", "n_output_tokens",
            "n_decoded", "num_out_tokens", "output_tokens_count", "generated_tokens_count",
            "completion_tokens_count", "tokens_generated", "generation_length", "decode_len"),
}  # fmt: skip


@dataclass(frozen=True)
class Columns:
    """Names of the columns of a log, empty where there is none.

    ``points`` maps a point in time to its column and the unit in the name, empty when it has none;
    ``printed`` maps a time to the column in which the log has already computed it.
    """

    points: Mapping[str, tuple[str, str]]
    isl: str = ""
    osl: str = ""
    cached: str = ""
    outcomes: tuple[str, ...] = ()
    error: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    kept: tuple[str, ...] = ()
    printed: Mapping[str, str] = field(default_factory=dict)
    said: str = ""
    own: bool = False

    @property
    def is_log(self) -> bool:
        """Whether a request's begin, first token and end are there, and no time of our own."""
        begun = {"arrival", "queued"} & set(self.points)
        ended = {"last", "end"} & set(self.points)
        return bool(begun and ended) and "first" in self.points and not self.own


def flattened(record: Record) -> dict[str, Any]:
    """Return a record with the members of its inner objects beside the rest.

    >>> flattened({"id": 1, "metrics": {"arrival_time": 2.0}})
    {'id': 1, 'arrival_time': 2.0}
    """
    flat: dict[str, Any] = {}
    for name, value in record.items():
        if isinstance(value, Mapping):
            flat |= {k: v for k, v in flattened(value).items() if k not in record}
        else:
            flat[str(name)] = value
    return flat


def point_of(name: str) -> tuple[str, str]:
    """Return which point in time a column is and the unit in its name, both empty for others.

    >>> point_of("firstTokenTime"), point_of("arrival_ms"), point_of("prompt_tokens")
    (('first', ''), ('arrival', 'ms'), ('', ''))
    """
    point, unit, _ = _placed(name)
    return point, unit


def _placed(name: str) -> tuple[str, str, int]:
    """Return the point in time of a column, its unit, and its place among the point's names."""
    words = [_WORDS.get(word, word) for word in _snake(name).split("_")]
    unit = _UNIT_WORDS.get(words[-1], "") if len(words) > 1 else ""
    stem = "_".join(words[:-1] if unit else words)
    for _ in range(4):
        for point, stems in _POINTS.items():
            if stem in stems:
                return point, unit, stems.index(stem)
        shorter = _SUFFIX.sub("", stem)
        stem = _PREFIX.sub("", stem) if shorter == stem else shorter
    return "", "", 0


def columns_of(found: Sequence[Mapping[str, Any]]) -> Columns:
    """Return what the columns of some records are."""
    names = list(dict.fromkeys(name for record in found[:200] for name in record))
    points: dict[str, tuple[str, str]] = {}
    rank: dict[str, int] = {}
    for name in names:
        point, unit, place = _placed(name)
        held = point and any(record.get(name) not in (None, "") for record in found)
        if held and place < rank.get(point, len(_POINTS[point])):
            points[point], rank[point] = (name, unit), place
    outcomes = tuple(filter(None, (_named(names, _STATUS), _named(names, _REASON))))
    labels = {target: name for target in DEPLOYMENT
              if (name := _alike(names, target))}  # fmt: skip
    used = {name for name, _ in points.values()} | set(labels.values())
    isl, osl, cached = (_alike(names, target) for target in ("isl", "osl", "cached_tokens"))
    used |= {isl, osl, cached, *outcomes, _named(names, _ERROR)}
    free = [name for name in names if not point_of(name)[0]]
    printed = {target: name for target in TIMES[1:] if (name := _alike(free, target))}
    used |= set(printed.values())
    rest = [name for name in names if name not in used and not point_of(name)[0]]
    kept = tuple(name for name in rest if name not in COLUMNS and _is_setting(found, name))
    left = [name for name in rest if name not in kept]
    return Columns(
        points, isl, osl, cached, outcomes,
        _named(names, _ERROR), labels, kept, printed,
        f"not kept: {', '.join(left[:8])}{', ...' if len(left) > 8 else ''}" if left else "",
        bool(set(names) & {*TIMES, "phase"}),
    )  # fmt: skip


def _named(names: Sequence[str], wanted: Sequence[str]) -> str:
    lower = {name.lower(): name for name in names}
    return next((lower[name] for name in wanted if name in lower), "")


def _alike(names: Sequence[str], target: str) -> str:
    if target in names:
        return target
    extra = _COUNTS.get(target, ())
    return next(
        (n for n in names if n not in COLUMNS and (_snake(n) in extra or meant(_snake(n), target))),
        "",
    )


def _snake(name: str) -> str:
    """Return a name in lower case with underscores, from camel case too."""
    parted = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name)
    return re.sub(r"[^A-Za-z0-9]+", "_", parted).lower().strip("_")


def _is_setting(found: Sequence[Mapping[str, Any]], name: str) -> bool:
    """Whether a column holds few values, as a setting does, and not one for each request."""
    values = {str(record.get(name))[:80] for record in found}
    plain = all(not isinstance(record.get(name), (list, dict)) for record in found)
    return plain and len(values) <= min(_FEW, max(len(found) // 2, 1)) and values != {"None"}
