"""Held-out folds inside the training data: blocks of it, its neighbours, and the far ends.

**Blocks** of the points ordered by size and length are held out one by one, so that a fit must
bridge a gap: what the terms of a law are chosen by. **Spread** folds take every eighth point, so
that a held-out point has its neighbours on both sides: what a prediction in range meets. **Far**
folds fit on lengths (or batches) up to a half, a quarter of the greatest and predict the rest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lengthwise.domain.work import Work
from lengthwise.units import FloatArray

MAX_BLOCKS = 8
MIN_DISTINCT = 3
FACTORS = (2.0, 4.0)


@dataclass(frozen=True)
class Fold:
    """Positions to fit on and to test on, and whether the test lies beyond the fit."""

    train: npt.NDArray[np.intp]
    test: npt.NDArray[np.intp]
    beyond: bool = False


@dataclass(frozen=True)
class Reach:
    """How far points lie beyond what was fitted, in doublings; 0 inside.

    Attributes
    ----------
    length, batch
        log2 of length (of sequences) over the greatest one fitted, shape (n,).
    """

    length: FloatArray
    batch: FloatArray

    @classmethod
    def of(cls, work: Work, longest: float, largest: float) -> Reach:
        """Measure the reach of steps beyond the longest length and largest batch fitted."""
        return cls(
            np.maximum(np.log2(work.length / longest), 0.0),
            np.maximum(np.log2(work.sequences / largest), 0.0),
        )

    @property
    def inside(self) -> npt.NDArray[np.bool_]:
        """Which points lie within both ranges, shape (n,)."""
        return (self.length <= 0.0) & (self.batch <= 0.0)


def block_folds(work: Work, most: int = MAX_BLOCKS) -> list[Fold]:
    """Hold out up to ``most`` blocks of neighbours in the order of new tokens, then of context.

    >>> lengths = np.array([1.0, 2.0, 4.0, 8.0])
    >>> work = Work.of("decode", query_len=1, context_len=lengths)
    >>> [f.test.tolist() for f in block_folds(work, most=2)]
    [[0, 1], [2, 3]]
    """
    order = _by_size(work)
    return _leaving_out(order, np.array_split(order, min(most, len(order))))


def spread_folds(work: Work, most: int = MAX_BLOCKS) -> list[Fold]:
    """Spread the points over at most ``most`` folds, each of them covering the whole range.

    >>> lengths = np.array([1.0, 2.0, 4.0, 8.0])
    >>> work = Work.of("decode", query_len=1, context_len=lengths)
    >>> [f.test.tolist() for f in spread_folds(work, most=2)]
    [[0, 2], [1, 3]]
    """
    order = _by_size(work)
    count = min(most, len(order))
    return _leaving_out(order, [order[i::count] for i in range(count)])


def _by_size(work: Work) -> npt.NDArray[np.intp]:
    return np.lexsort([work.context_len, work.new_tokens])


def _leaving_out(order: npt.NDArray[np.intp], tests: Sequence[npt.NDArray[np.intp]]) -> list[Fold]:
    return [Fold(np.setdiff1d(order, test), test) for test in tests]


def is_interior(work: Work) -> npt.NDArray[np.bool_]:
    """Tell which points lie strictly inside the ranges of length and of new tokens, shape (n,)."""
    inside = np.zeros(len(work), dtype=bool)
    for axis in (work.context_len, work.new_tokens):
        inside |= (axis > axis.min()) & (axis < axis.max())
    return inside


def length_folds(work: Work) -> list[Fold]:
    """Make folds that predict long sequences from short ones.

    A factor (2, 4) is used when three distinct lengths are left to fit on.

    >>> lengths = np.array([128.0, 256.0, 512.0, 1024.0, 2048.0])
    >>> work = Work.of("prefill", query_len=lengths, context_len=lengths)
    >>> [f.test.tolist() for f in length_folds(work)]
    [[4], [3, 4]]
    """
    return _far_folds(work.length)


def batch_folds(work: Work) -> list[Fold]:
    """Make folds that predict large batches from small ones.

    >>> work = Work.of("decode", query_len=1.0, context_len=64.0, batch_size=[1.0, 2.0, 4.0, 8.0])
    >>> [f.test.tolist() for f in batch_folds(work)]
    [[3]]
    """
    return _far_folds(work.sequences)


def _far_folds(axis: FloatArray) -> list[Fold]:
    folds = []
    for factor in FACTORS:
        near = axis <= axis.max() / factor
        if len(np.unique(axis[near])) >= MIN_DISTINCT and not near.all():
            folds.append(Fold(np.flatnonzero(near), np.flatnonzero(~near), beyond=True))
    return folds
