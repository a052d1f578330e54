"""Fit grids of corrections under a physical curve: damped Gauss-Newton steps with robust weights.

Every grid holds logarithms of factors on one part of a time. It is pulled towards its starting
values and towards equal differences from them at neighbouring knots, so that knots without rows
follow their neighbours. Where a part must not fall when a size grows, the values of neighbouring
knots fall by no more than the logarithm of the size grows: asked for softly while fitting, made
exact at the end.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from lengthwise.formulations.operators.log_grid import LogGrid

Array = NDArray[np.float64]
Evaluate = Callable[[list[Array]], tuple[Array, list[Array]]]
STEPS = 12
OUTLIER = 0.07
"""Difference of logarithms from which a row weighs less."""
LONGEST = 1.0
"""Longest step of one value."""
WALL = 1.0
"""Weight of values that fall too far between two knots."""
RISE = 0.002
"""Logarithm by which sizes times the factor rise at least from knot to knot: values may be rounded
to three places without falling."""


@dataclass(frozen=True)
class Block:
    """One grid to be fitted.

    Attributes
    ----------
    grid
        Knots and starting values.
    sizes
        Sizes of each row, one array per axis.
    active
        Factor on the interpolated value, 0 for rows the grid is not for.
    pull, smooth
        Weights of the start and of equal differences at neighbours, per row of data.
    rising
        Whether sizes times the factor must not fall.
    """

    grid: LogGrid
    sizes: tuple[Array, ...]
    active: Array | float = 1.0
    pull: float = 1e-4
    smooth: float = 3e-4
    rising: bool = True

    def basis(self) -> sparse.csr_matrix:
        """Interpolation as a matrix of shape (rows, values)."""
        index, weight = self.grid.corners(*self.sizes)
        weight = weight * np.reshape(self.active, (-1, 1))
        rows = np.repeat(np.arange(len(index)), index.shape[1])
        shape = (len(index), len(self.grid.values))
        return sparse.csr_matrix((weight.ravel(), (rows, index.ravel())), shape=shape)


def edges(axes: tuple[tuple[float, ...], ...]) -> tuple[sparse.csr_matrix, Array]:
    """Differences between neighbouring knots, as a matrix, and how far apart their logs are.

    >>> matrix, far = edges(((1.0, np.e), (1.0, 10.0)))
    >>> matrix.shape, far.round(1).tolist()
    ((4, 4), [1.0, 1.0, 2.3, 2.3])
    """
    shape = [len(a) for a in axes]
    at = np.arange(int(np.prod(shape))).reshape(shape)
    low, high, far = [], [], []
    for axis, knots in enumerate(axes):
        low.append(np.delete(at, -1, axis).ravel())
        high.append(np.delete(at, 0, axis).ravel())
        steps = np.diff(np.log(knots)).reshape([-1 if i == axis else 1 for i in range(len(axes))])
        far.append(np.broadcast_to(steps, np.delete(at, 0, axis).shape).ravel())
    a, b = np.concatenate(low), np.concatenate(high)
    rows = np.tile(np.arange(len(a)), 2)
    values = np.repeat([-1.0, 1.0], len(a))
    matrix = sparse.csr_matrix((values, (rows, np.concatenate([a, b]))), shape=(len(a), at.size))
    return matrix, np.concatenate(far)


def made_rising(grid: LogGrid) -> LogGrid:
    """Lift values where sizes times the factor would fall, or hardly rise, between two knots.

    >>> made_rising(LogGrid(((1.0, np.e, np.e**2),), (0.0, -3.0, 0.0))).values
    (0.0, -0.998, 0.0)
    """
    shape = [len(a) for a in grid.axes]
    least = np.zeros(shape)
    for axis, knots in enumerate(grid.axes):
        along = [-1 if i == axis else 1 for i in range(len(shape))]
        least = least + (RISE * np.arange(len(knots)) - np.log(knots)).reshape(along)
    total = np.array(grid.values).reshape(shape) - least
    for axis in range(len(shape)):
        total = np.maximum.accumulate(total, axis=axis)
    return replace(grid, values=tuple((total + least).ravel().tolist()))


def fit_grids(
    evaluate: Evaluate, blocks: Sequence[Block], seconds: Array, weights: Array
) -> list[LogGrid]:
    """Fit all grids at once.

    Parameters
    ----------
    evaluate
        From the interpolated values of each grid, shape (rows,) each: the times, and the
        derivative of their logarithm by each of them.
    blocks
        Grids.
    seconds, weights
        Measured times and the weight of each row.
    """
    bases = [b.basis() for b in blocks]
    starts = [np.array(b.grid.values) for b in blocks]
    values = [s.copy() for s in starts]
    rules = [_rules(b, weights.sum()) for b in blocks]
    ends = np.cumsum([0, *map(len, starts)])
    target = np.log(seconds)
    for _ in range(STEPS):
        times, slopes = evaluate([b @ v for b, v in zip(bases, values, strict=True)])
        miss = target - np.log(times)
        robust = weights / np.maximum(1.0, np.abs(miss) / OUTLIER)
        parts = [
            sparse.csr_matrix(b.multiply(s[:, None])) for b, s in zip(bases, slopes, strict=True)
        ]
        jacobian = sparse.csr_matrix(sparse.hstack(parts))
        square = np.asarray((jacobian.T @ jacobian.multiply(robust[:, None])).todense())
        right = np.asarray(jacobian.T @ (robust * miss))
        for i, (start, value) in enumerate(zip(starts, values, strict=True)):
            here = slice(ends[i], ends[i + 1])
            _add_rules(square[here, here], right[here], rules[i], start, value)
        step = np.linalg.solve(square + 1e-9 * np.eye(len(right)), right)
        step = np.clip(step, -LONGEST, LONGEST)
        values = [v + step[ends[i] : ends[i + 1]] for i, v in enumerate(values)]
    grids = [replace(b.grid, values=tuple(v.tolist())) for b, v in zip(blocks, values, strict=True)]
    return [made_rising(g) if b.rising else g for b, g in zip(blocks, grids, strict=True)]


@dataclass(frozen=True)
class _Rules:
    quadratic: Array
    differences: sparse.csr_matrix
    far: Array
    wall: float


def _rules(block: Block, total: float) -> _Rules:
    matrix, far = edges(block.grid.axes)
    share = total / matrix.shape[1]
    quadratic = share * (
        block.pull * sparse.eye(matrix.shape[1]) + block.smooth * matrix.T @ matrix
    )
    return _Rules(quadratic.toarray(), matrix, far, WALL * share if block.rising else 0.0)


def _add_rules(square: Array, right: Array, rules: _Rules, start: Array, value: Array) -> None:
    square += rules.quadratic
    right -= rules.quadratic @ (value - start)
    room = rules.differences @ value + rules.far
    broken = room < 0.0
    if rules.wall and broken.any():
        differences = rules.differences[broken]
        square += rules.wall * (differences.T @ differences).toarray()
        right -= rules.wall * (differences.T @ room[broken])
