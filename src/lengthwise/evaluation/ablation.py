"""What each of the three terms of the product's family buys, in range and beyond.

E1 nonlinear in length, E2 length-dependent scaling, E3 empirical correction. All eight subsets are
fitted on the same splits: ``random`` for in range, ``length`` for extrapolation. A term is switched
off with the option ``"off"`` and left to the law's own selection with ``"auto"``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import pandas as pd

from lengthwise.evaluation.estimator import Estimator, law_set
from lengthwise.evaluation.protocol import Progress, SplitName, evaluate
from lengthwise.evaluation.result import EvaluationResult, jsonable

TERMS = ("e1", "e2", "e3")
FAMILY = "hachiya-patias"

MakeVariant = Callable[[dict[str, str]], Estimator]
"""Constructs an unfitted estimator from its switches, for example {"e1": "off", ...}."""


@dataclass(frozen=True)
class AblationResult:
    """Evaluations of all subsets of terms on both splits."""

    in_range: EvaluationResult
    extrapolation: EvaluationResult

    @property
    def table(self) -> pd.DataFrame:
        """One row per subset: MAPE, interval and worst group of both splits, in percent."""
        parts = []
        for side, result in (("in_range", self.in_range), ("extrapolation", self.extrapolation)):
            overall = result.overall.set_index("formulation")[list(_COLUMNS)]
            names = {column: f"{side}_{short}" for column, short in _COLUMNS.items()}
            parts.append(overall.rename(columns=names))
        return pd.concat(parts, axis=1).rename_axis("terms").reset_index()

    def to_dict(self) -> dict[str, Any]:
        """Give the table and both evaluations, ready for JSON."""
        rows: list[dict[str, Any]] = jsonable(self.table.to_dict("records"))
        return {
            "table": rows,
            "in_range": self.in_range.to_dict(),
            "extrapolation": self.extrapolation.to_dict(),
        }


_COLUMNS = {
    "mape_percent": "mape_percent",
    "mape_lo_percent": "mape_lo_percent",
    "mape_hi_percent": "mape_hi_percent",
    "worst_mape_percent": "worst_mape_percent",
    "pooled_coverage": "coverage",
    "failed_groups": "failed_groups",
}


def variants() -> dict[str, dict[str, str]]:
    """Name the eight subsets of terms with their switches.

    >>> list(variants())
    ['none', '+E1', '+E2', '+E3', '+E1+E2', '+E1+E3', '+E2+E3', 'all']
    >>> variants()["+E2"]
    {'e1': 'off', 'e2': 'auto', 'e3': 'off'}
    """
    out = {}
    for size in range(len(TERMS) + 1):
        for kept in combinations(TERMS, size):
            name = "".join(f"+{term.upper()}" for term in kept) or "none"
            switches = {term: "auto" if term in kept else "off" for term in TERMS}
            out["all" if size == len(TERMS) else name] = switches
    return out


def ablation(
    table: pd.DataFrame,
    *,
    factor: float = 4,
    level: float = 0.9,
    pooled: bool = True,
    per_row: bool = False,
    folds: int = 5,
    seed: int = 0,
    make: MakeVariant | None = None,
    progress: Progress | None = None,
) -> AblationResult:
    """Evaluate all subsets of terms in range and when extrapolating ``factor`` times in length.

    Parameters are those of :func:`lengthwise.evaluation.protocol.evaluate`; ``make`` replaces the
    product's family by one of your own with the switches ``e1``, ``e2`` and ``e3``.
    """
    build = make or (lambda switches: law_set(FAMILY, **switches))
    switches = variants()

    def run(split: SplitName) -> EvaluationResult:
        return evaluate(
            table, split=split, factor=factor, level=level, pooled=pooled, per_row=per_row,
            folds=folds, seed=seed, progress=progress,
            formulations=tuple(switches), make=lambda name: build(switches[name]),
        )  # fmt: skip

    return AblationResult(in_range=run("random"), extrapolation=run("length"))
