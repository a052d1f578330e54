"""Collectives between processors: all-reduce, all-gather, reduce-scatter, all-to-all.

    T = sum of c_j * phi_j(bytes),  never under  bytes * (gpus - 1) / gpus / link

A message of B bytes (the whole tensor) sends at least B (g - 1) / g bytes over each link
(a ring all-reduce twice that; a switch that adds up halves it again). Small messages cost a
latency, larger ones go through protocols of rising bandwidth: terms that saturate at some
kilobytes. Numbers of processors between those measured are mixed in log2; beyond them latency grows
with log2 of the number and bytes as (g - 1) / g; past a node the slower link carries them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from lengthwise.domain.hardware import HardwareSpec
from lengthwise.errors import InputError
from lengthwise.formulations.operators.terms import Array

KINDS = ("all_reduce", "all_gather", "reduce_scatter", "alltoall")
SWITCHED = 100e9
"""Bytes per second from which links go through a switch, not through the host."""
HOP_SECONDS = 5e-6
"""Latency added for each doubling of the nodes: an assumption, no table crosses nodes."""


@dataclass(frozen=True)
class Links:
    """Bytes per second of one processor in one direction, inside and between nodes.

    >>> card = HardwareSpec("c", "gpu", 2e12, 8e10, {"bf16": 3e14}, gpus_per_node=8)
    >>> Links.of(card).gpus_per_node
    8
    """

    inside: float
    between: float
    gpus_per_node: int

    @classmethod
    def of(cls, hardware: HardwareSpec) -> Links:
        """Take the links of a catalogue entry."""
        return cls(hardware.link_bytes_per_s, hardware.internode_bytes_per_s,
                   hardware.gpus_per_node)  # fmt: skip


COLLECTIVE_TERMS: dict[str, Callable[[Array, float], Array]] = {
    "launch": lambda b, _: np.ones_like(b),
    "to_4k": lambda b, _: 1e-6 * b / (b + 4096.0),
    "to_32k": lambda b, _: 1e-6 * b / (b + 32768.0),
    "to_256k": lambda b, _: 1e-6 * b / (b + 262144.0),
    "to_2m": lambda b, _: 1e-6 * b / (b + 2097152.0),
    "to_16m": lambda b, _: 1e-6 * b / (b + 16777216.0),
    "to_128m": lambda b, _: 1e-6 * b / (b + 134217728.0),
    "root": lambda b, link: np.sqrt(1e-6 * b / link),
    "above_8k": lambda b, link: np.maximum(b - 8192.0, 0.0) / link,
    "above_64k": lambda b, link: np.maximum(b - 65536.0, 0.0) / link,
    "above_1m": lambda b, link: np.maximum(b - 1048576.0, 0.0) / link,
    "above_16m": lambda b, link: np.maximum(b - 16777216.0, 0.0) / link,
    "bytes": lambda b, link: b / link,
}
"""Terms of bytes on the wire and the link's bandwidth, seconds."""


