"""Streams with a known law and a known change: false alarms, delay of detection, error afterwards.

Load wanders (autoregressive), times follow the same kind of law as the queueing simulation, noise
is lognormal with a part that persists from row to row and rare stalls of 2.7 times.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.signal import lfilter

from lengthwise.calibration.online.learner import OnlineLearner
from lengthwise.formulations.online.rows import RouterRows

NOISE, PERSISTENT, STALLS = 0.15, 0.5, 0.003
STEP_AT, AFTER = 4000, 400
TARGETS = ("ttft", "tpot")


def stream(rng: np.random.Generator, n: int) -> tuple[RouterRows, dict[str, np.ndarray]]:
    """Rows and the true median of both targets, each (n,)."""
    load = lfilter([0.2], [1.0, -0.98], rng.normal(size=n))
    running = np.round(12 * np.exp(0.5 * load))
    waiting = np.floor(np.maximum(running - 24, 0) * 0.3)
    tokens = np.clip(rng.lognormal(6.5, 1, n), 16, 8192).astype(int)
    share = np.where(rng.random(n) < 0.5, 0.0, np.round(rng.random(n) * 16) / 16)
    ahead = np.round(rng.exponential(400, n) * running / 12)
    kv = np.minimum(running / 60, 1.0)
    work = tokens * (1 - share) + ahead
    compute = 4.2e-5 * work * (1 + 0.05 * np.log2(1 + work / 64))
    ttft = (0.011**4 + compute**4) ** 0.25 + 2.5e-9 * tokens * work + 3e-4 * running
    rows = RouterRows.of(
        {
            "input_tokens": tokens,
            "cached_share": share,
            "kv_share": kv,
            "waiting": waiting,
            "running": running,
            "prefill_in_flight": ahead,
        }
    )
    tpot = 0.011 + 3e-4 * running**0.9 + 1.1e-7 * tokens**0.97 + 0.01 * kv
    return rows, {"ttft": ttft + 0.03 * waiting + 0.004, "tpot": tpot}


def noise(rng: np.random.Generator, n: int) -> np.ndarray:
    """Factors on the true median."""
    persistent = lfilter([0.6], [1.0, -0.8], rng.normal(size=n))
    z = NOISE * ((1 - PERSISTENT**2) ** 0.5 * rng.normal(size=n) + PERSISTENT * persistent)
    z[rng.random(n) < STALLS] += 1.0
    return np.exp(z)


def stationary(seed: int, n: int = 50_000) -> dict[str, Any]:
    """Events of drift in a stream that does not change."""
    rng = np.random.default_rng(seed)
    rows, true = stream(rng, n)
    learner, y = OnlineLearner(), {t: true[t] * noise(rng, n) for t in TARGETS}
    for i in range(0, n, 1000):
        at = slice(i, i + 1000)
        learner.observe(rows.take(at), y["ttft"][at], y["tpot"][at], np.arange(n)[at])
    alarms = [e.to_dict() for e in learner.events if e.kind == "drift"]
    followed = {t: learner.targets[t].followed for t in TARGETS}
    return {"seed": seed, "false_alarms": len(alarms), "alarms": alarms, "followed": followed}


def step(seed: int, factor: float) -> dict[str, Any]:
    """Delay of detection, and error of the median against the truth in the rows after a step.

    ``error_percent``: median absolute error in rows 100 to 200 after the step; ``level``: median
    of predicted over true in rows 300 to 400 after it.
    """
    rng = np.random.default_rng(seed)
    n = STEP_AT + AFTER
    rows, true = stream(rng, n)
    change = np.where(np.arange(n) < STEP_AT, 1.0, factor)
    y = {t: true[t] * change * noise(rng, n) for t in TARGETS}
    learner, ratio = OnlineLearner(), {t: np.full(n, np.nan) for t in TARGETS}
    for i in [*range(0, STEP_AT, 500), *range(STEP_AT, n, 10)]:
        at = slice(i, i + (500 if i < STEP_AT else 10))
        answer = learner.law.quantile(rows.take(at), 0.5, now_s=float(i))
        for t in TARGETS:
            ratio[t][at] = getattr(answer, f"{t}_s") / (true[t] * change)[at]
        learner.observe(rows.take(at), y["ttft"][at], y["tpot"][at], np.arange(n)[at])
    found = {
        t: [
            e.time_s - STEP_AT
            for e in learner.events
            if e.kind == "drift" and e.target == t and e.time_s >= STEP_AT
        ]
        for t in TARGETS
    }
    late = {t: ratio[t][STEP_AT + 100 : STEP_AT + 200] for t in TARGETS}
    return {
        "seed": seed,
        "factor": factor,
        "before": {
            t: sum(
                e.kind == "drift" and e.target == t and e.time_s < STEP_AT for e in learner.events
            )
            for t in TARGETS
        },
        "delay_events": {t: (found[t][0] + 1 if found[t] else None) for t in TARGETS},
        "error_percent": {
            t: round(100 * float(np.median(np.abs(late[t] - 1))), 2) for t in TARGETS
        },
        "level": {t: round(float(np.median(ratio[t][-100:])), 3) for t in TARGETS},
    }
