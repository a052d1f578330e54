"""A formulation of your own: the square root of two squares, checked, fitted, compared."""

from typing import ClassVar

import numpy as np
from scipy.optimize import nnls

import lengthwise
from lengthwise.domain.work import Work
from lengthwise.formulations.base import Formulation
from lengthwise.testing import check_formulation
from lengthwise.units import FloatArray


class Hypotenuse(Formulation):
    """t^2 = a + b T^2: a floor and a slope, nothing else."""

    name: ClassVar[str] = "hypotenuse"
    equation: ClassVar[str] = "t = sqrt(a + b T^2)"
    citation: ClassVar[str] = "this example"
    monotone: ClassVar[bool] = True

    coef_: FloatArray

    def _fit(self, work: Work, y_s: FloatArray, weight: FloatArray) -> None:
        scale = np.sqrt(weight) / y_s**2  # relative errors of t^2
        design, size = self._design(work), np.max(self._design(work), axis=0)
        self.coef_ = nnls(design / size * scale[:, None], np.sqrt(weight))[0] / size

    def _predict(self, work: Work) -> FloatArray:
        return np.sqrt(self._design(work) @ self.coef_)

    def _design(self, work: Work) -> FloatArray:
        return np.column_stack([np.ones(len(work)), work.new_tokens**2])


check_formulation(Hypotenuse(), phases=["prefill"])
print("the contract holds")

lengthwise.register_formulation(Hypotenuse)
table = lengthwise.dataset("own-openvino-cpu").query("phase == 'prefill' and batch_size == 1")
result = lengthwise.evaluate(table, formulations=["hachiya-patias", "hypotenuse", "linear"])
board = lengthwise.leaderboard(result).sort_values("median")
print(board[["formulation", "median", "worst"]].round(1).to_string(index=False))
