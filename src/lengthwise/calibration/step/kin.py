"""Rows as corrections compare them, from their columns and their physics."""

from __future__ import annotations

import numpy as np

from lengthwise.calibration.step.coefficients import StepCoefficients, quantities
from lengthwise.calibration.step.heads import Seen
from lengthwise.calibration.step.kinship import Kin
from lengthwise.calibration.step.rows import Columns, Evaluated
from lengthwise.calibration.step.trees import Features


def seen_of(columns: Columns, evaluated: Evaluated, coefficients: StepCoefficients) -> Seen:
    """Read settings, shares, features and labels of rows; shares follow the fitted factors.

    All rows must have an answer of the physics.
    """
    weights = coefficients.per_group()
    phase = np.asarray(columns["phase"])
    request, decode = phase == "request", phase == "decode"
    labelled = {
        **columns, "architecture": evaluated.architecture,
        "concurrency": np.where(request, columns["concurrency"], columns["batch_size"]),
        "isl": np.where(decode, columns["context_len"], columns["isl"]),
    }  # fmt: skip
    kin = Kin.of(labelled, evaluated.decode * weights, evaluated.prompt * weights)
    found = quantities(coefficients, evaluated, columns)
    times = np.column_stack(
        [np.where(request, found[a], found["prefill"]) for a in ("ttft", "tpot")]
    )
    return Seen(kin, Features.of(labelled, evaluated, kin, times))
