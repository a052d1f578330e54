r"""Ridge regression on standardised lengths: the per-token predictor of the thesis.

    t = b0 + b1 z(context) + b2 z(input),   z(x) = (x - mean x) / sd x

context = KV tokens a sequence sees, input = prompt tokens of a sequence (for prefill rows
``context_len`` and ``isl``); b0, b1, b2 in s, of either sign, with penalty alpha (b1^2 + b2^2).
Batch is not part of the law, so the mean over batches is what it learns.

Source: a thesis on per-token latency (Mistral-7B-Instruct-v0.3, 8 bit, 376
training and 95 test tokens): b0 = 390.92 ms, b1 = 48.75 ms, b2 = -4.28 ms, MAE 34.03 ms, RMSE
159.11 ms; ``StandardScaler`` and ``Ridge`` of scikit-learn (Pedregosa et al. 2011). :meth:`report`
gives the same figures for other data.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from sklearn.linear_model import Ridge
from sklearn.preprocessing import StandardScaler

from lengthwise.domain.work import Work
from lengthwise.formulations.base import Formulation, check_times
from lengthwise.units import FloatArray, s_to_ms

_FEATURES = ("context_size", "input_token_length")


@dataclass(frozen=True)
class ThesisReport:
    """The figures the thesis gives of its model, in ms.

    Attributes
    ----------
    intercept_ms
        Time at mean context and mean input.
    scaled_coefficients_ms
        Time per standard deviation of each feature, by feature.
    mae_ms, rmse_ms
        Mean absolute and root mean squared error on the test points.
    n_train, n_test
        Points used for fitting and testing.
    """

    intercept_ms: float
    scaled_coefficients_ms: dict[str, float]
    mae_ms: float
    rmse_ms: float
    n_train: int
    n_test: int

    def __str__(self) -> str:
        rows = [("intercept", self.intercept_ms), *self.scaled_coefficients_ms.items()]
        rows += [("MAE", self.mae_ms), ("RMSE", self.rmse_ms)]
        lines = [f"{name:<20}{value:>12.4f} ms" for name, value in rows]
        return "\n".join([*lines, f"{'train, test':<20}{self.n_train:>7}, {self.n_test} points"])


class ThesisRidge(Formulation):
    """Ridge on standardised context size and input length.

    Parameters
    ----------
    alpha
        Strength of the penalty, without unit (standardised columns).

    Examples
    --------
    >>> import pandas as pd
    >>> X = pd.DataFrame({"phase": "decode", "isl": 100, "context_len": [100, 200, 300, 400]})
    >>> law = ThesisRidge(alpha=0.0).fit(X, [0.3, 0.35, 0.4, 0.45])
    >>> print(law.report(X, [0.3, 0.35, 0.4, 0.47]))
    intercept               375.0000 ms
    context_size             55.9017 ms
    input_token_length        0.0000 ms
    MAE                       5.0000 ms
    RMSE                     10.0000 ms
    train, test               4, 4 points
    """

    name: ClassVar[str] = "thesis-ridge"
    equation: ClassVar[str] = "t = b0 + b1 z(context) + b2 z(input)"
    citation: ClassVar[str] = "per-token latency thesis; scikit-learn Ridge, Pedregosa et al. 2011"

    scaler_: Any
    ridge_: Any

    def __init__(self, *, alpha: float = 1.0) -> None:
        self.alpha = alpha

    def _fit(self, work: Work, y_s: FloatArray, weight: FloatArray) -> None:
        self.scaler_ = StandardScaler().fit(_features(work), sample_weight=weight)
        scaled = self.scaler_.transform(_features(work))
        # SVD, because equal columns (a prefill without prefix) have no Cholesky factor at alpha=0.
        ridge = Ridge(alpha=self.alpha, solver="svd")
        # Weights of mean one: the penalty must not depend on the scale of the weights.
        self.ridge_ = ridge.fit(scaled, y_s, sample_weight=weight / weight.mean())

    def _predict(self, work: Work) -> FloatArray:
        return np.asarray(self.ridge_.predict(self.scaler_.transform(_features(work))))

    def report(self, X: pd.DataFrame, y: Any) -> ThesisReport:
        """Report as the thesis does, with errors on test points.

        Parameters
        ----------
        X, y
            Test points, shape (n, columns), and their times, shape (n,), seconds.
        """
        error_ms = s_to_ms(self.predict(X) - check_times(y, len(X)))
        coefficients = s_to_ms(self.ridge_.coef_)
        return ThesisReport(
            intercept_ms=float(s_to_ms(self.ridge_.intercept_)),
            scaled_coefficients_ms=dict(zip(_FEATURES, map(float, coefficients), strict=True)),
            mae_ms=float(np.abs(error_ms).mean()),
            rmse_ms=float(np.sqrt(np.mean(error_ms**2))),
            n_train=self.n_points_,
            n_test=len(X),
        )


def _features(work: Work) -> FloatArray:
    return np.column_stack([work.context_len, work.isl])
