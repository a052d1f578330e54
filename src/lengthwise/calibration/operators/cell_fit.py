"""Fit one cell of a curve: coefficients of the terms, then the correction of what they miss."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from lengthwise.calibration.operators.correction_fit import Rows, fit_correction
from lengthwise.calibration.operators.nonnegative import fit_chosen, fit_terms
from lengthwise.formulations.operators.cell import Cell
from lengthwise.formulations.operators.correction import NODES, Correction, at, rising
from lengthwise.formulations.operators.decode_terms import (
    DECODE_BASE,
    DECODE_SIDE,
    DECODE_TERMS,
    DecodeSizes,
    decode_nodes,
)
from lengthwise.formulations.operators.prefill_terms import (
    PREFILL_BASE,
    PREFILL_SIDE,
    PREFILL_TERMS,
    PrefillSizes,
    prefill_nodes,
)
from lengthwise.formulations.operators.terms import Array

UNFITTED = "prefix"
"""The term that no table can tell apart, set to 1: see ``prefill_terms``."""
SERIAL = ("length", "serial_all", "serial_2048", "length_root", "bytes_root")
"""For kernels that do not split a long context."""
BEYOND = ("beyond_64k", "beyond_256k", "beyond_1m")
"""For kernels that split a context before they see its window."""
DOUBTFUL = (SERIAL, BEYOND)
"""Terms that only some kernels need, and that mislead beyond the measured lengths elsewhere."""


def fit_prefill_cell(
    kind: str, head_dim: int, sizes: PrefillSizes, seconds: Array, *, corrected: bool = True,
    extra: Mapping[str, Callable[[Any], Array]] | None = None,
) -> Cell:  # fmt: skip
    """Fit a prefill cell; the calls share head size and, if corrected, one window.

    ``extra`` terms are fitted along and belong to the coefficients of the cell.
    """
    terms = {k: v for k, v in PREFILL_TERMS.items() if k != UNFITTED}
    found = fit_terms({**terms, **(extra or {})}, sizes, seconds)
    plain = Cell(kind, head_dim, {**found, UNFITTED: 1.0})
    if not corrected:
        return plain
    first = (float(a.flat[0]) for a in (sizes.pair_flops, sizes.query_bytes, sizes.window))
    nodes = prefill_nodes(sizes.device, sizes.cache_bytes, *first)
    rows = Rows(sizes.items, sizes.query, seconds, plain.total(PREFILL_BASE, sizes),
                plain.total({**PREFILL_SIDE, **(extra or {})}, sizes))  # fmt: skip
    base = plain.total(PREFILL_BASE, nodes).reshape(NODES, NODES)
    return _better(plain, rows, fit_correction(rows, base), base)


def fit_decode_cell(
    kind: str, head_dim: int, sizes: DecodeSizes, seconds: Array, *, corrected: bool = True,
    extra: Mapping[str, Callable[[Any], Array]] | None = None,
) -> Cell:  # fmt: skip
    """Fit a decode cell; the calls share head size and, if corrected, one window.

    ``extra`` terms are fitted along and belong to the coefficients of the cell.
    """
    terms = {**DECODE_TERMS, **(extra or {})}
    found = fit_chosen(terms, DOUBTFUL, sizes, seconds, sizes.context)
    plain = Cell(kind, head_dim, found)
    if not corrected:
        return plain
    first = (float(a.flat[0]) for a in (sizes.window, sizes.pair_flops, sizes.kv_bytes))
    nodes = decode_nodes(sizes.device, sizes.cache_bytes, *first)
    items = np.asarray(sizes.sequences * sizes.kv_heads)
    rows = Rows(items, sizes.context, seconds, plain.total(DECODE_BASE, sizes),
                plain.total({**DECODE_SIDE, **(extra or {})}, sizes))  # fmt: skip
    base = plain.total(DECODE_BASE, nodes).reshape(NODES, NODES)
    return _better(plain, rows, fit_correction(rows, base), base)


def _better(plain: Cell, rows: Rows, correction: Correction, node_base: Array) -> Cell:
    """Take the correction only where it is one: side terms may leave too little to the base."""
    table = rising(np.log(node_base) + correction.padded())
    found = at(table, rows.items, rows.lengths) + rows.side
    if _loss(found, rows.seconds) >= _loss(rows.base + rows.side, rows.seconds):
        return plain
    return Cell(plain.kind, plain.head_dim, plain.coefficients, correction)


def _loss(found: Array, seconds: Array) -> float:
    error = np.abs(found / seconds - 1.0)
    return float(np.median(error) + np.quantile(error, 0.9))
