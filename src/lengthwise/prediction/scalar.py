"""Compile a law into a function of plain numbers: what a router or scheduler calls per request.

No arrays, no look-ups by name, no checks but that the arguments make sense: a few microseconds. The
result equals the vectorised path to rounding (1e-12 relative).
"""

from __future__ import annotations

import math
import sys
from bisect import bisect_right
from collections.abc import Callable
from typing import NoReturn

import numpy as np

from lengthwise.calibration.phase_law import SAME, PhaseLaw
from lengthwise.data.load import Load
from lengthwise.domain.work import Work
from lengthwise.errors import InputError
from lengthwise.formulations.base import FLOOR_S
from lengthwise.formulations.hachiya_patias import HachiyaPatias
from lengthwise.formulations.hachiya_patias.correction import Correction
from lengthwise.formulations.hachiya_patias.nonlinear import scalar_basis
from lengthwise.formulations.hachiya_patias.surface import Surface
from lengthwise.formulations.hachiya_patias.terms import ROOT_TOKENS
from lengthwise.prediction.chunk_totals import ChunkTotals
from lengthwise.prediction.chunked import prefill_seconds
from lengthwise.prediction.points import batch_under_load
from lengthwise.units import MS_PER_S

StepSeconds = Callable[[float, float, float, float, float], float]
"""(sequences, new tokens, attention pairs, KV tokens, context) -> seconds."""

TERMS = ("E1", "KV", "B", "overhead", "fresh", "resumed", "KV_root")


def compile_step(law: PhaseLaw) -> StepSeconds:
    """Make a function from the work of one step to its time in seconds."""
    own = law.law
    if not isinstance(own, HachiyaPatias) or {t.name for t in own.terms_} - set(TERMS):
        return _by_array(law)
    coefficient = dict.fromkeys(TERMS, 0.0)
    coefficient |= dict(zip((t.name for t in own.terms_), own._coef, strict=True))
    a1, psi, tokens_of = own._a1, own._psi.tolist(), own.scaling_.scalar
    c_e1, c_kv, c_b, c_0, c_fresh, c_resumed, c_root = (coefficient[name] for name in TERMS)
    c_root *= math.sqrt(ROOT_TOKENS)
    two_kernels = c_fresh > 0.0 or c_resumed > 0.0
    kind, span, reference, power = own.e1_, own.span_, own.reference_, own.power_
    correct = None if own.correction_.is_identity else compile_correction(own.correction_)
    plain = kind == "quadratic" or c_e1 == 0.0

    def step(sequences: float, new: float, pairs: float, kv: float, context: float) -> float:
        e1 = pairs if plain else scalar_basis(kind, pairs, context, span, reference, power)
        seconds = a1 * tokens_of(new, psi) + c_e1 * e1 + c_kv * kv + c_b * sequences + c_0
        if c_root:
            seconds += c_root * sequences * math.sqrt(context)
        if two_kernels:
            seconds += (c_fresh if kv <= new else c_resumed) * new
        if correct is not None:
            seconds *= correct(new, context, seconds)
        return seconds if seconds > FLOOR_S else FLOOR_S

    return step


def compile_correction(correction: Correction) -> Callable[[float, float, float], float]:
    """Make a function (new tokens, context, base seconds) -> factor from what E3 keeps."""
    if correction.surface is not None:
        return _compile_surface(correction.surface)
    assert correction.grid is not None
    assert correction.delta is not None
    grid, value = correction.grid.tolist(), correction.delta.tolist()

    def factor(new: float, context: float, base: float) -> float:
        u = math.log(base)
        right = min(max(bisect_right(grid, u), 1), len(grid) - 1)
        left = right - 1
        share = (min(max(u, grid[0]), grid[-1]) - grid[left]) / (grid[right] - grid[left])
        return math.exp(value[left] + share * (value[right] - value[left]))

    return factor


def _compile_surface(surface: Surface) -> Callable[[float, float, float], float]:
    delta, step = surface.delta.tolist(), surface.step
    rows, columns = len(delta) - 1.0, len(delta[0]) - 1.0
    last_row, last_column = len(delta) - 2, len(delta[0]) - 2
    tokens_from, context_from = surface.tokens_from, surface.context_from

    def factor(new: float, context: float, base: float) -> float:
        x = min(max((math.log(new) - tokens_from) / step, 0.0), rows)
        y = min(max((math.log(context) - context_from) / step, 0.0), columns)
        i, j = min(int(x), last_row), min(int(y), last_column)
        x -= i
        y -= j
        upper, lower = delta[i], delta[i + 1]
        low = upper[j] + y * (upper[j + 1] - upper[j])
        high = lower[j] + y * (lower[j + 1] - lower[j])
        return math.exp(low + x * (high - low))

    return factor


