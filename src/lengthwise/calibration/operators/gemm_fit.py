"""Fit the curve of dense matrix products to a table of measured kernels.

First the physical coefficients, by least squares of logarithms; then, around them, the grids of
what the kernels lose at each size.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lengthwise.calibration.operators.grid_fit import Block, fit_grids
from lengthwise.calibration.operators.log_fit import fit_logs, sample
from lengthwise.domain.hardware import HardwareSpec
from lengthwise.formulations.operators.ceilings import Ceilings
from lengthwise.formulations.operators.gemm import ALIGNED, TILES, GemmCoefficients, GemmCurve
from lengthwise.formulations.operators.log_grid import LogGrid
from lengthwise.formulations.operators.tiles import p_norm

Array = NDArray[np.float64]

TYPICAL = {
    "launch": (2e-6, 2.0), "compute": (0.8, 0.5), "cache": (4.0, 1.0),
    "tile_overhead": (8e-7, 1.5), "memory": (0.85, 0.3), "sharpness": (2.5, 0.7),
    "memory_delay": (5e-7, 2.0), "wave_ramp": (0.5, 1.0), "slice_overhead": (1e-6, 2.0),
    "row": (1e-9, 3.0), "prepare": (0.3, 2.0), "odd_compute": (1.05, 0.5),
    "odd_memory": (1.02, 0.3),
}  # fmt: skip
TILE = (1.0, 0.3)
LOWER = {"wave_ramp": 0.15, "odd_compute": 1.0, "odd_memory": 1.0, "sharpness": 1.0}
UPPER = {"memory": 1.0, "compute": 1.0, "wave_ramp": 1.0, "sharpness": 20.0}
STARTS: tuple[dict[str, float], ...] = ({}, {"tile_overhead": 1e-5, "cache": 20.0})
MOST_ROWS = 1500
MOST_GRID_ROWS = 6000
LEAST_ODD = 16
"""Rows up to which a count that is no multiple of 8 is not a case of its own."""
CACHED = 0.95
"""Share of the bandwidth above which a measured product found its operands in the cache."""
SMALL, SMALL_WEIGHT = 256.0, 0.3
"""Matrices narrower than this are in few models and weigh less."""

QUANTISED = 0.5
ROWS = (1.0, 16.0, 64.0, 128.0, 256.0, 512.0, 1024.0, 4096.0, 32768.0)
SIZES = (64.0, 256.0, 1024.0, 4096.0, 16384.0, 65536.0)
ODD_SIZES = (64.0, 512.0, 4096.0, 65536.0)


def is_aligned(m: Array) -> NDArray[np.bool_]:
    """Tell which row counts kernels treat as aligned.

    >>> is_aligned(np.array([3.0, 64.0, 65.0])).tolist()
    [True, True, False]
    """
    return np.asarray((m % ALIGNED == 0) | (m <= LEAST_ODD))


def fit(
    frame: pd.DataFrame, hardware: HardwareSpec, dtype: str, *, grids: bool = True, seed: int = 0
) -> GemmCurve:
    """Fit a curve to measured products.

    Parameters
    ----------
    frame
        Columns ``m``, ``n``, ``k`` and ``seconds``. Products faster than the memory allows were
        read from the cache; they are left out.
    hardware
        The processor they were measured on.
    dtype
        Number format, as in :data:`lengthwise.formulations.operators.ceilings.BYTES`.
    grids
        Whether to fit the grids too, or only the physical coefficients.
    seed
        Chooses the rows where there are more than the fit needs.
    """
    ceilings = Ceilings.of(hardware, dtype)
    ideal = GemmCurve(ceilings, _coefficients({n: v for n, (v, _) in TYPICAL.items()}))
    floor = ideal.floor(frame["m"], frame["n"], frame["k"])
    usable = frame[floor <= CACHED * frame["seconds"].to_numpy(float)]
    curve = _physical(usable.iloc[sample(len(usable), MOST_ROWS, seed)], ceilings)
    if not grids:
        return curve
    return _with_grids(curve, usable.iloc[sample(len(usable), MOST_GRID_ROWS, seed)])


def _coefficients(found: dict[str, float]) -> GemmCoefficients:
    tiles = tuple(found.get(f"tile{i}", 1.0) for i in range(len(TILES)))
    return GemmCoefficients.from_dict({**found, "tiles": tiles})


def _sizes(rows: pd.DataFrame) -> tuple[Array, Array, Array]:
    return rows["m"].to_numpy(float), rows["n"].to_numpy(float), rows["k"].to_numpy(float)


def _physical(rows: pd.DataFrame, ceilings: Ceilings) -> GemmCurve:
    m, n, k = _sizes(rows)
    aligned = is_aligned(m)
    found = fit_logs(
        lambda c: GemmCurve(ceilings, _coefficients(c)).seconds(m, n, k, aligned=aligned),
        rows["seconds"].to_numpy(float),
        {**TYPICAL, **{f"tile{i}": TILE for i in range(len(TILES))}}, starts=STARTS,
        lower=LOWER, upper=UPPER,
    )  # fmt: skip
    return GemmCurve(ceilings, _coefficients(found))


def _with_grids(curve: GemmCurve, rows: pd.DataFrame) -> GemmCurve:
    """Fit what is lost at each size, for aligned and other row counts in grids of their own."""
    m, n, k = _sizes(rows)
    again = np.flatnonzero(m <= LEAST_ODD) if not is_aligned(m).all() else np.arange(0)
    odd = np.append(~is_aligned(m), np.ones(len(again), bool))
    at = np.append(np.arange(len(m)), again)
    m, n, k = m[at], n[at], k[at]
    terms = curve.terms(m, n, k, odd)
    power, smooth = curve.coefficients.sharpness, 1.0 - QUANTISED

    def evaluate(found: list[Array]) -> tuple[Array, list[Array]]:
        losses, reading, others = found
        compute = terms.tiles**QUANTISED * (terms.ideal * np.exp(losses + others)) ** smooth
        weights = terms.weights * np.exp(reading)
        memory = weights + terms.inputs
        both = p_norm(compute, memory, power)
        times = terms.fixed + both
        by_compute = smooth * (compute / both) ** power * both / times
        by_reading = (memory / both) ** power * both / times * weights / memory
        return times, [by_compute, by_reading, by_compute]

    grids = fit_grids(
        evaluate,
        [
            Block(_start(curve, SIZES, odd=False), (m, n, k), active=(~odd).astype(float)),
            Block(LogGrid((SIZES, SIZES), (0.0,) * len(SIZES) ** 2), (n, k)),
            Block(_start(curve, ODD_SIZES, odd=True), (m, n, k), active=odd.astype(float)),
        ],
        rows["seconds"].to_numpy(float)[at],
        np.where((n >= SMALL) & (k >= SMALL), 1.0, SMALL_WEIGHT),
    )
    losses, reading, others = grids
    coefficients = replace(
        curve.coefficients, quantised=QUANTISED, losses=losses, reading=reading,
        odd=others if odd.any() else None,
    )  # fmt: skip
    return replace(curve, coefficients=coefficients)


def _start(curve: GemmCurve, sizes: tuple[float, ...], *, odd: bool) -> LogGrid:
    """Losses that the physical coefficients imply at the knots."""
    m, n, k = (a.ravel() for a in np.meshgrid(ROWS, sizes, sizes, indexing="ij"))
    terms = curve.terms(m, n, k, np.full(m.shape, odd))
    return LogGrid((ROWS, sizes, sizes), tuple(np.log(terms.tiles / terms.ideal).tolist()))
