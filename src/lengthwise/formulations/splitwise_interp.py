r"""Splitwise's simulator: interpolate the median time over the tokens of the batch.

    t(x) = piecewise linear through (x_j, median of the times measured at x_j)

x is prompt_size * batch_size, tokens: new tokens T for prefill and mixed steps, visible KV tokens
for decode steps. Outside the data the first and the last piece go on as straight lines, so a
prediction can rise or fall without bound there; it never goes below zero.

Source: Patel et al. 2024, arXiv 2311.18677; public code ``performance_model.py`` of splitwise-sim
(``interp1d(..., fill_value="extrapolate")``). The source takes 1.1 times the prefill curve for a
mixed step; here a mixed law is read from mixed measurements.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from lengthwise.domain.work import Work
from lengthwise.formulations.base import Formulation
from lengthwise.units import FloatArray


class SplitwiseInterp(Formulation):
    """Piecewise-linear interpolation of medians.

    Examples
    --------
    >>> import pandas as pd
    >>> X = pd.DataFrame({"phase": "prefill", "isl": [128, 128, 512, 1024]})
    >>> law = SplitwiseInterp().fit(X, [0.02, 0.03, 0.05, 0.1])
    >>> law.predict(X.assign(isl=[64, 128, 768, 2048])).round(4).tolist()
    [0.0208, 0.025, 0.075, 0.2]
    """

    name: ClassVar[str] = "splitwise-interp"
    equation: ClassVar[str] = "t = piecewise-linear interpolation of medians over batch tokens"
    citation: ClassVar[str] = "Patel et al. 2024, Splitwise, arXiv 2311.18677"
    min_points: ClassVar[int] = 1

    knots_tokens_: FloatArray
    knots_s_: FloatArray

    def _fit(self, work: Work, y_s: FloatArray, weight: FloatArray) -> None:
        tokens = _tokens(work)
        knots = np.unique(tokens)
        times = [_median(y_s[tokens == knot], weight[tokens == knot]) for knot in knots]
        self.knots_tokens_, self.knots_s_ = knots, np.array(times)

    def _predict(self, work: Work) -> FloatArray:
        x, knots, times = _tokens(work), self.knots_tokens_, self.knots_s_
        if len(knots) == 1:
            return np.full(len(x), times[0])
        left = np.clip(np.searchsorted(knots, x, side="right") - 1, 0, len(knots) - 2)
        slope = np.diff(times) / np.diff(knots)
        return np.asarray(times[left] + slope[left] * (x - knots[left]))


def _tokens(work: Work) -> FloatArray:
    return work.kv_tokens if work.phase == "decode" else work.new_tokens


def _median(values: FloatArray, weight: FloatArray) -> float:
    """Weighted median; the plain median when weights are equal."""
    order = np.argsort(values, kind="stable")
    ranked, share = values[order], np.cumsum(weight[order]) / weight.sum()
    low = int(np.searchsorted(share, 0.5 - 1e-12))
    high = int(np.searchsorted(share, 0.5 + 1e-12))
    return float(0.5 * (ranked[low] + ranked[high]))
