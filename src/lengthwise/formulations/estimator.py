"""Parameters as scikit-learn keeps them, without importing it: that would outlast a prediction.

scikit-learn asks an estimator for methods, not for a base class: its ``clone``, ``Pipeline``,
searches and cross-validation accept what is here.
"""

from __future__ import annotations

import inspect
from typing import Any, Self

from lengthwise.errors import InputError


class Estimator:
    """Base of what has parameters; they are the arguments of ``__init__``, kept by their names.

    Examples
    --------
    >>> class Line(Estimator):
    ...     def __init__(self, slope=1.0, offset=0.0):
    ...         self.slope, self.offset = slope, offset
    >>> Line().set_params(slope=2.0).get_params()["slope"], Line(offset=3.0)
    (2.0, Line(offset=3.0))
    """

    @classmethod
    def _get_param_names(cls) -> list[str]:
        return sorted(_defaults(cls))

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the parameters by name, with ``deep`` also those of parameters that have some.

        >>> Estimator().get_params()
        {}
        """
        out: dict[str, Any] = {}
        for name in self._get_param_names():
            value = getattr(self, name)
            if deep and hasattr(value, "get_params") and not isinstance(value, type):
                out |= {f"{name}__{k}": v for k, v in value.get_params().items()}
            out[name] = value
        return out

    def set_params(self, **params: Any) -> Self:
        """Set parameters by name; ``outer__inner`` sets one of a parameter that has some itself.

        Returns
        -------
        Estimator
            Itself.

        Raises
        ------
        InputError
            If a parameter does not exist.
        """
        known = self._get_param_names()
        nested: dict[str, dict[str, Any]] = {}
        for key, value in params.items():
            name, inside, rest = key.partition("__")
            if name not in known:
                raise InputError(
                    f"a parameter of {type(self).__name__} must be one it has", got=repr(name),
                    remedy=f"choose one of {', '.join(known)}" if known else "leave it out",
                )  # fmt: skip
            if inside:
                nested.setdefault(name, {})[rest] = value
            else:
                setattr(self, name, value)
        for name, inner in nested.items():
            getattr(self, name).set_params(**inner)
        return self

    def __repr__(self, N_CHAR_MAX: int = 700) -> str:
        default = _defaults(type(self))
        changed = (
            f"{name}={value!r}" for name, value in self.get_params(deep=False).items()
            if repr(value) != repr(default[name])
        )  # fmt: skip
        text = f"{type(self).__name__}({', '.join(changed)})"
        half = N_CHAR_MAX // 2
        return text if len(text) <= N_CHAR_MAX else f"{text[:half]}...{text[-half:]}"

    def __sklearn_tags__(self) -> Any:
        from sklearn.utils import Tags, TargetTags

        return Tags(estimator_type=None, target_tags=TargetTags(required=False))


class Regressor(Estimator):
    """Base of what predicts one number per row."""

    _estimator_type = "regressor"  # scikit-learn before 1.6 reads this, later ones the tags

    def predict(self, X: Any) -> Any:
        """Predict, shape (n,)."""
        raise NotImplementedError

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Return the coefficient of determination R^2 of the predictions, at most 1.

        Parameters
        ----------
        X
            n rows as ``predict`` takes them.
        y
            Measured values, shape (n,).
        sample_weight
            Non-negative weights, shape (n,).
        """
        from sklearn.metrics import r2_score

        return float(r2_score(y, self.predict(X), sample_weight=sample_weight))

    def __sklearn_tags__(self) -> Any:
        from sklearn.utils import RegressorTags

        tags = super().__sklearn_tags__()
        tags.estimator_type, tags.regressor_tags = "regressor", RegressorTags()
        tags.target_tags.required = True
        return tags


def _defaults(cls: type[Estimator]) -> dict[str, Any]:
    """Read the parameters of a class and their defaults from its ``__init__``."""
    if cls.__init__ is object.__init__:
        return {}
    parameters = list(inspect.signature(cls.__init__).parameters.values())[1:]
    return {p.name: p.default for p in parameters if p.kind is not p.VAR_KEYWORD}
