"""Fit the curve of routed experts to a table of measured kernels."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lengthwise.calibration.operators.log_fit import fit_logs, sample
from lengthwise.domain.hardware import HardwareSpec
from lengthwise.formulations.operators.ceilings import Ceilings
from lengthwise.formulations.operators.experts import ExpertsCoefficients, ExpertsCurve

TYPICAL = {
    "launch": (2e-5, 1.0), "compute": (0.7, 0.5), "cache": (4.0, 1.0), "tile_overhead": (1e-6, 1.5),
    "memory": (0.8, 0.3), "sharpness": (3.0, 0.7), "wave_ramp": (0.5, 1.0), "row": (1e-9, 3.0),
    "moves": (1.0, 1.0), "expert": (1e-8, 3.0),
}  # fmt: skip
MOST_ROWS = 3000
SIZES = ("tokens", "hidden", "inter", "active", "experts_on_gpu", "experts", "gated")


def predict(curve: ExpertsCurve, frame: pd.DataFrame) -> NDArray[np.float64]:
    """Seconds of each row of a table with the columns ``SIZES`` and ``skew``."""
    out = np.empty(len(frame))
    for skew in frame["skew"].unique():
        at = (frame["skew"] == skew).to_numpy()
        sizes = [frame.loc[at, c].to_numpy(float) for c in SIZES]
        out[at] = curve.seconds(*sizes, skew=float(skew))
    return out


def fit(frame: pd.DataFrame, hardware: HardwareSpec, dtype: str, *, seed: int = 0) -> ExpertsCurve:
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
    """
    ceilings = Ceilings.of(hardware, dtype)
    rows = frame.iloc[sample(len(frame), MOST_ROWS, seed)].reset_index(drop=True)
    found = fit_logs(
        lambda c: predict(ExpertsCurve(ceilings, ExpertsCoefficients.from_dict(c)), rows),
        rows["seconds"].to_numpy(float), TYPICAL, upper={"memory": 1.0, "compute": 1.0},
    )  # fmt: skip
    return ExpertsCurve(ceilings, ExpertsCoefficients.from_dict(found))
