"""Small estimators with the interface of a law set, for tests of the evaluation layer."""

from __future__ import annotations

from typing import Self

import numpy as np
import pandas as pd

from lengthwise.data.points import group_of
from lengthwise.formulations.linear import Linear
from lengthwise.units import FloatArray


class LinearLaws:
    """One linear law per group, with an interval of a fixed relative half width."""

    def __init__(self, half_width: float = 0.1) -> None:
        self.half_width = half_width
        self.laws: dict[str, Linear] = {}

    def fit(self, table: pd.DataFrame) -> Self:
        for group, rows in table.groupby(group_of(table)):
            self.laws[str(group)] = Linear().fit(rows, rows["latency_ms"].to_numpy() / 1e3)
        return self

    def predict(self, points: pd.DataFrame) -> FloatArray:
        out = np.empty(len(points))
        group = group_of(points).to_numpy(object)
        for name in set(group):
            out[group == name] = 1e3 * self.laws[name].predict(points[group == name])
        return out

    def predict_interval(self, points: pd.DataFrame, level: float) -> FloatArray:
        centre = self.predict(points)
        spread = self.half_width * level / 0.9
        return np.column_stack([centre * (1 - spread), centre * (1 + spread)])


class Mean(LinearLaws):
    """The mean of all training times, whatever is asked; predicts deployments it never saw."""

    def fit(self, table: pd.DataFrame) -> Self:
        self.mean_ms = float(table["latency_ms"].mean())
        return self

    def predict(self, points: pd.DataFrame) -> FloatArray:
        return np.full(len(points), self.mean_ms)


class Broken(LinearLaws):
    """Cannot be fitted."""

    def fit(self, table: pd.DataFrame) -> Self:
        raise ValueError("this never works")


class NoInterval(LinearLaws):
    """Predicts, but has no interval."""

    def predict_interval(self, points: pd.DataFrame, level: float) -> FloatArray:
        raise NotImplementedError("no interval here")


class NotFinite(LinearLaws):
    """Predicts NaN."""

    def predict(self, points: pd.DataFrame) -> FloatArray:
        return np.full(len(points), np.nan)


MAKERS = {
    "linear": LinearLaws,
    "mean": Mean,
    "broken": Broken,
    "no-interval": NoInterval,
    "not-finite": NotFinite,
}


def make(name: str) -> LinearLaws:
    """Construct one of the above by name."""
    return MAKERS[name]()


def linear_table(hardware: tuple[str, ...] = ("a", "b"), repeats: int = 1) -> pd.DataFrame:
    """Prefill and decode sweeps that are exactly linear in length and batch."""
    parts = []
    for k, name in enumerate(hardware):
        for n in (64, 128, 256, 512, 1024, 2048, 4096):
            for r in range(repeats):
                shared = {"hardware": name, "repeat": r}
                prefill = {"phase": "prefill", "isl": n, "latency_ms": 5.0 + (k + 1) * 0.1 * n}
                parts.append(prefill | shared)
                for b in (1, 4):
                    time = 10.0 + 1e-3 * n * b * (k + 1) + 0.5 * b
                    decode = {"phase": "decode", "context_len": n, "batch_size": b}
                    parts.append(decode | shared | {"latency_ms": time})
    return pd.DataFrame(parts)
