"""Rows to fit again from: a bounded sample in which rare rows keep their place.

Rows are sorted into strata by doublings of the prompt and by queue. When the memory is full, the
largest strata give rows up until all fit; within a stratum the newest half of its place is kept
for recent rows, the other half is a random sample of the older ones. A 30,000-token prompt that
comes once in an hour is thus still there tomorrow.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from lengthwise.calibration.online.packing import pack, unpack
from lengthwise.formulations.online.context import Context, Frame
from lengthwise.formulations.online.rows import NUMBERS, RouterRows
from lengthwise.units import FloatArray

N = len(NUMBERS)
TYPE, POD, LOG_Y, SHIFT, SEQUENCE = range(N, N + 5)
WIDTH = N + 5
SLOPE = 1.25
"""The memory grows to so many times its size before it is thinned."""
QUEUES = np.array([0.5, 2.5, 5.5, 10.5])


class Memory:
    """Observations of one target, newest last.

    Parameters
    ----------
    size
        Rows kept.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self._data = np.empty((WIDTH, 64))
        self._used = 0

    def __len__(self) -> int:
        return self._used

    @property
    def data(self) -> FloatArray:
        """Numbers of the rows, then type, pod, log y, shift and sequence number: (15, n)."""
        view: FloatArray = self._data[:, : self._used]
        return view

    def add(self, block: FloatArray, rng: np.random.Generator | None) -> None:
        """Add rows, shape (15, m); without ``rng`` the oldest go first."""
        m = block.shape[1]
        if self._used + m > self._data.shape[1]:
            grown = np.empty((WIDTH, 2 * (self._used + m)))
            grown[:, : self._used] = self.data
            self._data = grown
        self._data[:, self._used : self._used + m] = block
        self._used += m
        if self._used > SLOPE * self.size:
            keep = (np.arange(self._used - self.size, self._used) if rng is None
                    else thin(self.data, self.size, rng))  # fmt: skip
            self.keep(keep)

    def keep(self, index: Any) -> None:
        """Keep only these rows."""
        chosen = self.data[:, index]
        self._used = chosen.shape[1]
        self._data[:, : self._used] = chosen

    def context(self, frame: Frame) -> Context:
        """Rows placed in a frame."""
        return place(self.data, frame)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON."""
        return {"size": self.size, "data": pack(self.data)}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Memory:
        """Read :meth:`to_dict` back."""
        memory = cls(int(data["size"]))
        block = unpack(data["data"])
        if block.ndim != 2 or len(block) != WIDTH or not np.isfinite(block).all():
            raise ValueError(f"a memory holds {WIDTH} finite numbers per row")
        memory._data = block
        memory._used = block.shape[1]
        return memory


def pack_rows(rows: RouterRows, types: Any, pods: Any, log_y: FloatArray) -> FloatArray:
    """Rows as columns of a block, shape (15, n); shift and sequence are zero."""
    block = np.zeros((WIDTH, len(rows)))
    for i, name in enumerate(NUMBERS):
        block[i] = getattr(rows, name)
    block[TYPE], block[POD], block[LOG_Y] = types, pods, log_y
    return block


def place(block: FloatArray, frame: Frame) -> Context:
    """Rows of a block with their place in a frame; their labels are positions already."""
    blank = np.full(block.shape[1], "", dtype=object)
    rows = RouterRows(*[*block[:N], blank, blank])
    context = frame.place(rows)
    types, pods = block[TYPE].astype(np.intp), block[POD].astype(np.intp)
    several = bool(len(types) and types.min() != types.max())
    return Context(rows, types, several, pods, context.cell, context.distance)


def thin(data: FloatArray, size: int, rng: np.random.Generator) -> Any:
    """Positions of ``size`` rows to keep, in order.

    >>> data = np.zeros((WIDTH, 1000))
    >>> data[0] = 100.0
    >>> data[0, ::100] = 30000.0
    >>> kept = thin(data, 200, np.random.default_rng(0))
    >>> len(kept), int((data[0, kept] > 1000).sum())
    (200, 10)
    """
    length = np.log2(1.0 + data[0]).astype(int)
    queue = QUEUES.searchsorted(data[NUMBERS.index("waiting")])
    _, stratum, counts = np.unique(length * 8 + queue, return_inverse=True, return_counts=True)
    quota = fair(counts, size)
    keep = np.zeros(data.shape[1], dtype=bool)
    for s in np.flatnonzero(quota):
        rows = np.flatnonzero(stratum == s)
        place_ = int(quota[s])
        if place_ >= len(rows):
            keep[rows] = True
            continue
        recent = place_ - place_ // 2
        keep[rows[-recent:]] = True
        keep[rng.choice(rows[:-recent], place_ // 2, replace=False)] = True
    return np.flatnonzero(keep)


def fair(counts: Any, size: int) -> Any:
    """Share ``size`` places: every stratum gets what it has, the largest the same number.

    >>> fair(np.array([1000, 10, 300]), 200).tolist()
    [95, 10, 95]
    """
    quota = np.zeros(len(counts), dtype=int)
    left = size
    for rank, s in enumerate(np.argsort(counts, kind="stable")):
        quota[s] = min(int(counts[s]), left // (len(counts) - rank))
        left -= quota[s]
    return quota
