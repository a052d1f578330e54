"""Fit the correction of a cell: smooth, small, and monotone together with the base terms.

    minimise  sum w_i (log((t_i - side_i) / base_i) - D(x_i))^2 + smooth |d2 D|^2 + small |D|^2

over the nodes of D, with weights that make it a sum of absolute errors; the sum of base and D at
the nodes is then projected on what rises along both axes (Dykstra's alternating projections).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import isotonic_regression

from lengthwise.formulations.operators.correction import NODES, Correction
from lengthwise.formulations.operators.terms import Array

SMOOTH = 0.1
SMALL = 0.02
ROUNDS = 5
DELTA = 0.02
LEAST_BASE = 0.3
"""Least share of a measured time that is left to the base terms."""


@dataclass(frozen=True)
class Rows:
    """Measured calls of one cell, arrays of shape (n,).

    Attributes
    ----------
    items, lengths
        Place of each call.
    seconds, base, side
        Measured time; what the base and the side terms make of it.
    """

    items: Array
    lengths: Array
    seconds: Array
    base: Array
    side: Array


def fit_correction(rows: Rows, node_base: Array) -> Correction:
    """Fit a correction on nodes as far as the rows reach.

    Parameters
    ----------
    rows
        Measured calls.
    node_base
        Base terms at all nodes, shape (NODES, NODES), seconds.

    Examples
    --------
    >>> lengths = np.tile(2.0 ** np.arange(8), 4)
    >>> items = np.repeat(2.0 ** np.arange(4), 8)
    >>> base = np.outer(2.0 ** np.arange(NODES), 2.0 ** np.arange(NODES))
    >>> rows = Rows(items, lengths, 1.5 * items * lengths, items * lengths, 0 * items)
    >>> np.round(np.exp(fit_correction(rows, base).values[0, :3]), 2).tolist()
    [1.49, 1.49, 1.49]
    """
    left = np.maximum(rows.seconds - rows.side, LEAST_BASE * rows.seconds)
    target = np.log(left / rows.base)
    shape = (_reach(rows.items), _reach(rows.lengths))
    i, x = _places(rows.items, shape[0])
    j, y = _places(rows.lengths, shape[1])
    nodes = np.stack([(i + a) * shape[1] + j + b for a in (0, 1) for b in (0, 1)], axis=1)
    shares = np.stack([u * v for u in (1.0 - x, x) for v in (1.0 - y, y)], axis=1)
    logs = np.log(node_base[: shape[0], : shape[1]])
    found = _ridge(nodes, shares, target, shape)
    return Correction(monotone(logs + found) - logs)


def _reach(values: Array) -> int:
    return int(min(max(np.ceil(np.log2(np.max(values))) + 1, 3), NODES))


def _places(values: Array, nodes: int) -> tuple[NDArray[np.int64], Array]:
    """Node below each value, and how far it is to the next one."""
    logs = np.clip(np.log2(values), 0.0, nodes - 1.0)
    cell = np.minimum(logs.astype(np.int64), nodes - 2)
    return cell, logs - cell


def _ridge(nodes: NDArray[np.int64], shares: Array, target: Array, shape: tuple[int, int]) -> Array:
    """Fit nodes; each row of the target is a mean of four of them."""
    size = shape[0] * shape[1]
    penalty = SMOOTH * (
        np.kron(_bend(shape[0]), np.eye(shape[1])) + np.kron(np.eye(shape[0]), _bend(shape[1]))
    )
    penalty += SMALL * np.eye(size)
    pairs = (nodes[:, :, None] * size + nodes[:, None, :]).ravel()
    weights: Array = np.ones(len(target))
    found: Array = np.zeros(size)
    for _ in range(ROUNDS):
        weighted = shares * weights[:, None]
        products = (weighted[:, :, None] * shares[:, None, :]).ravel()
        normal = np.bincount(pairs, products, size * size).reshape(size, size) + penalty
        right = np.bincount(nodes.ravel(), (weighted * target[:, None]).ravel(), size)
        found = np.asarray(np.linalg.solve(normal, right), dtype=np.float64)
        error = np.abs(target - np.sum(shares * found[nodes], axis=1))
        weights = 1.0 / np.maximum(error, DELTA)
        weights /= weights.max()
    return found.reshape(shape)


def _bend(nodes: int) -> NDArray[np.float64]:
    second = np.diff(np.eye(nodes), n=2, axis=0)
    return np.asarray(second.T @ second)


def monotone(values: Array, rounds: int = 100) -> Array:
    """Project on the nearest table that rises along both axes.

    >>> monotone(np.array([[1.0, 0.0], [2.0, 3.0]])).round(6).tolist()
    [[0.5, 0.5], [2.0, 3.0]]
    """
    found = values.copy()
    down, across = np.zeros_like(found), np.zeros_like(found)
    for _ in range(rounds):
        first = _rows_rise(found + down)
        down += found - first
        second = _rows_rise((first + across).T).T
        across += first - second
        done = np.max(np.abs(second - found)) < 1e-7
        found = second
        if done:
            break
    return found


def _rows_rise(values: Array) -> Array:
    return np.array([isotonic_regression(row).x for row in values])
