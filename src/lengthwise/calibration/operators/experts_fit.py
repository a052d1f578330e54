"""Fit the curve of routed experts to a table of measured kernels.

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
from lengthwise.formulations.operators.experts import (
    ExpertsCoefficients,
    ExpertsCurve,
    ExpertsTerms,
    Product,
)
from lengthwise.formulations.operators.log_grid import LogGrid
from lengthwise.formulations.operators.tiles import p_norm

Array = NDArray[np.float64]

TYPICAL = {
    "launch": (2e-5, 1.0), "compute": (0.7, 0.5), "cache": (4.0, 1.0), "tile_overhead": (1e-6, 1.5),
    "memory": (0.8, 0.3), "sharpness": (3.0, 0.7), "wave_ramp": (0.5, 1.0), "row": (1e-9, 3.0),
    "moves": (1.0, 1.0), "expert": (1e-8, 3.0),
    "pairs": (0.1, 2.0), "odd_width": (1.2, 0.5),
}  # fmt: skip
LOWER = {"wave_ramp": 0.15, "sharpness": 1.0, "odd_width": 1.0}
UPPER = {"memory": 1.0, "compute": 1.0, "wave_ramp": 1.0, "sharpness": 20.0}
STARTS: tuple[dict[str, float], ...] = ({}, {"tile_overhead": 1e-5, "cache": 20.0})
MOST_ROWS = 800
MOST_GRID_ROWS = 6000
SIZES = ("tokens", "hidden", "inter", "active", "experts_on_gpu", "experts", "gated")

QUANTISED = 0.5
LOADS = (1 / 32, 0.25, 1.0, 8.0, 64.0, 512.0, 4096.0)
HELD = (1.0, 8.0, 64.0, 512.0)
WIDTHS = (32.0, 256.0, 2048.0, 16384.0)


def predict(curve: ExpertsCurve, frame: pd.DataFrame) -> Array:
    """Seconds of each row of a table with the columns ``SIZES`` and ``skew``."""
    out = np.empty(len(frame))
    for skew, at in _by_skew(frame):
        out[at] = curve.seconds(*_sizes(frame, at), skew=skew)
    return out


def fit(
    frame: pd.DataFrame, hardware: HardwareSpec, dtype: str, *, grids: bool = True, seed: int = 0
) -> ExpertsCurve:
    """Fit a curve to measured layers of experts.

    Parameters
    ----------
    frame
        Columns ``SIZES`` (as :meth:`ExpertsCurve.seconds` takes them), ``skew`` (0: even routing)
        and ``seconds``.
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
    rows = frame.iloc[sample(len(frame), MOST_ROWS, seed)].reset_index(drop=True)
    found = fit_logs(
        lambda c: predict(ExpertsCurve(ceilings, ExpertsCoefficients.from_dict(c)), rows),
        rows["seconds"].to_numpy(float), TYPICAL, starts=STARTS, lower=LOWER, upper=UPPER,
    )  # fmt: skip
    curve = ExpertsCurve(ceilings, ExpertsCoefficients.from_dict(found))
    if not grids:
        return curve
    more = frame.iloc[sample(len(frame), MOST_GRID_ROWS, seed)].reset_index(drop=True)
    return _with_grids(curve, more)


def _by_skew(frame: pd.DataFrame) -> list[tuple[float, NDArray[np.bool_]]]:
    skew = frame["skew"].to_numpy(float)
    return [(float(s), skew == s) for s in np.unique(skew)]


def _sizes(frame: pd.DataFrame, at: NDArray[np.bool_]) -> list[Array]:
    return [frame.loc[at, c].to_numpy(float) for c in SIZES]


def terms_of(curve: ExpertsCurve, frame: pd.DataFrame) -> ExpertsTerms:
    """Terms of all rows, in the order of the table."""
    parts, order = [], []
    for skew, at in _by_skew(frame):
        parts.append(curve.terms(*_sizes(frame, at), skew=skew))
        order.append(np.flatnonzero(at))
    back = np.argsort(np.concatenate(order))

    def joined(arrays: list[Array]) -> Array:
        return np.concatenate(arrays)[back]

    products = [
        Product(*(joined([p.products[i][j] for p in parts]) for j in range(3))) for i in range(2)
    ]
    return ExpertsTerms(
        joined([p.fixed for p in parts]), (products[0], products[1]),
        joined([p.floor for p in parts]), joined([p.load for p in parts]),
        joined([p.held for p in parts]), joined([p.width for p in parts]),
    )  # fmt: skip


def _with_grids(curve: ExpertsCurve, rows: pd.DataFrame) -> ExpertsCurve:
    terms = terms_of(curve, rows)
    power, smooth = curve.coefficients.sharpness, 1.0 - QUANTISED

    def evaluate(found: list[Array]) -> tuple[Array, list[Array]]:
        loss, reading = (np.exp(v) for v in found)
        times, by_loss, by_reading = terms.fixed, np.zeros_like(loss), np.zeros_like(loss)
        for tiles, ideal, weights in terms.products:
            compute = tiles**QUANTISED * (ideal * loss) ** smooth
            memory = weights * reading
            both = p_norm(compute, memory, power)
            times = times + both
            by_loss = by_loss + smooth * (compute / both) ** power * both
            by_reading = by_reading + (memory / both) ** power * both
        return times, [by_loss / times, by_reading / times]

    start = _start(curve, terms)
    losses, reading = fit_grids(
        evaluate,
        [
            Block(start, (terms.load, terms.held, terms.width)),
            Block(LogGrid((HELD, WIDTHS), (0.0,) * (len(HELD) * len(WIDTHS))),
                  (terms.held, terms.width), rising=False),
        ],
        rows["seconds"].to_numpy(float), np.ones(len(rows)),
    )  # fmt: skip
    coefficients = replace(curve.coefficients, quantised=QUANTISED, losses=losses, reading=reading)
    return replace(curve, coefficients=coefficients)


def _start(curve: ExpertsCurve, terms: ExpertsTerms) -> LogGrid:
    """Losses that the physical coefficients imply at the knots, for a layer of middling sizes."""
    load, held, width = (a.ravel() for a in np.meshgrid(LOADS, HELD, WIDTHS, indexing="ij"))
    one = np.ones_like(load)
    at = curve.terms(load * 512.0, 4096.0 * one, width, one, held, 512.0 * one, one, skew=0.0)
    ratio = sum(np.log(p.tiles / p.ideal) for p in at.products) / 2.0
    return LogGrid((LOADS, HELD, WIDTHS), tuple(np.asarray(ratio).tolist()))
