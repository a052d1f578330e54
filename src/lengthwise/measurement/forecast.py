"""How long a sweep will take, from two short probes: a rough figure for a dry run.

The prefill grows with its tokens and, by a guess for small models, with their square; decode steps
are taken as long as the probe's and growing with the context. Good to about a factor of two.
"""

from __future__ import annotations

import time

import numpy as np

from lengthwise.measurement.engine import Engine, Shape
from lengthwise.measurement.plan import Plan

SHORT, LONG = 64, 256
HALF_WAY = 2048.0
"""Prompt length at which attention costs as much as the rest, tokens (a small model on a CPU)."""


def forecast_s(engine: Engine, plan: Plan) -> float:
    """Estimate the seconds of all visits of a plan.

    Parameters
    ----------
    engine
        A loaded engine; it runs two shapes three times.
    """
    seconds = {n: _median_run_s(engine, Shape(n, 1, 0)) for n in (SHORT, LONG)}
    per_token = max((seconds[LONG] - seconds[SHORT]) / (LONG - SHORT), 1e-7)
    fixed = max(seconds[SHORT] - per_token * SHORT, 0.0)
    decode = (_median_run_s(engine, Shape(SHORT, 1, 8)) - seconds[SHORT]) / 8

    def visit_s(shape: Shape) -> float:
        tokens = shape.batch_size * (shape.isl - shape.cached_tokens)
        prefill = fixed + per_token * tokens * (1 + shape.isl / HALF_WAY)
        grown = 1 + shape.batch_size * shape.isl / HALF_WAY
        return prefill + shape.decode_steps * max(decode, 1e-4) * grown

    return float(sum(visit_s(visit.shape) for visit in plan.visits()))


def _median_run_s(engine: Engine, shape: Shape) -> float:
    times = []
    for _ in range(3):
        start = time.perf_counter()
        engine.run(shape)
        times.append(time.perf_counter() - start)
    return float(np.median(times[1:]))