def compile_prefill(law: PhaseLaw, limit: float) -> Callable[..., float]:
    """Make ``predict(isl, batch_size=1, cached_tokens=0) -> ms``; longer than ``limit`` refuses.

    Prompts longer than the chunk a law was measured in are the sum of their steps.
    """
    step, (least, most) = compile_step(law), batches(law)
    largest = math.inf if law.domain.chunk is None else law.domain.chunk * SAME
    in_steps = compile_chunks(law, step)

    def predict(isl: float, batch_size: float = 1.0, cached_tokens: float = 0.0) -> float:
        query = isl - cached_tokens
        if not (0.0 < query <= isl <= limit and least < batch_size < most):
            _refuse("isl", isl, limit, batch_size, cached_tokens, law.load)
        if query > largest:
            return MS_PER_S * in_steps(query, isl, batch_size)
        pairs = batch_size * (query * isl - 0.5 * query * (query - 1.0))
        return MS_PER_S * step(batch_size, batch_size * query, pairs, batch_size * isl, isl)

    return predict


def compile_chunks(law: PhaseLaw, step: StepSeconds) -> Callable[[float, float, float], float]:
    """Make ``(new tokens, context, sequences) -> seconds`` of prompts in steps of the law's chunk.

    Prompts of a batch take turns. What has no running total is summed as arrays are.
    """

    def one(new: float, context: float) -> float:
        return step(1.0, new, new * context - 0.5 * new * (new - 1.0), context, context)

    totals = ChunkTotals(one, law.domain.chunk or math.inf)

    def seconds(query: float, context: float, sequences: float) -> float:
        found = totals.seconds(query, context - query) if sequences % 1.0 == 0.0 else None
        if found is not None:
            return sequences * found
        work = Work.of("prefill", query_len=query, context_len=context, batch_size=sequences)
        return float(prefill_seconds(law, work, np.array([np.nan]))[0])

    return seconds


def compile_decode(law: PhaseLaw, limit: float) -> Callable[..., float]:
    """Make ``predict(context_len, batch_size=1) -> ms``; longer than ``limit`` refuses."""
    step, (least, most) = compile_step(law), batches(law)

    def predict(context_len: float, batch_size: float = 1.0) -> float:
        if not (0.0 < context_len <= limit and least < batch_size < most):
            _refuse("context_len", context_len, limit, batch_size, 0.0, law.load)
        kv = batch_size * context_len
        return MS_PER_S * step(batch_size, batch_size, kv, kv, context_len)

    return predict


def batches(law: PhaseLaw) -> tuple[float, float]:
    """Give the bounds of a batch, both excluded: only 1 for a law of requests under load."""
    return (0.999, 1.001) if law.load else (0.0, math.inf)


def reach(law: PhaseLaw, max_extrapolation: float | None) -> float:
    """Give the longest length a law answers for, tokens."""
    if max_extrapolation is None:
        return sys.float_info.max
    return law.domain.length[1] * max_extrapolation


def _by_array(law: PhaseLaw) -> StepSeconds:
    """Fall back to one-row arrays, for formulations without a scalar form: some 20 us more."""

    def step(sequences: float, new: float, pairs: float, kv: float, context: float) -> float:
        b, t, a, k, c = (np.array([v], dtype=float) for v in (sequences, new, pairs, kv, context))
        return float(law.law.predict_work(Work(law.phase, b, t, a, k, c, c))[0])

    return step


def _refuse(
    name: str, length: float, limit: float, batch: float, cached: float, load: Load
) -> NoReturn:
    if load and batch != 1.0:
        raise batch_under_load(load, batch)
    raise InputError(
        f"0 < {name} <= {limit:g}, 0 <= cached_tokens < {name} and batch_size > 0 must hold",
        got=f"{name}={length}, batch_size={batch}, cached_tokens={cached}",
        remedy="mend the argument; for longer ones measure closer to them, or use a law with "
        "max_extrapolation=None",
    )  # fmt: skip
