"""A fitted formulation as plain numbers, and back: what a law file holds. No pickle.

The state of a formulation is its parameters and its fitted attributes (names ending in ``_``),
read back by the annotations of its class. Three small linear estimators of scikit-learn are known
by name; forests, boosting and Gaussian processes are programs rather than numbers and are refused.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any, cast

import numpy as np

from lengthwise.errors import ArtifactError, InputError
from lengthwise.formulations import registry
from lengthwise.formulations.base import Formulation
from lengthwise.formulations.hachiya_patias import HachiyaPatias, scaling, spline
from lengthwise.formulations.hachiya_patias.blend import Blend
from lengthwise.formulations.hachiya_patias.correction import Correction
from lengthwise.formulations.typed_json import (
    REMEDY,
    from_json,
    hints_of,
    mapping,
    read_array,
    read_dataclass,
    to_json,
    wrong,
)

FORMS: dict[str, Any] = {
    form.name: form
    for form in (scaling.Off, scaling.Floor, scaling.Hill, scaling.Tilt, spline.Spline, Blend)
}
"""Forms of E2 by name."""

NOT_KEPT = ("log_evidence_",)
"""Fitted attributes that only compare candidates during a fit."""

MOST_FEATURES = 8
"""Columns whose products a polynomial takes, and the highest degree of one."""

_SKLEARN = ("StandardScaler", "PolynomialFeatures", "Ridge", "BayesianRidge")


def to_state(law: Formulation) -> dict[str, Any]:
    """Give parameters and fitted attributes as plain JSON.

    Raises
    ------
    InputError
        If the formulation holds more than numbers.

    Examples
    --------
    >>> import pandas as pd
    >>> X = pd.DataFrame({"phase": "prefill", "isl": [128, 256, 512]})
    >>> state = to_state(registry.make("power").fit(X, [0.01, 0.02, 0.04]))
    >>> [round(x, 6) for x in state["fitted"]["exponents_"]]
    [1.0]
    """
    fitted = {
        name: value
        for name, value in sorted(vars(law).items())
        if name.endswith("_") and not name.startswith("_") and name not in NOT_KEPT
    }
    try:
        return {
            "params": {k: to_json(v) for k, v in sorted(law.get_params(deep=False).items())},
            "fitted": {name: _encode(value) for name, value in fitted.items()},
        }
    except TypeError as error:
        raise InputError(
            "a law file holds numbers only", got=f"{law.name} ({error})",
            remedy="save hachiya-patias or a formulation with coefficients; for this one keep the "
            "table and fit again",
        ) from None  # fmt: skip


def from_state(name: str, data: Any, where: str = "state") -> Formulation:
    """Build a fitted formulation from :func:`to_state`.

    Raises
    ------
    ArtifactError
        If the formulation is unknown or its state is damaged.
    """
    try:
        cls = registry.get(name)
    except InputError as error:
        raise ArtifactError("the law's formulation must be known", got=error.got or repr(name),
                            remedy="install the package that brings it, or fit again with "
                            "another") from None  # fmt: skip
    state = mapping(data, where)
    law = cls(**_params(cls, mapping(state.get("params"), f"{where}.params"), f"{where}.params"))
    hints = hints_of(cast(Hashable, cls))
    for key, value in mapping(state.get("fitted"), f"{where}.fitted").items():
        if key not in hints or not key.endswith("_") or key.startswith("_"):
            raise wrong(f"{where}.fitted must hold fitted attributes of {name}", key)
        setattr(law, key, _decode(hints[key], value, f"{where}.fitted.{key}"))
    if not hasattr(law, "phases_"):
        raise ArtifactError(f"{where} must name its phase", got="no phases_", remedy=REMEDY)
    if isinstance(law, HachiyaPatias):
        _check_family(law, where)
        try:
            law._prepare()
        except OverflowError:
            raise wrong(f"{where}.theta_ must be within range", law.theta_.tolist()) from None
    return law


def _params(cls: type[Formulation], data: dict[str, Any], where: str) -> dict[str, Any]:
    known = cls._get_param_names()
    for name in data:
        if name not in known:
            raise wrong(f"{where} must hold parameters of {cls.name}", name)
    hints = hints_of(cls.__init__)
    return {k: from_json(hints.get(k, Any), v, f"{where}.{k}") for k, v in data.items()}


def _encode(value: Any) -> Any:
    if type(value) in FORMS.values():
        return {"form": value.name, **to_json(value)}
    if type(value).__module__.startswith("sklearn."):
        return _encode_sklearn(value)
    return to_json(value)


def _decode(hint: Any, data: Any, where: str) -> Any:
    if hint is scaling.Scaling:
        given = dict(mapping(data, where))
        form = given.pop("form", None)
        if form not in FORMS:
            raise wrong(f"{where}.form must be one of {', '.join(FORMS)}", form)
        return read_dataclass(FORMS[form], given, where)
    if hint is Any and isinstance(data, dict):
        return _decode_sklearn(data, where)
    return from_json(hint, data, where)


def _encode_sklearn(value: Any) -> dict[str, Any]:
    kind = type(value).__name__
    if kind == "Pipeline":
        return {"estimator": kind, "steps": [[n, _encode_sklearn(s)] for n, s in value.steps]}
    if kind not in _SKLEARN:
        raise TypeError(f"it needs {kind}")
    fitted = {
        k: to_json(v) for k, v in sorted(vars(value).items())
        if k.endswith("_") and not k.startswith("_")
    }  # fmt: skip
    return {"estimator": kind, "params": to_json(value.get_params()), "fitted": fitted}


def _decode_sklearn(data: dict[str, Any], where: str) -> Any:
    from sklearn import linear_model, pipeline, preprocessing

    kind = data.get("estimator")
    if kind == "Pipeline":
        steps = data.get("steps")
        if not isinstance(steps, list):
            raise wrong(f"{where}.steps must be a list", steps)
        return pipeline.Pipeline(
            [(str(n), _decode_sklearn(mapping(s, where), where)) for n, s in steps]
        )
    if kind not in _SKLEARN:
        raise wrong(f"{where}.estimator must be one of {', '.join(_SKLEARN)}", kind)
    cls = getattr(linear_model, kind, None) or getattr(preprocessing, kind)
    try:
        estimator = cls(**mapping(data.get("params"), where))
    except TypeError as error:
        raise wrong(f"{where}.params must be parameters of {kind}", error) from None
    fitted = mapping(data.get("fitted"), f"{where}.fitted")
    if kind == "PolynomialFeatures":  # what it learns is the number of columns
        return _polynomial(estimator, fitted, where)
    for name, value in fitted.items():
        if name.startswith("_") or not name.endswith("_"):
            raise wrong(f"{where}.fitted must hold fitted attributes", name)
        plain = read_array(value, f"{where}.{name}") if isinstance(value, list) else value
        setattr(estimator, name, plain)
    return estimator


def _polynomial(estimator: Any, fitted: dict[str, Any], where: str) -> Any:
    """Return products of columns that know their number; it and the degree decide their count."""
    columns, degree = fitted.get("n_features_in_"), estimator.degree
    for name, value in (("n_features_in_", columns), ("degree", degree)):
        if type(value) is not int or not 1 <= value <= MOST_FEATURES:
            raise wrong(f"{where}.{name} must be a whole number from 1 to {MOST_FEATURES}", value)
    try:
        return estimator.fit(np.zeros((1, int(columns or 1))))
    except (TypeError, ValueError) as error:
        raise wrong(f"{where}.params must be those of PolynomialFeatures", error) from None


def _check_family(law: HachiyaPatias, where: str) -> None:
    missing = [name for name in ("scaling_", "terms_", "theta_", "covariance_", "sigma_", "phase_",
                                 "e1_", "power_", "reference_", "correction_")
               if not hasattr(law, name)]  # fmt: skip
    if missing:
        raise ArtifactError(f"{where}.fitted must be complete", got=f"no {', '.join(missing)}",
                            remedy=REMEDY)  # fmt: skip
    size = 1 + len(law.scaling_.parameters) + len(law.terms_)
    if law.theta_.shape != (size,) or law.covariance_.shape != (size, size):
        raise wrong(f"{where} must have {size} parameters",
                    f"theta {law.theta_.shape}, covariance {law.covariance_.shape}")  # fmt: skip
    if (np.diag(law.covariance_) < 0).any():
        raise wrong(f"{where}.covariance_ must have no negative variance",
                    np.diag(law.covariance_).min())  # fmt: skip
    _check_correction(law.correction_, f"{where}.correction_")
    if not (law.sigma_ > 0 and law.reference_ > 0):
        raise wrong(f"{where} must have positive noise and reference length",
                    f"sigma {law.sigma_}, reference {law.reference_}")  # fmt: skip


def _check_correction(correction: Correction, where: str) -> None:
    surface, grid, delta = correction.surface, correction.grid, correction.delta
    if surface is not None and (
        surface.delta.ndim != 2 or min(surface.delta.shape) < 2 or not surface.step > 0
    ):
        raise wrong(f"{where}.surface must be a table of at least 2 by 2 nodes on a positive step",
                    f"{surface.delta.shape}, step {surface.step}")  # fmt: skip
    if (grid is None) != (delta is None) or (
        grid is not None and delta is not None
        and (grid.ndim != 1 or grid.shape != delta.shape or len(grid) < 2
             or (np.diff(grid) <= 0).any())
    ):  # fmt: skip
        raise wrong(f"{where} must have an ascending grid and one delta for each of it", grid)
