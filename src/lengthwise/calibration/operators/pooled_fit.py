"""Typical curves: one set of coefficients for the tables of several processors.

Terms are multiples of each processor's ceilings, so rows of all of them go into one fit; what comes
out can be put on a processor without tables. There is no correction: what the terms miss belongs to
one kernel on one processor.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pandas as pd

from lengthwise.calibration.operators.attention_fit import (
    BYTES,
    LEAST_ROWS,
    decode_call,
    kinds_of,
    prefill_call,
    window_of,
)
from lengthwise.calibration.operators.cell_fit import BEYOND, SERIAL, UNFITTED
from lengthwise.calibration.operators.nonnegative import fit_parts
from lengthwise.formulations.operators.attention_decode import DecodeAttentionCurve
from lengthwise.formulations.operators.attention_prefill import PrefillAttentionCurve
from lengthwise.formulations.operators.cell import Cell
from lengthwise.formulations.operators.decode_terms import DECODE_TERMS
from lengthwise.formulations.operators.device import Device
from lengthwise.formulations.operators.latent_decode import LatentDecodeCurve
from lengthwise.formulations.operators.latent_prefill import LatentPrefillCurve
from lengthwise.formulations.operators.prefill_terms import PREFILL_TERMS
from lengthwise.formulations.operators.terms import Array

Tables = Sequence[tuple[pd.DataFrame, Device]]
FITTED = {name: term for name, term in PREFILL_TERMS.items() if name != UNFITTED}
STEADY = {name: term for name, term in DECODE_TERMS.items() if name not in SERIAL + BEYOND}


def pooled_prefill(
    tables: Tables, dtype: str = "bfloat16", kv_dtype: str = "bfloat16"
) -> PrefillAttentionCurve:
    """Fit one prefill curve to tables of several processors; it stands on the first one.

    Examples
    --------
    >>> import numpy as np
    >>> true = PrefillAttentionCurve(Device(1e15, 3e12), 2.0, 2.0, (
    ...     Cell("shared", 128, {"launch": 1e-5, "pairs": 2.0}),))
    >>> other = true.on(Device(3e14, 2e12, 108, 40e6))
    >>> table = pd.DataFrame({"batch_size": 1, "isl": 2 ** np.arange(5, 15), "num_heads": 32,
    ...     "num_key_value_heads": 8, "head_dim": 128, "window_size": 0})
    >>> table = pd.concat([table, table.assign(batch_size=4), table.assign(num_heads=64),
    ...     table.assign(batch_size=16)])
    >>> rows = [(table.assign(seconds=c.seconds(*prefill_call(table))), c.device)
    ...         for c in (true, other)]
    >>> fitted = pooled_prefill(rows).on(other.device)
    >>> call = (2, 3000, 3000, 32, 8, 128)
    >>> bool(abs(fitted.seconds(*call)[0] / other.seconds(*call)[0] - 1) < 0.03)
    True
    """
    curve = PrefillAttentionCurve(tables[0][1], BYTES[dtype], BYTES[kv_dtype], ())

    def sizes(rows: pd.DataFrame, device: Device) -> Any:
        return curve.on(device).sizes(*prefill_call(rows), warm=True)

    return replace(curve, cells=_cells(tables, sizes, FITTED, {UNFITTED: 1.0}, wide=False))


def pooled_decode(
    tables: Tables, dtype: str = "bfloat16", kv_dtype: str = "bfloat16"
) -> DecodeAttentionCurve:
    """Fit one decode curve to tables of several processors; it stands on the first one."""
    curve = DecodeAttentionCurve(tables[0][1], BYTES[dtype], BYTES[kv_dtype], ())

    def sizes(rows: pd.DataFrame, device: Device) -> Any:
        return curve.on(device).sizes(*decode_call(rows), warm=True)

    return replace(curve, cells=_cells(tables, sizes, STEADY, {}, wide=True))


def pooled_latent_prefill(
    tables: Tables, dtype: str = "bfloat16", kv_dtype: str = "bfloat16"
) -> LatentPrefillCurve:
    """Fit one latent prefill curve to tables of attention alone."""
    curve = LatentPrefillCurve(tables[0][1], BYTES[dtype], BYTES[kv_dtype], Cell("latent", 192, {}))
    parts = []
    for rows, device in tables:
        n, length, heads = (rows[c].to_numpy(float) for c in ("batch_size", "isl", "num_heads"))
        sizes = curve.on(device).sizes(n, length, length, heads, warm=True)
        parts.append((sizes, rows["seconds"].to_numpy(float)))
    return replace(curve, cell=Cell("latent", 192, {**fit_parts(FITTED, parts), UNFITTED: 1.0}))


def pooled_latent_decode(
    tables: Tables, dtype: str = "bfloat16", kv_dtype: str = "bfloat16"
) -> LatentDecodeCurve:
    """Fit one latent decode curve to tables of attention alone."""
    curve = LatentDecodeCurve(tables[0][1], BYTES[dtype], BYTES[kv_dtype], Cell("latent", 576, {}))
    parts = []
    for rows, device in tables:
        n, step, heads = (rows[c].to_numpy(float) for c in ("batch_size", "step", "num_heads"))
        sizes = curve.on(device).sizes(n, step + 1.0, heads, warm=True)
        parts.append((sizes, rows["seconds"].to_numpy(float)))
    return replace(curve, cell=Cell("latent", 576, fit_parts(STEADY, parts)))


def _cells(
    tables: Tables, sizes: Callable[[pd.DataFrame, Device], Any],
    terms: Mapping[str, Callable[[Any], Array]], fixed: Mapping[str, float], *, wide: bool,
) -> tuple[Cell, ...]:  # fmt: skip
    parts: dict[tuple[str, int, int | None], list[tuple[Any, Array]]] = {}
    for frame, device in tables:
        for (kind, head_dim), rows in frame.groupby([kinds_of(frame, wide=wide), "head_dim"]):
            if len(rows) >= LEAST_ROWS:
                part = (sizes(rows, device), rows["seconds"].to_numpy(float))
                key = (str(kind), int(str(head_dim)), window_of(rows))
                parts.setdefault(key, []).append(part)
    return tuple(
        Cell(kind, head_dim, {**fit_parts(terms, found), **fixed}, window=window)
        for (kind, head_dim, window), found in parts.items()
    )
