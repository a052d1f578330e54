r"""Gradient-boosted trees around a power law: the sterner reference.

    ln t = b0 + b . ln work + eta (f_1(x) + ... + f_M(x))

A ridge regression on log features goes first, the trees learn what it leaves over. Inside the data
the trees need not spend their splits on the trend; outside, the trend goes on and the correction of
the outermost leaves stays. b and eta without unit.

Source: boosting from an initial model, Friedman 2001, Annals of Statistics 29, section 2;
``GradientBoostingRegressor(init=...)`` of scikit-learn.
"""

from __future__ import annotations

from typing import Any, ClassVar

from sklearn.linear_model import Ridge

from lengthwise.formulations.gradient_boosting import GradientBoosting

_ALPHA = 0.1
"""Penalty of the trend: enough to share out collinear log features."""


class TrendBoosting(GradientBoosting):
    """Small trees fitted to the residuals of a power law; parameters as the parent's.

    Examples
    --------
    >>> import pandas as pd
    >>> X = pd.DataFrame({"phase": "prefill", "isl": [128, 256, 512, 1024]})
    >>> law = TrendBoosting().fit(X, [0.02, 0.03, 0.05, 0.1])
    >>> bool(law.predict(X.assign(isl=4096))[0] > 0.2)
    True
    """

    name: ClassVar[str] = "trend-boosting"
    equation: ClassVar[str] = "ln t = b0 + b . ln work + eta sum of trees(ln work)"
    citation: ClassVar[str] = "Friedman 2001, Annals of Statistics 29"
    extrapolates: ClassVar[bool] = True

    def _regressor(self) -> Any:
        return super()._regressor().set_params(init=Ridge(_ALPHA))
