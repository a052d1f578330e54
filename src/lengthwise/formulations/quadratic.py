r"""Quadratic law: a line plus attention over the whole context.

    t = a + b x + c x^2 (+ d z)

x = KV tokens that the step reaches over in all its sequences, x^2 = KV times the tokens of one
sequence; z = sequences of decode steps, or new tokens of chunks and mixed steps, where these vary.
a, b, c, d >= 0 (s, s/token, s/token^2, s per unit of z). Non-negative least squares on relative
residuals. The prefill cost model of the literature, without its kernels.
"""

from __future__ import annotations

from typing import ClassVar

from lengthwise.formulations.reach import ReachPolynomial


class Quadratic(ReachPolynomial):
    """Quadratic in tokens, with coefficients that are not negative.

    Examples
    --------
    >>> import pandas as pd
    >>> X = pd.DataFrame({"phase": "prefill", "isl": [1000, 2000, 4000]})
    >>> law = Quadratic().fit(X, [0.12, 0.25, 0.57])
    >>> law.predict(X.assign(isl=8000)).round(3).tolist()[0]
    1.45
    """

    name: ClassVar[str] = "quadratic"
    equation: ClassVar[str] = "t = a + b x + c x^2"
    citation: ClassVar[str] = "prefill cost, e.g. DistServe, Zhong et al. 2024, arXiv 2401.09670"
    min_points: ClassVar[int] = 3
