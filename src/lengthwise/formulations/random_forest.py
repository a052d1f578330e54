r"""Random forest on log features.

    ln t = mean over trees of the mean ln t of the training points in x's leaf

Each tree is grown on a bootstrap sample. Predictions stay between the shortest and the longest time
seen, so beyond the longest length the law is flat. No parameter has a physical unit.

Source: Breiman 2001, Machine Learning 45; used per operator by Vidur, Agrawal et al. 2024,
arXiv 2405.05465. ``RandomForestRegressor`` of scikit-learn.
"""

from __future__ import annotations

from typing import Any, ClassVar

from sklearn.ensemble import RandomForestRegressor

from lengthwise.formulations.features import LearnedFormulation


class RandomForest(LearnedFormulation):
    """Mean of trees grown on bootstrap samples.

    Parameters
    ----------
    n_estimators
        Trees.
    min_samples_leaf
        Points a leaf must hold.
    random_state
        Seed.

    Examples
    --------
    >>> import pandas as pd
    >>> X = pd.DataFrame({"phase": "prefill", "isl": [128, 256, 512, 1024] * 2})
    >>> law = RandomForest().fit(X, [0.02, 0.03, 0.05, 0.1] * 2)
    >>> bool(law.predict(X.assign(isl=65536))[0] <= 0.1)
    True
    """

    name: ClassVar[str] = "random-forest"
    equation: ClassVar[str] = "ln t = mean of trees(ln work)"
    citation: ClassVar[str] = "Breiman 2001; Vidur, Agrawal et al. 2024, arXiv 2405.05465"
    extrapolates: ClassVar[bool] = False

    def __init__(
        self, *, n_estimators: int = 200, min_samples_leaf: int = 1, random_state: int = 0
    ) -> None:
        self.n_estimators, self.min_samples_leaf = n_estimators, min_samples_leaf
        self.random_state = random_state

    def _regressor(self) -> Any:
        return RandomForestRegressor(
            self.n_estimators,
            min_samples_leaf=self.min_samples_leaf,
            random_state=self.random_state,
        )
