"""Rows that hold statistics over many requests instead of one request."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from lengthwise.data.formats.fields import Row, number

STATISTICS = (
    "mean", "mode", "stddev", "min", "p0p1", "p1", "p5", "p10", "p25", "p50", "p75", "p90", "p95",
    "p99", "p99p9", "max",
)  # fmt: skip
"""Names of statistics in columns, in the spelling of the llm-d benchmark report."""

_SPELLINGS = {"median": "p50", "p0.1": "p0p1", "p99.9": "p99p9", "std": "stddev", "avg": "mean"}


def statistic_column(column: str, statistic: str) -> str:
    """Name the column of a statistic of another column.

    >>> statistic_column("ttft_ms", "p50"), statistic_column("isl", "mean")
    ('ttft_p50_ms', 'isl_mean')
    """
    stem = column.removesuffix("_ms")
    return f"{stem}_{statistic}" + ("_ms" if stem != column else "")


def statistic_columns(block: Any, column: str, factor: float = 1.0, *, mean: bool = False) -> Row:
    """Turn a block of statistics into columns, without the mean unless asked for.

    Parameters
    ----------
    block
        Object such as ``{"mean": 0.05, "median": 0.04, "p99.9": 0.2}``; anything else gives none.
    column
        Column of the measurement table the statistics are of.
    factor
        To the unit of the column.

    Examples
    --------
    >>> statistic_columns({"mean": 0.05, "median": 0.04}, "ttft_ms", 1000)
    {'ttft_p50_ms': 40.0}
    """
    if not isinstance(block, Mapping):
        return {}
    found = {}
    for name, value in block.items():
        statistic = _SPELLINGS.get(str(name), str(name))
        if statistic in STATISTICS and value is not None and (mean or statistic != "mean"):
            label = statistic_column(column, statistic)
            found[label] = factor * number(value, f"{column} {name}")
    return found


def mean_of(block: Any, what: str) -> float:
    """Give the mean of a block of statistics; NaN when there is none.

    >>> mean_of({"mean": 0.05}, "ttft"), mean_of(None, "ttft")
    (0.05, nan)
    """
    return number(block.get("mean"), what) if isinstance(block, Mapping) else math.nan


def mean_note(n_requests: float, how: str = "times and lengths") -> str:
    """Say in words that a row is a mean.

    >>> mean_note(100)
    'times and lengths are means of 100 requests, not one request (column statistic)'
    """
    many = f"{n_requests:,.0f}" if n_requests == n_requests else "an unknown number of"
    return f"{how} are means of {many} requests, not one request (column statistic)"
