"""Decode attention of one layer on one processor: one new token for every sequence.

    T = sum of c_j * phi_j,  never under max(FLOP / peak, bytes past the cache / bandwidth)

with the terms of ``decode_terms``. Kernels differ when query heads share keys and values (GQA) and
when they do not (MHA); very wide groups fall back on a slower kernel. Each has its own cells.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from numpy.typing import ArrayLike

from lengthwise.formulations.operators.calls import known_kind, mixed, rows
from lengthwise.formulations.operators.cell import Cell
from lengthwise.formulations.operators.decode_terms import DECODE_TERMS, DecodeSizes, decode_seconds
from lengthwise.formulations.operators.device import Device
from lengthwise.formulations.operators.kinds import KINDS, kind_of
from lengthwise.formulations.operators.terms import Array


@dataclass(frozen=True)
class DecodeAttentionCurve:
    """Softmax attention of one token per sequence over its cached keys and values.

    Attributes
    ----------
    device
        Ceilings, for the format attention computes in.
    value_bytes, kv_value_bytes
        Bytes of one query or output value, and of one cached value.
    cells
        Coefficients by head size and kind of call.

    Examples
    --------
    >>> curve = DecodeAttentionCurve(Device(1e15, 3e12), 2.0, 2.0, (
    ...     Cell("shared", 128, {"launch": 1e-5, "bytes": 1.2}),))
    >>> round(1e6 * float(curve.seconds(16, 8192, 32, 8, 128)[0]), 1)
    224.7
    """

    device: Device
    value_bytes: float
    kv_value_bytes: float
    cells: tuple[Cell, ...]

    def __post_init__(self) -> None:
        for cell in self.cells:
            cell.check(DECODE_TERMS)

    def seconds(
        self, sequences: ArrayLike, context_len: ArrayLike, heads: ArrayLike, kv_heads: ArrayLike,
        head_dim: ArrayLike, window: ArrayLike | None = None, *, warm: bool = False,
    ) -> Array:  # fmt: skip
        """Predict one layer's attention, seconds, shape (n,).

        Parameters
        ----------
        sequences
            Sequences that decode one token each.
        context_len
            Tokens visible to that token, itself included.
        heads, kv_heads, head_dim
            Of this processor, after the split.
        window
            Tokens a query sees at most; None or 0: all.
        warm
            True: keys and values smaller than the cache are still in it, as in a kernel benchmark
            that repeats one call. In a model other layers have passed since.
        """
        call = rows(sequences, context_len, heads, kv_heads, head_dim, window)
        kind = known_kind(self.cells, kind_of(call[2], call[3], call[5]), call[5])
        return mixed(self.cells, KINDS, (kind, call[4], call[5]), lambda cell, at: decode_seconds(
            cell, self.sizes(*(a[at] for a in call), warm=warm)))  # fmt: skip

    def sizes(
        self, sequences: ArrayLike, context_len: ArrayLike, heads: ArrayLike, kv_heads: ArrayLike,
        head_dim: ArrayLike, window: ArrayLike | None = None, *, warm: bool = False,
    ) -> DecodeSizes:  # fmt: skip
        """Give the sizes that the terms see of the calls :meth:`seconds` takes."""
        n, c, h, kv, d, w = rows(sequences, context_len, heads, kv_heads, head_dim, window)
        return DecodeSizes(
            self.device, n, c, w, h, kv, 4.0 * d, 2.0 * d * self.kv_value_bytes,
            2.0 * d * self.value_bytes, self.device.cache_bytes if warm else 0.0,
        )  # fmt: skip

    def on(self, device: Device) -> DecodeAttentionCurve:
        """Put the same coefficients on another processor."""
        return replace(self, device=device)

    def to_dict(self) -> dict[str, Any]:
        """Write plain JSON."""
        return {
            "device": self.device.to_dict(), "value_bytes": self.value_bytes,
            "kv_value_bytes": self.kv_value_bytes, "cells": [c.to_dict() for c in self.cells],
        }  # fmt: skip

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> DecodeAttentionCurve:
        """Read :meth:`to_dict` back."""
        return cls(
            Device.from_dict(record["device"]), float(record["value_bytes"]),
            float(record["kv_value_bytes"]), tuple(Cell.from_dict(c) for c in record["cells"]),
        )  # fmt: skip
