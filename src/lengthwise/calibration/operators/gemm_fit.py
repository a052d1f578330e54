"""Fit the curve of dense matrix products to a table of measured kernels."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lengthwise.calibration.operators.log_fit import fit_logs, sample
from lengthwise.domain.hardware import HardwareSpec
from lengthwise.formulations.operators.ceilings import Ceilings
from lengthwise.formulations.operators.gemm import ALIGNED, TILES, GemmCoefficients, GemmCurve

TYPICAL = {
    "launch": (2e-6, 2.0), "compute": (0.8, 0.5), "cache": (4.0, 1.0),
    "tile_overhead": (8e-7, 1.5), "memory": (0.85, 0.3), "sharpness": (2.5, 0.7),
    "memory_delay": (5e-7, 2.0), "wave_ramp": (0.5, 1.0), "slice_overhead": (1e-6, 2.0),
    "row": (1e-9, 3.0), "prepare": (0.3, 2.0), "odd_compute": (1.05, 0.5),
    "odd_memory": (1.02, 0.3),
}  # fmt: skip
TILE = (1.0, 0.3)
MOST_ROWS = 3000
LEAST_ODD = 16
"""Rows up to which a count that is no multiple of 8 is not a case of its own."""
UPPER = {"memory": 1.0}


def is_aligned(m: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Tell which row counts kernels treat as aligned.

    >>> is_aligned(np.array([3.0, 64.0, 65.0])).tolist()
    [True, True, False]
    """
    return np.asarray((m % ALIGNED == 0) | (m <= LEAST_ODD))


def fit(frame: pd.DataFrame, hardware: HardwareSpec, dtype: str, *, seed: int = 0) -> GemmCurve:
    """Fit a curve to measured products.

    Parameters
    ----------
    frame
        Columns ``m``, ``n``, ``k`` and ``seconds``.
    hardware
        The processor they were measured on.
    dtype
        Number format, as in :data:`lengthwise.formulations.operators.ceilings.BYTES`.
    """
    ceilings = Ceilings.of(hardware, dtype)
    rows = frame.iloc[sample(len(frame), MOST_ROWS, seed)]
    m, n, k = (rows[c].to_numpy(float) for c in ("m", "n", "k"))
    aligned = is_aligned(m)
    names = [f"tile{i}" for i in range(len(TILES))]

    def curve(c: dict[str, float]) -> GemmCurve:
        tiles = tuple(c[name] for name in names)
        return GemmCurve(ceilings, GemmCoefficients.from_dict({**c, "tiles": tiles}))

    found = fit_logs(
        lambda c: curve(c).seconds(m, n, k, aligned=aligned), rows["seconds"].to_numpy(float),
        {**TYPICAL, **dict.fromkeys(names, TILE)}, upper=UPPER,
    )  # fmt: skip
    return curve(found)
