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
    places = _places(rows.items, shape[0])[:, :, None] * _places(rows.lengths, shape[1])[:, None, :]
    logs = np.log(node_base[: shape[0], : shape[1]])
    found = _ridge(places.reshape(len(target), -1), target, shape)
    return Correction(monotone(logs + found) - logs)


def _reach(values: Array) -> int:
    return int(min(max(np.ceil(np.log2(np.max(values))) + 1, 3), NODES))


def _places(values: Array, nodes: int) -> Array:
    logs = np.clip(np.log2(values), 0.0, nodes - 1.0)
    cell = np.minimum(logs.astype(int), nodes - 2)
    out = np.zeros((len(values), nodes))
    index = np.arange(len(values))
    out[index, cell] = 1.0 - (logs - cell)
    out[index, cell + 1] += logs - cell
    return out


def _ridge(places: Array, target: Array, shape: tuple[int, int]) -> Array:
    penalty = SMOOTH * (
        np.kron(_bend(shape[0]), np.eye(shape[1])) + np.kron(np.eye(shape[0]), _bend(shape[1]))
    )
    penalty += SMALL * np.eye(shape[0] * shape[1])
    weights: Array = np.ones(len(target))
    found: Array = np.zeros(shape[0] * shape[1])
    for _ in range(ROUNDS):
        weighted = places * weights[:, None]
        found = np.asarray(
            np.linalg.solve(places.T @ weighted + penalty, weighted.T @ target), dtype=np.float64
        )
        weights = 1.0 / np.maximum(np.abs(target - places @ found), DELTA)
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
