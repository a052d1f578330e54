r"""Plain quadratic law: the quadratic by ordinary least squares.

The columns of `quadratic`, with residuals in seconds: the longest steps decide. Coefficients are
not negative.
"""

from __future__ import annotations

from typing import ClassVar

from lengthwise.formulations.quadratic import Quadratic


class QuadraticPlain(Quadratic):
    """Quadratic in tokens, fitted to seconds rather than to ratios.

    Examples
    --------
    >>> import pandas as pd
    >>> X = pd.DataFrame({"phase": "prefill", "isl": [500, 1000, 2000, 4000]})
    >>> law = QuadraticPlain().fit(X, [0.1, 0.12, 0.25, 0.57])
    >>> law.predict(X.assign(isl=8000)).round(3).tolist()[0]
    1.66
    """

    name: ClassVar[str] = "quadratic-plain"
    citation: ClassVar[str] = "ordinary least squares with coefficients that are not negative"
    relative: ClassVar[bool] = False
