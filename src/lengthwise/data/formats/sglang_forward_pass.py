"""Forward-pass metrics of SGLang and Dynamo: one message per engine iteration.

A message is a map, or an array of the same fields in order::

    version, worker_id, dp_rank, counter_id, wall_time [s], scheduled_requests, queued_requests

with the scheduled ones as (num_prefill_requests, sum_prefill_tokens, var_prefill_length,
sum_prefill_kv_tokens, num_decode_requests, sum_decode_kv_tokens, var_decode_kv_tokens).
``sum_prefill_kv_tokens`` counts what was in the cache before; the context of a prefill is that plus
its new tokens. Idle iterations (nothing scheduled) are heartbeats.

The sum of q_i c_i is exact with one prefill, and with several whole prompts: n (var + mean^2).
With several chunks on prefixes only the sums are known, and equal ones are assumed.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from typing import Any

from lengthwise.data.formats.base import Document, Parsed
from lengthwise.data.formats.fields import Row, at, damaged, number, parsed
from lengthwise.errors import InputError
from lengthwise.units import counted, s_to_ms

NAME = "sglang-forward-pass"
TITLE = "SGLang forward-pass metrics"

SCHEDULED = (
    "num_prefill_requests", "sum_prefill_tokens", "var_prefill_length", "sum_prefill_kv_tokens",
    "num_decode_requests", "sum_decode_kv_tokens", "var_decode_kv_tokens",
)  # fmt: skip

IDLE = "idle iteration"
_SAME_ENOUGH = 1e-9


def matches(document: Document) -> bool:
    """Whether the first message has scheduled requests."""
    if _is_msgpack(document.head):
        return True
    found = _messages_of(document)
    return bool(found) and _named(found[0]) is not None


def read(document: Document) -> Parsed:
    """One row per iteration that did something."""
    messages = _unpacked(document) if _is_msgpack(document.head) else _messages_of(document)
    rows, idle, guessed = [], 0, 0
    for index, message in enumerate(messages):
        named = _named(message)
        if named is None:
            raise damaged("every message must hold scheduled_requests", f"message {index}")
        sums = {key: number(at(named, "scheduled", key), key) for key in SCHEDULED}
        sums = {key: value if value == value else 0.0 for key, value in sums.items()}
        wall = number(named["wall_time"], "wall_time")
        if wall == 0 or not sums["num_prefill_requests"] + sums["num_decode_requests"]:
            idle += 1
            continue
        step, exact = step_of_sums(sums)
        guessed += not exact
        rows.append({**step, "latency_ms": s_to_ms(wall), **_origin(named)})
    told = ["the context of a decode holds its new token, as SGLang counts it (Dynamo's vLLM "
            "scheduler leaves it out: one token less)"]  # fmt: skip
    if guessed:
        told.append(
            f"sum_query_x_context of {counted(guessed, 'step')} with several chunks on prefixes "
            "takes the chunks as equal: only sums are in the file"
        )
    made = parsed(rows, assumptions=told if rows else ())
    dropped = {IDLE: idle} if idle else {}
    return Parsed(made.frame, len(rows) + idle, dropped, made.assumptions)


def step_of_sums(sums: Mapping[str, float]) -> tuple[Row, bool]:
    """Describe a step by its sums; says also whether the description is exact.

    >>> sums = dict.fromkeys(SCHEDULED, 0.0)
    >>> step_of_sums(sums | {"num_decode_requests": 4, "sum_decode_kv_tokens": 4000})
    ({'batch_size': 4.0, 'phase': 'decode', 'context_len': 1000.0}, True)
    """
    prefills, decodes = sums["num_prefill_requests"], sums["num_decode_requests"]
    new, past = sums["sum_prefill_tokens"], sums["sum_prefill_kv_tokens"]
    step: Row = {"batch_size": float(prefills + decodes)}
    if not prefills:
        context = sums["sum_decode_kv_tokens"] / decodes
        return step | {"phase": "decode", "context_len": context}, True
    context = new + past
    equal = prefills == 1 or (
        past == 0 and sums["var_prefill_length"] < _SAME_ENOUGH and not context % prefills
    )
    if not decodes and equal:
        prompt = {"isl": context / prefills, "cached_tokens": past / prefills}
        return step | {"phase": "prefill", **prompt}, True
    spread = sums["var_prefill_length"] if past == 0 else 0.0
    cross = new * context / prefills + prefills * spread
    return step | {
        "phase": "mixed", "sum_query_len": new + decodes,
        "sum_context_len": context + sums["sum_decode_kv_tokens"],
        "sum_query_x_context": cross + sums["sum_decode_kv_tokens"],
    }, prefills == 1 or past == 0  # fmt: skip


def _origin(named: Mapping[str, Any]) -> Row:
    return {
        "clock": "server", "worker_id": str(named.get("worker_id") or "") or None,
        "dp_rank": named.get("dp_rank"), "step": named.get("counter_id"),
        "queued_prefills": at(named, "queued", "num_prefill_requests"),
        "queued_decodes": at(named, "queued", "num_decode_requests"),
    }  # fmt: skip


def _named(message: Any) -> dict[str, Any] | None:
    """Give the fields of a message by name; None when it is none."""
    if isinstance(message, Mapping):
        message = message.get("metrics", message)
        scheduled = at(message, "scheduled_requests")
        if not isinstance(scheduled, (Mapping, list, tuple)) or at(message, "wall_time") is None:
            return None
        named = dict(message)
    elif isinstance(message, (list, tuple)):
        # Older messages lack version and counter_id, some name a timing scope: the nested list of
        # seven numbers and the time before it tell where the fields are.
        where = next((i for i, part in enumerate(message) if _is_nested(part, 7)), None)
        if where is None or where < 1 or not _is_number(message[where - 1]):
            return None
        named = _by_position(message, where)
        scheduled = message[where]
    else:
        return None
    named["scheduled"] = _by_name(scheduled, SCHEDULED)
    queued = named.get("queued_requests")
    named["queued"] = _by_name(queued, tuple(k for k in SCHEDULED if k != "sum_prefill_kv_tokens"))
    return named


def _by_position(message: Sequence[Any], where: int) -> dict[str, Any]:
    named: dict[str, Any] = {"wall_time": message[where - 1]}
    if len(message) > where + 1:
        named["queued_requests"] = message[where + 1]
    text = next((i for i, part in enumerate(message[:where]) if isinstance(part, str)), None)
    if text is not None:
        named["worker_id"], rest = message[text], message[text + 1 : where - 1]
        named |= dict(zip(("dp_rank", "counter_id"), rest, strict=False))
    return named


def _by_name(part: Any, names: Sequence[str]) -> dict[str, Any]:
    if isinstance(part, Mapping):
        return dict(part)
    return dict(zip(names, part, strict=False)) if isinstance(part, (list, tuple)) else {}


def _is_nested(part: Any, size: int) -> bool:
    if isinstance(part, Mapping):
        return "num_prefill_requests" in part
    return isinstance(part, (list, tuple)) and len(part) == size and all(map(_is_number, part))


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _messages_of(document: Document) -> list[Any]:
    """Messages of JSON lines, or of one list of messages."""
    rows = document.rows
    if len(rows) == 1 and isinstance(rows[0], list) and _named(rows[0]) is None:
        return rows[0]
    return rows


def _is_msgpack(head: bytes) -> bool:
    """Whether binary content begins as such a message does: a small array or map, then strings."""
    if not head or head[:1] in b"{[" or head.startswith(b"PAR1"):
        return False
    if 0x80 <= head[0] <= 0x8F:
        return b"scheduled_requests" in head[:1024]
    return 0x94 <= head[0] <= 0x99 and b"\x97" in head[1:256] and b"\xcb" in head[:256]


def _unpacked(document: Document) -> list[Any]:
    try:
        msgpack = importlib.import_module("msgpack")
    except ModuleNotFoundError:
        raise InputError(
            "binary forward-pass metrics need the optional package msgpack",
            got=str(document.path),
            remedy="pip install msgpack, or save the messages as JSON lines",
        ) from None
    try:
        unpacker = msgpack.Unpacker(raw=False)
        unpacker.feed(document.data)
        messages = list(unpacker)
    except (ValueError, msgpack.exceptions.UnpackException) as error:
        raise damaged("the file must hold msgpack messages", str(error)[:80]) from None
    if unpacker.tell() < len(document.data):
        whole = f"{len(messages)} whole ones and a part of another"
        raise damaged("the file must end with a whole message", whole)
    return messages
