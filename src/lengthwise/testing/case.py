"""A formulation, a phase and the data it is tried on."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.base import clone

from lengthwise.errors import FitWarning
from lengthwise.formulations.base import FLOOR_S, Formulation
from lengthwise.testing import samples
from lengthwise.units import FloatArray

NEEDED = {
    "prefill": ("isl",),
    "decode": ("context_len",),
    "mixed": ("sum_query_len", "sum_context_len", "sum_query_x_context"),
}
"""Columns a formulation must ask for, by phase."""


@dataclass(frozen=True)
class Case:
    """One formulation on one phase; the law fitted to the standard table is made once.

    Examples
    --------
    >>> from lengthwise.formulations import registry
    >>> case = Case(registry.make("linear"), "prefill")
    >>> len(case.table), case.fitted.n_points_
    (24, 24)
    """

    formulation: Formulation
    phase: str

    @property
    def table(self) -> pd.DataFrame:
        """The standard table: 8 lengths times the batch sizes of the phase; new on every use."""
        return samples.points(self.phase, samples.LENGTHS, samples.BATCHES[self.phase])

    @property
    def times_s(self) -> FloatArray:
        """Its times with 2 % noise, shape (n,), seconds."""
        return samples.times(self.table, noise=0.02)

    @cached_property
    def fitted(self) -> Formulation:
        """The law of the standard table."""
        return self.fit(self.table, self.times_s)

    def fit(self, X: pd.DataFrame, y: Any, sample_weight: Any = None) -> Formulation:
        """Fit a fresh clone; any warning but FitWarning is an error."""
        law: Formulation = clone(self.formulation)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            warnings.simplefilter("ignore", FitWarning)
            return law.fit(X, y, sample_weight=sample_weight)

    def points(self, lengths: npt.ArrayLike, batches: npt.ArrayLike) -> pd.DataFrame:
        """Points of this phase at lengths crossed with batch sizes."""
        return samples.points(self.phase, lengths, batches)


def assert_close(got: FloatArray, want: FloatArray, X: pd.DataFrame, what: str) -> None:
    """Assert equality to 1e-6 relative, except where a law is cut off at the smallest time."""
    error = np.where((got > FLOOR_S) & (want > FLOOR_S), np.abs(got / want - 1.0), 0.0)
    worst = int(np.argmax(error))
    assert error[worst] <= 1e-6, (
        f"{what}: {got[worst]:.9g} s against {want[worst]:.9g} s at {row(X, worst)}"
    )


def row(X: pd.DataFrame, index: int) -> str:
    """Show one point in a message."""
    return ", ".join(f"{name}={value}" for name, value in X.iloc[index].items())
