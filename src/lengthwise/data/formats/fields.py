"""What several readers need: reach into nested JSON, numbers, rows of requests."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pandas as pd

from lengthwise.data.formats.base import Parsed
from lengthwise.data.report import Flag
from lengthwise.data.schema import COLUMNS
from lengthwise.errors import FileFormatError
from lengthwise.units import FloatArray, counted, s_to_ms

Row = dict[str, Any]

LARGEST_INTEGER = 2**62

MISMATCH = 0.05
"""Share by which the token counts of client and server may differ unflagged."""


def at(value: Any, *path: str) -> Any:
    """Follow keys into nested objects; None where the path ends early.

    >>> at({"a": {"b": 3}}, "a", "b"), at({"a": []}, "a", "b")
    (3, None)
    """
    for key in path:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value


def first(*values: Any) -> Any:
    """Give the first value that is neither None nor empty text.

    >>> first(None, "", 0, 5)
    0
    """
    return next((value for value in values if value is not None and value != ""), None)


def number(value: Any, what: str, *, infinite: bool = False) -> float:
    """Read a number, also one in quotes; NaN when absent. Infinity only where it is meant.

    >>> number("12.5", "avg_ns"), number(None, "avg_ns")
    (12.5, nan)
    """
    if value is None or value == "":
        return math.nan
    if isinstance(value, (int, float, str)) and not isinstance(value, bool):
        with suppress(ValueError, OverflowError):
            found = float(value)
            if infinite or not math.isinf(found):
                return found
    raise FileFormatError(
        f"{what} must be a number", got=repr(value)[:60],
        remedy="check that the file is as the tool wrote it",
    )  # fmt: skip


def tokens(value: Any, what: str) -> float:
    """Read a token count, rounded when it is a mean; NaN when absent or 0.

    >>> tokens(511.6, "prompt_tokens"), tokens(0, "prompt_tokens")
    (512.0, nan)
    """
    count = number(value, what)
    if count < 0:
        raise FileFormatError(
            f"{what} must be a count of tokens", got=repr(value)[:60],
            remedy="check that the file is as the tool wrote it",
        )  # fmt: skip
    return math.nan if math.isnan(count) or round(count) == 0 else float(round(count))


def numbers(values: Any, what: str) -> FloatArray:
    """Read a list of numbers; empty when absent.

    >>> numbers([1, "2.5"], "samples_ns").tolist()
    [1.0, 2.5]
    """
    if values is None:
        return np.empty(0)
    if not isinstance(values, list):
        raise FileFormatError(
            f"{what} must be a list of numbers", got=repr(values)[:60],
            remedy="check that the file is as the tool wrote it",
        )  # fmt: skip
    return np.array([number(value, what) for value in values], dtype=float)


def unix_seconds(value: Any) -> float:
    """Read an ISO 8601 time (UTC when it names no zone) as unix seconds; NaN when it is none.

    >>> unix_seconds("1970-01-02T00:00:00Z")
    86400.0
    """
    try:
        time = value if isinstance(value, datetime) else datetime.fromisoformat(str(value).strip())
    except ValueError:
        return math.nan
    return (time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp()


def tpot_s(ttft: float, end: float, osl: float) -> float:
    """Mean time per output token after the first, s; NaN below two tokens.

    >>> tpot_s(0.1, 1.0, 10), tpot_s(0.1, 0.1, 1)
    (0.1, nan)
    """
    return (end - ttft) / (osl - 1) if osl >= 2 else math.nan


def request_row(
    *, ttft: float, end: float, isl: float, osl: float, tpot: float | None = None, **other: Any
) -> Row:
    """Make a row of one request from seconds after it was sent.

    ``tpot`` is (end - ttft) / (osl - 1) unless given.

    >>> row = request_row(ttft=0.1, end=1.0, isl=512, osl=10)
    >>> row["ttft_ms"], row["tpot_ms"], row["e2e_ms"]
    (100.0, 100.0, 1000.0)
    """
    tpot = tpot_s(ttft, end, osl) if tpot is None else tpot
    return {
        "phase": "request", "ttft_ms": s_to_ms(ttft), "tpot_ms": s_to_ms(tpot),
        "e2e_ms": s_to_ms(end), "isl": isl, "osl": osl, **other,
    }  # fmt: skip


def cached_part(isl: float, cached: float) -> float:
    """Limit the cached tokens of a prompt: at least one token of it is always computed.

    >>> cached_part(512, 512), cached_part(512, 256)
    (511, 256)
    """
    return min(cached, isl - 1) if cached >= isl else cached


def mismatch_flags(rows: Sequence[Row], *pairs: tuple[str, str, str]) -> list[Flag]:
    """Flag rows whose counts of client and server differ by over 5 %.

    Parameters
    ----------
    rows
        Rows of the frame.
    pairs
        Column of the server's count, column of the client's, and what is counted.
    """
    flags = []
    for server, client, what in pairs:
        wrong = [
            index for index, row in enumerate(rows)
            if abs(row.get(client, math.nan) - row[server]) > MISMATCH * row[server]
        ]  # fmt: skip
        if wrong:
            row = rows[wrong[0]]
            flags.append(Flag.of(
                "token counts differ", "warning", wrong,
                f"client and server count {what} differently in "
                f"{counted(len(wrong), 'row')}: row {wrong[0]} has {row[client]:g} against "
                f"{row[server]:g}",
                "nothing to do: the server's count is used; per-token times that the tool printed "
                "are wrong by this factor",
            ))  # fmt: skip
    return flags


def parsed(
    rows: Iterable[Row], *, dropped: Counter[str] | None = None,
    assumptions: Iterable[str] = (), flags: Iterable[Flag] = (), needs: tuple[str, ...] = (),
) -> Parsed:  # fmt: skip
    """Put rows into a frame, known columns first; columns that no row fills are left out.

    >>> parsed([{"phase": "prefill", "isl": 64, "latency_ms": 2.0, "osl": None}]).frame.shape
    (1, 3)
    """
    frame = pd.DataFrame([{name: _storable(row[name]) for name in row} for row in rows])
    frame = frame.dropna(axis="columns", how="all") if len(frame) else pd.DataFrame({"phase": []})
    known = [name for name in COLUMNS if name in frame]
    frame = frame[known + [name for name in frame if name not in COLUMNS]]
    lost = dict(dropped or {})
    return Parsed(frame, len(frame) + sum(lost.values()), lost,
                  tuple(dict.fromkeys(assumptions)), tuple(flags), needs)  # fmt: skip


def _storable(value: Any) -> Any:
    """Make text of an integer no column can hold."""
    return str(value) if isinstance(value, int) and abs(value) > LARGEST_INTEGER else value


def damaged(what: str, got: str) -> FileFormatError:
    """Make the error for a file whose content is not of the shape its tool writes."""
    return FileFormatError(what, got=got, remedy="check that the file is as the tool wrote it")