@dataclass(frozen=True)
class CollectiveCurve:
    """One kind of collective of one library.

    Attributes
    ----------
    kind
        One of ``KINDS``.
    links
        What connects the processors.
    cells
        Coefficients by number of processors.
    unswitched
        The same for processors that only the host connects (links below ``SWITCHED``); empty where
        the curve was fitted on one kind of links.

    Examples
    --------
    >>> curve = CollectiveCurve(
    ...     "all_reduce", Links(450e9, 50e9, 8), {8: {"launch": 1e-5, "bytes": 1.2}})
    >>> round(1e6 * float(curve.seconds(64e6, 8)[0]), 1)
    159.3
    >>> round(1e6 * float(curve.seconds(64e6, 16)[0]), 1)
    324.3
    """

    kind: str
    links: Links
    cells: Mapping[int, Mapping[str, float]]
    unswitched: Mapping[int, Mapping[str, float]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise InputError(f"collectives are {', '.join(KINDS)}", got=repr(self.kind))

    def seconds(self, message_bytes: ArrayLike, gpus: ArrayLike) -> Array:
        """Predict one collective, seconds, shape (n,).

        Parameters
        ----------
        message_bytes
            The whole tensor: of each processor for all_reduce, gathered for all_gather, before
            the scatter for reduce_scatter, of one processor for alltoall.
        gpus
            Processors that take part; 1: nothing to do, 0 seconds.
        """
        size, count = np.broadcast_arrays(
            np.atleast_1d(np.asarray(message_bytes, dtype=np.float64)), np.asarray(gpus)
        )
        if np.any(size < 0) or np.any(count < 1):
            raise InputError("a message has 0 bytes or more, and goes to 1 processor or more",
                             got=f"{size.min()} bytes, {count.min()} processors")  # fmt: skip
        out = np.zeros(size.shape)
        for number in np.unique(count):
            if number > 1:
                out[count == number] = self._group(size[count == number], int(number))
        return out

    def _group(self, size: Array, gpus: int) -> Array:
        inside = min(gpus, self.links.gpus_per_node)
        here = self._node(size, inside)
        if gpus <= self.links.gpus_per_node:
            return here
        nodes = gpus / inside
        twice = 2.0 if self.kind == "all_reduce" else 1.0
        share = 1.0 if self.kind == "alltoall" else 1.0 / inside
        wire = twice * size * share * (nodes - 1.0) / nodes / self.links.between
        return here + wire + HOP_SECONDS * math.log2(nodes)

    def _node(self, size: Array, gpus: int) -> Array:
        known = sorted(self._cells)
        above = next((k for k in known if k >= gpus), known[-1])
        below = next((k for k in reversed(known) if k <= gpus), known[0])
        if above == below or above < gpus or below > gpus:
            return self._scaled(size, gpus, above if above < gpus or above == below else below)
        share = math.log2(gpus / below) / math.log2(above / below)
        mixed = (1 - share) * self._scaled(size, below, below)
        mixed += share * self._scaled(size, above, above)
        return np.maximum(mixed, self.floor(size, gpus))

    def _scaled(self, size: Array, gpus: int, cell: int) -> Array:
        """Take a cell for another number of processors than it was fitted at."""
        wire = size * ((gpus - 1) / gpus)
        longer = max(math.log2(gpus), 1.0) / max(math.log2(cell), 1.0)
        parts = np.zeros(size.shape)
        for name, value in self._cells[cell].items():
            late = name == "launch" or name.startswith("to_")
            parts += value * (longer if late else 1.0) * COLLECTIVE_TERMS[name](
                wire, self.links.inside
            )  # fmt: skip
        return np.maximum(parts, self.floor(size, gpus))

    @property
    def _cells(self) -> Mapping[int, Mapping[str, float]]:
        slow = self.links.inside < SWITCHED and self.unswitched
        return self.unswitched if slow else self.cells

    def floor(self, size: Array, gpus: int) -> Array:
        """Seconds that the link allows at best, with a switch that adds up."""
        return np.asarray(size * ((gpus - 1) / gpus) / self.links.inside)

    def on(self, links: Links) -> CollectiveCurve:
        """Put the same coefficients on other links."""
        return replace(self, links=links)

    def to_dict(self) -> dict[str, Any]:
        """Write plain JSON."""
        links = {"inside": self.links.inside, "between": self.links.between,
                 "gpus_per_node": self.links.gpus_per_node}  # fmt: skip
        record = {"kind": self.kind, "links": links, "cells": _written(self.cells)}
        return record | ({"unswitched": _written(self.unswitched)} if self.unswitched else {})

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> CollectiveCurve:
        """Read :meth:`to_dict` back."""
        return cls(
            str(record["kind"]), Links(**record["links"]), _read(record["cells"]),
            _read(record.get("unswitched", {})),
        )  # fmt: skip


def _written(cells: Mapping[int, Mapping[str, float]]) -> dict[str, dict[str, float]]:
    return {str(k): {n: float(f"{v:.4g}") for n, v in c.items()} for k, c in cells.items()}


def _read(cells: Mapping[str, Mapping[str, float]]) -> dict[int, dict[str, float]]:
    return {int(k): {str(n): float(v) for n, v in c.items()} for k, c in cells.items()}
