"""Calls of attention as rows of arrays, and their way to the cells of a curve."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lengthwise.errors import InputError
from lengthwise.formulations.operators.cell import Cell, neighbours
from lengthwise.formulations.operators.terms import Array

Rows = NDArray[np.bool_] | slice


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
        if not np.min(array, initial=1.0) > 0:
            raise InputError("sizes of a call are positive", got=str(array[~(array > 0)][0]))
    return tuple(np.broadcast_arrays(*arrays, wide))


def known_kind(cells: Iterable[Cell], kind: NDArray[Any], window: Array) -> NDArray[Any]:
    """Change calls of windows that no cell was measured near to the kind without a window.

    Cells of windowed calls hold for windows up to twice or half of theirs; for others, the terms of
    a full context with the pairs of the window are the better guide.

    >>> cell = Cell("shared_window", 128, {}, window=128)
    >>> known_kind([cell], np.array([4, 4]), np.array([128.0, 1024.0])).tolist()
    [4, 1]
    """
    if not np.any(kind > 2):
        return kind
    measured = np.array([cell.window for cell in cells if cell.window], dtype=np.float64)
    with np.errstate(invalid="ignore"):
        apart = np.abs(np.log2(window[:, None] / measured[None, :]))
    near = np.any(apart <= 1.0, axis=1)
    return np.asarray(np.where(near, kind, kind % 3))


def mixed(
    cells: Iterable[Cell], kinds: Mapping[Any, tuple[str, ...]], keys: tuple[Array, ...],
    seconds: Callable[[Cell, Rows], Array],
) -> Array:  # fmt: skip
    """Time of every row from the cell of its kind, mixed between neighbouring head sizes.

    ``keys`` are what a cell and its table depend on: the kind, the head size, and more.
    """
    cells = tuple(cells)
    out = np.zeros(keys[0].shape)
    for at, which in _groups(keys):
        for cell, share in neighbours(cells, kinds[int(which[0])], float(which[1])):
            out[at] += share * seconds(cell, at)
    return out


def _groups(keys: tuple[Array, ...]) -> Iterator[tuple[Rows, Sequence[float]]]:
    """Rows that agree in all keys, and the keys."""
    if not keys[0].size:
        return
    if all(np.all(key == key[0]) for key in keys):
        yield slice(None), [key[0] for key in keys]
        return
    for which in np.unique(np.column_stack(keys), axis=0):
        yield np.all([key == v for key, v in zip(keys, which, strict=True)], axis=0), which
