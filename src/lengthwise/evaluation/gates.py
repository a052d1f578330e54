"""Gates: thresholds a caller sets, for example in continuous integration."""

from __future__ import annotations

import math

from lengthwise.errors import GateError, InputError
from lengthwise.evaluation.result import EvaluationResult


def check_max_mape(result: EvaluationResult, max_mape: float) -> float:
    """Require that the first formulation's median MAPE over groups is at most ``max_mape``.

    Parameters
    ----------
    result
        An evaluation; the formulation of interest is the first one.
    max_mape
        Threshold, percent.

    Returns
    -------
    float
        The median MAPE, percent.

    Raises
    ------
    GateError
        If it is larger, or a group was not predicted (a missing answer is not a good one).
    """
    check_threshold(max_mape)
    first = result.overall.iloc[0]
    name, mape, failed = first["formulation"], float(first["mape_percent"]), first["failed_groups"]
    rule = f"median MAPE of {name} must be at most {max_mape:g} %"
    if result.partial:
        raise GateError(rule, got="an evaluation that was interrupted", remedy="run it again")
    if failed:
        raise GateError(rule, got=f"{failed} groups that it could not predict",
                        remedy="read the failures; measure more or use --formulations")  # fmt: skip
    if not mape <= max_mape:
        raise GateError(rule, got=f"{mape:.2f} %",
                        remedy="measure longer lengths, or relax the gate")  # fmt: skip
    return mape


def check_threshold(max_mape: float) -> None:
    """Refuse a threshold that is no percentage, before the work is done."""
    if not (math.isfinite(max_mape) and max_mape > 0):
        raise InputError("max_mape must be a positive percentage", got=f"{max_mape}",
                         remedy="write 6 for 6 %")  # fmt: skip
