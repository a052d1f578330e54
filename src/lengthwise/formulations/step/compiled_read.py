"""Reading tables between nodes: numbers at single places, or arrays at arrays of them.

A place is a node, the part of the way to the next one, and a growth beyond the table, as
``compiled_axis`` gives them. Both ways do the same arithmetic and agree to the last bit.
"""

from __future__ import annotations

from typing import Any

from lengthwise.formulations.step.compiled_tables import CHUNKS, PREFIX

_ROW = len(CHUNKS)
_SLAB = len(PREFIX) * _ROW


def line(table: Any, i: Any, x: Any, beyond: Any) -> Any:
    """Read a table of one axis; at one place, or an array at arrays of places."""
    low = table[i]
    return (low + x * (table[i + 1] - low)) * beyond


def plane(table: Any, row: int, first: Any, second: Any) -> Any:
    """Read a table of two axes, ``row`` nodes on the second."""
    i, x, beyond = first
    j, y, further = second
    at = i * row + j
    low, high = table[at], table[at + row]
    low = low + y * (table[at + 1] - low)
    high = high + y * (table[at + row + 1] - high)
    return (low + x * (high - low)) * (beyond * further)


def space(table: Any, first: Any, second: Any, third: Any) -> Any:
    """Read the table of prompts: new tokens, prefix, chunks."""
    i, x, beyond = first
    j, y, further = second
    k, z, last = third
    at = i * _SLAB + j * _ROW + k
    low = _face(table, at, y, z)
    high = _face(table, at + _SLAB, y, z)
    return (low + x * (high - low)) * (beyond * further * last)


def _face(table: Any, at: Any, y: Any, z: Any) -> Any:
    low, high = table[at], table[at + _ROW]
    low = low + z * (table[at + 1] - low)
    high = high + z * (table[at + _ROW + 1] - high)
    return low + y * (high - low)
