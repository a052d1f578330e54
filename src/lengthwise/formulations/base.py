"""What a formulation is: a family of functions from the work of a step to its time.

A formulation is fitted to steps of one phase of one deployment. It follows scikit-learn
(``fit(X, y)``, ``predict(X)``, ``get_params``, fitted attributes end in ``_``) with one addition:
X is a table of points with named columns (see :mod:`lengthwise.data.schema`) and y is seconds.
"""

from __future__ import annotations

from typing import Any, ClassVar, Self

import numpy as np
import pandas as pd

from lengthwise.data.work import work_of
from lengthwise.domain.work import Work
from lengthwise.errors import ColumnError, InputError
from lengthwise.formulations.estimator import Regressor
from lengthwise.units import FloatArray

FLOOR_S = 1e-9
"""No prediction is below one nanosecond: a straight line may cross zero, a time may not."""


class Formulation(Regressor):
    """Base of all formulations; subclasses implement ``_fit`` and ``_predict`` on :class:`Work`.

    Class attributes
    ----------------
    name
        Name in the registry.
    equation
        The law in one line, times in seconds.
    citation
        Where it comes from.
    monotone
        Whether predictions never fall when length or batch grows.
    min_points
        Points with a weight above zero needed for a fit.
    extrapolates
        Whether the law can follow a trend past the longest length it saw (trees cannot).
    """

    name: ClassVar[str]
    equation: ClassVar[str]
    citation: ClassVar[str]
    monotone: ClassVar[bool] = False
    min_points: ClassVar[int] = 2
    extrapolates: ClassVar[bool] = True

    n_points_: int
    phases_: tuple[str, ...]

    def fit(self, X: pd.DataFrame, y: Any, sample_weight: Any = None) -> Self:
        """Fit the law.

        Parameters
        ----------
        X
            Points of one phase, shape (n, columns).
        y
            Times, shape (n,), seconds.
        sample_weight
            Non-negative weights, shape (n,).

        Returns
        -------
        Formulation
            Itself.

        Raises
        ------
        ColumnError
            If a column is missing or holds bad values, or a time is not finite and positive.
        InputError
            If there are too few points.
        """
        work = work_of(X)
        y_s = check_times(y, len(work))
        weight = check_weights(sample_weight, len(work))
        if (weight == 0).any():
            keep = weight > 0
            work, y_s, weight = work.take(keep), y_s[keep], weight[keep]
        if len(work) < self.min_points:
            raise InputError(
                f"{self.name} needs at least {self.min_points} points",
                got=f"{len(work)}", remedy="measure more lengths, or choose a simpler formulation",
            )  # fmt: skip
        return self.fit_work(work, y_s, weight)

    def fit_work(self, work: Work, y_s: FloatArray, weight: FloatArray | None = None) -> Self:
        """Fit on work already computed; y_s is shape (n,), seconds. Inputs are trusted."""
        self.n_points_, self.phases_ = len(work), (work.phase,)
        self._fit(work, y_s, np.ones(len(work)) if weight is None else weight)
        return self

    def predict(self, X: pd.DataFrame) -> FloatArray:
        """Predict the times of points.

        Returns
        -------
        array of shape (n,), seconds.

        Raises
        ------
        InputError
            If the law is not fitted, or was fitted to another phase.
        ColumnError
            If a column is missing or holds bad values.
        """
        work = work_of(X)
        known = getattr(self, "phases_", ())
        if work.phase not in known:
            raise InputError(
                "a law predicts only the phase it was fitted to",
                got=f"phase={work.phase!r} and " + (f"a {known[0]} law" if known else "no fit yet"),
                remedy=f"call fit with {work.phase} points first",
            )
        return self.predict_work(work)

    def predict_work(self, work: Work) -> FloatArray:
        """Predict on work already computed; returns shape (n,), seconds."""
        return np.maximum(self._predict(work), FLOOR_S)

    def _fit(self, work: Work, y_s: FloatArray, weight: FloatArray) -> None:
        raise NotImplementedError

    def _predict(self, work: Work) -> FloatArray:
        raise NotImplementedError


def check_times(y: Any, n: int) -> FloatArray:
    """Give ``y`` as shape (n,) float64 after checking that times are finite and positive."""
    try:
        times = np.asarray(y, dtype=float).ravel()
    except (TypeError, ValueError) as error:
        raise ColumnError(
            "times must be numbers", got=str(error), remedy="convert the column to numbers"
        ) from None
    if len(times) != n:
        raise InputError(
            "X and y must have the same length", got=f"{n} points and {len(times)} times",
            remedy="take both from the same rows",
        )  # fmt: skip
    bad = ~(np.isfinite(times) & (times > 0))
    if bad.any():
        row = int(np.argmax(bad))
        raise ColumnError(
            "times must be finite and positive", got=f"{times[row]} in row {row}",
            remedy="drop failed measurements",
        )  # fmt: skip
    return times


def check_weights(weight: Any, n: int) -> FloatArray:
    """Give ``weight`` as shape (n,) float64, ones when it is None."""
    if weight is None:
        return np.ones(n)
    values = np.asarray(weight, dtype=float).ravel()
    if len(values) != n or not np.isfinite(values).all() or (values < 0).any() or not values.any():
        raise InputError(
            "sample_weight must be finite, not negative, not all zero, one per point",
            got=f"{len(values)} weights for {n} points",
            remedy="mend the weights, or leave them out",
        )
    return values
