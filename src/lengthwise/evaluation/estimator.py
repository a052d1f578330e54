"""What can be evaluated: anything that fits a table and predicts points with intervals."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any, Protocol, Self

import pandas as pd

from lengthwise.errors import InputError
from lengthwise.formulations import registry
from lengthwise.units import FloatArray


class Estimator(Protocol):
    """Laws for every deployment and phase of a table."""

    def fit(self, table: pd.DataFrame, /) -> Self:
        """Fit on rows of a measurement table."""
        ...

    def predict(self, points: pd.DataFrame, /) -> FloatArray:
        """Predict times, shape (n,), milliseconds."""
        ...

    def predict_interval(self, points: pd.DataFrame, /, level: float) -> FloatArray:
        """Predict intervals of coverage ``level``, shape (n, 2), milliseconds."""
        ...


Make = Callable[[str], Estimator]
"""Constructs an unfitted estimator for the name of a formulation."""


def law_set(formulation: str, **options: Any) -> Estimator:
    """Construct the product's own estimator; imported on use, so that others cost nothing.

    Laws of a set answer at any length: refusing far beyond the data is the task of prediction, and
    an evaluation holds the truth.
    """
    module = import_module("lengthwise.calibration.lawset")
    made: Estimator = module.LawSet(formulation=formulation, described=False, **options)
    return made


def check_names(formulations: tuple[str, ...]) -> None:
    """Refuse unknown and repeated formulations before anything is fitted.

    >>> check_names(("linear",))
    """
    if not formulations:
        raise InputError("at least one formulation is needed", remedy="write linear")
    if len(set(formulations)) < len(formulations):
        raise InputError("formulations must differ", got=", ".join(formulations))
    for name in formulations:
        registry.get(name)
