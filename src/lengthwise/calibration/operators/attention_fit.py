"""Fit attention curves to kernel tables.

A table has one row per measured call: ``batch_size``, ``num_heads``, ``num_key_value_heads``,
``head_dim``, ``window_size`` (0: none), ``seconds``, and ``isl`` (whole prompts) for prefill or
``step`` (tokens cached before the new one) for decode.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lengthwise.calibration.operators.cell_fit import fit_decode_cell, fit_prefill_cell
from lengthwise.formulations.operators.attention_decode import DecodeAttentionCurve
from lengthwise.formulations.operators.attention_prefill import PrefillAttentionCurve
from lengthwise.formulations.operators.device import Device
from lengthwise.formulations.operators.kinds import NAMES, kind_of
from lengthwise.formulations.operators.terms import Array

LEAST_ROWS = 40
LEAST_SHAPES = 2
"""Numbers of heads that a kind of call needs for a cell of its own; with fewer it joins GQA."""
BYTES = {"bfloat16": 2.0, "float16": 2.0, "fp8": 1.0}


def fit_prefill(
    frame: pd.DataFrame,
    device: Device,
    dtype: str = "bfloat16",
    kv_dtype: str = "bfloat16",
    *,
    corrected: bool = True,
) -> PrefillAttentionCurve:
    """Fit a prefill curve, one cell for each head size and kind of call.

    Without ``corrected`` the curve is the sum of its terms alone.

    Examples
    --------
    >>> from lengthwise.formulations.operators.cell import Cell
    >>> true = PrefillAttentionCurve(Device(1e15, 3e12), 2.0, 2.0, (
    ...     Cell("shared", 128, {"launch": 1e-5, "pairs": 2.0}),))
    >>> table = pd.DataFrame({"batch_size": 1, "isl": 2 ** np.arange(5, 15), "num_heads": 32,
    ...     "num_key_value_heads": 8, "head_dim": 128, "window_size": 0})
    >>> table = pd.concat([table, table.assign(batch_size=4), table.assign(num_heads=8),
    ...     table.assign(num_heads=64), table.assign(batch_size=32)])
    >>> table["seconds"] = prefill_seconds(true, table)
    >>> fitted = fit_prefill(table, true.device)
    >>> bool(np.allclose(prefill_seconds(fitted, table), table["seconds"], rtol=0.01))
    True
    """
    empty = PrefillAttentionCurve(device, BYTES[dtype], BYTES[kv_dtype], ())
    kinds = kinds_of(frame, wide=False)
    cells = []
    for (kind, head_dim), rows in frame.groupby([kinds, "head_dim"]):
        if len(rows) >= LEAST_ROWS:
            sizes = empty.sizes(*prefill_call(rows), warm=True)
            times = rows["seconds"].to_numpy(float)
            cell = fit_prefill_cell(
                str(kind), int(str(head_dim)), sizes, times, corrected=corrected
            )
            cells.append(replace(cell, window=window_of(rows)))
    return PrefillAttentionCurve(device, BYTES[dtype], BYTES[kv_dtype], tuple(cells))


def fit_decode(
    frame: pd.DataFrame,
    device: Device,
    dtype: str = "bfloat16",
    kv_dtype: str = "bfloat16",
    *,
    corrected: bool = True,
) -> DecodeAttentionCurve:
    """Fit a decode curve, one cell for each head size and kind of call.

    Examples
    --------
    >>> from lengthwise.formulations.operators.cell import Cell
    >>> true = DecodeAttentionCurve(Device(1e15, 3e12), 2.0, 2.0, (
    ...     Cell("shared", 128, {"launch": 1e-5, "bytes": 1.5}),))
    >>> table = pd.DataFrame({"batch_size": 1, "step": 2 ** np.arange(0, 17) - 1, "num_heads": 32,
    ...     "num_key_value_heads": 8, "head_dim": 128, "window_size": 0})
    >>> table = pd.concat([table, table.assign(batch_size=4), table.assign(batch_size=64)])
    >>> table["seconds"] = decode_seconds(true, table)
    >>> fitted = fit_decode(table, true.device)
    >>> bool(np.allclose(decode_seconds(fitted, table), table["seconds"], rtol=0.01))
    True
    """
    empty = DecodeAttentionCurve(device, BYTES[dtype], BYTES[kv_dtype], ())
    kinds = kinds_of(frame)
    cells = []
    for (kind, head_dim), rows in frame.groupby([kinds, "head_dim"]):
        if len(rows) >= LEAST_ROWS:
            sizes = empty.sizes(*decode_call(rows), warm=True)
            times = rows["seconds"].to_numpy(float)
            cell = fit_decode_cell(str(kind), int(str(head_dim)), sizes, times, corrected=corrected)
            cells.append(replace(cell, window=window_of(rows)))
    return DecodeAttentionCurve(device, BYTES[dtype], BYTES[kv_dtype], tuple(cells))


def window_of(rows: pd.DataFrame) -> int | None:
    """Take the window of the calls of a cell."""
    return int(rows["window_size"].max()) or None


def prefill_seconds(curve: PrefillAttentionCurve, frame: pd.DataFrame) -> Array:
    """Predict the calls of a prefill table as they were measured (cache left warm), seconds."""
    return curve.seconds(*prefill_call(frame), warm=True)


def decode_seconds(curve: DecodeAttentionCurve, frame: pd.DataFrame) -> Array:
    """Predict the calls of a decode table as they were measured (cache left warm), seconds."""
    return curve.seconds(*decode_call(frame), warm=True)


def kinds_of(frame: pd.DataFrame, *, wide: bool = True) -> NDArray[np.str_]:
    """Name the kind of each call; kinds of too few shapes join GQA."""
    window = frame["window_size"].where(frame["window_size"] > 0, np.inf)
    heads, kv_heads = frame["num_heads"], frame["num_key_value_heads"]
    found = np.asarray(np.array(NAMES)[kind_of(heads, kv_heads, window, wide=wide)])
    shared = np.char.replace(np.char.replace(found, "single", "shared"), "wide", "shared")
    shapes = pd.Series(heads * 100_000 + kv_heads).groupby([found, frame["head_dim"]])
    few = (shapes.transform("nunique") < LEAST_SHAPES).to_numpy()
    return np.asarray(np.where(few, shared, found))


def _columns(frame: pd.DataFrame, *names: str) -> tuple[Array, ...]:
    return tuple(frame[name].to_numpy(dtype=float) for name in names)


def prefill_call(frame: pd.DataFrame) -> tuple[Array, ...]:
    """Take the arguments of a prefill curve from a table."""
    return _columns(
        frame, "batch_size", "isl", "isl", "num_heads", "num_key_value_heads", "head_dim",
        "window_size",
    )  # fmt: skip


def decode_call(frame: pd.DataFrame) -> tuple[Array, ...]:
    """Take the arguments of a decode curve from a table."""
    n, step, *rest = _columns(
        frame, "batch_size", "step", "num_heads", "num_key_value_heads", "head_dim", "window_size"
    )
    return (n, step + 1.0, *rest)
