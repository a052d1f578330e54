r"""Intervals: parameter covariance, conformal residuals, and growth with distance.

The half width of an interval, in ln t, at a point d_n doublings beyond the longest length measured
and d_b beyond the largest batch, is

    h^2 = (q(L) s)^2 + (gamma_n(L) d_n)^2 + (gamma_b(L) d_b)^2,      s^2 = sigma^2 + J' Sigma J

s is what the posterior of the law says (noise and parameters); q is the conformal quantile of
|residual| / s over held-out points in range (Vovk et al. 2005; Papadopoulos 2008), binned by length
when every bin has ``BIN_MIN`` points; gamma, the error per doubling beyond the data, is what would
have covered the worst point of a deployment on folds that predicted a far end from the near one:
the quantile over deployments, since the errors of one deployment beyond its data share one cause.
Residuals of all deployments of a phase are pooled: one curve alone has too few.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
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
SCORE_PRIOR = (0.7, 1.3, 2.0)
"""Pseudo-observations of |residual| / s, the quantiles 0.5, 0.8 and 0.95 of a normal one."""


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
    """

    phase: str
    edges: tuple[float, ...]
    scores: tuple[FloatArray, ...]
    drift: FloatArray

    def half_width(
        self, length: FloatArray, scale: FloatArray, reach: Reach, level: float
    ) -> FloatArray:
        """Half width of the interval in ln t, shape (n,).

        Parameters
        ----------
        length
            Tokens per sequence, shape (n,).
        scale
            Posterior standard deviation s of ln t, shape (n,).
        reach
            How far each point lies beyond the measurements.
        level
            Nominal coverage in (0, 1).
        """
        check_level(level)
        quantiles = np.array([conformal_quantile(s, level) for s in self.scores])
        inside = quantiles[np.searchsorted(self.edges, length)] * scale
        along_length = self.gamma(level, "length") * reach.length
        return np.sqrt(
            inside**2 + along_length**2 + (self.gamma(level, "batch") * reach.batch) ** 2
        )

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
    """
    inside = reach.inside
    score = np.abs(residual[inside]) / scale[inside]
    edges = _edges(length[inside])
    which = np.searchsorted(edges, length[inside])
    bins = [score[which == b] for b in range(len(edges) + 1)]
    scores = tuple(_thin(np.sort(np.concatenate([b, SCORE_PRIOR]))) for b in bins)
    columns = [np.abs(residual), scale, reach.length, reach.batch, deployment]
    beyond = np.column_stack(columns)[~inside]
    return Calibration(phase, tuple(edges), scores, beyond[:: 1 + len(beyond) // MAX_SCORES])


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
