"""Simple formulas on the long end that a group's folds hold out, beside its law.

Both are fitted to the same short lengths and asked for the rest. A formula that does better is
named and gets no weight: of 417 such leads on public curves 30 % lasted at the lengths that came
after, and a mixture with a tenth, a quarter or half of the formula was worse than the law on
average. The best of five on a few points is often best by chance.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lengthwise.calibration.held_out import Refit
from lengthwise.domain.work import Work
from lengthwise.formulations import registry
from lengthwise.formulations.base import Formulation
from lengthwise.units import FloatArray

SIMPLE = ("linear", "linear-plain", "quadratic", "quadratic-plain", "shifted-power")
LEAD, LEAD_PERCENT = 0.8, 0.5
"""A rival has at most this share of the law's error, and an error this many points smaller."""
FEWEST = 2
"""Distinct held-out points by which anything is said."""


@dataclass(frozen=True)
class Rival:
    """A simple formula that predicted the long end better than the law.

    Attributes
    ----------
    name
        Of the formulation.
    error_percent, ours_percent
        100 times its mean |log error| and that of the law, on the same held-out points.
    folds
        How many folds these are of: 1 fitted lengths up to a half, 2 also up to a quarter.
    """

    name: str
    error_percent: float
    ours_percent: float
    folds: int


def rival_of(found: Sequence[Refit], work: Work, y_s: FloatArray) -> Rival | None:
    """Find the simple formula that predicts the long end best, if it clearly beats the law.

    Parameters
    ----------
    found
        Fits of the folds that hold out the long end.
    work, y_s
        All distinct points of the group and their times, seconds.

    Examples
    --------
    >>> from lengthwise.calibration.folds import length_folds
    >>> from lengthwise.calibration.single import single
    >>> n = 2.0 ** np.arange(7, 13)
    >>> work, y_s = Work.of("prefill", query_len=n, context_len=n), 0.01 + 1e-9 * n**2
    >>> fit = single(work, y_s, None, {"e1": "off", "e2": "off", "e3": "off"})
    >>> folds = length_folds(work)
    >>> found = [Refit(fold, fit.again(work.take(fold.train), y_s[fold.train])) for fold in folds]
    >>> rival = rival_of(found, work, y_s)
    >>> round(rival.ours_percent), round(rival.error_percent)
    (37, 0)
    """
    if max((len(refit.fold.test) for refit in found), default=0) < FEWEST:
        return None
    ours = _error([refit.fit.law for refit in found], found, work, y_s)
    errors = {
        name: _error([_fitted(name, refit, work, y_s) for refit in found], found, work, y_s)
        for name in SIMPLE
        if min(len(refit.fold.train) for refit in found) >= registry.get(name).min_points
    }
    best = min(errors, key=lambda name: errors[name])
    if errors[best] >= LEAD * ours or errors[best] >= ours - LEAD_PERCENT:
        return None
    return Rival(best, errors[best], ours, len(found))


def _fitted(name: str, refit: Refit, work: Work, y_s: FloatArray) -> Formulation:
    train = refit.fold.train
    return registry.make(name).fit_work(work.take(train), y_s[train])


def _error(
    laws: Sequence[Formulation], found: Sequence[Refit], work: Work, y_s: FloatArray
) -> float:
    """Mean |log error| over the held-out points of all folds, percent."""
    errors = [
        np.log(law.predict_work(work.take(refit.fold.test)) / y_s[refit.fold.test])
        for law, refit in zip(laws, found, strict=True)
    ]
    return float(100.0 * np.abs(np.concatenate(errors)).mean())
