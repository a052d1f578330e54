r"""Intervals: conformal quantiles of what the law itself says of its uncertainty.

The half width of an interval, in ln t, at a point d_n doublings beyond the longest length measured
and d_b beyond the largest batch, is

    h^2 = (q(L) s)^2 + (gamma_b(L) d_b)^2,     s^2 = sigma^2 + J' Sigma J + 2 tau^2 distance

s is what the averaged law says (noise, parameters, and the discrepancy, which grows with the
distance from the measured steps; J is the gradient of ln t less that at the nearest measured one);
q is the conformal quantile of |residual| / s over held-out points (Vovk et al. 2005; Papadopoulos
2008). In range it is taken over points left out one by one, binned by length when every bin has
``BIN_MIN`` points; beyond the longest length over folds that predicted the long end from the short
one. Both are pooled with the same ratios on public curves, every source alike (see learned), for
laws of few points and of many apart: one curve alone has too few. Between them q passes over within
half a doubling. gamma_b, the error per doubling of batch, is what would have covered the worst
point of a deployment on folds that predicted large batches: engines change kernels there.

Laws without a discrepancy (formulations of others, one structure chosen by the caller, files of
earlier versions, deployments nobody measured) widen by gamma_n per doubling of length likewise.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from lengthwise.calibration.folds import Reach
from lengthwise.errors import InputError
from lengthwise.units import FloatArray

BIN_MIN = 30
MAX_SCORES = 512
LENGTH_PRIOR = {
    "prefill": (0.05, 0.1, 0.15),
    "mixed": (0.05, 0.1, 0.15),
    "decode": (0.02, 0.05, 0.08),
}
"""Pseudo-observations of the error per doubling of length: they speak when few folds do. A decode
step is linear in its context, a prefill bends, so that less can go wrong with the former."""
BATCH_PRIOR = (0.1, 0.15, 0.25)
"""The same per doubling of batch, where engines change kernels: llama.cpp's decode steps beyond the
batches measured were off by 0.15 per doubling."""
MIN_DOUBLINGS = 0.5
"""A point hardly beyond the data says nothing about the error per doubling."""
FEW = 5
SPARSE = {1: 1.6, 2: 1.25}
"""Widening of laws of one and two points, which cannot check the scale they state: so their 90 %
intervals hold about 90 % on public curves, every source and kind alike."""
PASSAGE = 0.5
"""Doublings over which the quantile in range passes into the one beyond."""
LARGEST_INSIDE = 2.5
"""Largest public score in range: beyond it other machines were at fault, not the law."""
OTHER_SOURCES = 1.25
"""By how much more a source is off that no public score is from: chosen leave-one-source-out."""
OWN_WEIGHT = 2
SCORE_PRIOR = (0.7, 1.3, 2.0)
"""Pseudo-observations of |residual| / s, the quantiles 0.5, 0.8 and 0.95 of a normal one."""


@dataclass(frozen=True)
class PublicScores:
    """Quantiles of |residual| / s on public curves: in range, and beyond by number of points."""

    inside: tuple[float, ...]
    few: tuple[float, ...]
    many: tuple[float, ...]


@dataclass(frozen=True)
class Calibration:
    """Conformal scores of one phase.

    Attributes
    ----------
    phase
        The phase.
    edges
        Inner bin edges of length, shape (bins - 1,), tokens.
    scores
        Sorted |residual| / s of each bin.
    drift
        Held-out points beyond the data, shape (m, 5): |residual|, s, doublings beyond in length and
        in batch, and the number of the deployment.
    few, many
        Sorted |residual| / s beyond the longest length of laws of at most ``FEW`` points and of
        more; empty where s knows no discrepancy.
    """

    phase: str
    edges: tuple[float, ...]
    scores: tuple[FloatArray, ...]
    drift: FloatArray
    few: FloatArray = field(default_factory=lambda: np.empty(0))
    many: FloatArray = field(default_factory=lambda: np.empty(0))

    def half_width(
        self, length: FloatArray, scale: FloatArray, reach: Reach, level: float, points: int = 0,
        strangers: tuple[float, ...] = (),
    ) -> FloatArray:  # fmt: skip
        """Half width of the interval in ln t, shape (n,).

        Parameters
        ----------
        length
            Tokens per sequence, shape (n,).
        scale
            Standard deviation s of ln t that the law states, shape (n,).
        reach
            How far each point lies beyond the measurements.
        level
            Nominal coverage in (0, 1).
        points
            Points behind the law; 0 for a deployment nobody measured.
        strangers
            Scores |residual| / s of deployments under what the others say, for one nobody measured.
        """
        check_level(level)
        quantiles = np.array([conformal_quantile(s, level) for s in self.scores])
        inside = quantiles[np.searchsorted(self.edges, length)]
        along_batch = self.gamma(level, "batch") * reach.batch
        beyond = self.few if points <= FEW else self.many
        if points == 0 and len(beyond):  # its scale is the spread of its relatives
            known = np.sort(np.concatenate([strangers, SCORE_PRIOR]))
            inside = np.full(len(length), conformal_quantile(known, level))
        if points == 0 or not len(beyond):
            along_length = self.gamma(level, "length") * reach.length
            return np.sqrt((inside * scale) ** 2 + along_length**2 + along_batch**2)
        share = np.minimum(reach.length / PASSAGE, 1.0)
        quantile = inside + share * (conformal_quantile(beyond, level) - inside)
        quantile = quantile * SPARSE.get(points, 1.0)
        return np.sqrt((quantile * scale) ** 2 + along_batch**2)

    def gamma(self, level: float, axis: Literal["length", "batch"] = "length") -> float:
        """Error per doubling beyond the data along an axis that covers ``level``, in ln t."""
        column = 2 if axis == "length" else 3
        known = self.drift[self.drift[:, column] >= MIN_DOUBLINGS]
        residual, scale, doublings = known[:, 0], known[:, 1], known[:, column]
        pooled = np.sort(np.concatenate(self.scores))
        rest = residual**2 - (conformal_quantile(pooled, level) * scale) ** 2
        needed = np.sqrt(np.maximum(rest, 0.0)) / np.maximum(doublings, MIN_DOUBLINGS)
        worst = [needed[known[:, 4] == d].max() for d in np.unique(known[:, 4])]
        prior = LENGTH_PRIOR[self.phase] if axis == "length" else BATCH_PRIOR
        return conformal_quantile(np.sort(np.concatenate([worst, prior])), level)


def calibrate(
    phase: str,
    length: FloatArray,
    residual: FloatArray,
    scale: FloatArray,
    reach: Reach,
    deployment: FloatArray,
    public: PublicScores | None = None,
) -> Calibration:
    """Collect the conformal scores of held-out points.

    Parameters
    ----------
    phase
        Phase of the points.
    length, residual, scale
        Length in tokens, ln(measured / predicted), predicted standard deviation; shape (m,) each.
    reach
        How far each point lay beyond its fit.
    deployment
        Number of the deployment of each point, shape (m,).
    public
        Scores of public curves, for laws whose scale knows a discrepancy.
    """
    inside = reach.inside
    score = np.abs(residual) / scale
    edges = _edges(length[inside])
    which = np.searchsorted(edges, length[inside])
    prior = SCORE_PRIOR if public is None else np.minimum(public.inside, LARGEST_INSIDE)
    bins = [score[inside][which == b] for b in range(len(edges) + 1)]
    scores = tuple(_thin(np.sort(np.concatenate([b, prior]))) for b in bins)
    columns = [np.abs(residual), scale, reach.length, reach.batch, deployment]
    beyond = np.column_stack(columns)[~inside]
    drift = beyond[:: 1 + len(beyond) // MAX_SCORES]
    if public is None:
        return Calibration(phase, tuple(edges), scores, drift)
    own = _own_beyond(score, reach, deployment)
    few, many = (_joined(own, known) for known in (public.few, public.many))
    return Calibration(phase, tuple(edges), scores, drift, few, many)


def _own_beyond(score: FloatArray, reach: Reach, deployment: FloatArray) -> FloatArray:
    """Take a few scores of every deployment beyond its longest length: they share one cause."""
    far = (reach.length >= MIN_DOUBLINGS) & (reach.batch <= 0.0)
    parts = [
        np.quantile(score[far & (deployment == d)], (0.25, 0.5, 0.75, 0.9))
        for d in np.unique(deployment[far])
    ]
    return np.concatenate([np.empty(0), *parts])


def _joined(own: FloatArray, public: tuple[float, ...]) -> FloatArray:
    """Pool own and public scores; own ones count ``OWN_WEIGHT`` times."""
    widened = OTHER_SOURCES * np.asarray(public)
    return _thin(np.sort(np.concatenate([np.repeat(own, OWN_WEIGHT), widened])))


def conformal_quantile(scores: FloatArray, level: float) -> float:
    """Give the ceil((n + 1) level)-th smallest of n sorted scores.

    With too few scores for the level the largest is widened by how many are missing.

    >>> conformal_quantile(np.arange(1.0, 20.0), 0.9)
    18.0
    >>> conformal_quantile(np.array([1.0, 2.0]), 0.9)
    3.0...
    """
    rank = math.ceil((len(scores) + 1) * level - 1e-9)
    if rank <= len(scores):
        return float(scores[rank - 1])
    needed = math.ceil(level / (1.0 - level))
    return float(scores[-1] * (1.0 + math.log(needed / len(scores)) / 3.0))


def check_level(level: float) -> None:
    """Refuse a level outside (0, 1)."""
    if not 0.0 < level < 1.0:
        raise InputError(
            "level must lie strictly between 0 and 1", got=f"level={level}",
            remedy="write 0.9 for 90 percent",
        )  # fmt: skip


def _edges(length: FloatArray) -> Sequence[float]:
    """Terciles of length when each third has enough points, else no edges."""
    if len(length) < 3 * BIN_MIN:
        return ()
    edges = np.unique(np.quantile(length, [1 / 3, 2 / 3]))
    counts = np.bincount(np.searchsorted(edges, length), minlength=len(edges) + 1)
    return tuple(float(e) for e in edges) if counts.min() >= BIN_MIN else ()


def _thin(scores: FloatArray) -> FloatArray:
    if len(scores) <= MAX_SCORES:
        return scores
    return np.quantile(scores, np.linspace(0.0, 1.0, MAX_SCORES))
