"""Answers of the step law under techniques: what each changes in the physics, on top of a law.

A technique changes physical quantities of a request (:mod:`lengthwise.formulations.step.knobs`).
The ratio of the physics with and without it is applied to the corrected answer and its interval:
what was learnt about a deployment stays.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lengthwise.calibration.step.coefficients import StepCoefficients
from lengthwise.calibration.step.columns import columns_of
from lengthwise.calibration.step.rows import IDENTITY, step_model
from lengthwise.errors import InputError
from lengthwise.formulations.step.groups import GROUPS
from lengthwise.formulations.step.knobs import Request, apply_knobs, request_times

Record = dict[str, Any]


def plain_request(point: Mapping[str, Any], coefficients: StepCoefficients) -> Request:
    """Describe the request of one point, without techniques."""
    columns = columns_of({name: [value] for name, value in point.items()})
    if columns["phase"][0] != "request":
        raise InputError("techniques apply to requests", got=f"a {columns['phase'][0]}",
                         remedy="give isl and osl")  # fmt: skip
    return Request(
        step_model({name: columns[name][0] for name in IDENTITY}), float(columns["isl"][0]),
        float(columns["osl"][0]), float(columns["concurrency"][0]),
        float(columns["cached_tokens"][0]),
        interference=coefficients.of_engine(columns["engine"][0]),
        factors=dict(zip(GROUPS, coefficients.per_group().tolist(), strict=True)),
    )  # fmt: skip


def with_techniques(record: Record, request: Request, knobs: Mapping[str, Any]) -> Record:
    """Change the times of an answer by what techniques do to the physics.

    Parameters
    ----------
    record
        An answer of one request: ``ttft_ms``, ``tpot_ms``, ``e2e_ms`` with their intervals.
    request, knobs
        The request without techniques, and their settings by name.

    Returns
    -------
    dict
        The answer with the settings under ``techniques``.
    """
    before, after = request_times(request), request_times(apply_knobs(request, knobs))
    out = dict(record)
    gaps = max(float(request.osl) - 1.0, 0.0)
    for end in ("", "_lo", "_hi"):
        out[f"ttft{end}_ms"] = record[f"ttft{end}_ms"] * after.ttft_s / before.ttft_s
        total = out[f"ttft{end}_ms"]
        if record[f"tpot{end}_ms"] is not None:
            out[f"tpot{end}_ms"] = record[f"tpot{end}_ms"] * after.tpot_s / before.tpot_s
            total += gaps * out[f"tpot{end}_ms"]
        out[f"e2e{end}_ms"] = total
    return {**out, "techniques": dict(knobs)}
