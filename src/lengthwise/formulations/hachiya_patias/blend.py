r"""E2 as a blend of floors: what an average over laws with and without a floor is.

    T s(T) = v_0 T + sum_i v_i (T^k_i + n_i^k_i)^(1/k_i),   v_0 + sum v_i = 1

with psi = (ln of a common factor on every n_i). At long lengths s -> 1 as with a single floor.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from lengthwise.formulations.hachiya_patias.scaling import Floor
from lengthwise.units import FloatArray


@dataclass(frozen=True)
class Blend:
    """Weighted floors beside plain tokens; psi = (ln of a factor on all floors,).

    Attributes
    ----------
    shares
        Weight v_i of each floor; what they lack to 1 is v_0.
    sharpness
        k_i of each floor, a power of two.
    tokens_each
        n_i of each floor, tokens.

    Examples
    --------
    >>> blend = Blend(shares=(0.5,), sharpness=(2,), tokens_each=(400.0,))
    >>> blend.scalar(300.0, [0.0])
    400.0
    """

    shares: tuple[float, ...]
    sharpness: tuple[int, ...]
    tokens_each: tuple[float, ...]
    name: ClassVar[str] = "blend"

    @property
    def parameters(self) -> tuple[str, ...]:
        """One: the common factor, as a logarithm."""
        return ("ln_floor_factor",)

    def starts(self) -> list[FloatArray]:
        """No change."""
        return [np.zeros(1)]

    def bounds(self) -> tuple[FloatArray, FloatArray]:
        """Bound the factor to a thousandth and a thousand."""
        return np.array([math.log(1e-3)]), np.array([math.log(1e3)])

    def prior(self, psi: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Take ln factor ~ N(0, 1.5^2)."""
        return psi / 1.5, np.array([[1.0 / 1.5]])

    def _floors(self, factor: float) -> list[tuple[float, Floor, FloatArray]]:
        return [
            (v, Floor(k), np.array([math.log(n * factor)]))
            for v, k, n in zip(self.shares, self.sharpness, self.tokens_each, strict=True)
        ]

    def tokens(self, t: FloatArray, psi: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Effective tokens and their log-derivative."""
        total = (1.0 - sum(self.shares)) * t
        moved = np.zeros_like(total)
        for share, floor, own in self._floors(math.exp(psi[0])):
            value, slope = floor.tokens(t, own)
            total = total + share * value
            moved = moved + share * value * slope[:, 0]
        return total, (moved / total)[:, None]

    def values(self, t: FloatArray, psi: FloatArray) -> FloatArray:
        """Effective tokens."""
        total = (1.0 - sum(self.shares)) * t
        for share, floor, own in self._floors(math.exp(psi[0])):
            value = floor.values(t, own)
            value *= share
            total += value
        return np.asarray(total)

    def scalar(self, t: float, psi: list[float]) -> float:
        """Effective tokens of one step."""
        factor, total, plain = math.exp(psi[0]), 0.0, 1.0
        for share, k, n in zip(self.shares, self.sharpness, self.tokens_each, strict=True):
            n0 = n * factor
            peak, small = (t, n0) if t > n0 else (n0, t)
            total += share * peak * (1.0 + (small / peak) ** k) ** (1 / k)
            plain -= share
        return total + plain * t

    def settings(self) -> dict[str, Any]:
        """Shares, sharpness and tokens of the floors."""
        return {"shares": self.shares, "k": self.sharpness, "tokens": self.tokens_each}
