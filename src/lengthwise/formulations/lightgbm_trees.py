r"""LightGBM on log features: leaf-wise gradient boosting (optional package).

    ln t = f_0 + eta (f_1(x) + ... + f_M(x)),   trees grown leaf by leaf

Beyond the longest length the law is flat. No parameter has a physical unit.

Source: Ke et al. 2017, NeurIPS 30. The defaults of the package ask for 20 points per leaf, more
than a length sweep has in all; here leaves and bins may hold one point. Deterministic, one thread.
"""

from __future__ import annotations

from typing import Any, ClassVar

from lengthwise.errors import MissingExtraError
from lengthwise.formulations.features import LearnedFormulation


class LightGBM(LearnedFormulation):
    """Boosted trees of the package lightgbm.

    Parameters
    ----------
    n_estimators
        Trees.
    learning_rate
        Share of each tree that is added.
    num_leaves
        Leaves of a tree.
    random_state
        Seed.

    Examples
    --------
    >>> LightGBM(num_leaves=4).get_params()["num_leaves"]
    4
    """

    name: ClassVar[str] = "lightgbm"
    equation: ClassVar[str] = "ln t = f0 + eta sum of trees(ln work)"
    citation: ClassVar[str] = "Ke et al. 2017, NeurIPS 30"
    extrapolates: ClassVar[bool] = False

    def __init__(
        self,
        *,
        n_estimators: int = 300,
        learning_rate: float = 0.05,
        num_leaves: int = 8,
        random_state: int = 0,
    ) -> None:
        self.n_estimators, self.learning_rate = n_estimators, learning_rate
        self.num_leaves, self.random_state = num_leaves, random_state

    def _regressor(self) -> Any:
        try:
            from lightgbm import LGBMRegressor
        except ImportError:
            raise MissingExtraError("lightgbm", "boosting") from None
        return LGBMRegressor(
            n_estimators=self.n_estimators,
            learning_rate=self.learning_rate,
            num_leaves=self.num_leaves,
            min_child_samples=1,
            min_child_weight=0.0,
            min_data_in_bin=1,
            deterministic=True,
            force_row_wise=True,
            n_jobs=1,
            verbose=-1,
            random_state=self.random_state,
        )
