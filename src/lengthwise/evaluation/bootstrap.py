"""Percentile bootstrap: how far a score could move with other points and other deployments.

Two levels (Davison and Hinkley 1997, section 3.8): first groups are drawn with replacement, then
points within each drawn group. With one group only the points are drawn. Seeded, so that the same
result always gets the same interval.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from lengthwise.errors import InputError
from lengthwise.units import FloatArray

DRAWS = 1000
CHUNK = 1_000_000
"""Values drawn at a time, which bounds memory for groups of many points."""


@dataclass(frozen=True)
class Confidence:
    """An estimate with its bootstrap interval, in the unit of the score.

    >>> 2.5 in Confidence(3.0, 2.0, 4.5, level=0.95)
    True
    """

    estimate: float
    lo: float
    hi: float
    level: float

    def __contains__(self, value: float) -> bool:
        return self.lo <= value <= self.hi


def median_over_groups(
    values: Sequence[Any], *, level: float = 0.95, draws: int = DRAWS, seed: int = 0
) -> Confidence:
    """Median over groups of the mean over points, with its interval.

    Parameters
    ----------
    values
        One array per group, shape (n_g,), any unit: for example APE of each point, percent.
    level
        Confidence of the interval.
    draws
        Bootstrap samples.
    seed
        Seed of the random generator.

    Examples
    --------
    >>> median_over_groups([[1.0, 1.0], [3.0, 3.0], [2.0]]).estimate
    2.0
    """
    _check(values, level)
    estimate = float(np.median([np.mean(v) for v in values]))
    means = resampled_means(values, draws=draws, seed=seed)
    lo, hi = np.quantile(np.median(means, axis=1), [(1 - level) / 2, (1 + level) / 2])
    return Confidence(estimate, float(lo), float(hi), level)


def resampled_means(values: Sequence[Any], *, draws: int, seed: int) -> FloatArray:
    """Means of resampled groups of resampled points, shape (draws, groups).

    The draws depend on the number of groups and points only, so that two sets of errors on the same
    points are resampled alike (paired).
    """
    rng = np.random.default_rng(seed)
    means = np.empty((draws, len(values)))
    for g, group in enumerate(values):
        points = np.asarray(group, dtype=float)
        chunk = max(1, CHUNK // len(points))
        for start in range(0, draws, chunk):
            size = (min(chunk, draws - start), len(points))
            means[start : start + chunk, g] = points[rng.integers(len(points), size=size)].mean(1)
    picks: npt.NDArray[np.int64] = rng.integers(len(values), size=(draws, len(values)))
    return np.asarray(np.take_along_axis(means, picks, axis=1))


def _check(values: Sequence[Any], level: float) -> None:
    if not 0 < level < 1:
        raise InputError("level must lie in (0, 1)", got=f"level={level}", remedy="write 0.95")
    if not len(values) or any(len(v) == 0 for v in values):
        raise InputError("every group needs at least one value", got=f"{[len(v) for v in values]}")
