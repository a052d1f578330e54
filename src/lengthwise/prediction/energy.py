"""Energy of a request from its deployment: joules, watts, and what binds the token rate."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from lengthwise.domain.memory import memory_use
from lengthwise.errors import InputError
from lengthwise.formulations.energy.bound import token_rate
from lengthwise.formulations.energy.power import Activity
from lengthwise.formulations.energy.profile import PowerProfile, power_profile
from lengthwise.formulations.energy.steady import SteadySteps, steady_steps
from lengthwise.formulations.step.batch import StepBatch
from lengthwise.formulations.step.step_model import StepModel

Constraint = Literal["compute", "memory", "overhead", "power"]


@dataclass(frozen=True)
class EnergyEstimate:
    """Energy of one request among others like it.

    Attributes
    ----------
    joules_per_request, joules_per_output_token
        Energy at the meter of the facility, J: that of the processors times ``pue``.
    joules_lo, joules_hi
        90 % interval of ``joules_per_request``, J.
    mean_watts, watts_lo, watts_hi
        Mean power of all processors of one copy while requests run, and its 90 % interval, W.
    tokens_per_s
        Output tokens per second of all requests that run, on all copies, as far as power allows.
    requests_at_once
        Requests that run at the same time: the concurrency, as far as the memory holds it.
    constraint
        What binds the rate: ``compute``, ``memory``, ``overhead`` (host), or ``power``.
    compute_share, memory_share, busy_share
        MFU, MBU, and share of the time in which kernels run.
    balance_watts
        Facility power above which power no longer binds, W; None without a facility.
    basis, provenance
        Where the power curve comes from.
    remarks
        What is odd about the question or the answer.
    """

    joules_per_request: float
    joules_per_output_token: float
    joules_lo: float
    joules_hi: float
    mean_watts: float
    watts_lo: float
    watts_hi: float
    tokens_per_s: float
    requests_at_once: float
    constraint: Constraint
    compute_share: float
    memory_share: float
    busy_share: float
    balance_watts: float | None
    basis: str
    provenance: str
    remarks: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Give the same fields ready for JSON."""
        return asdict(self) | {"remarks": list(self.remarks)}


def energy_of_request(
    step: StepModel, *, isl: float, osl: float, concurrency: float = 1,
    tokens_per_s: float | None = None, pue: float = 1.0, facility_w: float | None = None,
    copies: int = 1,
) -> EnergyEstimate:  # fmt: skip
    """Predict the energy of one request on a deployment that runs so many of them.

    Parameters
    ----------
    step
        The deployment.
    isl, osl
        Prompt and output tokens of each request.
    concurrency
        Requests in flight; what the memory does not hold waits and runs later.
    tokens_per_s
        Output tokens per second of all of them where measured or calibrated; None: the step
        model's.
    pue
        Facility power over power of the processors, 1 or more.
    facility_w
        Power of the facility, W; None: power is no limit.
    copies
        Deployments like this one in the facility, all equally busy.

    Returns
    -------
    EnergyEstimate
        Joules, watts, intervals, and what binds.

    Examples
    --------
    >>> from lengthwise.data.hardware_catalog import find_hardware
    >>> from lengthwise.domain.model import find_model
    >>> step = StepModel.of(find_model("llama3.1-8b"), find_hardware("h100_sxm"), precision="bf16")
    >>> one = energy_of_request(step, isl=500, osl=250)
    >>> many = energy_of_request(step, isl=500, osl=250, concurrency=64)
    >>> one.constraint, bool(one.joules_per_request > 10 * many.joules_per_request)
    ('memory', True)
    """
    _check(concurrency, tokens_per_s, pue, facility_w, copies)
    profile = power_profile(step.hardware, step.model.name)
    running, remarks = _running(step, isl, osl, concurrency)
    steady = steady_steps(step, isl=isl, osl=osl, running=running)
    rate = float(steady.tokens_per_s[0]) if tokens_per_s is None else tokens_per_s
    activity = steady.activity(rate)
    watts, more = _watts(step, profile, steady, activity, isl, rate)
    error = profile.watts_error if tokens_per_s is not None else profile.joules_error
    joules = pue * watts * osl / rate
    bound = _bound(steady, rate * copies, watts * copies, pue, facility_w)
    return EnergyEstimate(
        joules_per_request=joules, joules_per_output_token=joules / osl,
        joules_lo=joules * error[0], joules_hi=joules * error[1], mean_watts=watts,
        watts_lo=watts * profile.watts_error[0], watts_hi=watts * profile.watts_error[1],
        tokens_per_s=bound[0], requests_at_once=running,
        constraint=_constraint(activity, bound[1]), compute_share=float(activity.compute[0]),
        memory_share=float(activity.memory[0]), busy_share=float(activity.busy[0]),
        balance_watts=bound[2], basis=profile.basis, provenance=profile.provenance,
        remarks=(*remarks, *more),
    )  # fmt: skip


