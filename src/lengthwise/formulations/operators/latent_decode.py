"""Decode of latent attention (MLA): all heads read one shared cache of kv_rank + rope_dim values.

    bytes = sequences * context * (kv_rank + rope_dim) * bytes per value
    FLOP  = 2 * (kv_rank + rope_dim + kv_rank) * heads * sequences * context

The terms are those of ``decode_terms`` with one item of keys per sequence. Kernels work on tiles of
64 heads: fewer heads on a processor save little.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from lengthwise.formulations.operators.calls import rows
from lengthwise.formulations.operators.cell import Cell
from lengthwise.formulations.operators.decode_terms import DECODE_TERMS, DecodeSizes, decode_seconds
from lengthwise.formulations.operators.device import Device
from lengthwise.formulations.operators.latent_sizes import (
    DEEPSEEK,
    PROJECTION_TERMS,
    LatentDims,
    Projections,
)
from lengthwise.formulations.operators.terms import Array

KIND = "latent"


@dataclass(frozen=True)
class LatentDecodeCurve:
    """Latent attention of one token per sequence over its cache.

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
    >>> curve = LatentDecodeCurve(
    ...     Device(1e15, 3e12), 2.0, 2.0, Cell("latent", 576, {"launch": 1e-5, "bytes": 1.5}))
    >>> round(1e6 * float(curve.seconds(64, 8192, 128)[0]), 1)
    312.0
    """

    device: Device
    value_bytes: float
    kv_value_bytes: float
    cell: Cell
    projections: Mapping[str, float] | None = None
    dims: LatentDims = DEEPSEEK

    def __post_init__(self) -> None:
        self.cell.check(DECODE_TERMS)

    def seconds(
        self, sequences: ArrayLike, context_len: ArrayLike, heads: ArrayLike, *,
        dims: LatentDims | None = None, warm: bool = False, projections: bool = False,
    ) -> Array:  # fmt: skip
        """Predict one layer's attention, seconds, shape (n,).

        Parameters
        ----------
        sequences
            Sequences that decode one token each.
        context_len
            Tokens visible to that token, itself included.
        heads
            Of this processor, after the split.
        dims
            Sizes of the model's heads; None: those of the table.
        warm
            True: a cache of keys smaller than the processor's cache is still in it.
        projections
            True: with the module's projections, where the table held them.
        """
        sizes = self.sizes(sequences, context_len, heads, dims=dims, warm=warm)
        found = decode_seconds(self.cell, sizes)
        if projections and self.projections:
            found = found + Cell(KIND, 0, self.projections).total(
                PROJECTION_TERMS, self.matrices(sequences, heads, dims=dims)
            )
        return found

    def sizes(
        self, sequences: ArrayLike, context_len: ArrayLike, heads: ArrayLike, *,
        dims: LatentDims | None = None, warm: bool = False,
    ) -> DecodeSizes:  # fmt: skip
        """Give the sizes that the terms see of the calls :meth:`seconds` takes."""
        n, c, h, _ = rows(sequences, context_len, heads, None)
        per = dims or self.dims
        one = np.ones_like(n)
        values = float(per.cached + per.kv_rank)
        everything = np.full_like(n, np.inf)
        return DecodeSizes(
            self.device, n, c, everything, h, one, 2.0 * values * one,
            per.cached * self.kv_value_bytes * one, values * self.value_bytes * one,
            self.device.cache_bytes if warm else 0.0,
        )  # fmt: skip

    def matrices(
        self, sequences: ArrayLike, heads: ArrayLike, *, dims: LatentDims | None = None
    ) -> Projections:
        """Give the sizes that the terms of the projections see."""
        n, h, _ = rows(sequences, heads, None)
        return Projections(self.device, n, h, dims or self.dims, self.value_bytes)

    def on(self, device: Device) -> LatentDecodeCurve:
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
    def from_dict(cls, record: Mapping[str, Any]) -> LatentDecodeCurve:
        """Read :meth:`to_dict` back."""
        return cls(
            Device.from_dict(record["device"]), float(record["value_bytes"]),
            float(record["kv_value_bytes"]), Cell.from_dict(record["cell"]),
            {k: float(v) for k, v in record["projections"].items()} or None,
            LatentDims(**record["dims"]),
        )  # fmt: skip
