"""Fewer rows of many groups."""

from __future__ import annotations

from typing import Any

import numpy as np


def thinned(groups: Any, most: int, seed: int = 0) -> Any:
    """Choose about ``most`` rows, so that large groups lose more than small ones.

    >>> groups = np.repeat(["a", "b"], [90, 10])
    >>> chosen = thinned(groups, 30)
    >>> int((groups[chosen] == "a").sum()), int((groups[chosen] == "b").sum())
    (20, 10)
    """
    labels, index, counts = np.unique(groups.astype(str), return_inverse=True, return_counts=True)
    each = counts.max()
    if counts.sum() > most:
        each = next(k for k in range(1, int(counts.max()) + 1)
                    if np.minimum(counts, k + 1).sum() > most)  # fmt: skip
    rng = np.random.default_rng(seed)
    parts = [rng.permutation(np.flatnonzero(index == i))[:each] for i in range(len(labels))]
    return np.sort(np.concatenate(parts))
