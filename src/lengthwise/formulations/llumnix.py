r"""Llumnix's simulator: affine step times of padded sizes.

    prefill   t = a T + b
    decode    t = a B + b KV + c
    mixed     t = a T + b KV + c            (not in the source)

T new tokens of the step, KV = sum of contexts, B sequences, each rounded up to a multiple of 8;
a in s/token or s/sequence, b in s/token, c in s, of either sign.

Source: Sun et al. 2024, arXiv 2406.03243; public code ``llumnix/backends/profiling.py``, which fits
by unweighted ``scipy.optimize.curve_fit``. The law is linear, so that is ordinary least squares.
The source keeps one of several timings of equal size, here all count.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from lengthwise.domain.work import Work
from lengthwise.formulations.base import Formulation
from lengthwise.formulations.least_squares import ceil_to, solve
from lengthwise.units import FloatArray


class Llumnix(Formulation):
    """Affine in padded tokens and padded batch.

    Parameters
    ----------
    multiple_of
        Sizes are rounded up to a multiple of this, tokens or sequences.

    Examples
    --------
    >>> import pandas as pd
    >>> X = pd.DataFrame({"phase": "prefill", "isl": [121, 250, 505]})
    >>> law = Llumnix().fit(X, [0.02, 0.036, 0.068])
    >>> law.predict(X.assign(isl=1020)).round(3).tolist()[0]
    0.132
    """

    name: ClassVar[str] = "llumnix"
    equation: ClassVar[str] = "t = a T + b (prefill); t = a B + b KV + c (decode); padded to 8"
    citation: ClassVar[str] = "Sun et al. 2024, Llumnix, arXiv 2406.03243"

    coef_: FloatArray

    def __init__(self, *, multiple_of: int = 8) -> None:
        self.multiple_of = multiple_of

    def _fit(self, work: Work, y_s: FloatArray, weight: FloatArray) -> None:
        self.coef_ = solve(self._design(work), y_s, weight)

    def _predict(self, work: Work) -> FloatArray:
        return np.asarray(self._design(work) @ self.coef_)

    def _design(self, work: Work) -> FloatArray:
        sizes = {
            "prefill": [work.new_tokens],
            "decode": [work.sequences, work.kv_tokens],
            "mixed": [work.new_tokens, work.kv_tokens],
        }[work.phase]
        padded = [ceil_to(size, self.multiple_of) for size in sizes]
        return np.column_stack([*padded, np.ones(len(work))])
