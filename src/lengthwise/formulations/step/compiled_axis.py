"""Where a size lies between the nodes of a table, without a logarithm.

Nodes divide every octave into equal parts. The exponent of a floating-point number is the octave,
the leading bits of its fraction are the part: finding a node takes no search.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import frexp, nextafter
from typing import Any

import numpy as np

from lengthwise.units import FloatArray

_FRACTION_BITS = 52
_BIAS = 1023


@dataclass(frozen=True)
class Axis:
    """Nodes of one size: ``2 ** bits`` in each of the octaves from ``2 ** first`` on.

    Below the first node the size counts as that node. Beyond the last one a table's value grows
    with ``(size / last) ** power``: never less than time can grow there.

    Attributes
    ----------
    first, octaves, bits
        Exponent of the first node, octaves, and nodes per octave as a power of two.
    shift
        Added to a size, so that 0 can be a node.
    power
        Growth beyond the last node.

    Examples
    --------
    >>> Axis(0, 2, 1).nodes.tolist()
    [1.0, 1.5, 2.0, 3.0, 4.0]
    >>> Axis(0, 2, 1).place(2.5), Axis(0, 2, 1).place(8.0)[2]
    ((2, 0.5, 1.0), 2.0)
    """

    first: int
    octaves: int
    bits: int
    shift: float = 0.0
    power: int = 1
    start: float = field(init=False)
    end: float = field(init=False)
    _inside: float = field(init=False, repr=False)
    _cells: int = field(init=False, repr=False)
    _origin: int = field(init=False, repr=False)

    def __post_init__(self) -> None:
        end = 2.0 ** (self.first + self.octaves)
        derived = {
            "start": 2.0**self.first, "end": end, "_inside": nextafter(end, 0.0),
            "_cells": 2**self.bits, "_origin": self.first + 1,
        }  # fmt: skip
        for name, value in derived.items():
            object.__setattr__(self, name, value)

    def __len__(self) -> int:
        return self.octaves * self._cells + 1

    @property
    def nodes(self) -> FloatArray:
        """Sizes at the nodes, ascending."""
        octave, part = np.divmod(np.arange(len(self)), self._cells)
        return np.asarray(2.0 ** (self.first + octave) * (1.0 + part / self._cells) - self.shift)

    def place(self, size: float) -> tuple[int, float, float]:
        """Give the node below a size, the part of the way to the next, and the growth beyond."""
        x = size + self.shift
        beyond = 1.0
        if x >= self.end:
            beyond = (x / self.end) ** self.power
            x = self._inside
        elif x < self.start:
            x = self.start
        fraction, exponent = frexp(x)
        at = (fraction + fraction - 1.0) * self._cells
        node = int(at)
        return (exponent - self._origin) * self._cells + node, at - node, beyond

    def places(self, sizes: FloatArray) -> tuple[Any, FloatArray, FloatArray | float]:
        """Do the same for sizes of shape (n,); the growth is a plain 1 where all are inside."""
        x = sizes + self.shift
        beyond: FloatArray | float = 1.0
        if x.max(initial=0.0) >= self.end:
            beyond = np.maximum(x / self.end, 1.0) ** self.power
        bits = np.clip(x, self.start, self._inside).view(np.int64)
        rest = _FRACTION_BITS - self.bits
        node = (bits >> rest) - ((self.first + _BIAS) << self.bits)
        part = (bits & ((1 << rest) - 1)) * 2.0**-rest
        return node, np.asarray(part, dtype=np.float64), beyond
