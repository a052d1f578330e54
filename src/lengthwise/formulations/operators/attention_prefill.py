"""Prefill attention of one layer on one processor.

    T = sum of c_j * phi_j,  never under max(FLOP / peak, bytes past the cache / bandwidth)

with the terms of ``prefill_terms``: launch, pairs, tile padding, the longest block, bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from lengthwise.formulations.operators.calls import known_kind, mixed, rows
from lengthwise.formulations.operators.cell import Cell
from lengthwise.formulations.operators.device import Device
from lengthwise.formulations.operators.kinds import KINDS, kind_of
from lengthwise.formulations.operators.prefill_terms import (
    PREFILL_TERMS,
    PrefillSizes,
    prefill_seconds,
)
from lengthwise.formulations.operators.terms import Array


@dataclass(frozen=True)
class PrefillAttentionCurve:
    """Softmax attention over the new tokens of a step.

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
    >>> device = Device(1e15, 3e12)
    >>> curve = PrefillAttentionCurve(device, 2.0, 2.0, (
    ...     Cell("shared", 128, {"launch": 1e-5, "pairs": 2.0}),))
    >>> round(1e3 * float(curve.seconds(1, 8192, 8192, 32, 8, 128)[0]), 3)
    1.11
    """

    device: Device
    value_bytes: float
    kv_value_bytes: float
    cells: tuple[Cell, ...]

    def __post_init__(self) -> None:
        for cell in self.cells:
            cell.check(PREFILL_TERMS)

    def seconds(
        self, sequences: ArrayLike, query_len: ArrayLike, context_len: ArrayLike, heads: ArrayLike,
        kv_heads: ArrayLike, head_dim: ArrayLike, window: ArrayLike | None = None, *,
        warm: bool = True,
    ) -> Array:  # fmt: skip
        """Predict one layer's attention, seconds, shape (n,).

        Parameters
        ----------
        sequences, query_len
            Sequences in the call and new tokens of each.
        context_len
            Tokens visible to the last query, the new ones included.
        heads, kv_heads, head_dim
            Of this processor, after the split.
        window
            Tokens a query sees at most; None or 0: all.
        warm
            True: operands smaller than the cache are in it, as the projections before leave them
            and as a kernel benchmark has them that repeats one call.
        """
        call = rows(sequences, query_len, context_len, heads, kv_heads, head_dim, window)
        kind = known_kind(self.cells, kind_of(call[3], call[4], call[6], wide=False), call[6])
        return mixed(self.cells, KINDS, (kind, call[5], call[6]), lambda cell, at: prefill_seconds(
            cell, self.sizes(*(a[at] for a in call), warm=warm)))  # fmt: skip

    def sizes(
        self, sequences: ArrayLike, query_len: ArrayLike, context_len: ArrayLike, heads: ArrayLike,
        kv_heads: ArrayLike, head_dim: ArrayLike, window: ArrayLike | None = None, *,
        warm: bool = False,
    ) -> PrefillSizes:  # fmt: skip
        """Give the sizes that the terms see of the calls :meth:`seconds` takes."""
        n, q, c, h, kv, d, w = rows(
            sequences, query_len, context_len, heads, kv_heads, head_dim, window
        )
        return PrefillSizes(
            self.device, n, q, np.maximum(c, q), h, kv, 4.0 * d, 2.0 * d * self.value_bytes,
            2.0 * d * self.kv_value_bytes, w, self.device.cache_bytes if warm else 0.0,
        )  # fmt: skip

    def on(self, device: Device) -> PrefillAttentionCurve:
        """Put the same coefficients on another processor."""
        return replace(self, device=device)

    def to_dict(self) -> dict[str, Any]:
        """Write plain JSON."""
        return {
            "device": self.device.to_dict(), "value_bytes": self.value_bytes,
            "kv_value_bytes": self.kv_value_bytes, "cells": [c.to_dict() for c in self.cells],
        }  # fmt: skip

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> PrefillAttentionCurve:
        """Read :meth:`to_dict` back."""
        return cls(
            Device.from_dict(record["device"]), float(record["value_bytes"]),
            float(record["kv_value_bytes"]), tuple(Cell.from_dict(c) for c in record["cells"]),
        )  # fmt: skip
