r"""Gradient-boosted trees on log features: the strong reference inside the data.

    ln t = f_0 + eta (f_1(x) + ... + f_M(x))

Each tree f_m is fitted to what the trees before it left over; eta is the learning rate, without
unit. Beyond the longest length the law is flat.

Source: Friedman 2001, Annals of Statistics 29; ``GradientBoostingRegressor`` of scikit-learn. Exact
splits rather than histograms: a length sweep has a dozen distinct points, less than one bin.
"""

from __future__ import annotations

from typing import Any, ClassVar

from sklearn.ensemble import GradientBoostingRegressor

from lengthwise.formulations.features import LearnedFormulation


class GradientBoosting(LearnedFormulation):
    """Sum of small trees, each fitted to the residuals of those before.

    Parameters
    ----------
    n_estimators
        Trees.
    learning_rate
        Share of each tree that is added.
    max_depth
        Depth of a tree.
    random_state
        Seed.

    Examples
    --------
    >>> import pandas as pd
    >>> X = pd.DataFrame({"phase": "prefill", "isl": [128, 256, 512, 1024]})
    >>> law = GradientBoosting().fit(X, [0.02, 0.03, 0.05, 0.1])
    >>> law.predict(X.assign(isl=[128, 256, 1024, 65536])).round(4).tolist()
    [0.02, 0.03, 0.1, 0.1]
    """

    name: ClassVar[str] = "gradient-boosting"
    equation: ClassVar[str] = "ln t = f0 + eta sum of trees(ln work)"
    citation: ClassVar[str] = "Friedman 2001, Annals of Statistics 29"
    extrapolates: ClassVar[bool] = False

    def __init__(
        self,
        *,
        n_estimators: int = 300,
        learning_rate: float = 0.05,
        max_depth: int = 3,
        random_state: int = 0,
    ) -> None:
        self.n_estimators, self.learning_rate = n_estimators, learning_rate
        self.max_depth, self.random_state = max_depth, random_state

    def _regressor(self) -> Any:
        return GradientBoostingRegressor(
            n_estimators=self.n_estimators,
            learning_rate=self.learning_rate,
            max_depth=self.max_depth,
            random_state=self.random_state,
        )
