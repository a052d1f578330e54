r"""Bayesian ridge regression on log features and their products.

    ln t = b0 + sum_i b_i z_i + sum_{i<=j} b_ij z_i z_j,   z = standardised ln work

b ~ N(0, 1/lambda), residuals ~ N(0, 1/alpha); lambda and alpha are estimated by maximum evidence,
so the strength of the shrinkage is not a setting. All b without unit. With ``degree=1`` a power
law; the squares bend it on a log-log plot, which fits well inside the data and, as any parabola,
may turn outside.

Source: MacKay 1992, Neural Computation 4; Tipping 2001; ``BayesianRidge`` of scikit-learn.
"""

from __future__ import annotations

from typing import Any, ClassVar

from sklearn.linear_model import BayesianRidge as SkBayesianRidge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures, StandardScaler

from lengthwise.formulations.features import LearnedFormulation
from lengthwise.units import FloatArray


class BayesianRidge(LearnedFormulation):
    """Regression on logarithms whose shrinkage follows from the data.

    Parameters
    ----------
    degree
        Highest product of log features, 1 or 2.

    Examples
    --------
    >>> import pandas as pd
    >>> X = pd.DataFrame({"phase": "prefill", "isl": [128, 256, 512, 1024, 2048]})
    >>> law = BayesianRidge(degree=1).fit(X, 1e-4 * X["isl"])
    >>> law.predict(X.assign(isl=4096)).round(3).tolist()[0]
    0.41
    """

    name: ClassVar[str] = "bayesian-ridge"
    equation: ClassVar[str] = "ln t = b0 + sum b_i z_i + sum b_ij z_i z_j, z = ln work"
    citation: ClassVar[str] = "MacKay 1992, Neural Computation 4"

    def __init__(self, *, degree: int = 2) -> None:
        self.degree = degree

    def _regressor(self) -> Any:
        return make_pipeline(
            StandardScaler(),
            PolynomialFeatures(self.degree, include_bias=False),
            SkBayesianRidge(),
        )

    def _fit_regressor(self, features: FloatArray, target: FloatArray, weight: FloatArray) -> Any:
        return self._regressor().fit(features, target, bayesianridge__sample_weight=weight)
