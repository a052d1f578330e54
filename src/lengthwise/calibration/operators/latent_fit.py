"""Fit curves of latent attention to kernel tables.

Rows as in ``attention_fit``, without key-value heads, head sizes and windows. A table of whole
modules (attention with its projections) is fitted with both sets of terms at once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pandas as pd

from lengthwise.calibration.operators.attention_fit import BYTES
from lengthwise.calibration.operators.cell_fit import fit_decode_cell, fit_prefill_cell
from lengthwise.formulations.operators.cell import Cell
from lengthwise.formulations.operators.device import Device
from lengthwise.formulations.operators.latent_decode import KIND, LatentDecodeCurve
from lengthwise.formulations.operators.latent_prefill import LatentPrefillCurve
from lengthwise.formulations.operators.latent_sizes import PROJECTION_TERMS, Projections
from lengthwise.formulations.operators.terms import Array

MARK = "around."


def fit_latent_prefill(
    frame: pd.DataFrame, device: Device, dtype: str = "bfloat16", kv_dtype: str = "bfloat16",
    *, module: bool = False, corrected: bool = True,
) -> LatentPrefillCurve:  # fmt: skip
    """Fit latent prefill.

    Examples
    --------
    >>> import numpy as np
    >>> true = LatentPrefillCurve(
    ...     Device(1e15, 3e13), 2.0, 2.0, Cell("latent", 192, {"launch": 1e-5, "pairs": 2.0}))
    >>> table = pd.DataFrame({"batch_size": 1, "isl": 2 ** np.arange(5, 15), "num_heads": 128})
    >>> table = pd.concat([table, table.assign(batch_size=4), table.assign(num_heads=16),
    ...     table.assign(batch_size=64), table.assign(num_heads=2)])
    >>> table["seconds"] = latent_prefill_seconds(true, table)
    >>> fitted = fit_latent_prefill(table, true.device)
    >>> bool(np.allclose(latent_prefill_seconds(fitted, table), table["seconds"], rtol=0.01))
    True
    """
    empty = LatentPrefillCurve(device, BYTES[dtype], BYTES[kv_dtype], Cell(KIND, 192, {}))
    call = _columns(frame, "batch_size", "isl", "num_heads")
    sizes = empty.sizes(call[0], call[1], call[1], call[2], warm=True)
    times = frame["seconds"].to_numpy(dtype=float)
    extra = _around(empty.matrices(*call), module)
    cell, around = _parted(
        fit_prefill_cell(KIND, 192, sizes, times, corrected=corrected, extra=extra)
    )
    return LatentPrefillCurve(device, BYTES[dtype], BYTES[kv_dtype], cell, around)


def fit_latent_decode(
    frame: pd.DataFrame, device: Device, dtype: str = "bfloat16", kv_dtype: str = "bfloat16",
    *, module: bool = False, corrected: bool = True,
) -> LatentDecodeCurve:  # fmt: skip
    """Fit latent decode.

    Examples
    --------
    >>> import numpy as np
    >>> true = LatentDecodeCurve(
    ...     Device(1e15, 3e12), 2.0, 2.0, Cell("latent", 576, {"launch": 1e-5, "bytes": 1.5}))
    >>> table = pd.DataFrame({"batch_size": 1, "step": 2 ** np.arange(17) - 1, "num_heads": 128})
    >>> table = pd.concat([table, table.assign(batch_size=16), table.assign(num_heads=16)])
    >>> table["seconds"] = latent_decode_seconds(true, table)
    >>> fitted = fit_latent_decode(table, true.device)
    >>> bool(np.allclose(latent_decode_seconds(fitted, table), table["seconds"], rtol=0.01))
    True
    """
    empty = LatentDecodeCurve(device, BYTES[dtype], BYTES[kv_dtype], Cell(KIND, 576, {}))
    n, step, heads = _columns(frame, "batch_size", "step", "num_heads")
    sizes = empty.sizes(n, step + 1.0, heads, warm=True)
    times = frame["seconds"].to_numpy(dtype=float)
    extra = _around(empty.matrices(n, heads), module)
    cell, around = _parted(
        fit_decode_cell(KIND, 576, sizes, times, corrected=corrected, extra=extra)
    )
    return LatentDecodeCurve(device, BYTES[dtype], BYTES[kv_dtype], cell, around)


def latent_prefill_seconds(curve: LatentPrefillCurve, frame: pd.DataFrame) -> Array:
    """Predict the calls of a prefill table as they were measured, seconds."""
    n, length, heads = _columns(frame, "batch_size", "isl", "num_heads")
    return curve.seconds(n, length, length, heads, warm=True, projections=True)


def latent_decode_seconds(curve: LatentDecodeCurve, frame: pd.DataFrame) -> Array:
    """Predict the calls of a decode table as they were measured, seconds."""
    n, step, heads = _columns(frame, "batch_size", "step", "num_heads")
    return curve.seconds(n, step + 1.0, heads, warm=True, projections=True)


def _around(matrices: Projections, module: bool) -> dict[str, Callable[[Any], Array]]:
    """Terms of the projections, as functions of sizes they do not need."""
    named = PROJECTION_TERMS.items() if module else ()
    return {f"{MARK}{name}": _given(term, matrices) for name, term in named}


def _given(term: Callable[[Projections], Array], matrices: Projections) -> Callable[[Any], Array]:
    return lambda _: term(matrices)


def _parted(cell: Cell) -> tuple[Cell, dict[str, float] | None]:
    """Take the projections' coefficients out of a cell."""
    own = {k: v for k, v in cell.coefficients.items() if not k.startswith(MARK)}
    around = {k[len(MARK) :]: v for k, v in cell.coefficients.items() if k.startswith(MARK)}
    return Cell(cell.kind, cell.head_dim, own, cell.correction), around or None


def _columns(frame: pd.DataFrame, *names: str) -> tuple[Array, ...]:
    return tuple(frame[name].to_numpy(dtype=float) for name in names)
