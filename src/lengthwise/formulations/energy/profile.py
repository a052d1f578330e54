"""What is known about the power of a processor: a fitted curve, or a share of its rating.

Curves ship as ``profiles/energy.json``. A GPU without one takes the pooled curve of those that have
one, with the error that curves had on processors they were not fitted to. Anything else takes half
of its rated power, give or take a factor of two; the profile says so.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from lengthwise.domain.hardware import HardwareSpec
from lengthwise.errors import InputError
from lengthwise.formulations.energy.power import PowerCurve
from lengthwise.formulations.energy.prefill_power import PrefillPower
from lengthwise.formulations.energy.ramp import PowerRamp

HALF = PowerCurve(idle=0.5, active=0.0, compute=0.0, memory=0.0)
"""Half of the rated power whatever happens: the default without any data."""
FACTOR_OF_TWO = (0.5, 2.0)
POOLED, ANY = "generic", "any"


@dataclass(frozen=True)
class PowerProfile:
    """Power of one kind of processor, with how far off it may be.

    Attributes
    ----------
    curve, rated_w
        Power as a fraction of the rated watts, and those.
    watts_error, joules_error
        Measured over predicted, 5th and 95th percentile: of watts at a known token rate, and of
        joules per token at the step model's rate.
    basis
        ``measured``, ``other processors`` or ``rated power``.
    provenance
        What that is, in words.
    ramp, prefill
        Power of decoding and of prompts where they were measured apart, one request at a time.

    Examples
    --------
    >>> from lengthwise.data.hardware_catalog import find_hardware
    >>> power_profile(find_hardware("h100_sxm")).basis, power_profile(find_hardware("l4")).basis
    ('measured', 'other processors')
    """

    curve: PowerCurve
    rated_w: float
    watts_error: tuple[float, float]
    joules_error: tuple[float, float]
    basis: str
    provenance: str
    ramp: PowerRamp | None = None
    prefill: PrefillPower | None = None


def power_profile(hardware: HardwareSpec, model: str | None = None) -> PowerProfile:
    """Find what is known about a processor's power.

    Parameters
    ----------
    hardware
        The processor.
    model
        Name in the catalogue; where power was measured by model, that of this one is taken.

    Returns
    -------
    PowerProfile
        Its curve, and where that comes from.
    """
    if hardware.tdp_w is None:
        raise InputError(
            "energy needs the rated power of the processor",
            got=f"none for {hardware.name}",
            remedy="add tdp_w to a hardware file",
        )
    known = _known()
    own = known["power"].get(hardware.name)
    phases = known["phases"].get(hardware.name)
    if own is not None:
        return _of(
            own,
            hardware.tdp_w,
            "measured",
            f"fitted to {own['rows']} served runs ({known['sources']['power']})",
        )
    if phases is not None:
        return _by_phase(phases, hardware.tdp_w, model, known["sources"]["phases"])
    if hardware.kind == "gpu":
        pooled = known["power"][POOLED]
        return _of(
            pooled,
            hardware.tdp_w,
            "other processors",
            f"no power was measured on {hardware.name}: pooled curve of "
            f"{', '.join(n for n in known['power'] if n != POOLED)}",
        )
    return PowerProfile(
        HALF,
        hardware.tdp_w,
        FACTOR_OF_TWO,
        (0.25, 4.0),
        "rated power",
        f"no power was measured on {hardware.name}: half of its rated power",
    )


def _of(found: Mapping[str, Any], rated: float, basis: str, text: str) -> PowerProfile:
    low, high = found["watts_error"]
    least, most = found["joules_error"]
    curve = PowerCurve.from_dict(found["coefficients"])
    return PowerProfile(curve, rated, (low, high), (least, most), basis, text)


def _by_phase(
    phases: Mapping[str, Any], rated: float, model: str | None, source: str
) -> PowerProfile:  # fmt: skip
    name = model if model is not None and model in phases else ANY
    found = phases[name]
    ramp, prefill = PowerRamp.from_dict(found["ramp"]), PrefillPower.from_dict(found["prefill"])
    share = ramp.steady_w / rated
    low, high = found["watts_error"]
    return PowerProfile(
        PowerCurve(share, 0.0, 0.0, 0.0),
        rated,
        (low, high),
        (0.6 * low, 1.6 * high),
        "measured" if name != ANY else "other models",
        f"ramp fitted to {found['rows']} requests, one at a time ({source})",
        ramp,
        prefill,
    )


@cache
def _known() -> dict[str, Any]:
    path = files("lengthwise.data") / "profiles" / "energy.json"
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found
