"""Formulations by name. Imports happen on use, so that listing names costs nothing."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from lengthwise.errors import InputError
from lengthwise.formulations.base import Formulation

_BUILT_IN = {
    "hachiya-patias": "hachiya_patias:HachiyaPatias",
    "linear": "linear:Linear",
    "linear-plain": "linear_plain:LinearPlain",
    "quadratic": "quadratic:Quadratic",
    "quadratic-plain": "quadratic_plain:QuadraticPlain",
    "thesis-ridge": "thesis_ridge:ThesisRidge",
    "distserve": "distserve:DistServe",
    "llumnix": "llumnix:Llumnix",
    "edgereasoning": "edgereasoning:EdgeReasoning",
    "splitwise-interp": "splitwise_interp:SplitwiseInterp",
    "power": "power:Power",
    "shifted-power": "shifted_power:ShiftedPower",
    "blend": "blend:Blend",
    "cubic-ols": "cubic_ols:CubicOLS",
    "bayesian-ridge": "bayesian_ridge:BayesianRidge",
    "gaussian-process": "gaussian_process:GaussianProcess",
    "random-forest": "random_forest:RandomForest",
    "gradient-boosting": "gradient_boosting:GradientBoosting",
    "trend-boosting": "trend_boosting:TrendBoosting",
    "xgboost": "xgboost_trees:XGBoost",
    "lightgbm": "lightgbm_trees:LightGBM",
}
_REGISTERED: dict[str, type[Formulation]] = {}


def names() -> list[str]:
    """List all known formulations.

    >>> "linear" in names()
    True
    """
    return [*_BUILT_IN, *_REGISTERED]


def get(name: str) -> type[Formulation]:
    """Find the class of a formulation by name.

    >>> get("linear").equation
    't = a + b T (prefill); t = a + b KV + c B (decode)'

    Raises
    ------
    InputError
        If nothing of that name is registered.
    """
    if name in _REGISTERED:
        return _REGISTERED[name]
    if name not in _BUILT_IN:
        raise InputError(
            "formulation must be one that is registered", got=repr(name),
            remedy=f"choose one of {', '.join(names())}",
        )  # fmt: skip
    module, attribute = _BUILT_IN[name].split(":")
    found: type[Formulation] = getattr(
        import_module(f"lengthwise.formulations.{module}"), attribute
    )
    return found


def make(name: str, **params: Any) -> Formulation:
    """Construct a formulation by name with its parameters."""
    return get(name)(**params)


def register(cls: type[Formulation]) -> type[Formulation]:
    """Add a formulation of your own under ``cls.name``; usable as a class decorator."""
    if cls.name in _BUILT_IN:
        raise InputError("a built-in name cannot be replaced", got=repr(cls.name))
    _REGISTERED[cls.name] = cls
    return cls
