"""The predictors that stand beside the thesis's on the same divisions of the events."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol, Self

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from lengthwise.errors import FitWarning, LengthwiseError
from lengthwise.evaluation.estimator import law_set
from lengthwise.evaluation.per_token import regressors
from lengthwise.evaluation.per_token.divide import Division
from lengthwise.evaluation.per_token.features import SYSTEM_BEFORE, Presence
from lengthwise.evaluation.per_token.thesis import FEATURES
from lengthwise.units import FloatArray

OWN, LINEAR, THESIS = "hachiya-patias", "linear", "thesis-ridge"


class Fitted(Protocol):
    """What learns events and predicts them."""

    def fit(self, events: pd.DataFrame, /) -> Self:
        """Fit on events, times in ms."""
        ...

    def predict(self, events: pd.DataFrame, /) -> FloatArray:
        """Predict times, shape (n,), ms."""
        ...


@dataclass(frozen=True)
class Predictor:
    """One row of the comparison.

    Attributes
    ----------
    name
        Name of the predictor.
    features
        What it sees: ``lengths`` (as the thesis), ``known`` (all that is known before the step),
        ``system`` (known, and measured while it ran) or ``work`` (phase, lengths and batch, as a
        law does).
    make
        Constructs it, unfitted.
    """

    name: str
    features: str
    make: Callable[[], Fitted]

    @property
    def label(self) -> str:
        """Name and features in one."""
        return f"{self.name} ({self.features})"


def predictors_of(
    presence: tuple[Presence, ...], seed: int = 0, *, quick: bool = False
) -> list[Predictor]:
    """List the predictors for the features a table has.

    The first is the thesis's own. A set of features is left out where it adds nothing to the one
    before it. ``quick`` keeps the ridge, the linear law and ours.
    """
    sets = _feature_sets(presence)
    known = "known" if "known" in sets else "lengths"

    def on(name: str, make: Any, *levels: str) -> list[Predictor]:
        return [
            Predictor(name, level, partial(make, sets[level], seed))
            for level in levels
            if level in sets
        ]

    laws = [
        Predictor(THESIS, "lengths", lambda: regressors.ridge(FEATURES, seed)),
        Predictor(LINEAR, "work", lambda: law_set(LINEAR, intervals=False)),
        Predictor(OWN, "work", lambda: law_set(OWN, intervals=False)),
    ]
    if quick:
        return laws
    return [
        *laws,
        *on("ridge", regressors.ridge, "known", "system"),
        *on("gradient boosting", regressors.boosting, "lengths", "known", "system"),
        *on("random forest", regressors.forest, known, "system"),
        *on("kernel ridge", regressors.kernel_ridge, known, "system"),
        *on("gaussian process", regressors.gaussian_process, known),
    ]


def predict_out(predictor: Predictor, events: pd.DataFrame, division: Division) -> FloatArray:
    """Predict every event that a division tests, by a fit that has not seen it.

    Returns
    -------
    Times of shape (n,), ms; NaN where the division tests nothing.

    Raises
    ------
    LengthwiseError
        If the predictor cannot fit or predict one of the folds.
    """
    out = np.full(len(events), np.nan)
    for fold in division.folds:
        with warnings.catch_warnings(), threadpool_limits(1):  # matrices too small to share
            warnings.simplefilter("ignore", FitWarning)  # in every fold again: see lengthwise fit
            fitted = predictor.make().fit(events.iloc[fold.train].reset_index(drop=True))
            asked = events.iloc[fold.test].drop(columns="latency_ms").reset_index(drop=True)
            out[fold.test] = fitted.predict(asked)
    return out


def try_predict_out(
    predictor: Predictor, events: pd.DataFrame, division: Division
) -> tuple[FloatArray | None, str]:
    """Predict as :func:`predict_out`; give the reason where that is not possible."""
    try:
        return predict_out(predictor, events, division), ""
    except LengthwiseError as error:
        return None, str(error)


def _feature_sets(presence: tuple[Presence, ...]) -> dict[str, list[str]]:
    before = {p.group.name: list(p.used) for p in presence if p.group.known}
    lengths = before.pop("lengths", [])
    before.pop(SYSTEM_BEFORE, None)
    known = [*lengths, *(c for columns in before.values() for c in columns)]
    system = [*known, *(c for p in presence if not p.group.known for c in p.used)]
    sets = {"lengths": lengths or list(FEATURES)}
    if known != lengths:
        sets["known"] = known
    if system != known:
        sets["system"] = system
    return sets
