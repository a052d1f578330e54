"""Prefill of latent attention (MLA): keys and values are expanded, every head has its own.

    FLOP = 2 * (plain_dim + rope_dim + value_dim) * heads * pairs

The terms are those of ``prefill_terms`` with ``heads`` key-value heads. Tables of a whole module
also hold its projections; they have terms of their own and are left out of the answer unless asked.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from lengthwise.formulations.operators.calls import rows
from lengthwise.formulations.operators.cell import Cell
from lengthwise.formulations.operators.device import Device
from lengthwise.formulations.operators.latent_sizes import (
    DEEPSEEK,
    PROJECTION_TERMS,
    LatentDims,
    Projections,
)
from lengthwise.formulations.operators.prefill_terms import (
    PREFILL_TERMS,
    PrefillSizes,
    prefill_seconds,
)
from lengthwise.formulations.operators.terms import Array

KIND = "latent"


@dataclass(frozen=True)
class LatentPrefillCurve:
    """Latent attention over the new tokens of a step.

    Attributes
    ----------
    device
        Ceilings, for the format attention computes in.
    value_bytes, kv_value_bytes
        Bytes of one query or output value, and of one cached value.
    cell
        Coefficients of attention.
    projections
        Coefficients of the module's projections; empty where the table held attention alone.
    dims
        Sizes of the heads in the table.

    Examples
    --------
    >>> curve = LatentPrefillCurve(
    ...     Device(1e15, 3e12), 2.0, 2.0, Cell("latent", 192, {"launch": 1e-5, "pairs": 2.0}))
    >>> round(1e3 * float(curve.seconds(1, 8192, 8192, 128)[0]), 3)
    5.508
    """

    device: Device
    value_bytes: float
    kv_value_bytes: float
    cell: Cell
    projections: Mapping[str, float] | None = None
    dims: LatentDims = DEEPSEEK

    def __post_init__(self) -> None:
        self.cell.check(PREFILL_TERMS)

    def seconds(
        self, sequences: ArrayLike, query_len: ArrayLike, context_len: ArrayLike,
        heads: ArrayLike, *, dims: LatentDims | None = None, warm: bool = True,
        projections: bool = False,
    ) -> Array:  # fmt: skip
        """Predict one layer's attention, seconds, shape (n,).

        Parameters
        ----------
        sequences, query_len
            Sequences in the call and new tokens of each.
        context_len
            Tokens visible to the last query, the new ones included.
        heads
            Of this processor, after the split.
        dims
            Sizes of the model's heads; None: those of the table.
        warm
            True: operands smaller than the cache are in it, as the projections before leave them.
        projections
            True: with the module's projections, where the table held them.
        """
        sizes = self.sizes(sequences, query_len, context_len, heads, dims=dims, warm=warm)
        found = prefill_seconds(self.cell, sizes)
        if projections and self.projections:
            found = found + Cell(KIND, 0, self.projections).total(
                PROJECTION_TERMS, self.matrices(sequences, query_len, heads, dims=dims)
            )
        return found

    def sizes(
        self, sequences: ArrayLike, query_len: ArrayLike, context_len: ArrayLike,
        heads: ArrayLike, *, dims: LatentDims | None = None, warm: bool = True,
    ) -> PrefillSizes:  # fmt: skip
        """Give the sizes that the terms see of the calls :meth:`seconds` takes."""
        n, q, c, h, w = rows(sequences, query_len, context_len, heads, None)
        per = dims or self.dims
        both = float(per.plain_dim + per.rope_dim + per.value_dim)
        one = np.ones_like(n)
        return PrefillSizes(
            self.device, n, q, np.maximum(c, q), h, h, 2.0 * both * one,
            both * self.value_bytes * one, both * self.value_bytes * one, w,
            self.device.cache_bytes if warm else 0.0,
        )  # fmt: skip

    def matrices(
        self, sequences: ArrayLike, query_len: ArrayLike, heads: ArrayLike, *,
        dims: LatentDims | None = None,
    ) -> Projections:  # fmt: skip
        """Give the sizes that the terms of the projections see."""
        n, q, h, _ = rows(sequences, query_len, heads, None)
        return Projections(self.device, n * q, h, dims or self.dims, self.value_bytes)

    def on(self, device: Device) -> LatentPrefillCurve:
        """Put the same coefficients on another processor."""
        return replace(self, device=device)

    def to_dict(self) -> dict[str, Any]:
        """Write plain JSON."""
        return {
            "device": self.device.to_dict(), "value_bytes": self.value_bytes,
            "kv_value_bytes": self.kv_value_bytes, "cell": self.cell.to_dict(),
            "projections": Cell(KIND, 0, self.projections or {}).to_dict()["coefficients"],
            "dims": self.dims.to_dict(),
        }  # fmt: skip

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> LatentPrefillCurve:
        """Read :meth:`to_dict` back."""
        return cls(
            Device.from_dict(record["device"]), float(record["value_bytes"]),
            float(record["kv_value_bytes"]), Cell.from_dict(record["cell"]),
            {k: float(v) for k, v in record["projections"].items()} or None,
            LatentDims(**record["dims"]),
        )  # fmt: skip
