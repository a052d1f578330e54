"""What a law says of points that its fit did not see.

In range every point is left out once. For an averaged law that needs no other fit: with the
posterior of a member linearised at its mode, the residual of point i without it is
[K^-1 r]_i / Q_ii and its variance 1 / Q_ii, Q = K^-1 - K^-1 J H^-1 J' K^-1 (Rasmussen and Williams
2006, section 5.4.2), and members are weighed as if the point were missing. Beyond the data, folds
predict the long end and the large batches from the rest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, Self

import numpy as np
import numpy.typing as npt

from lengthwise.calibration.folds import Fold, Reach
from lengthwise.calibration.spoilt import NAMED
from lengthwise.domain.work import Work
from lengthwise.formulations.base import Formulation
from lengthwise.formulations.hachiya_patias import HachiyaPatias
from lengthwise.formulations.hachiya_patias.members import SPOILT_MEAN, Members
from lengthwise.units import FloatArray, IndexArray

WORST = 1.5
"""Greatest |ln error| of a point left out: with two points more, nothing is known."""


class Fit(Protocol):
    """A fitted law that can be fitted again on other points, with its structure or knowledge."""

    @property
    def law(self) -> Formulation:
        """The law."""

    def again(self, work: Work, y_s: FloatArray) -> Self:
        """Fit on other points."""


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


@dataclass(frozen=True)
class Refit:
    """A fold and the fit on its training part."""

    fold: Fold
    fit: Fit


def refits(fit: Fit, work: Work, y_s: FloatArray, folds: Sequence[Fold]) -> list[Refit]:
    """Fit again on the training part of every fold that has at least two points."""
    return [
        Refit(fold, fit.again(work.take(fold.train), y_s[fold.train]))
        for fold in folds if len(fold.train) >= 2
    ]  # fmt: skip


def held_out(found: Sequence[Refit], work: Work, y_s: FloatArray) -> HeldOut:
    """Predict the test part of every fold.

    Parameters
    ----------
    found
        Fits on the training parts.
    work, y_s
        All distinct points and their times, seconds.
    """
    return HeldOut.join([_one_fold(refit, work, y_s) for refit in found])


def _one_fold(refit: Refit, work: Work, y_s: FloatArray) -> HeldOut:
    fold, law = refit.fold, refit.fit.law
    train, test = work.take(fold.train), work.take(fold.test)
    residual = np.log(y_s[fold.test]) - np.log(law.predict_work(test))
    scale = law.log_scale(test) if isinstance(law, HachiyaPatias) else np.ones(len(test))
    return HeldOut(fold.test, residual, scale, reach_of(fold, train, test))


def left_out_one_by_one(
    members: Members, law: HachiyaPatias, position: IndexArray | None = None
) -> HeldOut:  # fmt: skip
    """Residuals of every point by members that did not see it; points named as spoilt are left out.

    Parameters
    ----------
    members
        Fitted on all points.
    law
        Their average: its scale is what intervals are made from.
    position
        Where the points of the members stand among all points; in the same order when None.
    """
    n = len(members.log_y)
    if n < 2:
        return HeldOut.join([])
    place = np.arange(n) if position is None else position
    residual = np.clip(mixture_residuals(members), -WORST, WORST)
    none = Reach(np.zeros(n), np.zeros(n))
    found = HeldOut(place, residual, law.log_scale(members.work), none)
    return found.take(members.spoilt <= NAMED)


def mixture_residuals(members: Members, structure: int | None = None) -> FloatArray:
    """Leave-one-out residuals ln(measured / predicted) of the average, shape (n,).

    Parameters
    ----------
    members
        Fitted on all points.
    structure
        Position of a structure to take alone; all together when None.
    """
    weights = members.weight
    if structure is not None:
        weights = np.where(np.arange(len(weights))[:, None] == structure, weights, 0.0)
    s, h = np.nonzero(weights > 1e-3 * weights.max())
    weight, whiten = members.weight[s, h], members.whiten[h]
    precision = np.matmul(np.swapaxes(whiten, 1, 2), whiten)
    alpha = np.matmul(precision, members.residual[s, h][..., None])[..., 0]
    slope = np.matmul(precision, members.jacobian[s, h])
    taken = np.einsum("mip,mpq,miq->mi", slope, members.covariance[s, h], slope)
    own = np.diagonal(precision, axis1=1, axis2=2)
    left = np.maximum(own - taken, 1e-9 * own)
    residual = alpha / left
    spoilt = np.array([np.isin(np.arange(len(alpha[0])), p) for p in members.hypotheses])
    mark = spoilt[h % len(members.hypotheses)]
    log_density = 0.5 * np.log(left) - 0.5 * residual**2 * left
    log_weight = np.log(weight)[:, None] - log_density
    shares = np.exp(log_weight - log_weight.max(axis=0))
    shares /= shares.sum(axis=0)
    return np.asarray((shares * (residual + SPOILT_MEAN * mark)).sum(axis=0))


def reach_of(fold: Fold, train: Work, test: Work) -> Reach:
    """Measure how far the test of a fold lies beyond its fit; other folds count as inside."""
    if not fold.beyond:
        return Reach(np.zeros(len(test)), np.zeros(len(test)))
    return Reach.of(test, float(train.length.max()), float(train.sequences.max()))
