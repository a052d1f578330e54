"""Compare policies at equal seconds of measuring: medians, wins, and which one is the default."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from lengthwise.units import FloatArray

LEARNERS = ("linucb", "thompson", "reinforcement")
DRAWS = 2000

Errors = Mapping[str, FloatArray]
"""Errors by policy, shape (deployments, budgets)."""


def summary(errors: Errors, budgets: tuple[float, ...]) -> dict[str, Any]:
    """Medians and wins of every policy at every budget; a win of k at once counts 1/k for each.

    Examples
    --------
    >>> found = summary({"a": np.array([[0.1], [0.3]]), "b": np.array([[0.2], [0.2]])}, (0.1,))
    >>> found["a"]["median_error_percent"], found["a"]["wins"]
    ({'0.1': 20.0}, {'0.1': 1.0})
    """
    stack = np.stack(list(errors.values()))
    least = stack.min(axis=0)
    out: dict[str, Any] = {}
    for name, values in errors.items():
        middle, best = 100.0 * np.median(values, axis=0), stack <= least + 1e-12
        wins = ((values <= least + 1e-12) / best.sum(axis=0)).sum(axis=0).round(2)
        out[name] = {
            "median_error_percent": _by(budgets, np.round(middle, 2)),
            "wins": _by(budgets, wins),
            "mean_ln_error": round(score(values), 4),
        }
    return out


def score(errors: FloatArray) -> float:
    """Mean of ln error over deployments and budgets; lower is better.

    >>> round(score(np.array([[0.1, 0.1]])), 3)
    -2.303
    """
    return float(np.log(np.maximum(errors, 1e-6)).mean())


def against(errors: Errors, name: str, other: str, seed: int = 0) -> dict[str, Any]:
    """Compare one policy with another on the same deployments.

    Returns
    -------
    dict
        ``ratio`` of the errors (geometric mean over deployments and budgets; below 1 is better),
        its 90 % interval over redrawn deployments, and the deployments ``better`` and ``worse``.

    Examples
    --------
    >>> a, b = np.full((9, 2), 0.1), np.full((9, 2), 0.2)
    >>> against({"a": a, "b": b}, "a", "b")["ratio"]
    0.5
    """
    apart = np.log(np.maximum(errors[name], 1e-6) / np.maximum(errors[other], 1e-6)).mean(axis=1)
    rng = np.random.default_rng(seed)
    redrawn = rng.choice(apart, (DRAWS, len(apart))).mean(axis=1)
    return {
        "ratio": round(float(np.exp(apart.mean())), 4),
        "ratio_90": [round(float(v), 4) for v in np.exp(np.quantile(redrawn, [0.05, 0.95]))],
        "better": int((apart < -1e-9).sum()),
        "worse": int((apart > 1e-9).sum()),
        "deployments": len(apart),
    }


def scores(groups: Sequence[Errors]) -> dict[str, float]:
    """Mean score of every policy over groups of deployments, each group counting the same."""
    return {name: float(np.mean([score(g[name]) for g in groups])) for name in groups[0]}


def winner(groups: Sequence[Errors]) -> str:
    """Name the default.

    The best rule that learns nothing, unless a learner beats it: a lower error in every group of
    deployments (recorded, simulated), and over all of them by more than chance (the 90 % interval
    of the ratio lies below 1).

    Examples
    --------
    >>> simple, learnt = np.full((9, 2), 0.2), np.full((9, 2), 0.1)
    >>> winner([{"uncertainty": simple, "reinforcement": learnt}])
    'reinforcement'
    >>> winner([{"uncertainty": learnt, "reinforcement": learnt}])
    'uncertainty'
    """
    means = scores(groups)
    simple = min((k for k in means if k not in LEARNERS), key=lambda k: means[k])
    learner = min((k for k in means if k in LEARNERS), key=lambda k: means[k], default=simple)
    pooled = {k: np.concatenate([g[k] for g in groups]) for k in (simple, learner)}
    found = [against(g, learner, simple) for g in groups]
    certain = against(pooled, learner, simple)["ratio_90"][1] < 1.0
    return learner if certain and all(f["ratio"] < 1.0 for f in found) else simple


def _by(budgets: tuple[float, ...], values: Any) -> dict[str, Any]:
    return {f"{budget:g}": value.item() for budget, value in zip(budgets, values, strict=True)}
