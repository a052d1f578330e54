"""What a sum of terms misses: a table over items and length, kept monotone.

    T(x) = exp( G(log2 items, log2 length) )  +  side terms  +  what a cached prefix adds

G is linear between nodes at powers of two. A node holds the logarithm of the base terms there, plus
a correction; running maxima over both axes then make G rise everywhere. Nodes beyond those fitted
keep the last correction, so that the terms alone say how time grows outside the measured range.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lengthwise.formulations.operators.terms import Array

NODES = 27
"""Nodes on each axis, 2^0 to 2^26; beyond, the slope between the last two goes on."""
UNIT = 1e-3
"""Corrections are kept as whole thousandths of a natural logarithm."""


@dataclass(frozen=True, eq=False)
class Correction:
    """Logarithms to add to the base terms at nodes 2^i items, 2^j tokens.

    Attributes
    ----------
    values
        Shape (items, lengths), natural logarithms.

    Examples
    --------
    >>> Correction.from_list([[0, 100], [0, -50]]).padded()[:3, :3].tolist()
    [[0.0, 0.1, 0.1], [0.0, -0.05, -0.05], [0.0, -0.05, -0.05]]
    """

    values: Array

    def padded(self) -> Array:
        """Repeat the last corrections up to the last node, shape (NODES, NODES)."""
        held = self.values[:NODES, :NODES]
        return np.pad(held, [(0, NODES - n) for n in held.shape], mode="edge")

    def to_list(self) -> list[list[int]]:
        """Write whole thousandths."""
        return [[round(float(v) / UNIT) for v in row] for row in self.values]

    @classmethod
    def from_list(cls, rows: Sequence[Sequence[int]]) -> Correction:
        """Read :meth:`to_list` back."""
        return cls(np.asarray(rows, dtype=np.float64) * UNIT)


def node_sizes() -> tuple[Array, Array]:
    """Items and lengths of all nodes, each of shape (NODES * NODES,).

    >>> items, lengths = node_sizes()
    >>> items[:2].tolist(), lengths[:3].tolist()
    ([1.0, 1.0], [1.0, 2.0, 4.0])
    """
    axis = 2.0 ** np.arange(NODES)
    items, lengths = np.meshgrid(axis, axis, indexing="ij")
    return items.ravel(), lengths.ravel()


def rising(logs: Array) -> Array:
    """Take the running maximum over both axes.

    >>> rising(np.array([[1.0, 0.5], [0.2, 2.0]])).tolist()
    [[1.0, 1.0], [1.0, 2.0]]
    """
    return np.asarray(np.maximum.accumulate(np.maximum.accumulate(logs, axis=0), axis=1))


def at(table: Array, items: Array, lengths: Array) -> Array:
    """Read a table of logarithms between its nodes; seconds, shape (n,).

    >>> round(float(at(np.log([[1.0, 2.0], [4.0, 8.0]]), np.array([2.0]), np.array([1.0]))[0]), 6)
    4.0
    """
    x, i = _place(items, table.shape[0])
    y, j = _place(lengths, table.shape[1])
    low = table[i, j] + y * (table[i, j + 1] - table[i, j])
    high = table[i + 1, j] + y * (table[i + 1, j + 1] - table[i + 1, j])
    return np.asarray(np.exp(low + x * (high - low)))


def _place(
    values: Array, nodes: int
) -> tuple[Array, np.ndarray[tuple[int, ...], np.dtype[np.int64]]]:
    logs = np.log2(np.maximum(values, 1.0))
    cell = np.minimum(logs.astype(np.int64), nodes - 2)
    return np.asarray(logs - cell), cell
