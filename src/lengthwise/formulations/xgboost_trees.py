r"""XGBoost on log features: regularised gradient boosting (optional package).

    ln t = f_0 + eta (f_1(x) + ... + f_M(x)),   leaves shrunk by an L2 penalty

Beyond the longest length the law is flat. No parameter has a physical unit.

Source: Chen and Guestrin 2016, arXiv 1603.02754. Exact splits and leaves of one point, since sweeps
are small; single thread, so that equal data give equal laws.
"""

from __future__ import annotations

from typing import Any, ClassVar

from lengthwise.errors import MissingExtraError
from lengthwise.formulations.features import LearnedFormulation


class XGBoost(LearnedFormulation):
    """Boosted trees of the package xgboost.

    Parameters
    ----------
    n_estimators
        Trees.
    learning_rate
        Share of each tree that is added.
    max_depth
        Depth of a tree.
    reg_lambda
        L2 penalty on leaves, without unit.
    random_state
        Seed.

    Examples
    --------
    >>> XGBoost(max_depth=2).get_params()["max_depth"]
    2
    """

    name: ClassVar[str] = "xgboost"
    equation: ClassVar[str] = "ln t = f0 + eta sum of trees(ln work)"
    citation: ClassVar[str] = "Chen and Guestrin 2016, arXiv 1603.02754"
    extrapolates: ClassVar[bool] = False

    def __init__(
        self,
        *,
        n_estimators: int = 300,
        learning_rate: float = 0.05,
        max_depth: int = 3,
        reg_lambda: float = 0.1,
        random_state: int = 0,
    ) -> None:
        self.n_estimators, self.learning_rate = n_estimators, learning_rate
        self.max_depth, self.reg_lambda = max_depth, reg_lambda
        self.random_state = random_state

    def _regressor(self) -> Any:
        try:
            from xgboost import XGBRegressor
        except ImportError:
            raise MissingExtraError("xgboost", "boosting") from None
        return XGBRegressor(
            n_estimators=self.n_estimators,
            learning_rate=self.learning_rate,
            max_depth=self.max_depth,
            reg_lambda=self.reg_lambda,
            min_child_weight=0,
            tree_method="exact",
            n_jobs=1,
            random_state=self.random_state,
        )
