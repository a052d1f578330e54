r"""DistServe's step times: quadratic prefill, affine decode that switches at a batch threshold.

    prefill   t = (a + b sum n + c sum n^2) / pp + o pp
    decode    t = (a + b sum ctx + c B) / pp         one (a, b, c) for B < threshold, one above
    mixed     t = (a + b T + c sum n^2 + d KV) / pp  (not in the source, which never mixes)

n prompt tokens of a sequence, ctx KV tokens of a sequence, B sequences; a in s, b in s/token, c in
s/token^2 (prefill) or s/sequence (decode), d in s/token; pp pipeline stages and o their overhead in
s per stage. Over a cached prefix of k tokens sum n^2 becomes sum (n^2 - k^2): what the whole prompt
costs beyond what its prefix would have cost.

Source: Zhong et al. 2024, arXiv 2401.09670; public simulator ``simdistserve/estimators``. The fit
is theirs: least squares on relative errors, coefficients of either sign (one published set has a
negative c). Their simulator adds 1 ms per stage to prefill in one version and nothing in another:
``pp_overhead_ms`` chooses, with nothing as the default.
"""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Literal, Self

import numpy as np

from lengthwise.domain.work import Work
from lengthwise.errors import InputError
from lengthwise.formulations.base import Formulation
from lengthwise.formulations.least_squares import solve
from lengthwise.units import MS_PER_S, FloatArray, ms_to_s

_SIDE_POINTS = 3
"""Distinct decode points one side of the threshold needs for coefficients of its own."""


class DistServe(Formulation):
    """Quadratic prefill and a two-piece affine decode step.

    Parameters
    ----------
    threshold
        Sequences at which the second set of decode coefficients takes over.
    positive
        Keep coefficients from being negative (the source does not).
    pp
        Pipeline stages.
    pp_overhead_ms
        Time each stage adds to a prefill, ms.

    Examples
    --------
    >>> import pandas as pd
    >>> X = pd.DataFrame({"phase": "prefill", "isl": [256, 1024, 4096]})
    >>> y_s = 0.01 + 1e-4 * X["isl"] + 1e-8 * X["isl"] ** 2
    >>> DistServe().fit(X, y_s).predict(X.assign(isl=8192)).round(3).tolist()[0]
    1.5
    """

    name: ClassVar[str] = "distserve"
    equation: ClassVar[str] = "t = a + b sum n + c sum n^2 (prefill); t = a + b KV + c B (decode)"
    citation: ClassVar[str] = "Zhong et al. 2024, DistServe, arXiv 2401.09670"

    coef_: dict[str, FloatArray]

    def __init__(
        self,
        *,
        threshold: int = 95,
        positive: bool = False,
        pp: int = 1,
        pp_overhead_ms: float = 0.0,
    ) -> None:
        self.threshold, self.positive = threshold, positive
        self.pp, self.pp_overhead_ms = pp, pp_overhead_ms

    @classmethod
    def published(
        cls,
        model: str,
        tp: int,
        engine: Literal["distserve", "vllm"] = "distserve",
        *,
        pp: int = 1,
        pp_overhead_ms: float = 0.0,
        folder: str | Path | None = None,
    ) -> Self:
        """Build the law from the coefficients published for A100-80G.

        Parameters
        ----------
        model
            Name as published, for example ``facebook/opt-13b``.
        tp
            Tensor parallel degree.
        engine
            ``distserve`` or ``vllm``.
        folder
            Folder of the published files; looked up as the dataset ``distserve`` by default.

        Raises
        ------
        InputError
            If nothing was published for this model and degree, or the files are not there.
        """
        from lengthwise.data.datasets import fetch
        from lengthwise.data.readers.distserve import coefficients

        table = coefficients(fetch("distserve") if folder is None else Path(folder), engine)
        degrees = table.get(model, {})
        if tp not in degrees:
            have = ", ".join(f"{m} tp {t}" for m, sets in table.items() for t in sets)
            raise InputError(
                "coefficients exist only for what was published",
                got=f"{model} tp {tp}", remedy=f"choose one of {have}",
            )  # fmt: skip
        found = degrees[tp]
        law = cls(threshold=int(found["threshold"]), pp=pp, pp_overhead_ms=pp_overhead_ms)
        law.coef_ = {
            "prefill": np.asarray(found["prefill"]) / MS_PER_S,
            "small": np.asarray(found["decoding_smallbs"]) / MS_PER_S,
            "large": np.asarray(found["decoding_largebs"]) / MS_PER_S,
        }
        law.n_points_, law.phases_ = 0, ("prefill", "decode")
        return law

    def _fit(self, work: Work, y_s: FloatArray, weight: FloatArray) -> None:
        design = _design(work) / self.pp
        target = y_s - self._overhead_s(work.phase)
        row = weight * (target / y_s) ** 2  # keeps the error relative to the whole time
        if work.phase != "decode":
            self.coef_ = {work.phase: self._solve(design, target, row)}
            return
        self.coef_ = {}
        large = work.sequences >= self.threshold
        for side, mine in (("small", ~large), ("large", large)):
            # A side with too few points borrows the fit of all points.
            if len(np.unique(design[mine], axis=0)) < _SIDE_POINTS:
                mine = np.ones_like(mine)
            self.coef_[side] = self._solve(design[mine], target[mine], row[mine])

    def _solve(self, design: FloatArray, target: FloatArray, weight: FloatArray) -> FloatArray:
        if not self.positive:
            return solve(design, target, weight, relative=True)
        from scipy.optimize import nnls

        scale = design.max(axis=0)
        row = np.sqrt(weight)
        coef, _ = nnls(design / scale * (row / target)[:, None], row)
        return np.asarray(coef / scale)

    def _predict(self, work: Work) -> FloatArray:
        design = _design(work) / self.pp
        if work.phase != "decode":
            return np.asarray(design @ self.coef_[work.phase] + self._overhead_s(work.phase))
        large = work.sequences >= self.threshold
        return np.where(large, design @ self.coef_["large"], design @ self.coef_["small"])

    def _overhead_s(self, phase: str) -> float:
        return float(ms_to_s(self.pp_overhead_ms)) * self.pp if phase == "prefill" else 0.0


def _design(work: Work) -> FloatArray:
    ones = np.ones(len(work))
    if work.phase == "decode":
        return np.column_stack([ones, work.kv_tokens, work.sequences])
    squares = 2.0 * work.attention_pairs - work.new_tokens  # sum n^2 when n = q = c
    columns = [ones, work.new_tokens, squares]
    return np.column_stack(columns if work.phase == "prefill" else [*columns, work.kv_tokens])
