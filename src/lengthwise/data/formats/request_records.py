"""Files of one record per request, as JSON, JSON lines or CSV, and what their readers share."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any

from lengthwise.data.formats.base import Document
from lengthwise.data.formats.fields import Row, first, number, unix_seconds
from lengthwise.data.formats.loads import Times, fill_load
from lengthwise.data.kinds import is_number
from lengthwise.data.parsing import json_inside
from lengthwise.data.report import Flag
from lengthwise.units import counted

Record = Mapping[str, Any]

SEEN_ONLY = "in flight are the requests of the file, which may not be all there were"
NO_LOAD = (
    "the file does not say how many requests ran at once: taken as 1; correct it with "
    "--set concurrency=N"
)
FAILED = "failed request"
EMPTY = "no output token"

DISAGREE = 0.02
"""Share by which a value may differ from what the same file prints of it, unflagged."""

_UNIX_UNITS = ((1e17, 1e-9), (1e14, 1e-6), (1e11, 1e-3), (0.0, 1.0))


def records(document: Document, inside: Sequence[str] = ()) -> list[dict[str, Any]]:
    """Return the records of a file: JSON objects, or rows of CSV with empty cells as None.

    ``inside`` names keys of a wrapping object that may hold the records.
    """
    found = document.objects
    if not found:
        return _csv_rows(document.text)
    return [record for value in found for record in _unwrapped(value, inside)]


def sample(document: Document, inside: Sequence[str] = ()) -> list[dict[str, Any]]:
    """Return the first few records of a file; those of CSV from its head only."""
    if document.objects:
        return [r for value in document.objects[:20] for r in _unwrapped(value, inside)][:20]
    head = document.head.decode("utf-8-sig", errors="replace")
    first_line = head.partition("\n")[0]
    if "," not in first_line or first_line.lstrip()[:1] in ("{", "[", ":"):
        return []
    return _csv_rows(head, 1)


def _unwrapped(value: dict[str, Any], inside: Sequence[str]) -> list[dict[str, Any]]:
    for key in inside:
        held = value.get(key)
        if isinstance(held, dict):
            return [held]
        if isinstance(held, list) and held and isinstance(held[0], dict):
            return [record for record in held if isinstance(record, dict)]
    return [value]


def _csv_rows(text: str, limit: int | None = None) -> list[dict[str, Any]]:
    try:
        rows = list(islice(csv.DictReader(io.StringIO(text.lstrip("\ufeff"))), limit))
    except csv.Error:
        return []
    return [
        {str(name): value if value != "" else None for name, value in row.items() if name}
        for row in rows
    ]


def moment(value: Any, what: str) -> float:
    """Return a point in time as unix seconds, from ISO 8601 or a unix time in s, ms, us or ns.

    >>> moment("1970-01-02T00:00:00Z", "startTime"), moment(1700000000000, "startTime")
    (86400.0, 1700000000.0)
    """
    if isinstance(value, str) and not is_number(value):
        return unix_seconds(value)
    found = number(value, what)
    return found * next((unit for least, unit in _UNIX_UNITS if abs(found) >= least), 1.0)


def nested(value: Any) -> Record:
    """Return an object that may have been written as JSON text; empty when it is none.

    >>> nested('{"a": 1}'), nested(None)
    ({'a': 1}, {})
    """
    if isinstance(value, str) and value.lstrip().startswith("{"):
        value = json_inside(value)
    return value if isinstance(value, Mapping) else {}


def either(record: Record, *names: str) -> Any:
    """Return the first of several columns that holds something.

    >>> either({"startTime": None, "start_time": 3}, "startTime", "start_time")
    3
    """
    return first(*(record.get(name) for name in names))


def add_load(
    rows: Sequence[Row], start: Sequence[float], end: Sequence[float],
    among: Times | None = None, rate: float | None = None,
) -> list[str]:  # fmt: skip
    """Write the requests in flight into rows, from their starts and ends in s, and say how.

    ``among`` has starts and ends of all requests, failed ones too. Rows whose load the file does
    not tell in any way say that it was assumed.
    """
    notes = fill_load(rows, spans=(start, end), among=among, rate=rate)
    if notes:
        return [*notes, SEEN_ONLY]
    for row in rows:
        row["load_from"] = "assumed"
    return [NO_LOAD] if rows else []


def add_no_load(rows: Sequence[Row]) -> list[str]:
    """Say in rows, and in words, that nothing tells how many requests ran at once."""
    return add_load(rows, [math.nan] * len(rows), [math.nan] * len(rows))


def disagreement(
    rows: Sequence[Row], told: Sequence[float], computed: Sequence[float], what: str
) -> list[Flag]:
    """Flag rows in which the file prints another value than its own times and counts give."""
    wrong = [
        index for index, (a, b) in enumerate(zip(told, computed, strict=True))
        if math.isfinite(a) and math.isfinite(b) and abs(a - b) > DISAGREE * abs(b) + 1e-9
    ]  # fmt: skip
    if not wrong or not rows:
        return []
    at = wrong[0]
    seen = (
        f"{what} as printed differs from what times and counts of the same record give in "
        f"{counted(len(wrong), 'row')}: row {at} has {told[at]:.4g} against {computed[at]:.4g}"
    )
    remedy = "check that the file was not edited; the times and counts are used"
    return [Flag.of("file disagrees with itself", "warning", wrong, seen, remedy)]
