"""Formulations by name. Imports happen on use, so that listing names costs nothing.

Beside the built-in ones there are those registered in this process, and those of installed packages
that name them in the entry point group ``lengthwise.formulations``::

    [project.entry-points."lengthwise.formulations"]
    hypotenuse = "my_package.hypotenuse:Hypotenuse"
"""

from __future__ import annotations

from difflib import get_close_matches
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any

from lengthwise.errors import InputError
from lengthwise.formulations.base import Formulation

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

GROUP = "lengthwise.formulations"
"""Entry points of installed packages: the name of a formulation and its class."""

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
    """List all known formulations: built in, registered here, and of installed packages.

    >>> "linear" in names()
    True
    """
    return list(dict.fromkeys([*_BUILT_IN, *_REGISTERED, *_installed()]))


def get(name: str) -> type[Formulation]:
    """Find the class of a formulation by name.

    >>> get("linear").equation
    't = a + b T (prefill); t = a + b KV + c B (decode)'

    Raises
    ------
    InputError
        If nothing of that name is registered, or what is installed under it is no formulation.
    """
    if name in _REGISTERED:
        return _REGISTERED[name]
    if name not in _BUILT_IN:
        return _of_package(name)
    module, attribute = _BUILT_IN[name].split(":")
    found: type[Formulation] = getattr(
        import_module(f"lengthwise.formulations.{module}"), attribute
    )
    return found


@cache
def _installed() -> dict[str, EntryPoint]:
    """Look installed packages through once; they cannot replace a built-in formulation."""
    from importlib.metadata import entry_points

    return {entry.name: entry for entry in entry_points(group=GROUP) if entry.name not in _BUILT_IN}


def _of_package(name: str) -> type[Formulation]:
    entry = _installed().get(name)
    if entry is None:
        raise InputError(
            "formulation must be one that is registered", got=repr(name), remedy=_remedy(name)
        )
    package = entry.dist.name if entry.dist else entry.module
    try:
        found = entry.load()
    except Exception as error:  # somebody else's package may fail in any way
        raise InputError(
            f"the formulation {name} of the package {package} must be importable",
            got=f"{type(error).__name__}: {error}", remedy=f"mend or upgrade {package}",
        ) from error  # fmt: skip
    if not (isinstance(found, type) and issubclass(found, Formulation) and found.name == name):
        raise InputError(
            f"an entry point of {GROUP} names a Formulation whose name is that of the entry",
            got=f"{entry.value} under {name!r} in the package {package}",
            remedy=f"set name = {name!r} in the class, and name the class as module:Class",
        )  # fmt: skip
    return found


def _remedy(name: str) -> str:
    close = get_close_matches(name, names(), n=1)
    hint = f"did you mean {close[0]}; " if close else ""
    return f"{hint}choose one of {', '.join(names())}"


def make(name: str, **params: Any) -> Formulation:
    """Construct a formulation by name with its parameters."""
    return get(name)(**params)


def register(cls: type[Formulation]) -> type[Formulation]:
    """Add a formulation of your own under ``cls.name``; usable as a class decorator."""
    if cls.name in _BUILT_IN:
        raise InputError("a built-in name cannot be replaced", got=repr(cls.name))
    _REGISTERED[cls.name] = cls
    return cls
