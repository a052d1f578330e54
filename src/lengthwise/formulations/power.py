r"""Power law: one exponent per kind of work.

    prefill   t = a T^p (KV^q)
    decode    t = a KV^p B^q
    mixed     t = a KV^p T^q

T new tokens, KV visible tokens, B sequences; a in s, exponents p, q >= 0 without unit. Least
squares on logarithms with non-negative exponents, the scale a free. KV has an exponent in prefills
only where cached prefixes vary in the data. The usual reading of a straight
line on a log-log plot (compare Kaplan et al. 2020, arXiv 2001.08361, for losses); it has no floor
for short prompts, which is what makes it poor where launch overhead dominates.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from lengthwise.domain.work import Work
from lengthwise.formulations.base import Formulation
from lengthwise.units import FloatArray


class Power(Formulation):
    """Straight line on a log-log plot.

    Examples
    --------
    >>> import pandas as pd
    >>> X = pd.DataFrame({"phase": "prefill", "isl": [128, 256, 512]})
    >>> law = Power().fit(X, [0.01, 0.02, 0.04])
    >>> law.exponents_.round(3).tolist(), law.predict(X.assign(isl=1024)).round(3).tolist()[0]
    ([1.0], 0.08)
    """

    name: ClassVar[str] = "power"
    equation: ClassVar[str] = "t = a T^p (prefill); t = a KV^p B^q (decode)"
    citation: ClassVar[str] = "log-log regression; form after Kaplan et al. 2020, arXiv 2001.08361"
    monotone: ClassVar[bool] = True

    exponents_: FloatArray
    log_scale_: float

    def _fit(self, work: Work, y_s: FloatArray, weight: FloatArray) -> None:
        from scipy.optimize import nnls

        logs, target = _logs(work), np.log(y_s)
        if work.phase == "prefill" and np.ptp(work.kv_tokens - work.new_tokens) == 0:
            logs = logs[:, :1]
        share = weight / weight.sum()
        centre, middle = share @ logs, float(share @ target)
        row = np.sqrt(share)
        centred = (logs - centre) * (np.ptp(logs, axis=0) > 0)
        self.exponents_, _ = nnls(centred * row[:, None], (target - middle) * row)
        self.log_scale_ = middle - float(centre @ self.exponents_)

    def _predict(self, work: Work) -> FloatArray:
        logs = _logs(work)[:, : len(self.exponents_)]
        return np.exp(self.log_scale_ + logs @ self.exponents_)


def _logs(work: Work) -> FloatArray:
    if work.phase == "prefill":
        return np.log(np.column_stack([work.new_tokens, work.kv_tokens]))
    other = work.sequences if work.phase == "decode" else work.new_tokens
    return np.log(np.column_stack([work.kv_tokens, other]))
