"""Points of a measurement table: which rows repeat the same thing, and where they lie.

A **group** is one deployment in one phase; a law is judged per group. A **point** is what was asked
for, without the times: rows of one group that share a point are repeats. Columns that do not change
the work of a step (``osl`` of a prefill) do not make a new point.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from lengthwise.data.identity import deployment_of
from lengthwise.data.load import with_classes
from lengthwise.errors import ColumnError
from lengthwise.units import FloatArray

POINT_COLUMNS: dict[str, tuple[str, ...]] = {
    "prefill": ("isl", "context_len", "query_len", "cached_tokens", "batch_size"),
    "decode": ("context_len", "query_len", "batch_size"),
    "mixed": ("sum_query_len", "sum_context_len", "sum_query_x_context", "batch_size"),
    "request": ("isl", "osl", "cached_tokens", "batch_size", "concurrency", "request_rate"),
}
"""Columns that say what a row of each phase measured."""

LENGTH_COLUMN = {"prefill": "isl", "decode": "context_len", "request": "isl"}
"""The axis laws extrapolate along; a mixed step uses its mean context."""


def group_of(table: pd.DataFrame) -> pd.Series[Any]:
    """Name the group of each row: its deployment and its phase.

    Returns
    -------
    Series of str on the index of ``table``.

    Examples
    --------
    >>> group_of(pd.DataFrame({"phase": ["prefill"], "model": ["m"], "hardware": ["h"]})).tolist()
    ['m | h | prefill']
    """
    phase = column_text(table, "phase")
    return deployment_of(table).astype(str) + " | " + phase


def point_of(table: pd.DataFrame) -> npt.NDArray[np.intp]:
    """Give each row the number of its point; rows with the same number are repeats.

    Returns
    -------
    array of shape (n,), 0 to number of points - 1.

    Examples
    --------
    >>> rows = {"phase": "prefill", "model": "m", "isl": [64, 64, 128], "osl": [1, 9, 1]}
    >>> point_of(pd.DataFrame(rows)).tolist()
    [0, 0, 1]
    """
    codes = np.zeros(len(table), dtype=np.intp)
    group, phase = group_of(table), column_text(table, "phase")
    table = with_classes(table)
    start = 0
    for name in phase.unique():
        rows = (phase == name).to_numpy()
        columns = [c for c in POINT_COLUMNS.get(name, ()) if c in table]
        keys = table.loc[rows, columns].assign(_group=group[rows])
        if "batch_size" in keys:
            keys["batch_size"] = keys["batch_size"].fillna(1)
        number = keys.groupby(list(keys), dropna=False, sort=False).ngroup().to_numpy()
        codes[rows] = number + start
        start += int(number.max()) + 1
    return codes


def length_of(table: pd.DataFrame) -> FloatArray:
    """Give the length of each row: isl of a prefill, context_len of a decode step.

    Returns
    -------
    array of shape (n,), tokens per sequence; NaN where the row does not say.

    Examples
    --------
    >>> rows = {"phase": ["prefill", "decode"], "isl": [64, None], "context_len": [None, 99]}
    >>> length_of(pd.DataFrame(rows)).tolist()
    [64.0, 99.0]
    """
    phase = column_text(table, "phase").to_numpy()
    length = np.full(len(table), np.nan)
    for name, column in LENGTH_COLUMN.items():
        length = np.where(phase == name, _numbers(table, column), length)
    mean_context = _numbers(table, "sum_context_len") / batch_of(table)
    return np.where(phase == "mixed", mean_context, length)


def batch_of(table: pd.DataFrame) -> FloatArray:
    """Give the sequences per step of each row, 1 where the row does not say; shape (n,).

    >>> batch_of(pd.DataFrame({"batch_size": [4, None]})).tolist()
    [4.0, 1.0]
    """
    batch = _numbers(table, "batch_size")
    return np.where(np.isnan(batch), 1.0, batch)


def column_text(table: pd.DataFrame, name: str) -> pd.Series[Any]:
    """Give a needed text column, or say that it is missing."""
    if name not in table:
        raise ColumnError(
            f"a measurement table needs the column {name!r}",
            got=f"columns {', '.join(map(str, table.columns[:8]))}",
            remedy=f"add the column {name!r}",
        )
    return table[name].astype(str)


def _numbers(table: pd.DataFrame, name: str) -> FloatArray:
    if name not in table:
        return np.full(len(table), np.nan)
    return np.asarray(pd.to_numeric(table[name], errors="coerce").to_numpy(float, na_value=np.nan))
