r"""Intervals: parameter covariance, conformal residuals, and growth with distance.

The half width of an interval, in ln t, at a point whose length is f times the longest measured, is

    h = sqrt( (q(L) s)^2 + (gamma(L) log2 f)^2 ),      s^2 = sigma^2 + J' Sigma J

s is what the posterior of the law says (noise and parameters); q is the conformal quantile of
|residual| / s over held-out points in range (Vovk et al. 2005; Papadopoulos 2008), binned by length
when every bin has ``BIN_MIN`` points; gamma, the error per doubling beyond the data, is the
quantile of what remained uncovered on folds that predicted the long end from the short one.
Residuals of all deployments of a phase are pooled: one curve alone has too few.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from lengthwise.errors import InputError
from lengthwise.units import FloatArray

BIN_MIN = 30
MAX_SCORES = 512
GAMMA_PRIOR = (0.05, 0.1, 0.2)
"""Pseudo-observations of the error per doubling: they speak when few folds do."""
SCORE_PRIOR = (0.7, 1.3, 2.0)
"""Pseudo-observations of |residual| / s, the quantiles 0.5, 0.8 and 0.95 of a normal one."""


@dataclass(frozen=True)
class Calibration:
    """Conformal scores of one phase.

    Attributes
    ----------
    edges
        Inner bin edges of length, shape (bins - 1,), tokens.
    scores
        Sorted |residual| / s of each bin.
    drift
        Held-out points beyond the data, shape (m, 3): |residual|, s and log2 of the factor.
    """

    edges: tuple[float, ...]
    scores: tuple[FloatArray, ...]
    drift: FloatArray

    def half_width(
        self, length: FloatArray, scale: FloatArray, factor: FloatArray, level: float
    ) -> FloatArray:
        """Half width of the interval in ln t, shape (n,).

        Parameters
        ----------
        length
            Tokens per sequence, shape (n,).
        scale
            Posterior standard deviation s of ln t, shape (n,).
        factor
            Length over the longest length measured, at least 1, shape (n,).
        level
            Nominal coverage in (0, 1).
        """
        check_level(level)
        quantiles = np.array([conformal_quantile(s, level) for s in self.scores])
        inside = quantiles[np.searchsorted(self.edges, length)] * scale
        return np.hypot(inside, self.gamma(level) * np.log2(factor))

    def gamma(self, level: float) -> float:
        """Error per doubling of length beyond the data that covers ``level``, in ln t."""
        pooled = np.concatenate(self.scores)
        if not len(self.drift):
            return conformal_quantile(np.sort(np.asarray(GAMMA_PRIOR)), level)
        residual, scale, doublings = self.drift.T
        rest = residual**2 - (conformal_quantile(np.sort(pooled), level) * scale) ** 2
        needed = np.sqrt(np.maximum(rest, 0.0)) / doublings
        return conformal_quantile(np.sort(np.concatenate([needed, GAMMA_PRIOR])), level)

    def to_dict(self) -> dict[str, Any]:
        """Give the scores as plain lists."""
        return {
            "edges": list(self.edges),
            "scores": [np.round(s, 6).tolist() for s in self.scores],
            "drift": np.round(self.drift, 6).tolist(),
        }

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        """Build a calibration from :meth:`to_dict`."""
        return cls(
            tuple(float(e) for e in data["edges"]),
            tuple(np.asarray(s, dtype=float) for s in data["scores"]),
            np.asarray(data["drift"], dtype=float).reshape(-1, 3),
        )


def calibrate(
    length: FloatArray, residual: FloatArray, scale: FloatArray, factor: FloatArray
) -> Calibration:
    """Collect the conformal scores of held-out points.

    Parameters
    ----------
    length, residual, scale, factor
        Length in tokens, ln(measured / predicted), predicted standard deviation, and length over
        the longest length fitted (1 in range); shape (m,) each.
    """
    inside = factor <= 1.0
    score = np.abs(residual[inside]) / scale[inside]
    edges = _edges(length[inside])
    which = np.searchsorted(edges, length[inside])
    bins = [score[which == b] for b in range(len(edges) + 1)]
    scores = tuple(_thin(np.sort(np.concatenate([b, SCORE_PRIOR]))) for b in bins)
    beyond = np.column_stack([np.abs(residual), scale, np.log2(np.maximum(factor, 1.0))])[~inside]
    return Calibration(tuple(edges), scores, beyond[:MAX_SCORES])


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
