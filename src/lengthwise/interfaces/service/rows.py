"""From bodies as they were sent to columns the law can learn from.

Bodies hold what the contract accepts: integers written as ``500.0`` or ``"500"``, absent optional
fields, and numbers no float can hold (``1e999``, integers of a thousand digits). Nothing raises
here: a value that is no number becomes infinite, which the quarantine recognises.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lengthwise.interfaces.service.store import Entry, Stored

Floats = NDArray[np.float64]

NUMBERS = {
    "input_tokens": "input_token_length",
    "cached_share": "prefix_cache_score",
    "kv_share": "kv_cache_percentage",
    "waiting": "num_request_waiting",
    "running": "num_request_running",
    "generated": "num_tokens_generated",
    "prefill_in_flight": "prefill_tokens_in_flight",
    "decode_in_flight": "decode_tokens_in_flight",
    "encoder_tokens": "encoder_input_size",
    "encoder_matched": "encoder_matched_size",
}
"""Column of the law to field of the contract."""

LABELS = ("pod_type", "pod")
TARGETS = {"ttft_s": "actual_ttft_ms", "tpot_s": "actual_tpot_ms"}


def parse(body: bytes) -> Any:
    """Read JSON; numbers beyond a float or an int of 64 bits survive.

    >>> parse(b"[1e999, -12]")
    [inf, -12]
    """
    try:
        import orjson

        return orjson.loads(body)
    except (ImportError, ValueError):  # orjson refuses what no float can hold
        return json.loads(body, parse_int=_integer)


def _integer(digits: str) -> int | float:
    return int(digits) if len(digits) < 400 else (-math.inf if digits[0] == "-" else math.inf)


def entries_of(body: bytes) -> list[dict[str, Any]]:
    """Rows of a body: a list, or an object with the list under ``entries``."""
    found = parse(body)
    rows = found.get("entries", []) if isinstance(found, dict) else found
    if not isinstance(rows, list):
        return []
    return [row if isinstance(row, dict) else {"not an object": row} for row in rows]


def kept(batch: Stored) -> list[dict[str, Any]]:
    """Rows of a kept batch that were no duplicates."""
    rows = entries_of(batch.body)
    if batch.skip:
        skip = set(batch.skip)
        rows = [row for index, row in enumerate(rows) if index not in skip]
    return rows


def columns(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Columns of the law from rows of the contract, each (n,).

    >>> columns([{"input_token_length": "500"}])["input_tokens"]
    array([500.])
    """
    found: dict[str, Any] = {
        name: numbers([row.get(key) or 0.0 for row in rows]) for name, key in NUMBERS.items()
    }
    for name in LABELS:
        values = [row.get(name) or "" for row in rows]
        found[name] = np.array([v if isinstance(v, str) else str(v) for v in values], dtype=object)
    return found


def targets(rows: Sequence[Mapping[str, Any]]) -> tuple[Floats, Floats]:
    """TTFT and TPOT in seconds, each (n,); NaN where a row says nothing about it (0 or absent)."""
    ttft, tpot = (numbers([row.get(key) or 0.0 for row in rows]) * 1e-3 for key in TARGETS.values())
    return _seen(ttft), _seen(tpot)


def _seen(seconds: Floats) -> Floats:
    """Make 0 say nothing (NaN), and what is no number infinite, which the quarantine names."""
    return np.where(seconds == 0, np.nan, np.where(np.isnan(seconds), np.inf, seconds))


def numbers(values: Sequence[Any]) -> Floats:
    """Read numbers as the contract does: strings and booleans count.

    >>> numbers([1, "2.5", True, 10**400, "many"])
    array([1. , 2.5, 1. , inf, inf])
    """
    try:
        return np.array(values, dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        return np.array([_number(value) for value in values], dtype=np.float64)


def _number(value: Any) -> float:
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf
    except (TypeError, ValueError):
        return math.inf


def body_of(rows: Iterable[Mapping[str, Any]]) -> bytes:
    """Write rows as a body."""
    return json.dumps({"entries": [dict(row) for row in rows]}).encode()


def numbered(batch: Stored) -> list[tuple[int, Entry]]:
    """Rows of a batch with their sequence numbers."""
    rows = kept(batch)
    first = batch.last - len(rows) + 1
    return [
        (first + index, Entry(_id(row), batch.received_s, row)) for index, row in enumerate(rows)
    ]


def _id(row: Mapping[str, Any]) -> str | None:
    value = row.get("id")
    return None if value is None else str(value)
