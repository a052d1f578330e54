"""Sets of terms, the weight each got, and how each alone predicts points it did not see."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lengthwise.calibration.average import Fitted
from lengthwise.calibration.held_out import Refit, mixture_residuals
from lengthwise.domain.work import Work
from lengthwise.formulations.hachiya_patias.average import Flat
from lengthwise.formulations.hachiya_patias.structures import Structure
from lengthwise.formulations.hachiya_patias.terms import KERNELS
from lengthwise.units import FloatArray

KEPT = 0.05
"""Weight from which a set of terms counts as part of the law."""
DEPTH = {"KV": "context", "KV_root": "root of context"}


@dataclass(frozen=True)
class Trial:
    """One set of terms and its held-out errors.

    Attributes
    ----------
    e1, e2, e3
        Kinds of the terms.
    in_range, out_of_range
        Mean |log error| on points left out in range and at the long end; NaN where none exist.
    folds
        What in-range points were held out: ``points`` one by one; earlier law files say ``blocks``
        or ``neighbours``.
    kept
        Whether it is part of the law.
    prefix
        Whether tokens on top of a cached prefix have a cost of their own: ``same`` or ``apart``.
    weight
        Share in the average; NaN in earlier law files, where one set was picked.
    """

    e1: str
    e2: str
    e3: str
    in_range: float
    out_of_range: float
    folds: str = "points"
    kept: bool = False
    prefix: str = "same"
    weight: float = float("nan")

    @property
    def score(self) -> float:
        """In-range plus out-of-range error; twice the former where no long fold exists.

        >>> round(Trial("quadratic", "floor", "off", 0.03, 0.05).score, 3)
        0.08
        """
        return self.in_range + (self.in_range if np.isnan(self.out_of_range) else self.out_of_range)


def trials_of(fit: Fitted, found: Sequence[Refit], work: Work, y_s: FloatArray) -> list[Trial]:
    """Tell what every structure of an average is worth alone.

    Parameters
    ----------
    fit
        Fitted on all points.
    found
        Fits of folds that predict the long end.
    work, y_s
        Distinct points and their times, seconds.
    """
    weights = fit.members.weight.sum(axis=1)
    far = [
        _errors(r.fit, work.take(r.fold.test), y_s[r.fold.test])
        for r in found if isinstance(r.fit, Fitted)
    ]  # fmt: skip
    near = _left_out(fit)
    trials = []
    for structure, weight in zip(fit.members.structures, weights, strict=True):
        beyond = [errors[structure] for errors in far if structure in errors]
        mean = float(np.mean(beyond)) if beyond else float("nan")
        inside = near.get(structure, float("nan"))
        trials.append(_trial(structure, fit, float(weight), inside, mean))
    return trials


def _left_out(fit: Fitted) -> dict[Structure, float]:
    """Mean |log error| of every structure alone, on points left out one by one."""
    return {
        structure: float(np.abs(mixture_residuals(fit.members, s)).mean())
        for s, structure in _present(fit)
    }


def _errors(fit: Fitted, work: Work, y_s: FloatArray) -> dict[Structure, float]:
    """Mean |log error| of every structure alone."""
    return {
        structure: float(
            np.abs(np.log(y_s) - Flat.of(fit.members, structure=s).log_mean(work)).mean()
        )
        for s, structure in _present(fit)
    }


def _present(fit: Fitted) -> list[tuple[int, Structure]]:
    """Structures whose weight is more than zero, with their positions."""
    total = fit.members.weight.sum(axis=1)
    return [(s, one) for s, one in enumerate(fit.members.structures) if total[s] > 0.0]


def _trial(
    structure: Structure, fit: Fitted, weight: float, near: float, far: float
) -> Trial:  # fmt: skip
    depth = next((DEPTH[n] for n in structure.terms if n in DEPTH), "constant")
    e1 = structure.e1 if fit.members.work.phase == "prefill" else depth
    e3 = "residual" if fit.knowledge.corrected else "off"
    prefix = "apart" if any(k in structure.terms for k in KERNELS) else "same"
    return Trial(
        e1, structure.short_end, e3, near, far, kept=weight >= KEPT, prefix=prefix, weight=weight
    )
