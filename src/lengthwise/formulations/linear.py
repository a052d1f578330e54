r"""Linear law: what most published formulations assume.

    prefill   t = a + b T
    decode    t = a + b KV + c B
    mixed     t = a + b T + c KV

T new tokens, KV visible tokens, B sequences, a, b, c >= 0 (s, s/token, s/token, s/sequence).
Non-negative least squares on relative residuals (rows divided by t), so that a short prompt counts
as much as a long one. The affine service time of the queueing literature
(Yang et al. 2024, arXiv 2407.05347) is this law.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from lengthwise.domain.work import Work
from lengthwise.formulations.base import Formulation
from lengthwise.units import FloatArray


class Linear(Formulation):
    """Affine in tokens, with coefficients that are not negative.

    Examples
    --------
    >>> import pandas as pd
    >>> X = pd.DataFrame({"phase": "prefill", "isl": [128, 256, 512]})
    >>> law = Linear().fit(X, [0.02, 0.03, 0.05])
    >>> law.predict(X.assign(isl=1024)).round(3).tolist()[0]
    0.09
    """

    name: ClassVar[str] = "linear"
    equation: ClassVar[str] = "t = a + b T (prefill); t = a + b KV + c B (decode)"
    citation: ClassVar[str] = "affine service time, e.g. Yang et al. 2024, arXiv 2407.05347"
    monotone: ClassVar[bool] = True

    coef_: FloatArray

    def _fit(self, work: Work, y_s: FloatArray, weight: FloatArray) -> None:
        from scipy.optimize import nnls

        scale = np.sqrt(weight) / y_s
        design = _design(work)
        norm = design.max(axis=0)
        coef, _ = nnls(design / norm * scale[:, None], np.sqrt(weight))
        self.coef_ = coef / norm

    def _predict(self, work: Work) -> FloatArray:
        return np.asarray(_design(work) @ self.coef_)


def _design(work: Work) -> FloatArray:
    ones = np.ones(len(work))
    if work.phase == "prefill":
        return np.column_stack([ones, work.new_tokens])
    if work.phase == "decode":
        return np.column_stack([ones, work.kv_tokens, work.sequences])
    return np.column_stack([ones, work.new_tokens, work.kv_tokens])
