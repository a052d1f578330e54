"""Fit attention curves to kernel tables.

A table has one row per measured call: ``batch_size``, ``num_heads``, ``num_key_value_heads``,
``head_dim``, ``window_size`` (0: none), ``seconds``, and ``isl`` (whole prompts) for prefill or
``step`` (tokens cached before the new one) for decode.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from lengthwise.calibration.operators.nonnegative import fit_terms
from lengthwise.formulations.operators.attention_decode import (
    NAMES,
    DecodeAttentionCurve,
    kind_of,
)
from lengthwise.formulations.operators.attention_prefill import PrefillAttentionCurve
from lengthwise.formulations.operators.decode_terms import DECODE_TERMS
from lengthwise.formulations.operators.device import Device
from lengthwise.formulations.operators.prefill_terms import PREFILL_TERMS
from lengthwise.formulations.operators.terms import Array, Cell

LEAST_ROWS = 40
BYTES = {"bfloat16": 2.0, "float16": 2.0, "fp8": 1.0}
UNFITTED = ("prefix",)
"""Terms that no table can tell apart: see ``prefill_terms``."""


def fit_prefill(
    frame: pd.DataFrame, device: Device, dtype: str = "bfloat16", kv_dtype: str = "bfloat16"
) -> PrefillAttentionCurve:
    """Fit a prefill curve, one cell for each head size and for full and windowed attention.

    Examples
    --------
    >>> true = PrefillAttentionCurve(Device(1e15, 3e12), 2.0, 2.0, (
    ...     Cell("full", 128, {"launch": 1e-5, "pairs": 2.0}),))
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
    windowed = frame["window_size"].to_numpy() > 0
    terms = {k: v for k, v in PREFILL_TERMS.items() if k not in UNFITTED}
    cells = []
    for kind, at in (("full", ~windowed), ("window", windowed)):
        for head_dim, rows in frame[at].groupby("head_dim"):
            if len(rows) >= LEAST_ROWS:
                sizes = empty.sizes(*_prefill_call(rows), warm=True)
                found = fit_terms(terms, sizes, rows["seconds"].to_numpy(float))
                cells.append(Cell(kind, int(str(head_dim)), {**found, "prefix": 1.0}))
    return PrefillAttentionCurve(device, BYTES[dtype], BYTES[kv_dtype], tuple(cells))


def fit_decode(
    frame: pd.DataFrame, device: Device, dtype: str = "bfloat16", kv_dtype: str = "bfloat16"
) -> DecodeAttentionCurve:
    """Fit a decode curve, one cell for each head size and kind of call.

    Examples
    --------
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
    kinds = np.array(NAMES)[
        kind_of(frame["num_heads"], frame["num_key_value_heads"], frame["window_size"] > 0)
    ]
    cells = []
    for (kind, head_dim), rows in frame.groupby([kinds, "head_dim"]):
        if len(rows) >= LEAST_ROWS:
            sizes = empty.sizes(*_decode_call(rows), warm=True)
            found = fit_terms(DECODE_TERMS, sizes, rows["seconds"].to_numpy(float))
            cells.append(Cell(str(kind), int(str(head_dim)), found))
    return DecodeAttentionCurve(device, BYTES[dtype], BYTES[kv_dtype], tuple(cells))


def prefill_seconds(curve: PrefillAttentionCurve, frame: pd.DataFrame) -> Array:
    """Predict the calls of a prefill table as they were measured (cache left warm), seconds."""
    return curve.seconds(*_prefill_call(frame), warm=True)


def decode_seconds(curve: DecodeAttentionCurve, frame: pd.DataFrame) -> Array:
    """Predict the calls of a decode table as they were measured (cache left warm), seconds."""
    return curve.seconds(*_decode_call(frame), warm=True)


def _columns(frame: pd.DataFrame, *names: str) -> tuple[Array, ...]:
    return tuple(frame[name].to_numpy(dtype=float) for name in names)


def _prefill_call(frame: pd.DataFrame) -> tuple[Array, ...]:
    return _columns(
        frame, "batch_size", "isl", "isl", "num_heads", "num_key_value_heads", "head_dim",
        "window_size",
    )  # fmt: skip


def _decode_call(frame: pd.DataFrame) -> tuple[Array, ...]:
    n, step, *rest = _columns(
        frame, "batch_size", "step", "num_heads", "num_key_value_heads", "head_dim", "window_size"
    )
    return (n, step + 1.0, *rest)
