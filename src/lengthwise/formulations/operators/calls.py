"""Calls of attention as rows of arrays, and their way to the cells of a curve."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lengthwise.errors import InputError
from lengthwise.formulations.operators.terms import Array, Cell, neighbours


def rows(*values: ArrayLike | None) -> tuple[Array, ...]:
    """Bring the arguments of a call to arrays of one shape (n,); the last one is a window.

    A window of None or 0 becomes infinite.

    >>> [a.tolist() for a in rows([1, 2], 8, None)]
    [[1.0, 2.0], [8.0, 8.0], [inf, inf]]
    """
    *sizes, window = values
    arrays = [np.atleast_1d(np.asarray(v, dtype=np.float64)) for v in sizes]
    given = np.nan if window is None else window
    wide = np.atleast_1d(np.asarray(given, dtype=np.float64))
    wide = np.where(np.isnan(wide) | (wide <= 0), np.inf, wide)
    for array in arrays:
        if not np.all(array > 0):
            raise InputError("sizes of a call are positive", got=str(array[~(array > 0)][0]))
    return tuple(np.broadcast_arrays(*arrays, wide))


def mixed(
    cells: Iterable[Cell], kinds: Mapping[Any, tuple[str, ...]], head_dim: Array,
    kind: NDArray[Any], seconds: Callable[[Cell, NDArray[np.bool_]], Array],
) -> Array:  # fmt: skip
    """Time of every row from the cell of its kind, mixed between neighbouring head sizes."""
    cells = tuple(cells)
    out = np.zeros(head_dim.shape)
    for which in np.unique(kind):
        for size in np.unique(head_dim[kind == which]):
            at = (kind == which) & (head_dim == size)
            for cell, share in neighbours(cells, kinds[which], float(size)):
                out[at] += share * seconds(cell, at)
    return out
