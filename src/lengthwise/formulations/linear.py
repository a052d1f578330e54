r"""Linear law: what most published formulations assume.

    prefill   t = a + b T (+ c P)
    decode    t = a + b KV + c B
    mixed     t = a + b T + c KV

T new tokens, KV visible tokens, B sequences, a, b, c >= 0 (s, s/token, s/token, s/sequence). P
cached tokens, KV - T, have a coefficient (s/token) only where they vary in the data: a table of
chunks at several depths, not one of whole prompts.
Non-negative least squares on relative residuals (rows divided by t), so that a short prompt counts
as much as a long one. The affine service time of the queueing literature
(Yang et al. 2024, arXiv 2407.05347) is this law.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from lengthwise.domain.work import Work
from lengthwise.formulations.base import Formulation
from lengthwise.formulations.least_squares import solve_nonnegative
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
    relative: ClassVar[bool] = True
    """Whether residuals are divided by the time."""

    coef_: FloatArray

    def _fit(self, work: Work, y_s: FloatArray, weight: FloatArray) -> None:
        design = _design(work)
        if work.phase == "prefill" and np.ptp(design[:, 2]) == 0:
            design = design[:, :2]
        self.coef_, _ = solve_nonnegative(design, y_s, weight, relative=self.relative)

    def _predict(self, work: Work) -> FloatArray:
        return np.asarray(_design(work)[:, : len(self.coef_)] @ self.coef_)


def _design(work: Work) -> FloatArray:
    ones = np.ones(len(work))
    if work.phase == "prefill":
        return np.column_stack([ones, work.new_tokens, work.kv_tokens - work.new_tokens])
    if work.phase == "decode":
        return np.column_stack([ones, work.kv_tokens, work.sequences])
    return np.column_stack([ones, work.new_tokens, work.kv_tokens])
