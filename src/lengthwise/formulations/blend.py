r"""Blend: the geometric mean of three simple laws.

    t = (t_linear-plain t_quadratic-plain t_shifted-power)^(1/3)

Each is fitted alone. The line is too low where times bend up, the quadratic and the power too high
where they do not; their mean is seldom far off, which makes it the simple formula to beat.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from lengthwise.domain.work import Work
from lengthwise.formulations.base import FLOOR_S, Formulation
from lengthwise.formulations.reach import at_reach, fit_reach
from lengthwise.formulations.shifted_power import fit_shifted_power
from lengthwise.units import FloatArray

LINE, CURVE = (1.0,), (1.0, 2.0)


class Blend(Formulation):
    """Geometric mean of line, quadratic and power above a floor.

    Examples
    --------
    >>> import pandas as pd
    >>> X = pd.DataFrame({"phase": "prefill", "isl": [1000, 2000, 4000]})
    >>> law = Blend().fit(X, [0.11, 0.21, 0.41])
    >>> law.predict(X.assign(isl=8000)).round(3).tolist()[0]
    0.81
    """

    name: ClassVar[str] = "blend"
    equation: ClassVar[str] = "ln t = mean of ln t of linear-plain, quadratic-plain, shifted-power"
    citation: ClassVar[str] = "average of forecasts, Bates and Granger 1969"
    monotone: ClassVar[bool] = True
    min_points: ClassVar[int] = 3

    coef_: dict[str, FloatArray]
    exponent_: float

    def _fit(self, work: Work, y_s: FloatArray, weight: FloatArray) -> None:
        line, _ = fit_reach(work, y_s, weight, LINE, relative=False)
        curve, _ = fit_reach(work, y_s, weight, CURVE, relative=False)
        power, self.exponent_ = fit_shifted_power(work, y_s, weight)
        self.coef_ = {"linear-plain": line, "quadratic-plain": curve, "shifted-power": power}

    def _predict(self, work: Work) -> FloatArray:
        powers = {
            "linear-plain": LINE, "quadratic-plain": CURVE, "shifted-power": (self.exponent_,)
        }  # fmt: skip
        times = [at_reach(work, powers[name], coef) for name, coef in self.coef_.items()]
        return np.asarray(np.exp(np.mean(np.log(np.maximum(times, FLOOR_S)), axis=0)))