def _check(
    concurrency: float, tokens_per_s: float | None, pue: float, facility_w: float | None,
    copies: int,
) -> None:  # fmt: skip
    if copies < 1:
        raise InputError("copies is 1 or more", got=repr(copies))
    if not 1 <= concurrency < float("inf"):
        raise InputError("concurrency is 1 or more", got=repr(concurrency))
    for name, value in (("tokens_per_s", tokens_per_s), ("facility_w", facility_w)):
        if value is not None and not 0 < value < float("inf"):
            raise InputError(f"{name} must be a positive number", got=repr(value))
    if not 1 <= pue < float("inf"):
        raise InputError("PUE is facility power over server power, 1 or more", got=repr(pue))


def _running(
    step: StepModel, isl: float, osl: float, concurrency: float
) -> tuple[float, list[str]]:
    """How many requests run at once, and what to say about it."""
    if not (np.isfinite(isl) and np.isfinite(osl)):
        raise InputError("lengths are finite", got=f"isl={isl!r}, osl={osl!r}")
    use = memory_use(step.model, step.hardware, step.parallelism, precision=step.precision,
                     kv_bits=step.formats.kv_bits, tokens_per_sequence=isl + osl / 2)  # fmt: skip
    most = use.max_sequences
    if most is None or concurrency <= most:
        return float(concurrency), []
    if most == 0:
        return float(concurrency), [f"does not fit: {use.why_not}"]
    return float(most), [f"{most} of {concurrency:g} requests fit in the memory at once"]


def _watts(
    step: StepModel, profile: PowerProfile, steady: SteadySteps, activity: Activity,
    isl: float, rate: float,
) -> tuple[float, list[str]]:  # fmt: skip
    """Mean power of all processors, W, and what to say about it."""
    gpus, curve = steady.gpus, profile.curve
    if profile.ramp is None or profile.prefill is None:
        return gpus * profile.rated_w * float(curve.fraction(activity)[0]), []
    if steady.running[0] > 1 or gpus > 1:
        return gpus * profile.ramp.steady_w, [
            "power was measured one request at a time; its steady decode power is taken"
        ]
    whole = float(steady.osl[0]) / rate
    prompt = float(step.seconds(StepBatch.of(chunks=1, query_len=isl))[0])
    prompt = min(prompt, 0.99 * whole)
    joules = float(profile.prefill.watts(isl)) * prompt + float(profile.ramp.joules(whole - prompt))
    return joules / whole, []


def _constraint(activity: Activity, power: bool) -> Constraint:
    if power:
        return "power"
    shares: dict[Constraint, float] = {
        "compute": float(activity.compute[0]), "memory": float(activity.memory[0]),
        "overhead": float(1.0 - activity.busy[0]),
    }  # fmt: skip
    return max(shares, key=lambda name: shares[name])


def _bound(
    steady: SteadySteps, rate: float, watts: float, pue: float, facility_w: float | None
) -> tuple[float, bool, float | None]:
    """Rate, whether power binds it, and the power where that changes."""
    if facility_w is None:
        return rate, False, None
    per_token = float(steady.flops[0] / steady.running[0])
    found = token_rate(
        flops_per_s=rate * per_token, flops_per_token=per_token,
        facility_w=facility_w, joules_per_token=watts / rate, pue=pue,
    )  # fmt: skip
    return found.tokens_per_s, found.constraint == "power", found.balance_w
