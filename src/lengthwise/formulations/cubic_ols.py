r"""Cubic polynomial in length: what a spreadsheet offers.

    prefill   t = a + b T + c T^2 + d T^3 + e B
    decode    t = a + b KV + c KV^2 + d KV^3 + e B
    mixed     t = a + b T + c T^2 + d T^3 + e KV

T new tokens, KV visible tokens, B sequences; a in s, b in s/token, c in s/token^2, d in s/token^3,
e in s/sequence (s/token for mixed steps), all of either sign. Ordinary least squares. Kept as the
textbook example of a curve that fits well and extrapolates badly (Runge 1901).
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from lengthwise.domain.work import Work
from lengthwise.formulations.base import Formulation
from lengthwise.formulations.least_squares import solve
from lengthwise.units import FloatArray


class CubicOLS(Formulation):
    """Cubic in tokens plus a term in batch.

    Examples
    --------
    >>> import pandas as pd
    >>> X = pd.DataFrame({"phase": "prefill", "isl": [128, 256, 512, 1024, 2048]})
    >>> y_s = 0.01 + 1e-4 * X["isl"]
    >>> CubicOLS().fit(X, y_s).predict(X.assign(isl=1500)).round(3).tolist()[0]
    0.16
    """

    name: ClassVar[str] = "cubic-ols"
    equation: ClassVar[str] = "t = a + b T + c T^2 + d T^3 + e B"
    citation: ClassVar[str] = "polynomial regression; Runge 1901 on its behaviour at the ends"

    coef_: FloatArray

    def _fit(self, work: Work, y_s: FloatArray, weight: FloatArray) -> None:
        self.coef_ = solve(_design(work), y_s, weight)

    def _predict(self, work: Work) -> FloatArray:
        return np.asarray(_design(work) @ self.coef_)


def _design(work: Work) -> FloatArray:
    size = work.kv_tokens if work.phase == "decode" else work.new_tokens
    other = work.kv_tokens if work.phase == "mixed" else work.sequences
    return np.column_stack([np.ones(len(work)), size, size**2, size**3, other])
