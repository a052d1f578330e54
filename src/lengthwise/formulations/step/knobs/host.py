"""The host that launches kernels, and the power the processor may draw."""

from __future__ import annotations

from typing import Any

from lengthwise.formulations.step.knobs.base import Knob, setting
from lengthwise.formulations.step.knobs.request import Request

IDLE_SHARE = 0.3
"""Share of the rated power that does not depend on the clock; an assumption."""
COUPLING = ("SKIP, arXiv 2504.11750",)


def clock_at(power: float) -> float:
    """Share of the rated clock at a share of the rated power: P = s + (1 - s) f^3.

    Dynamic power goes with f V^2, and voltage V with the clock f.

    >>> round(clock_at(0.7), 3), clock_at(1.0)
    (0.83, 1.0)
    """
    return float(((power - IDLE_SHARE) / (1.0 - IDLE_SHARE)) ** (1.0 / 3.0))


def _power(request: Request, value: Any) -> Request:
    return request.having(clock=clock_at(value))


KNOBS = (
    Knob(
        "launch_us", "CPU-GPU coupling",
        "Sets the host's time to launch a kernel where no captured graph is replayed.",
        setting("launch_s", 1e-6), "number", default=0.0, most=1000, unit="us", sources=COUPLING,
    ),
    Knob(
        "kernels_per_layer", "CPU-GPU coupling",
        "Sets the kernels launched for a layer.",
        setting("kernels"), "count", default=12, least=1, most=1000, unit="kernels",
        sources=COUPLING,
    ),
    Knob(
        "power_cap", "power cap",
        "Limits power to a share of the rated one, which slows arithmetic but not memory.",
        _power, "share", default=1.0, least=0.4, most=1.0,
        sources=("POLCA, arXiv 2308.12908",),
    ),
)  # fmt: skip
