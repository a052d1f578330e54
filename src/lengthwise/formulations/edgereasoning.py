r"""EdgeReasoning's laws: quadratic prefill of the padded prompt, decode step affine in context.

    prefill   t = a B m^2 + b B m + c         m = n rounded up to a multiple of 128
    decode    t = m KV + n0
    mixed     t = a B m^2 + b B m + c + d KV  (not in the source)

n new tokens per sequence, KV visible tokens, B sequences; a in s/token^2, b, d and the decode slope
in s/token, c and n0 in s, of either sign. The source measures one sequence at a time, so B = 1
there; with B sequences each brings its own square.

Source: public code of EdgeReasoning, github.com/edge-inference/edgereasoning,
``latency_model.py``: coefficients for three DeepSeek-R1 distills on Jetson AGX Orin, fitted by
unweighted ``numpy.polyfit`` (prefill) and ``curve_fit`` (decode), that is, by ordinary least
squares. The source sums its decode step over a whole answer: G (m I + n0 + m (G - 1) / 2). The
published prefill coefficients are off by 19 to 27 % up to 1,152 tokens and by more than 100 %
beyond, against the timings of the same repository; refit before use.
"""

from __future__ import annotations

from typing import ClassVar, Self

import numpy as np

from lengthwise.domain.work import Work
from lengthwise.errors import InputError
from lengthwise.formulations.base import Formulation
from lengthwise.formulations.least_squares import ceil_to, solve
from lengthwise.units import FloatArray

PUBLISHED: dict[str, dict[str, tuple[float, ...]]] = {
    "DSR1-Qwen-1.5B": {
        "prefill": (0.04598102600399947, 2.309554283403154e-06, 1.5635548753756998e-07),
        "decode": (0.023633865754453625, 1.4968086938621786e-07),
    },
    "DSR1-Llama-8B": {
        "prefill": (0.10380849913420899, 0.0002903545130874798, 6.645207285297158e-07),
        "decode": (0.10038429572372025, 6.920219504432032e-07),
    },
    "DSR1-Qwen-14B": {
        "prefill": (0.18858145785250313, 0.0005304540126753786, 1.233003335291953e-06),
        "decode": (0.18655369142562853, 1.1301658358203775e-06),
    },
}
"""Published coefficients, constant first: s, s/token, s/token^2."""


class EdgeReasoning(Formulation):
    """Quadratic in the padded prompt; decode affine in context.

    Parameters
    ----------
    tile
        Prompts are rounded up to a multiple of this, tokens.

    Examples
    --------
    >>> import pandas as pd
    >>> law = EdgeReasoning.published("DSR1-Llama-8B")
    >>> law.predict(pd.DataFrame({"phase": "prefill", "isl": [116, 1000]})).round(4).tolist()
    [0.1519, 1.0979]
    """

    name: ClassVar[str] = "edgereasoning"
    equation: ClassVar[str] = "t = a m^2 + b m + c, m = ceil(n / 128) 128; t = m KV + n0 (decode)"
    citation: ClassVar[str] = (
        "EdgeReasoning, github.com/edge-inference/edgereasoning, latency_model.py"
    )

    coef_: dict[str, FloatArray]

    def __init__(self, *, tile: int = 128) -> None:
        self.tile = tile

    @classmethod
    def published(cls, model: str) -> Self:
        """Build the law of one of the three published models.

        Raises
        ------
        InputError
            If nothing was published for this model.
        """
        if model not in PUBLISHED:
            raise InputError(
                "coefficients exist only for what was published",
                got=repr(model), remedy=f"choose one of {', '.join(PUBLISHED)}",
            )  # fmt: skip
        law = cls()
        law.coef_ = {phase: np.array(values) for phase, values in PUBLISHED[model].items()}
        law.n_points_, law.phases_ = 0, ("prefill", "decode")
        return law

    def _fit(self, work: Work, y_s: FloatArray, weight: FloatArray) -> None:
        self.coef_ = {work.phase: solve(self._design(work), y_s, weight)}

    def _predict(self, work: Work) -> FloatArray:
        return np.asarray(self._design(work) @ self.coef_[work.phase])

    def _design(self, work: Work) -> FloatArray:
        ones = np.ones(len(work))
        if work.phase == "decode":
            return np.column_stack([ones, work.kv_tokens])
        padded = ceil_to(work.new_tokens / work.sequences, self.tile)
        columns = [ones, work.sequences * padded, work.sequences * padded**2]
        return np.column_stack(columns if work.phase == "prefill" else [*columns, work.kv_tokens])
