"""How well anybody could predict the long requests of the queueing simulation when they arrive.

    python benchmarks/online_bound.py

Each request of about four times the lengths seen is let arrive once; what comes after it (arrivals,
lengths, routing, noise) is drawn again ``FUTURES`` times. Everything before it is kept, the lengths
of all answers under way and of its own too, which no router knows. The best single prediction for
those futures, with its mean relative error, bounds every predictor from below: a bound for the
errors of ``online.py``. Results: benchmarks/results/online_bound.json.
"""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import numpy as np
from online import ALL, FUTURE, LONGEST, POOLS, SEEDS, TARGETS
from online_simulation import Pool, Simulation, workload

RESULTS = Path(__file__).parent / "results" / "online_bound.json"
FUTURES, REQUESTS = 24, 40
"""Futures of a request, and requests of one seed."""


def main() -> None:
    found = {name: bound(Pool(requests=ALL, rare_from=FUTURE, **s)) for name, s in POOLS.items()}
    print(json.dumps(found, indent=1))
    RESULTS.write_text(json.dumps(found, indent=1) + "\n")


def bound(pool: Pool) -> dict[str, Any]:
    """Least possible MAPE of TTFT and TPOT over the long requests of all seeds."""
    errors: dict[str, list[float]] = {t: [] for t in TARGETS}
    for seed in SEEDS:
        simulation = Simulation(pool, np.random.default_rng(seed))
        long = np.flatnonzero(simulation.prompts > 3 * LONGEST)
        long = long[(long >= FUTURE) & (simulation.answers[long] > 1)][:REQUESTS]
        for i in long:
            while simulation.arrived <= i:
                simulation.advance()
            times = np.array([future(simulation, int(i), k) for k in range(FUTURES)])
            for target, y in zip(TARGETS, times.T, strict=True):
                errors[target].append(least_error(y))
    return {
        t: {
            "requests": len(e),
            "futures": FUTURES,
            "least_mape_percent": round(100 * float(np.mean(e)), 2),
        }
        for t, e in errors.items()
    }


def future(simulation: Simulation, i: int, number: int) -> tuple[float, float]:
    """TTFT and TPOT of request ``i`` in one drawing of what comes after it."""
    one = copy.copy(simulation)
    one.pods, one.heap, one.order = copy.deepcopy((simulation.pods, simulation.heap, []))
    one.out, one.rows, one.where = (a.copy() for a in (one.out, one.rows, one.where))
    rng = np.random.default_rng((i, number))
    drawn = workload(simulation.pool, rng)
    one.prompts, one.answers, one.shares = (
        np.append(old[: i + 1], new[i + 1 :])
        for old, new in zip((one.prompts, one.answers, one.shares), drawn, strict=False)
    )
    later = drawn[3][i + 1 :] - drawn[3][i] + one.arrivals[i]
    one.arrivals = np.append(one.arrivals[: i + 1], later)
    one.choice = np.append(
        one.choice[: i + 1],
        rng.integers(0, len(simulation.pods), one.choice[i + 1 :].shape),
        axis=0,
    )
    one.noise = rng.permutation(simulation.noise)
    while not one.out[i, 1] and one.advance():
        pass
    first, last = one.out[i]
    return first - one.arrivals[i], (last - first) / (one.answers[i] - 1)


def least_error(times: np.ndarray) -> float:
    """Mean relative error of the best single prediction; it lies at one of the times."""
    return float(np.abs(times[:, None] / times[None, :] - 1.0).mean(axis=1).min())


if __name__ == "__main__":
    main()
