"""Every formulation of the registry keeps the public contract."""

from collections.abc import Callable
from functools import cache
from importlib.util import find_spec
from typing import Any, Self

import numpy as np
import pandas as pd
import pytest

from lengthwise.domain.work import Work
from lengthwise.errors import InputError
from lengthwise.formulations import registry
from lengthwise.formulations.base import Formulation
from lengthwise.testing import Case, check_formulation, yield_checks
from lengthwise.units import FloatArray

Check = Callable[[Case], None]

FAST = {  # the contract does not depend on how many trees there are
    "random-forest": {"n_estimators": 25},
    "gradient-boosting": {"n_estimators": 60, "learning_rate": 0.2},
    "trend-boosting": {"n_estimators": 60, "learning_rate": 0.2},
    "xgboost": {"n_estimators": 60, "learning_rate": 0.2},
    "lightgbm": {"n_estimators": 60, "learning_rate": 0.2},
    "gaussian-process": {"n_restarts": 0},
}
OPTIONAL = {
    "xgboost": "xgboost", "lightgbm": "lightgbm",
    "hachiya-patias": "lengthwise.formulations.hachiya_patias",
}  # fmt: skip


@cache
def case(name: str, phase: str) -> Case:
    return Case(registry.make(name, **FAST.get(name, {})), phase)


@pytest.mark.parametrize("check", [pytest.param(c, id=n) for n, c in yield_checks()])
@pytest.mark.parametrize("phase", ["prefill", "decode", "mixed"])
@pytest.mark.parametrize("name", registry.names())
def test_registry_member_keeps_the_contract(name: str, phase: str, check: Check) -> None:
    if name in OPTIONAL and find_spec(OPTIONAL[name]) is None:
        pytest.skip(f"{OPTIONAL[name]} is not installed")
    check(case(name, phase))


def test_check_formulation_accepts_a_member_and_leaves_it_unfitted() -> None:
    law = registry.make("distserve")
    check_formulation(law, phases=["decode"])
    assert not hasattr(law, "coef_")


@pytest.mark.parametrize("phases", [[], ["request"], ["prefill", "warmup"]])
def test_unknown_phases_are_refused(phases: list[str]) -> None:
    with pytest.raises(InputError, match="phases must be"):
        check_formulation(registry.make("linear"), phases=phases)


class Line(Formulation):
    """A correct law to break in one way at a time."""

    name = "line"
    equation = "t = a + b T"
    citation = "this test"

    def _fit(self, work: Work, y_s: FloatArray, weight: FloatArray) -> None:
        degree = 1 if np.ptp(work.new_tokens) else 0
        coef = np.polyfit(work.new_tokens, y_s, degree, w=np.sqrt(weight))
        self.coef_ = np.array([0.0, *coef])[-2:]

    def _predict(self, work: Work) -> FloatArray:
        return np.polyval(self.coef_, work.new_tokens)


class CrossesZero(Line):
    def predict_work(self, work: Work) -> FloatArray:
        return super()._predict(work) - 0.5


class FallsWithLength(Line):
    monotone = True

    def _predict(self, work: Work) -> FloatArray:
        return 1.0 + 1.0 / work.new_tokens


class DrawsNumbers(Line):
    def _fit(self, work: Work, y_s: FloatArray, weight: FloatArray) -> None:
        super()._fit(work, y_s, weight)
        self.coef_ = self.coef_ * np.random.default_rng().normal(1.0, 0.01)


class AddsMilliseconds(Line):
    def _predict(self, work: Work) -> FloatArray:
        return super()._predict(work) + 0.005


class TrustsTheFirstRow(Line):
    def _fit(self, work: Work, y_s: FloatArray, weight: FloatArray) -> None:
        super()._fit(work, y_s, weight)
        self.coef_[1] = y_s[0]


class Warns(Line):
    def _fit(self, work: Work, y_s: FloatArray, weight: FloatArray) -> None:
        np.polyfit(work.new_tokens[:1], y_s[:1], 3)
        super()._fit(work, y_s, weight)


class ForgetsAParameter(Line):
    def __init__(self, *, degree: int = 1) -> None:
        self.degree = degree + 1


class IgnoresLength(Line):
    def _predict(self, work: Work) -> FloatArray:
        return np.full(len(work), np.exp(np.log(self.coef_[1])))


class WritesToItsInput(Line):
    def fit(self, X: pd.DataFrame, y: Any, sample_weight: Any = None) -> Self:
        super().fit(X, y, sample_weight)
        X["isl"] = 1
        return self


class TakesAnything(Line):
    def fit(self, X: pd.DataFrame, y: Any, sample_weight: Any = None) -> Self:
        isl = pd.to_numeric(X["isl"], errors="coerce").fillna(1.0) if "isl" in X else 1.0
        return super().fit(X.assign(isl=isl), y, sample_weight)


@pytest.mark.parametrize(
    ("law", "names"),
    [
        (CrossesZero, ["finite_and_positive"]),
        (FallsWithLength, ["monotone", "learns"]),
        (DrawsNumbers, ["deterministic"]),
        (AddsMilliseconds, ["unit_of_time"]),
        (TrustsTheFirstRow, ["order_of_rows"]),
        (Warns, ["RankWarning"]),
        (ForgetsAParameter, ["parameters"]),
        (IgnoresLength, ["learns"]),
        (WritesToItsInput, ["inputs_unchanged"]),
        (TakesAnything, ["refuses_columns", "isl"]),
    ],
)
def test_a_law_that_breaks_the_contract_is_told_where(
    law: type[Formulation], names: list[str]
) -> None:
    with pytest.raises(AssertionError) as failure:
        check_formulation(law(), phases=["prefill"])
    assert "breaks the contract" in str(failure.value)
    assert all(name in str(failure.value) for name in names), str(failure.value)


def test_the_line_itself_keeps_the_contract() -> None:
    check_formulation(Line(), phases=["prefill"])
