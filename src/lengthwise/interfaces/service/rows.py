"""From batches as they are kept to columns the law can learn from.

A batch is kept as the columns of the contract, ``{"n": 2, "columns": {"input_token_length": [7,
9], "pod": "a"}}``: what was not sent or is 0 everywhere is left out, a text that is the same in all
rows stands once, and a number no float can hold (``1e999``) is null. Rows as they were sent, which
earlier releases kept, are read too; of these a value that is no number becomes infinite, which the
quarantine recognises, and what is no plain value is left out.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lengthwise.interfaces.service.pieces import Pieces, parse
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
KNOWN = frozenset((*NUMBERS.values(), *TARGETS.values(), *LABELS, "id"))
LARGE_BYTES, MOST_BESIDE, MOST_TEXT = 1 << 20, 1 << 20, 512
"""Rows as they were sent are read in pieces above this; bytes of one, and of a text in it."""
MOST_FIELDS, MOST_NAME = 40, 64
UNREADABLE = (ValueError, TypeError, KeyError, AttributeError, RecursionError)
"""What is raised by a body that is not what was kept."""


def entries_of(body: bytes) -> list[dict[str, Any]]:
    """Return the rows of a body: columns, a list, or an object with the list under ``entries``.

    >>> entries_of(b'{"n": 2, "columns": {"input_token_length": [7, null], "pod": "a"}}')
    [{'input_token_length': 7, 'pod': 'a'}, {'input_token_length': inf, 'pod': 'a'}]
    >>> entries_of(b'{"entries": [{"pod": "a", "junk": [1, 2]}]}')
    [{'pod': 'a'}]
    """
    if len(body) > LARGE_BYTES and not body.startswith(b'{"n":'):
        pieces = Pieces(body, ["entries"], MOST_BESIDE)
        return [_plain(row) for text, rows in pieces for row in rows or parse(text)]
    found = parse(body)
    if isinstance(found, dict) and "columns" in found:
        return _from_columns(found)
    rows = found.get("entries", []) if isinstance(found, dict) else found
    return [_plain(row) for row in rows] if isinstance(rows, list) else []


def _from_columns(found: Mapping[str, Any]) -> list[dict[str, Any]]:
    n, table = int(found["n"]), found["columns"]
    values = [
        [v] * n if isinstance(v, str) else [math.inf if x is None else x for x in v]
        if name != "id" else v
        for name, v in table.items()
    ]  # fmt: skip
    if not values:
        return [{} for _ in range(n)]
    return [dict(zip(table, row, strict=True)) for row in zip(*values, strict=True)]


def _plain(row: Any) -> dict[str, Any]:
    """Keep of a row what may be a field of the contract: plain values under short names."""
    if not isinstance(row, dict):
        return {"not an object": repr(row)[:200] if isinstance(row, str) else type(row).__name__}
    if len(row) > MOST_FIELDS:
        row = {name: row[name] for name in KNOWN if name in row}
    return {
        name[:MOST_NAME]: value[:MOST_TEXT] if isinstance(value, str) else value
        for name, value in row.items()
        if not isinstance(value, (list, dict))
    }


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
