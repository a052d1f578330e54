"""Fixed train and test splits of a measurement table.

A split is made per **group** (one deployment in one phase) and holds row positions, so that the
same table always gives the same split. Five rules hold for all of them:

1. Repeats of one point stay together, in train or in test.
2. Warm-up rows and unusable rows (no finite positive time or length) are in neither.
3. ``random`` asks only questions *in range*: the end points of a sweep are always in train. Held
   out, an end point would be an extrapolation, which ``length`` and ``batch`` measure on purpose.
   In range means within the training points in length, in batch and in their product.
4. ``length`` and ``batch`` train on values up to max/factor and test strictly above.
5. A group that cannot be split is recorded in ``skipped`` with its reason.

Splits of the same name (fold k of every group) can be fitted together in one go.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import overload

import numpy as np
import numpy.typing as npt
import pandas as pd

from lengthwise.data.checks import usable
from lengthwise.data.identity import deployment_of, hardware_of
from lengthwise.data.points import batch_of, group_of, length_of, point_of
from lengthwise.errors import InputError
from lengthwise.units import FloatArray

IntArray = npt.NDArray[np.intp]
BoolArray = npt.NDArray[np.bool_]

LEAVE_ONE_OUT_BELOW = 12
"""Curves with fewer distinct points are tested one point at a time."""


@dataclass(frozen=True, eq=False)
class Split:
    """One train and test division of the rows of one group.

    Attributes
    ----------
    name
        Which division this is, for example ``length/4`` or ``random/fold-2``.
    group
        Deployment and phase, or the deployment or hardware left out.
    train, test
        Positions of rows (for ``table.iloc``), shape (n_train,) and (n_test,), ascending.
    note
        What a reader should know about it.
    """

    name: str
    group: str
    train: IntArray
    test: IntArray
    note: str = ""


@dataclass(frozen=True)
class Skipped:
    """A group that could not be split, and why."""

    group: str
    reason: str


@dataclass(frozen=True)
class Splits(Sequence[Split]):
    """The splits of a table, in order, with the groups that were skipped."""

    items: tuple[Split, ...]
    skipped: tuple[Skipped, ...] = ()

    def __len__(self) -> int:
        return len(self.items)

    def __iter__(self) -> Iterator[Split]:
        return iter(self.items)

    @overload
    def __getitem__(self, index: int) -> Split: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Split, ...]: ...
    def __getitem__(self, index: int | slice) -> Split | tuple[Split, ...]:
        return self.items[index]


def random_split(table: pd.DataFrame, *, folds: int = 5, seed: int = 0) -> Splits:
    """Divide the distinct points of each group into ``folds`` random folds, in range.

    Every point that is not an end point is tested exactly once. Groups with fewer than 12 distinct
    points are tested one point at a time.

    Examples
    --------
    >>> rows = {"phase": "prefill", "isl": [64, 128, 256, 256], "latency_ms": [1.0, 2, 3, 4]}
    >>> splits = random_split(pd.DataFrame(rows))
    >>> [(split.train.tolist(), split.test.tolist()) for split in splits]
    [([0, 2, 3], [1])]
    """
    _check_whole("folds", folds, minimum=2)
    _check_whole("seed", seed, minimum=0)
    items, skipped = [], []
    points, length, batch = point_of(table), length_of(table), batch_of(table)
    for group, rows in _groups(table):
        inner = _inner_points(points[rows], length[rows], batch[rows])
        if not len(inner):
            skipped.append(Skipped(group, "no point lies inside the sweep (needs 3 lengths)"))
            continue
        alone = len(np.unique(points[rows])) < LEAVE_ONE_OUT_BELOW
        note = "one point at a time" if alone else f"{folds} folds"
        order = np.random.default_rng(seed).permutation(inner)
        for k, held in enumerate(np.array_split(order, len(order) if alone else folds)):
            test = np.isin(points[rows], held)
            if test.any():
                items.append(Split(f"random/fold-{k}", group, rows[~test], rows[test], note))
    return _by_name(items, skipped)


def length_split(table: pd.DataFrame, factor: float = 4, *, min_train: int = 2) -> Splits:
    """Train on lengths up to max/factor, test above, in each group.

    Parameters
    ----------
    table
        Measurement table.
    factor
        How far to extrapolate, more than 1.
    min_train
        Distinct training lengths needed; a group with fewer is skipped.

    Examples
    --------
    >>> rows = {"phase": "prefill", "isl": [64, 128, 256, 512], "latency_ms": [1.0, 2, 3, 4]}
    >>> length_split(pd.DataFrame(rows), factor=4)[0].test.tolist()
    [2, 3]
    """
    return _axis_split(table, "length", length_of(table), factor, min_train)


def batch_split(table: pd.DataFrame, factor: float = 4, *, min_train: int = 2) -> Splits:
    """Train on batch sizes up to max/factor, test above, in each group.

    >>> rows = {"phase": "decode", "context_len": 99, "batch_size": [1, 2, 8], "latency_ms": 5.0}
    >>> batch_split(pd.DataFrame(rows), factor=4)[0].test.tolist()
    [2]
    """
    return _axis_split(table, "batch", batch_of(table), factor, min_train)


def deployment_split(table: pd.DataFrame) -> Splits:
    """Leave one deployment out: train on all others, test on it."""
    return _leave_out(table, "deployment", deployment_of(table).to_numpy(object))


def hardware_split(table: pd.DataFrame) -> Splits:
    """Leave all deployments of one hardware out: train on all other hardware, test on it."""
    return _leave_out(table, "hardware", hardware_of(table).to_numpy(object))


def usable_rows(table: pd.DataFrame) -> BoolArray:
    """Mark rows a law can learn from or be tested on; shape (n,).

    Usable times (:func:`lengthwise.data.checks.usable`: no warm-up, finite and positive) at a
    finite positive length and batch.

    >>> rows = {"phase": "prefill", "isl": 8, "latency_ms": [1.0, -1.0, 2.0], "warmup": [0, 0, 1]}
    >>> usable_rows(pd.DataFrame(rows)).tolist()
    [True, False, False]
    """
    return usable(table) & _positive(length_of(table)) & _positive(batch_of(table))


def _axis_split(
    table: pd.DataFrame, axis: str, values: FloatArray, factor: float, min_train: int
) -> Splits:
    if not (np.isfinite(factor) and factor > 1):
        raise InputError("factor must be more than 1", got=f"factor={factor}", remedy="write 4")
    _check_whole("min_train", min_train, minimum=1)
    items, skipped = [], []
    for group, rows in _groups(table):
        limit = values[rows].max() / factor
        test = values[rows] > limit
        seen = len(np.unique(values[rows][~test]))
        if seen < min_train:
            why = (
                f"{seen} distinct {axis} values up to max/{factor:g} = {limit:g}, needs {min_train}"
            )
            skipped.append(Skipped(group, why))
            continue
        note = f"train {axis} <= {limit:g}"
        items.append(Split(f"{axis}/{factor:g}", group, rows[~test], rows[test], note))
    return _by_name(items, skipped)


def _leave_out(table: pd.DataFrame, axis: str, keys: npt.NDArray[np.object_]) -> Splits:
    rows = np.flatnonzero(usable_rows(table))
    names = sorted({str(key) for key in keys[rows]})
    if len(names) < 2:
        reason = f"only one {axis} in the table, nothing is left to train on"
        return Splits((), tuple(Skipped(name, reason) for name in names))
    items = []
    for name in names:
        test = keys[rows].astype(str) == name
        items.append(Split(f"{axis}/{name}", name, rows[~test], rows[test], f"{name} left out"))
    return Splits(tuple(items))


def _groups(table: pd.DataFrame) -> Iterator[tuple[str, IntArray]]:
    """Positions of the usable rows of each group, in order of the group's name."""
    rows = np.flatnonzero(usable_rows(table))
    group = group_of(table).to_numpy(object)[rows].astype(str)
    for name in np.unique(group):
        yield str(name), rows[group == name]


