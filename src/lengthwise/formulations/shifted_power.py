r"""Shifted power law: a floor and one exponent.

    t = a + b x^p (+ d z)

x = KV tokens that the step reaches over in all its sequences, x^p = KV times the tokens of one
sequence to the power p - 1; z = sequences of decode steps, or new tokens of chunks and mixed steps,
where these vary. a, b, d >= 0; p from a grid of 0.1 to 3 in steps of 0.05. For each p the rest is
non-negative least squares on relative residuals, and the best p is kept; of several that fit
equally well, the one nearest to a line.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from lengthwise.domain.work import Work
from lengthwise.formulations.base import Formulation
from lengthwise.formulations.reach import at_reach, fit_reach
from lengthwise.units import FloatArray

EXPONENTS = tuple(float(p) for p in np.round(np.linspace(0.1, 3.0, 59), 2))
SAME = 1e-9
"""Misfits this close (of relative residuals) are the same."""


class ShiftedPower(Formulation):
    """Power of tokens above a floor.

    Examples
    --------
    >>> import pandas as pd
    >>> X = pd.DataFrame({"phase": "prefill", "isl": [100, 400, 900, 1600]})
    >>> law = ShiftedPower().fit(X, 0.5 + 1e-3 * X["isl"] ** 1.5)
    >>> law.exponent_, law.predict(X.assign(isl=6400)).round(3).tolist()[0]
    (1.5, 512.5)
    """

    name: ClassVar[str] = "shifted-power"
    equation: ClassVar[str] = "t = a + b x^p"
    citation: ClassVar[str] = "power law with a floor, e.g. Hestness et al. 2017, arXiv 1712.00409"
    monotone: ClassVar[bool] = True
    min_points: ClassVar[int] = 3

    coef_: FloatArray
    exponent_: float

    def _fit(self, work: Work, y_s: FloatArray, weight: FloatArray) -> None:
        self.coef_, self.exponent_ = fit_shifted_power(work, y_s, weight)

    def _predict(self, work: Work) -> FloatArray:
        return at_reach(work, (self.exponent_,), self.coef_)


def fit_shifted_power(work: Work, y_s: FloatArray, weight: FloatArray) -> tuple[FloatArray, float]:
    """Return the coefficients and the exponent of the best fit.

    >>> work = Work.of("decode", query_len=1.0, context_len=[100.0, 400.0, 900.0])
    >>> coef, exponent = fit_shifted_power(work, 0.01 + 1e-3 * np.sqrt(work.kv_tokens), np.ones(3))
    >>> exponent, coef.round(4).tolist()
    (0.5, [0.01, 0.001])
    """
    fits = [(fit_reach(work, y_s, weight, (p,), relative=True), p) for p in EXPONENTS]
    least = min(misfit for (_, misfit), _ in fits)
    good = [(abs(p - 1.0), p, coef) for (coef, misfit), p in fits if misfit <= least + SAME]
    _, exponent, coef = min(good, key=lambda fit: fit[:2])
    return coef, exponent
