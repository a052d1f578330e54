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

import numpy as np
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
    """Evaluations of all subsets of terms on both splits.

    Attributes
    ----------
    in_range, extrapolation
        The splits; the second is None where the first was interrupted.
    """

    in_range: EvaluationResult
    extrapolation: EvaluationResult | None

    @property
    def partial(self) -> bool:
        """Whether it was interrupted."""
        return self.extrapolation is None or self.in_range.partial or self.extrapolation.partial

    @property
    def sides(self) -> dict[str, EvaluationResult]:
        """The splits that were evaluated, by name."""
        both = {"in_range": self.in_range, "extrapolation": self.extrapolation}
        return {name: side for name, side in both.items() if side is not None}

    @property
    def table(self) -> pd.DataFrame:
        """One row per subset: MAPE, interval and worst group of both splits, in percent.

        Figures of a split that was not evaluated are NaN.
        """
        sides, parts = self.sides, []
        for side in ("in_range", "extrapolation"):
            overall = sides.get(side, self.in_range).overall.set_index("formulation")
            names = {column: f"{side}_{short}" for column, short in _COLUMNS.items()}
            part = overall[list(_COLUMNS)].rename(columns=names)
            parts.append(part if side in sides else part * np.nan)
        return pd.concat(parts, axis=1).rename_axis("terms").reset_index()

    def _repr_html_(self) -> str:
        html: str = self.table.round(2).to_html(index=False, border=0)
        return html

    def to_dict(self) -> dict[str, Any]:
        """Return the table and the evaluations, ready for JSON."""
        rows: list[dict[str, Any]] = jsonable(self.table.to_dict("records"))
        sides = {"in_range": None, "extrapolation": None} | self.sides
        return {
            "table": rows, "partial": self.partial,
            **{name: side.to_dict() if side else None for name, side in sides.items()},
        }  # fmt: skip


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
    intervals: bool = True,
    make: MakeVariant | None = None,
    progress: Progress | None = None,
) -> AblationResult:
    """Evaluate all subsets of terms in range and when extrapolating ``factor`` times in length.

    Parameters are those of :func:`lengthwise.evaluation.protocol.evaluate`; ``make`` replaces the
    product's family by one of your own with the switches ``e1``, ``e2`` and ``e3``. An interrupt
    ends it with what was done, marked ``partial``, if that is anything.
    """
    build = make or (lambda switches: law_set(FAMILY, intervals=intervals, **switches))
    switches = variants()

    def run(split: SplitName) -> EvaluationResult:
        return evaluate(
            table, split=split, factor=factor, level=level, pooled=pooled, per_row=per_row,
            folds=folds, seed=seed, intervals=intervals, progress=progress,
            formulations=tuple(switches), make=lambda name: build(switches[name]),
        )  # fmt: skip

    in_range = run("random")
    if in_range.partial:
        return AblationResult(in_range, None)
    try:
        return AblationResult(in_range, run("length"))
    except KeyboardInterrupt:
        return AblationResult(in_range, None)
