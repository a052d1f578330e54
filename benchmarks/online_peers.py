"""The three models of llm-d's latency predictor, in its feature schema, in mean and quantile mode.

Each learns from all past rows at once (the peer itself keeps at most 500 rows per bucket), one
model per target; the peer's features are built from the row as the router sends it, so neither the
pod's name nor anything else that the schema lacks. Settings are the peer's: 200 trees, depth 6,
learning rate 0.05 (LightGBM: 31 leaves); Bayesian ridge on standardised features, its quantile from
the standard deviation it predicts.
"""

from __future__ import annotations

from statistics import NormalDist
from typing import Any

import numpy as np

ALPHA = 0.9
NAMES = ("xgboost", "lightgbm", "bayesian_ridge")


def features(table: dict[str, Any], target: str) -> np.ndarray:
    """Features of the peer, shape (n, 12) for TTFT and (n, 7) for TPOT."""
    n = len(table["input_tokens"])
    zero = np.zeros(n)
    tokens, waiting = table["input_tokens"], table["waiting"]
    base = [
        (waiting > 0).astype(float),
        table["kv_share"],
        tokens,
        waiting,
        table["running"],
        table["prefill_in_flight"],
        zero,
    ]
    if target == "tpot":
        return np.column_stack([*base, zero])
    share = table["cached_share"]
    bucket = np.minimum((share * 4).astype(int), 3).astype(float)
    return np.column_stack([*base, zero, zero, share, (1 - share) * tokens, bucket])


def fit(name: str, x: np.ndarray, y: np.ndarray) -> dict[str, Any]:
    """Fit the mean and the 0.9 quantile; gives two functions of features."""
    if name == "bayesian_ridge":
        from sklearn.linear_model import BayesianRidge

        mean, sd = x.mean(axis=0), x.std(axis=0) + 1e-12
        model = BayesianRidge().fit((x - mean) / sd, y)
        z = NormalDist().inv_cdf(ALPHA)

        def quantile(q: np.ndarray) -> np.ndarray:
            value, spread = model.predict((q - mean) / sd, return_std=True)
            return value + z * spread

        return {"mean": lambda q: model.predict((q - mean) / sd), "quantile": quantile}
    return {kind: _trees(name, kind).fit(x, y).predict for kind in ("mean", "quantile")}


def _trees(name: str, kind: str) -> Any:
    common = {
        "n_estimators": 200,
        "max_depth": 6,
        "learning_rate": 0.05,
        "subsample": 0.8,
        "colsample_bytree": 0.8,
        "random_state": 0,
        "n_jobs": 1,
    }
    if name == "xgboost":
        from xgboost import XGBRegressor

        goal = (
            {"objective": "reg:squarederror"}
            if kind == "mean"
            else {"objective": "reg:quantileerror", "quantile_alpha": ALPHA}
        )
        return XGBRegressor(**common, **goal, tree_method="hist")
    from lightgbm import LGBMRegressor

    goal = (
        {"objective": "regression"} if kind == "mean" else {"objective": "quantile", "alpha": ALPHA}
    )
    return LGBMRegressor(**common, **goal, subsample_freq=1, verbose=-1)


def clipped(values: np.ndarray) -> np.ndarray:
    """Answers as the peer gives them: never below zero (a tenth of a millisecond here)."""
    return np.maximum(np.asarray(values, dtype=float), 1e-4)
