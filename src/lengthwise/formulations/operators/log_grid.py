"""A coarse table over sizes, read by multilinear interpolation in the logarithms of the sizes.

Between neighbouring knots the value is linear in each log size, so its slope anywhere is an average
of slopes between neighbours: a bound on those holds everywhere. Beyond the ends it is constant.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True)
class LogGrid:
    """Values at the crossings of knots.

    Attributes
    ----------
    axes
        Knots of each size, ascending.
    values
        Flat, the last axis running fastest.

    Examples
    --------
    >>> grid = LogGrid(((1.0, 100.0),), (0.0, 2.0))
    >>> grid.at(np.array([0.1, 1.0, 10.0, 1e6]))
    array([0., 0., 1., 2.])
    """

    axes: tuple[tuple[float, ...], ...]
    values: tuple[float, ...]

    @cached_property
    def _flat(self) -> Array:
        return np.array(self.values)

    def corners(self, *sizes: Array) -> tuple[NDArray[np.intp], Array]:
        """Give the flat indices of the knots around each row and their weights.

        Returns
        -------
        tuple
            Two arrays of shape (rows, 2 ** axes); the weights of a row sum to 1.
        """
        parts = [self._between(knots, x) for knots, x in zip(self.axes, sizes, strict=True)]
        index, weight = [], []
        for sides in product((0, 1), repeat=len(parts)):
            at = np.zeros(parts[0][0].shape, np.intp)
            share = np.ones(parts[0][0].shape)
            for side, (low, part), knots in zip(sides, parts, self.axes, strict=True):
                at = at * len(knots) + low + side
                share = share * (part if side else 1.0 - part)
            index.append(at)
            weight.append(share)
        return np.stack(index, axis=-1), np.stack(weight, axis=-1)

    def at(self, *sizes: Array) -> Array:
        """Interpolate; one array of sizes per axis, all of the same shape."""
        index, weight = self.corners(*sizes)
        return np.asarray((self._flat[index] * weight).sum(axis=-1))

    @staticmethod
    def _between(knots: tuple[float, ...], x: Array) -> tuple[NDArray[np.intp], Array]:
        logs = np.log(knots)
        at = np.clip(np.log(x), logs[0], logs[-1])
        low = np.clip(np.searchsorted(logs, at, side="right") - 1, 0, len(logs) - 2)
        return low, (at - logs[low]) / (logs[low + 1] - logs[low])

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values.

        >>> LogGrid(((1.0, 8.0),), (0.0, 2.0)).to_dict()
        {'axes': [[1.0, 8.0]], 'values': [0.0, 2.0]}
        """
        return {"axes": [list(a) for a in self.axes], "values": list(self.values)}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> LogGrid:
        """Read what :meth:`to_dict` wrote."""
        return cls(tuple(tuple(a) for a in data["axes"]), tuple(data["values"]))
