"""Sizes of latent attention (MLA), and the terms of a whole module's projections."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass

import numpy as np

from lengthwise.formulations.operators.device import Device
from lengthwise.formulations.operators.terms import Array, either


@dataclass(frozen=True)
class LatentDims:
    """Sizes per head and ranks; those of DeepSeek-V3 unless said otherwise.

    Attributes
    ----------
    plain_dim, rope_dim, value_dim
        Values per head of keys without and with position, and of values.
    q_rank, kv_rank
        Ranks of the compressed queries, and of the cache shared by all heads.
    hidden
        Width of the model.

    Examples
    --------
    >>> LatentDims().cached
    576
    """

    plain_dim: int = 128
    rope_dim: int = 64
    value_dim: int = 128
    q_rank: int = 1536
    kv_rank: int = 512
    hidden: int = 7168

    @property
    def cached(self) -> int:
        """Values cached per token, for all heads."""
        return self.kv_rank + self.rope_dim

    def to_dict(self) -> dict[str, int]:
        """Write plain JSON."""
        return asdict(self)


DEEPSEEK = LatentDims()
"""Sizes of DeepSeek-V3, which the kernel tables were measured with."""


@dataclass(frozen=True)
class Projections:
    """The matrices around latent attention, for ``tokens`` rows, arrays of shape (n,)."""

    device: Device
    tokens: Array
    heads: Array
    dims: LatentDims
    weight_bytes: float

    @property
    def weights(self) -> Array:
        """Numbers in the matrices: down-projections, and those of the heads on this processor."""
        d = self.dims
        down = d.hidden * (d.q_rank + d.cached)
        head = d.q_rank * (d.plain_dim + d.rope_dim) + d.hidden * d.value_dim
        return down + self.heads * (head + d.kv_rank * (d.plain_dim + d.value_dim))

    @property
    def arithmetic(self) -> Array:
        """Seconds of the products at peak."""
        return 2.0 * self.weights * self.tokens / self.device.peak_flops

    @property
    def memory(self) -> Array:
        """Seconds to read the matrices at memory speed."""
        return self.weights * self.weight_bytes / self.device.bandwidth


PROJECTION_TERMS: dict[str, Callable[[Projections], Array]] = {
    "weights": lambda s: s.memory,
    "products": lambda s: s.arithmetic,
    "product_or_weights": lambda s: either(s.memory, s.arithmetic, 6),
    "product_or_weights_half": lambda s: either(s.memory, 2.0 * s.arithmetic, 6),
    "rows": lambda s: 1e-9 * s.tokens,
    "rows_root": lambda s: 1e-6 * np.sqrt(s.tokens),
    "rows_heads": lambda s: 1e-9 * s.tokens * s.heads,
}
"""Terms in seconds of what a module does around attention."""
