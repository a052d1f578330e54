"""What both targets need to know about rows: labels as numbers, cell, distance from the data.

A *cell* is a length class times a load class; residual quantiles differ by cell, since long
prompts and queues are noisier than short prompts on an idle pod. The *distance* is how many
doublings a row lies outside the box of the data learnt, in its worst direction.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from lengthwise.formulations.online.rows import RouterRows
from lengthwise.units import FloatArray

BOX = ("input_tokens", "prefill_in_flight", "waiting", "running", "encoder_tokens")
"""Columns whose range is the domain; the lower end counts for the prompt only."""
SLACK = 0.07
"""Doublings outside the box that still count as inside: 5 %."""
LENGTH_EDGES, LOAD_EDGES = 3, 3
CELLS = (LENGTH_EDGES + 1) * (LOAD_EDGES + 1)


@dataclass(frozen=True)
class Frame:
    """How rows are labelled and placed.

    Attributes
    ----------
    types, pods
        Known labels; position 0 stands for any other.
    length_edges
        Prompt tokens that separate length classes, shape (3,), rising.
    load_edges
        Load (running + 4 waiting) that separates load classes, shape (3,), rising.
    lo, hi
        Box of the data by ``BOX``, shape (5,); None while nothing was learnt.
    """

    types: tuple[str, ...] = ("*",)
    pods: tuple[str, ...] = ("*",)
    length_edges: FloatArray = field(default_factory=lambda: np.array([512.0, 2048.0, 8192.0]))
    load_edges: FloatArray = field(default_factory=lambda: np.array([4.0, 16.0, 64.0]))
    lo: FloatArray | None = None
    hi: FloatArray | None = None

    @cached_property
    def type_index(self) -> dict[str, int]:
        """Position of every pod type."""
        return {name: i for i, name in enumerate(self.types)}

    @cached_property
    def pod_index(self) -> dict[str, int]:
        """Position of every pod."""
        return {name: i for i, name in enumerate(self.pods)}

    @cached_property
    def _bounds(self) -> tuple[FloatArray, float] | None:
        if self.lo is None or self.hi is None:
            return None
        return (1.0 + self.hi)[:, None], 1.0 + float(self.lo[0])

    def place(self, rows: RouterRows) -> Context:
        """Label and place rows."""
        types, several = _positions(rows.pod_type, self.type_index)
        pods, _ = _positions(rows.pod, self.pod_index)
        cell = self.length_edges.searchsorted(rows.input_tokens)
        cell *= LOAD_EDGES + 1
        cell += self.load_edges.searchsorted(load(rows))
        return Context(rows, types, several, pods, cell, self._distance(rows))

    def _distance(self, rows: RouterRows) -> FloatArray | None:
        if self._bounds is None:
            return None
        hi, lo = self._bounds
        seen = np.empty((len(BOX) + 1, len(rows)))
        for i, name in enumerate(BOX):
            seen[i] = getattr(rows, name)
        seen[:-1] += 1.0
        np.divide(lo, seen[0], out=seen[-1])
        seen[:-1] /= hi
        worst = seen.max(axis=0)
        outside: FloatArray = np.log2(np.maximum(worst, 1.0, out=worst), out=worst)
        return outside

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON."""
        return {
            "types": list(self.types), "pods": list(self.pods),
            "length_edges": self.length_edges.tolist(), "load_edges": self.load_edges.tolist(),
            "lo": None if self.lo is None else self.lo.tolist(),
            "hi": None if self.hi is None else self.hi.tolist(),
        }  # fmt: skip

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Frame:
        """Read :meth:`to_dict` back."""
        lo, hi = (
            None if data[k] is None else array(data[k], (len(BOX),), 0.0) for k in ("lo", "hi")
        )
        return cls(
            tuple(map(str, data["types"])), tuple(map(str, data["pods"])),
            rising(data["length_edges"], (LENGTH_EDGES,)),
            rising(data["load_edges"], (LOAD_EDGES,)), lo, hi,
        )  # fmt: skip


@dataclass(frozen=True)
class Context:
    """Rows with their place in a frame; arrays of shape (n,).

    Attributes
    ----------
    types, pods
        Positions of the labels.
    several
        Whether the rows are of more than one pod type.
    cell
        Length class times load class.
    distance
        Doublings outside the box; None where there is no box yet.
    """

    rows: RouterRows
    types: Any
    several: bool
    pods: Any
    cell: Any
    distance: FloatArray | None


def load(rows: RouterRows) -> FloatArray:
    """Give one number for how busy a pod is, shape (n,): a waiting request counts fourfold."""
    return rows.running + 4.0 * rows.waiting


def array(
    values: Any, shape: Sequence[int | None], lo: float = -1e15, hi: float = 1e15
) -> FloatArray:
    """Read an array of a shape (None: any length) with values in [lo, hi], else ValueError.

    >>> array([1, 2], (2,))
    array([1., 2.])
    """
    out = np.asarray(values, dtype=float)
    if out.ndim != len(shape) or any(
        want is not None and have != want for have, want in zip(out.shape, shape, strict=True)
    ):
        raise ValueError(f"an array of shape {out.shape} where {tuple(shape)} is needed")
    if out.size and not (out.min() >= lo and out.max() <= hi):
        raise ValueError(f"arrays must hold finite numbers, here between {lo:g} and {hi:g}")
    return out


def rising(values: Any, shape: Sequence[int | None]) -> FloatArray:
    """Read an array that does not fall, else ValueError."""
    out = array(values, shape)
    if (np.diff(out) < 0).any():
        raise ValueError("edges and quantiles must rise")
    return out


def _positions(labels: Any, index: Mapping[str, int]) -> tuple[Any, bool]:
    """Positions of labels; a plain 0 when there is nothing to tell apart."""
    if len(index) == 1:
        return np.zeros(len(labels), dtype=np.intp), False
    get = index.get
    found = np.array([get(label, 0) for label in labels.tolist()], dtype=np.intp)
    return found, bool(len(found) and found.min() != found.max())
