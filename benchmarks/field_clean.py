"""Tables whose truth is known: four lengths over a factor of 8, asked for 4 times the longest.

Prompts of x tokens take b f(x) seconds, with 0.2 % noise and b drawn over four decades:

    linear             f = x
    overhead           f = x + n0
    soft floor         f = sqrt(x^2 + n0^2)
    quadratic          f = x + r x^2

n0 is 0.1 to 4 times the shortest length, r x 0.05 to 2 at the longest.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from lengthwise.evaluation.estimator import Estimator
from lengthwise.units import FloatArray

NOISE, TABLES, SEED = 0.002, 500, 1
STEPS = np.array([1.0, 2.0, 4.0, 8.0, 32.0])
"""Four lengths to train on and the one to ask for, over the shortest."""

SHAPES: dict[str, Callable[[FloatArray, float, float], FloatArray]] = {
    "linear": lambda x, n0, r: x,
    "overhead": lambda x, n0, r: x + n0,
    "soft floor": lambda x, n0, r: np.hypot(x, n0),
    "quadratic": lambda x, n0, r: x + r * x**2,
}


def tables(shape: str, number: int = TABLES) -> list[tuple[pd.DataFrame, float, float]]:
    """Draw tables of four rows, each with the length to ask for and its true time in ms."""
    rng = np.random.default_rng([SEED, list(SHAPES).index(shape)])
    return [_table(shape, rng) for _ in range(number)]


def _table(shape: str, rng: np.random.Generator) -> tuple[pd.DataFrame, float, float]:
    def between(low: float, high: float) -> float:
        return float(np.exp(rng.uniform(np.log(low), np.log(high))))

    shortest = np.round(between(64, 2048))
    x = shortest * STEPS
    per_token_ms, overhead = between(1e-3, 10.0), shortest * between(0.1, 4.0)
    truth = per_token_ms * SHAPES[shape](x, overhead, between(0.05, 2.0) / x[3])
    noisy = truth[:4] * np.exp(NOISE * rng.standard_normal(4))
    table = pd.DataFrame({"phase": "prefill", "isl": x[:4], "latency_ms": noisy})
    return table, float(x[4]), float(truth[4])


def error_percent(law: Estimator, table: pd.DataFrame, asked: float, truth_ms: float) -> float:
    """Return the error of a fresh law at the length asked for."""
    point = pd.DataFrame({"phase": ["prefill"], "isl": [asked]})
    return float(100.0 * abs(law.fit(table).predict(point)[0] / truth_ms - 1.0))


def figures(errors: FloatArray) -> dict[str, Any]:
    """Reduce the errors of one shape."""
    return {"median": round(float(np.median(errors)), 2), "worst": round(float(errors.max()), 2)}
