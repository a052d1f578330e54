"""Rows as the correction compares them, from their columns and their physics."""

from __future__ import annotations

import numpy as np

from lengthwise.calibration.step.coefficients import StepCoefficients
from lengthwise.calibration.step.kinship import Kin
from lengthwise.calibration.step.rows import Columns, Evaluated


def kin_of(columns: Columns, evaluated: Evaluated, coefficients: StepCoefficients) -> Kin:
    """Read settings, shares and labels of rows; the shares follow the fitted factors."""
    weights = coefficients.per_group()
    labelled = {**columns, "architecture": evaluated.architecture}
    request = np.asarray(columns["phase"]) == "request"
    labelled["concurrency"] = np.where(request, columns["concurrency"], columns["batch_size"])
    labelled["isl"] = np.where(np.asarray(columns["phase"]) == "decode", columns["context_len"],
                               columns["isl"])  # fmt: skip
    return Kin.of(labelled, evaluated.decode * weights, evaluated.prompt * weights)
