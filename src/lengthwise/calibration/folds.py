"""Held-out folds inside the training data: interleaved in range, and the long end.

In range: of the points ordered by size and length each fold takes every eighth, so that a held-out
point always has its neighbours on both sides in the fit (single points when there are few). Out of
range: fit on lengths up to a half (a quarter) of the longest, predict the rest.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lengthwise.domain.work import Work

MAX_BLOCKS = 8
MIN_LENGTHS = 3


@dataclass(frozen=True)
class Fold:
    """Positions to fit on and to test on; ``factor`` is longest tested over longest fitted."""

    train: npt.NDArray[np.intp]
    test: npt.NDArray[np.intp]
    factor: float = 1.0


def block_folds(work: Work, most: int = MAX_BLOCKS) -> list[Fold]:
    """Spread the points over at most ``most`` folds, each of them covering the whole range.

    >>> lengths = np.array([1.0, 2.0, 4.0, 8.0])
    >>> [f.test.tolist() for f in block_folds(Work.of("decode", query_len=1, context_len=lengths))]
    [[0], [1], [2], [3]]
    """
    order = np.lexsort([work.context_len, work.new_tokens])
    blocks = min(most, len(order))
    tests = [order[i::blocks] for i in range(blocks)]
    return [Fold(np.setdiff1d(order, test), test) for test in tests]


def is_interior(work: Work) -> npt.NDArray[np.bool_]:
    """Tell which points lie strictly inside the ranges of length and of new tokens, shape (n,)."""
    inside = np.zeros(len(work), dtype=bool)
    for axis in (work.context_len, work.new_tokens):
        inside |= (axis > axis.min()) & (axis < axis.max())
    return inside


def extrapolation_folds(work: Work, factors: tuple[float, ...] = (2.0, 4.0)) -> list[Fold]:
    """Make folds that predict the long end from the short one.

    A factor is used when three distinct lengths are left to fit on.

    >>> lengths = np.array([128.0, 256.0, 512.0, 1024.0, 2048.0])
    >>> work = Work.of("prefill", query_len=lengths, context_len=lengths)
    >>> [(f.factor, f.test.tolist()) for f in extrapolation_folds(work)]
    [(2.0, [4]), (4.0, [3, 4])]
    """
    longest = work.length.max()
    folds = []
    for factor in factors:
        short = work.length <= longest / factor
        distinct = len(np.unique(work.length[short]))
        if distinct >= MIN_LENGTHS and short.sum() >= MIN_LENGTHS and not short.all():
            folds.append(Fold(np.flatnonzero(short), np.flatnonzero(~short), factor))
    return folds
