"""Observations that no server can have produced: kept and counted, never learnt.

Such rows pass the checks of the wire format (1e999 is a JSON number, 10**400 a whole number) and
would spoil a law for good. Each gets the reason why it is set aside.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from lengthwise.formulations.online.rows import NUMBERS
from lengthwise.units import FloatArray

LONGEST_S = 86400.0
"""No answer takes longer than a day."""
FASTEST_PREFILL = 1e7
"""Prompt tokens per second that no server reads."""
FASTEST_TTFT_S = 1e-4
FASTEST_TPOT_S = 1e-5
MOST_TOKENS = 1e8
MOST_REQUESTS = 1e6
SHARES = ("cached_share", "kv_share")
REQUESTS = ("waiting", "running")


def reasons(rows_columns: Mapping[str, Any], ttft_s: Any, tpot_s: Any) -> Any:
    """Say for every row why it must not be learnt, "" if it may be.

    Parameters
    ----------
    rows_columns
        Columns as :meth:`RouterRows.of` takes them, unchecked; values may be anything.
    ttft_s, tpot_s
        Observations in seconds, shape (n,); NaN says nothing.

    Returns
    -------
    object array of str, shape (n,)

    Examples
    --------
    >>> list(reasons({"input_tokens": [10, 10**400, 2e6]}, [0.1, 0.1, 0.01], [0.01] * 3))
    ['', 'input_tokens is not a finite number', 'ttft_s is impossibly short']
    """
    ttft, tpot = numbers(ttft_s), numbers(tpot_s)
    why = np.full(len(ttft), "", dtype=object)
    columns = {n: numbers(rows_columns[n]) for n in NUMBERS if n in rows_columns}
    for name, values in columns.items():
        _mark(why, ~np.isfinite(values), f"{name} is not a finite number")
        _mark(why, values < 0, f"{name} is negative")
        _mark(why, values > _most(name), f"{name} is impossibly large")
    for name, seconds in (("ttft_s", ttft), ("tpot_s", tpot)):
        _mark(why, np.isinf(seconds), f"{name} is not a finite number")
        _mark(why, seconds < 0, f"{name} is negative")
        _mark(why, seconds > LONGEST_S, f"{name} is longer than a day")
    if "input_tokens" in columns:
        encoded = columns.get("encoder_tokens", np.zeros(1)) > 0
        none = (columns["input_tokens"] < 1) & ~encoded
        _mark(why, none, "input_tokens is below 1: every prompt has a token")
    uncached = columns.get("input_tokens", np.zeros(1)) * (
        1.0 - columns.get("cached_share", np.zeros(1))
    )
    with np.errstate(invalid="ignore"):
        least = np.maximum(FASTEST_TTFT_S, uncached / FASTEST_PREFILL)
        _mark(why, (ttft > 0) & (ttft < least), "ttft_s is impossibly short")
        _mark(why, (tpot > 0) & (tpot < FASTEST_TPOT_S), "tpot_s is impossibly short")
    return why


def numbers(values: Any) -> FloatArray:
    """Read anything as float64, shape (n,); what is no number becomes infinite.

    >>> numbers([1, None, "x", 10**400]).tolist()
    [1.0, nan, inf, inf]
    """
    try:
        return np.asarray(values, dtype=float)
    except (TypeError, ValueError, OverflowError):
        return np.array([_number(v) for v in values], dtype=float)


def _number(value: Any) -> float:
    if value is None:
        return float("nan")
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return float("inf")


def _most(name: str) -> float:
    if name in SHARES:
        return 1.0
    return MOST_REQUESTS if name in REQUESTS else MOST_TOKENS


def _mark(why: Any, bad: Any, reason: str) -> None:
    if bad.any():
        why[bad & (why == "")] = reason
