"""What the step law says about points: times with intervals, and how they stand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from lengthwise.calibration.step.coefficients import StepCoefficients, quantities
from lengthwise.calibration.step.columns import one
from lengthwise.calibration.step.rows import Columns, Evaluated
from lengthwise.formulations.step.groups import GROUPS, HOST
from lengthwise.formulations.step.serving import running_of
from lengthwise.prediction.zero_shot import bounds
from lengthwise.units import FloatArray, counted

if TYPE_CHECKING:
    from lengthwise.calibration.step.heads import Head

SATURATED = 1.05
"""Requests in flight over requests that fit, from which they wait for memory."""
OVERHEAD = 0.4
"""Share of a step beside its kernels from which overhead binds it."""
LONGEST_PROMPT, LONGEST_CONTEXT = 16_384.0, 131_072.0
"""Longest prompt and context in the kernel tables, tokens."""


@dataclass(frozen=True)
class Physics:
    """Times of n points before any correction, seconds by quantity, shape (n,), NaN: none.

    ``floor`` holds the least times the hardware allows, ``running`` the requests in the batch.
    """

    seconds: Mapping[str, FloatArray]
    floor: Mapping[str, FloatArray]
    running: FloatArray


@dataclass(frozen=True)
class Answers:
    """Columns of an answer, arrays of shape (n,)."""

    columns: dict[str, Any]


def physics_of(columns: Columns, evaluated: Evaluated, coefficients: StepCoefficients) -> Physics:
    """Put requests and steps together from their group times."""
    phase, fine = np.asarray(columns["phase"]), evaluated.problem == ""
    request = phase == "request"
    found = quantities(coefficients, evaluated, columns)
    where = {"ttft": request, "tpot": request & (columns["osl"] > 1),
             "prefill": phase == "prefill", "decode": phase == "decode"}  # fmt: skip
    seconds = {name: np.where(where[name] & fine, found[name], np.nan) for name in where}
    least = {"ttft": evaluated.floor[:, 1], "tpot": evaluated.floor[:, 0],
             "prefill": evaluated.floor[:, 1], "decode": evaluated.floor[:, 0]}  # fmt: skip
    room = np.array([coefficients.of_engine(e).room for e in columns["engine"]])
    running = running_of(np.asarray(columns["concurrency"], float), evaluated.capacity * room)
    return Physics(seconds, least, np.where(request, running, columns["batch_size"]))


def answer(
    columns: Columns, evaluated: Evaluated, physics: Physics, heads: Mapping[str, Head],
    coefficients: StepCoefficients, training: dict[str, Any] | None, level: float,
) -> Answers:  # fmt: skip
    """Correct the physics and say how sure the answer is."""
    n = len(columns["phase"])
    times = _corrected(columns, evaluated, physics, heads, coefficients, level)
    out: dict[str, Any] = {}
    for name in ("ttft", "tpot"):
        middle, lo, hi = (1e3 * part for part in times[name])
        out |= {f"{name}_ms": middle, f"{name}_lo_ms": lo, f"{name}_hi_ms": hi}
    out |= _request_total(columns["osl"], times)
    step = np.asarray(columns["phase"]) == "decode"
    for i, name in enumerate(("latency_ms", "lo_ms", "hi_ms")):
        out[name] = 1e3 * np.where(step, times["decode"][i], times["prefill"][i])
    out["regime"] = _regime(columns, evaluated, physics)
    known = _known(columns, training)
    factor = _extrapolation(columns, training)
    out["in_domain"] = (factor <= 1.0) & (known if heads else evaluated.measured)
    out["extrapolation_factor"] = factor
    out["running"] = physics.running
    out["fits_memory"] = _fits(columns, evaluated)
    out["saturated"] = np.asarray(columns["concurrency"]) > SATURATED * physics.running
    out["provenance"] = _provenance(known, evaluated, heads, training)
    out["problem"] = evaluated.problem
    return Answers({name: np.broadcast_to(values, (n,)) for name, values in out.items()})


Times = dict[str, tuple[FloatArray, FloatArray, FloatArray]]


def _corrected(
    columns: Columns, evaluated: Evaluated, physics: Physics, heads: Mapping[str, Head],
    coefficients: StepCoefficients, level: float,
) -> Times:  # fmt: skip
    seen, index = None, np.flatnonzero(evaluated.problem == "")
    found: Times = {}
    for name, plain in physics.seconds.items():
        at = np.isfinite(plain)
        shift = np.zeros(len(plain))
        below, above = (np.full(len(plain), side) for side in bounds(name, level))
        if name in heads and at.any():
            if seen is None:
                from lengthwise.calibration.step.kin import seen_of

                seen = seen_of(one(columns, index), evaluated.take(index), coefficients)
            shift[at], known = heads[name].predict(seen.take(at[index]), level)
            below[at] = np.where(np.isnan(known), below[at], known)
            above[at] = np.where(np.isnan(known), above[at], known)
        middle = np.maximum(plain * np.exp(shift), physics.floor[name])
        low = np.maximum(middle * np.exp(-below), np.minimum(physics.floor[name], middle))
        found[name] = middle, low, middle * np.exp(above)
    return found


def _request_total(osl: FloatArray, times: Times) -> dict[str, FloatArray]:
    """Give E2E: the first token and the gaps after it; bounds of sums as sums of bounds."""
    gaps = np.maximum(osl - 1.0, 0.0)
    ends = ("e2e_ms", "e2e_lo_ms", "e2e_hi_ms")
    after = [np.where(gaps > 0, gaps * np.nan_to_num(x), 0.0) for x in times["tpot"]]
    return {name: 1e3 * (times["ttft"][i] + after[i]) for i, name in enumerate(ends)}


def _fits(columns: Columns, evaluated: Evaluated) -> Any:
    """Whether a request fits (more of them wait), or all sequences of a step."""
    request = np.asarray(columns["phase"]) == "request"
    together = np.where(request, 1.0, np.asarray(columns["batch_size"], float))
    fits = np.isfinite(evaluated.capacity) & (together <= evaluated.capacity)
    return fits & (evaluated.problem == "")


def _regime(columns: Columns, evaluated: Evaluated, physics: Physics) -> Any:
    """Name what binds the point: of a request its decode steps, or its prompt if that is longer."""
    host = sum(evaluated.decode[:, GROUPS.index(name)] for name in HOST)
    request = np.asarray(columns["phase"]) == "request"
    decode_total = evaluated.decode.sum(axis=1)
    prompt_long = request & (evaluated.prompt.sum(axis=1) > decode_total * columns["osl"])
    prompt = prompt_long | (np.asarray(columns["phase"]) == "prefill")
    compute = np.where(prompt, evaluated.ideal[:, 2], evaluated.ideal[:, 0])
    memory = np.where(prompt, evaluated.ideal[:, 3], evaluated.ideal[:, 1])
    names = np.where(compute > memory, "compute", "memory").astype(object)
    names[~prompt & (host > OVERHEAD * decode_total)] = "overhead"
    full = ~np.isfinite(evaluated.capacity)
    full |= np.asarray(columns["concurrency"]) > SATURATED * physics.running
    names[request & full] = "capacity"
    return names


def _known(columns: Columns, training: dict[str, Any] | None) -> Any:
    names = zip(*(columns[k] for k in ("model", "hardware", "engine", "precision")), strict=True)
    own = set(training["deployments"]) if training else set()
    return np.array([" | ".join(map(str, x)) in own for x in names])


def _extrapolation(columns: Columns, training: dict[str, Any] | None) -> FloatArray:
    total = columns["isl"] + np.where(columns["phase"] == "request", columns["osl"], 0.0)
    total = np.where(columns["phase"] == "decode", columns["context_len"], total)
    factor = np.maximum(columns["isl"] / LONGEST_PROMPT, total / LONGEST_CONTEXT)
    if training:
        longest = np.maximum(columns["isl"], columns["context_len"])
        factor = np.maximum(longest / training["longest_isl"], total / LONGEST_CONTEXT)
    return np.asarray(np.maximum(factor, 1.0))


def _provenance(
    known: Any, evaluated: Evaluated, heads: Mapping[str, Head], training: dict[str, Any] | None
) -> Any:
    kernels = np.where(evaluated.measured, "device profile", "typical device profile")
    if not training:
        return kernels.astype(object) + ", no measurement"
    rows = f"{training['rows']:,} rows of {counted(len(training['deployments']), 'deployment')}"
    own = np.where(known, "this one among them", "this one not among them")
    return np.array([f"{k}, corrected by {rows}, {o}" for k, o in zip(kernels, own, strict=True)],
                    dtype=object)  # fmt: skip
