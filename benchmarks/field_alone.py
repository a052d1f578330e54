"""A formulation as an estimator of one curve, without what a set of laws does around the fit."""

from __future__ import annotations

from typing import Self

import numpy as np
import pandas as pd

from lengthwise.errors import InputError
from lengthwise.formulations import registry
from lengthwise.units import FloatArray, ms_to_s, s_to_ms


class Alone:
    """Fit a registered formulation to a table of distinct points of one deployment and phase.

    The predictions are those of ``LawSet(name)`` on the same rows, several times as fast; there are
    no intervals.
    """

    intervals = False

    def __init__(self, name: str) -> None:
        self.name = name

    def fit(self, table: pd.DataFrame) -> Self:
        """Fit to the ``latency_ms`` of a table."""
        self.law_ = registry.make(self.name).fit(table, ms_to_s(table["latency_ms"].to_numpy()))
        return self

    def predict(self, points: pd.DataFrame) -> FloatArray:
        """Predict times, shape (n,), milliseconds."""
        return np.asarray(s_to_ms(self.law_.predict(points)))

    def predict_interval(self, points: pd.DataFrame, level: float) -> FloatArray:
        """Refuse: nothing was held out to calibrate intervals on."""
        raise InputError(
            "a formulation alone has no intervals", got=f"level={level}",
            remedy=f"use LawSet({self.name!r}), which holds points out",
        )  # fmt: skip