def _inner_points(points: IntArray, length: FloatArray, batch: FloatArray) -> IntArray:
    """Points that stay in range when held out.

    For each end of length, batch and their product one point that reaches it is fixed to train. A
    point that is already fixed is preferred: a plain sweep or a grid loses two points, not six.
    """
    number, first = np.unique(points, return_index=True)
    fixed = np.zeros(len(number), dtype=bool)
    for axis in (length[first] * batch[first], length[first], batch[first]):
        for end in (axis.min(), axis.max()):
            reaches = axis == end
            if not (reaches & fixed).any():
                fixed[np.argmax(reaches)] = True
    return number[~fixed]


def _by_name(items: list[Split], skipped: list[Skipped]) -> Splits:
    return Splits(tuple(sorted(items, key=lambda s: (_fold(s.name), s.group))), tuple(skipped))


def _fold(name: str) -> tuple[str, int]:
    stem, _, number = name.rpartition("-")
    return (stem, int(number)) if stem else (name, 0)


def _positive(values: FloatArray) -> BoolArray:
    return np.asarray(np.isfinite(values) & (values > 0))


def _check_whole(name: str, value: int, *, minimum: int) -> None:
    if int(value) != value or value < minimum:
        raise InputError(
            f"{name} must be a whole number of at least {minimum}", got=f"{value}",
            remedy=f"write {minimum} or more",
        )  # fmt: skip
