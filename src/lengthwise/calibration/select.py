r"""Which terms of the family earn their place.

A search starts from the physical default (E1 quadratic, E2 soft floor; for a decode step, which is
linear in its context, E2 only) and tries one change at a time. Every law is judged on data its fit
did not see: blocks of length held out one by one (interior points: a held-out end point is
extrapolation) and folds that predict the long end from the short one.

    score = mean |ln(predicted / measured)| in range + the same out of range

Both halves count alike, because a law that interpolates well and extrapolates badly is of no use
here, nor the reverse. A change of E2 is kept when it lowers the score by ``GAIN``. A change of E1
must lower it by ``GAIN_AGAINST_PHYSICS``, dropping it too: attention does its work whether a short
sweep shows it or not. The correction E3 acts between measured neighbours, so with and without it
are compared on folds that leave the neighbours in, and on the long end. Errors are winsorised at
ln 2, so that one outlier does not decide. A curve of fewer than ``MIN_POINTS`` points cannot pay
for a search and keeps the default, which its priors hold in check.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from lengthwise.calibration.folds import (
    Fold,
    Reach,
    batch_folds,
    block_folds,
    is_interior,
    length_folds,
    spread_folds,
)
from lengthwise.domain.model import ModelSpec
from lengthwise.domain.work import Work, thinned
from lengthwise.formulations.hachiya_patias import HachiyaPatias
from lengthwise.formulations.hachiya_patias.nonlinear import power_is_identified
from lengthwise.formulations.hachiya_patias.terms import can_part
from lengthwise.units import FloatArray

DEFAULT = {"e1": "quadratic", "e2": "floor", "e3": "off"}
MIN_POINTS = 6
GAIN = 0.05
GAIN_AGAINST_PHYSICS = 0.25
FEW_SIZES = 5
GAIN_OF_FEW = 0.5
"""What a spline over fewer distinct sizes must bring in range, and lose nothing beyond: it knows
little about the next larger one. Folds that predict the largest batch count as beyond then too."""
SEARCH_POINTS = 400
"""Terms are chosen on at most this many points, spread evenly over sizes and lengths."""
WINSOR = float(np.log(2.0))


@dataclass(frozen=True)
class Trial:
    """One set of terms and its held-out errors.

    Attributes
    ----------
    e1, e2, e3
        Kinds of the terms.
    in_range, out_of_range
        Mean winsorised |log error| on held-out points; NaN where no fold exists.
    folds
        What in-range points were held out: ``blocks``, or ``neighbours`` (to judge E3).
    prefix
        Whether tokens on top of a cached prefix have a cost of their own: ``same`` or ``apart``.
    kept
        Whether the change was accepted.
    """

    e1: str
    e2: str
    e3: str
    in_range: float
    out_of_range: float
    folds: str = "blocks"
    kept: bool = False
    prefix: str = "same"

    @property
    def score(self) -> float:
        """In-range plus out-of-range error; twice the former where no long fold exists.

        >>> round(Trial("quadratic", "floor", "off", 0.03, 0.05).score, 3)
        0.08
        """
        return self.in_range + (self.in_range if np.isnan(self.out_of_range) else self.out_of_range)

    @property
    def kinds(self) -> dict[str, str]:
        """The kinds as parameters of the family."""
        return {"e1": self.e1, "e2": self.e2, "e3": self.e3, "prefix": self.prefix}


@dataclass(frozen=True)
class HeldOut:
    """Predictions of points by fits that did not see them.

    Attributes
    ----------
    index
        Positions of the points, shape (m,).
    residual
        ln(measured / predicted), shape (m,).
    scale
        Predicted standard deviation of the residual, shape (m,).
    reach
        How far each point lies beyond its fit, doublings.
    """

    index: npt.NDArray[np.intp]
    residual: FloatArray
    scale: FloatArray
    reach: Reach

    def take(self, keep: npt.NDArray[np.bool_]) -> HeldOut:
        """Keep some of the points."""
        reach = Reach(self.reach.length[keep], self.reach.batch[keep])
        return HeldOut(self.index[keep], self.residual[keep], self.scale[keep], reach)

    @classmethod
    def join(cls, parts: Sequence[HeldOut]) -> HeldOut:
        """Concatenate the predictions of several folds."""
        empty = np.empty(0)
        reach = Reach(
            np.concatenate([empty, *(p.reach.length for p in parts)]),
            np.concatenate([empty, *(p.reach.batch for p in parts)]),
        )
        index = np.concatenate([empty, *(p.index for p in parts)]).astype(np.intp)
        residual = np.concatenate([empty, *(p.residual for p in parts)])
        return cls(index, residual, np.concatenate([empty, *(p.scale for p in parts)]), reach)


def choose(
    work: Work, y_s: FloatArray, spec: ModelSpec | None,
    fixed: dict[str, str], prior: dict[str, tuple[float, float]] | None = None,
    sharpness: int | None = None,
) -> tuple[HachiyaPatias, list[Trial]]:  # fmt: skip
    """Choose the kinds of E1, E2 and E3 for one group of points.

    Parameters
    ----------
    work, y_s
        Distinct points and their times, seconds.
    spec
        Architecture, when known.
    fixed
        Kinds the caller decided, by name; the others are searched.
    prior
        Pooled priors handed to the family.
    sharpness
        k of the floor that the pooled priors were learnt with.

    Returns
    -------
    The chosen law, fitted on all points, and every trial in the order it was made.
    """
    if len(work) > SEARCH_POINTS:
        some = thinned(work, SEARCH_POINTS)
        law, trials = choose(work.take(some), y_s[some], spec, fixed, prior, sharpness)
        return law.refit(work, y_s), trials
    search = _Search(work, y_s, spec, prior, sharpness)
    default = DEFAULT | ({"e1": "off"} if work.phase == "decode" else {}) | fixed
    if len(work) < MIN_POINTS or len(fixed) == len(DEFAULT):
        return search.law(default), []
    trials = [search.trial({"e1": "off", "e2": "off", "e3": "off"} | fixed)]
    best = search.trial(default)
    trials.append(best)
    for change, gain in _changes(work, fixed):
        trial = search.trial(best.kinds | change)
        if trial.kinds == best.kinds:
            continue
        trials.append(trial)
        if _earns(trial, best, gain):
            best = trial
    if "e3" not in fixed:
        plain, corrected = (search.trial(best.kinds | {"e3": kind}, folds="neighbours")
                            for kind in ("off", "residual"))  # fmt: skip
        trials += [plain, corrected]
        if corrected.score < (1.0 - GAIN) * plain.score:
            best = corrected
    kept = [replace(t, kept=t.kinds == best.kinds) for t in trials]
    return search.law(best.kinds), kept


def _earns(trial: Trial, best: Trial, gain: float) -> bool:
    """Tell whether a change brings its gain: in the score, or in range if its sizes are few."""
    if gain < GAIN_OF_FEW:
        return trial.score < (1.0 - gain) * best.score
    no_worse = not trial.out_of_range > best.out_of_range
    return no_worse and trial.in_range < (1.0 - gain) * best.in_range


def _changes(work: Work, fixed: dict[str, str]) -> list[tuple[dict[str, str], float]]:
    """List the changes of E2 and E1 to try with the gain each must bring."""
    changes = [({"prefix": "apart"}, GAIN)] if can_part(work) else []
    changes += [({"e2": kind}, GAIN) for kind in ("off", "tile", "hill")]
    changes.append(({"e2": "spline"}, GAIN_OF_FEW if _few_sizes(work) else GAIN))
    if work.phase != "decode":
        kinds = ["off", "nlogn"]
        reference = float(np.exp(np.mean(np.log(work.context_len))))
        if power_is_identified(work.context_len, reference):
            kinds.append("power")
        changes += [({"e1": kind}, GAIN_AGAINST_PHYSICS) for kind in kinds]
    return [(c, g) for c, g in changes if not set(c) & set(fixed)]


def _few_sizes(work: Work) -> bool:
    return len(np.unique(work.new_tokens)) < FEW_SIZES


class _Search:
    """Fits and scores sets of terms; what is profiled on all points is kept in the folds."""

    def __init__(
        self, work: Work, y_s: FloatArray, spec: ModelSpec | None,
        prior: dict[str, tuple[float, float]] | None,
        sharpness: int | None,
    ) -> None:  # fmt: skip
        self.work, self.y_s, self.spec, self.prior = work, y_s, spec, prior
        self.sharpness = sharpness
        self.far = length_folds(work) + (batch_folds(work) if _few_sizes(work) else [])
        self._laws: dict[tuple[str, ...], HachiyaPatias] = {}

    def law(self, kinds: dict[str, str]) -> HachiyaPatias:
        key = (kinds["e1"], kinds["e2"], kinds["e3"], kinds.get("prefix", "same"))
        if key not in self._laws:
            floor = self._laws.get((kinds["e1"], "floor", "off", key[3]))
            settings: dict[str, Any] = {"sharpness": self.sharpness}
            if kinds["e2"] == "tile" and floor is not None:
                settings["sharpness"] = floor.scaling_.settings()["k"]
            law = HachiyaPatias(
                *key[:3], **settings, prefix=key[3], spec=self.spec, prior=self.prior
            )
            self._laws[key] = law.fit_work(self.work, self.y_s)
        return self._laws[key]

    def trial(self, kinds: dict[str, str], folds: str = "blocks") -> Trial:
        near = block_folds if folds == "blocks" else spread_folds
        held = held_out(self.law(kinds), self.work, self.y_s, [*near(self.work), *self.far])
        error = np.minimum(np.abs(held.residual), WINSOR)
        beyond = ~held.reach.inside
        inside = ~beyond & is_interior(self.work)[held.index]
        if not inside.any():
            inside = ~beyond
        out = float(error[beyond].mean()) if beyond.any() else float("nan")
        return Trial(
            kinds["e1"], kinds["e2"], kinds["e3"], float(error[inside].mean()), out, folds,
            prefix=kinds.get("prefix", "same"),
        )  # fmt: skip


def held_out(law: HachiyaPatias, work: Work, y_s: FloatArray, folds: Sequence[Fold]) -> HeldOut:
    """Predict every fold by a fit on the rest of it.

    Parameters
    ----------
    law
        Fitted on all points; folds start from it and keep its structure.
    work, y_s
        Distinct points and their times, seconds.
    """
    return HeldOut.join([_one_fold(law, work, y_s, fold) for fold in folds])


def _one_fold(law: HachiyaPatias, work: Work, y_s: FloatArray, fold: Fold) -> HeldOut:
    train, test = work.take(fold.train), work.take(fold.test)
    fitted = law.refit(train, y_s[fold.train])
    residual = np.log(y_s[fold.test]) - np.log(fitted.predict_work(test))
    scale = np.sqrt(fitted.sigma_**2 + fitted.log_sd(test) ** 2)
    return HeldOut(fold.test, residual, scale, reach_of(fold, train, test))


def reach_of(fold: Fold, train: Work, test: Work) -> Reach:
    """Measure how far the test of a fold lies beyond its fit; other folds count as inside."""
    if not fold.beyond:
        return Reach(np.zeros(len(test)), np.zeros(len(test)))
    return Reach.of(test, float(train.length.max()), float(train.sequences.max()))
