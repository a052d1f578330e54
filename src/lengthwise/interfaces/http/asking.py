"""Ask the law: columns in, milliseconds out; always finite, the interval around the value."""

from __future__ import annotations

import time
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np

from lengthwise.formulations.online.law import OnlineAnswer, OnlineLaw
from lengthwise.formulations.online.rows import LABELS, NUMBERS, RouterRows
from lengthwise.interfaces.http.columns import Columns
from lengthwise.units import MS_PER_S, FloatArray

LARGEST_COUNT = 1e9
"""Counts beyond it (no prompt has as many tokens) are answered as if they were this."""
LARGEST_MS = 1e12
"""Some thirty years; a time beyond it says no more."""
LEVEL = 0.9


@dataclass(frozen=True)
class Times:
    """Value and interval of one target; arrays of shape (n,), milliseconds."""

    value: FloatArray
    lo: FloatArray
    hi: FloatArray


def router_rows(columns: Columns, n: int) -> RouterRows:
    """Rows for the law from checked columns; what was not sent is 0 or "".

    >>> len(router_rows({"input_tokens": np.array([1e30])}, 1))
    1
    """
    zeros = np.zeros(n)
    numbers = [np.minimum(columns.get(name, zeros), LARGEST_COUNT) for name in NUMBERS]
    blank = None
    labels = []
    for name in LABELS:
        label = columns.get(name)
        if label is None:
            blank = np.full(n, "", dtype=object) if blank is None else blank
            label = blank
        labels.append(label)
    return RouterRows(*numbers, *labels)


def ask(law: OnlineLaw, rows: RouterRows, *, level: float, alpha: float | None) -> OnlineAnswer:
    """Mean (alpha None) or quantile, with its interval, as things are now."""
    now_s = time.time()
    with np.errstate(over="ignore"):
        if alpha is None:
            return law.predict(rows, level, now_s)
        return law.quantile(rows, alpha, level, now_s)


def times(answer: OnlineAnswer) -> tuple[Times, Times]:
    """TTFT and TPOT of an answer, in milliseconds."""
    return (
        _times(answer.ttft_s, answer.ttft_lo_s, answer.ttft_hi_s),
        _times(answer.tpot_s, answer.tpot_lo_s, answer.tpot_hi_s),
    )


def _times(value_s: FloatArray, lo_s: FloatArray, hi_s: FloatArray) -> Times:
    table = np.array((value_s, lo_s, hi_s))
    table *= MS_PER_S
    if not (table <= LARGEST_MS).all():  # NaN included
        table = np.minimum(np.nan_to_num(table, nan=LARGEST_MS), LARGEST_MS)
    value, lo, hi = table.round(6)
    return Times(value, np.minimum(lo, value), np.maximum(hi, value))


def level_for(alpha: float | None) -> float:
    """Level of the interval that goes with a quantile: 90 %, or wider if the quantile lies beyond.

    >>> level_for(None), level_for(0.5), round(level_for(0.99), 2)
    (0.9, 0.9, 0.98)
    """
    return LEVEL if alpha is None else max(LEVEL, abs(2 * alpha - 1))


def deviations(level: float) -> float:
    """Give how many standard deviations of a normal distribution an interval of a level spans.

    >>> round(deviations(0.9), 2)
    3.29
    """
    return 2 * NormalDist().inv_cdf((1 + level) / 2)


def listed(array: Any) -> list[Any]:
    """Plain Python values of an array."""
    found: list[Any] = array.tolist()
    return found
