r"""E2, the length-dependent scaling: how many tokens' worth of time T new tokens really take.

The linear part of the law is alpha_1 * T * s(T); each class here is one form of T * s(T), the
*effective tokens*, never falling in T.

    off      T
    floor    (T^k + n0^k)^(1/k)               short steps cost as much as n0 tokens (weights must
                                               be read, kernels launched); k = 1, 2, 4 or 8
    tile     floor of ceil(T / t) t            kernels pad to tiles of t tokens
    hill     T [1 + (r - 1) / (1 + (T/n_h)^2)] cost per token changes from r to 1 around n_h
    tilt     T (T / n_r)^eta                   |eta| <= 0.25, frozen outside the data
    spline   T exp(g(ln T))                    g piecewise linear, slope in [-1, 1], so that the
                                               local exponent of T lies in [0, 2]; constant beyond
                                               the last knot, flat in time below the first

All are normalised so that s -> 1 at long lengths: alpha_1 keeps its meaning, seconds per token.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import numpy as np

from lengthwise.units import FloatArray

FLAT_BELOW = {"prefill": 128.0, "mixed": 128.0, "decode": 1.0}
"""Below this many tokens (and below the data) a spline is flat in time: the step is bound by
reading weights and launching kernels."""


class Scaling(Protocol):
    """A form of effective tokens T * s(T; psi)."""

    name: ClassVar[str]

    @property
    def parameters(self) -> tuple[str, ...]:
        """Names of psi."""

    def starts(self) -> list[FloatArray]:
        """Give starting values of psi, one array of shape (size,) each."""

    def bounds(self) -> tuple[FloatArray, FloatArray]:
        """Lower and upper bounds of psi, shape (size,) each."""

    def prior(self, psi: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Prior as residuals in standard deviations, shape (m,), and their Jacobian (m, size)."""

    def tokens(self, t: FloatArray, psi: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Effective tokens, shape (n,), and d ln(tokens) / d psi, shape (n, size)."""

    def values(self, t: FloatArray, psi: FloatArray) -> FloatArray:
        """Effective tokens only, shape (n,): the fast path."""

    def scalar(self, t: float, psi: list[float]) -> float:
        """Effective tokens of one step, without arrays."""

    def settings(self) -> dict[str, Any]:
        """Give what is needed to build it again."""


@dataclass(frozen=True)
class Off:
    """s = 1.

    >>> Off().scalar(512.0, [])
    512.0
    """

    name: ClassVar[str] = "off"

    @property
    def parameters(self) -> tuple[str, ...]:
        """No parameters."""
        return ()

    def starts(self) -> list[FloatArray]:
        """One empty start."""
        return [np.empty(0)]

    def bounds(self) -> tuple[FloatArray, FloatArray]:
        """Nothing to bound."""
        return np.empty(0), np.empty(0)

    def prior(self, psi: FloatArray) -> tuple[FloatArray, FloatArray]:
        """No prior."""
        return np.empty(0), np.empty((0, 0))

    def tokens(self, t: FloatArray, psi: FloatArray) -> tuple[FloatArray, FloatArray]:
        """T itself."""
        return t, np.empty((len(t), 0))

    def values(self, t: FloatArray, psi: FloatArray) -> FloatArray:
        """T itself."""
        return t

    def scalar(self, t: float, psi: list[float]) -> float:
        """T itself."""
        return t

    def settings(self) -> dict[str, Any]:
        """Nothing to keep."""
        return {}


@dataclass(frozen=True)
class Floor:
    """Soft floor of n0 tokens with sharpness k, on tokens padded to tiles; psi = (ln n0,).

    >>> round(Floor(k=2).scalar(300.0, [math.log(400.0)]), 6)
    500.0
    >>> round(Floor(k=2, tile=128).scalar(129.0, [math.log(0.01)]), 6)
    256.0
    """

    k: int = 2
    tile: int = 1
    prior_tokens: float = 150.0
    prior_sd: float = 1.5
    name: ClassVar[str] = "floor"

    @property
    def parameters(self) -> tuple[str, ...]:
        """One: the floor in tokens, as a logarithm."""
        return ("ln_n0_tokens",)

    def starts(self) -> list[FloatArray]:
        """Start from a low and a high floor: the posterior can have two modes."""
        return [np.array([math.log(self.prior_tokens) + d]) for d in (-1.5, 1.0)]

    def bounds(self) -> tuple[FloatArray, FloatArray]:
        """Between a thousandth of a token and ten million tokens."""
        return np.array([math.log(1e-3)]), np.array([math.log(1e7)])

    def prior(self, psi: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Take ln n0 ~ N(ln prior_tokens, prior_sd^2)."""
        return (psi - math.log(self.prior_tokens)) / self.prior_sd, np.array([[1 / self.prior_sd]])

    def _padded(self, t: FloatArray) -> FloatArray:
        return np.ceil(t / self.tile) * self.tile if self.tile > 1 else t

    def tokens(self, t: FloatArray, psi: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Effective tokens and their log-derivative."""
        padded, n0 = self._padded(t), math.exp(psi[0])
        peak = np.maximum(padded, n0)  # factored out: T^8 overflows nothing
        low = (n0 / peak) ** self.k
        total = (padded / peak) ** self.k + low
        return peak * total ** (1 / self.k), (low / total)[:, None]

    def values(self, t: FloatArray, psi: FloatArray) -> FloatArray:
        """Effective tokens; k is a power of two, so squaring and square roots suffice."""
        padded, n0 = self._padded(t), math.exp(psi[0])
        doublings = self.k.bit_length() - 1
        total = padded * padded if doublings else padded + n0
        for _ in range(doublings - 1):
            np.multiply(total, total, out=total)  # 10^30 tokens to the eighth overflow nothing
        if doublings:
            total += n0**self.k
        for _ in range(doublings):
            np.sqrt(total, out=total)
        return np.asarray(total)

    def scalar(self, t: float, psi: list[float]) -> float:
        """Effective tokens of one step."""
        padded = math.ceil(t / self.tile) * self.tile if self.tile > 1 else t
        n0 = math.exp(psi[0])
        peak, small = (padded, n0) if padded > n0 else (n0, padded)
        return float(peak * (1.0 + (small / peak) ** self.k) ** (1 / self.k))

    def settings(self) -> dict[str, Any]:
        """Sharpness and tile."""
        return {"k": self.k, "tile": self.tile}


@dataclass(frozen=True)
class Hill:
    """Cost per token passes from r to 1 around n_h tokens; psi = (ln r, ln n_h).

    r <= 8 keeps T s(T) from falling: its slope is 1 - (r - 1)(x^2 - 1)/(1 + x^2)^2, x = T/n_h,
    whose minimum over x is 1 - (r - 1)/8.

    >>> Hill(low=100.0, high=10000.0).scalar(1000.0, [math.log(2.0), math.log(1000.0)])
    1500.0
    """

    low: float
    high: float
    name: ClassVar[str] = "hill"

    @property
    def parameters(self) -> tuple[str, ...]:
        """Ratio at short length and half-way point."""
        return ("ln_r", "ln_nh_tokens")

    def starts(self) -> list[FloatArray]:
        """Dearer or cheaper short steps, half-way in the middle of the data."""
        middle = 0.5 * (math.log(self.low) + math.log(self.high))
        return [np.array([0.5, middle]), np.array([-0.5, middle])]

    def bounds(self) -> tuple[FloatArray, FloatArray]:
        """Bound r to [0.1, 8] and n_h to the data."""
        return (
            np.array([math.log(0.1), math.log(self.low)]),
            np.array([math.log(8.0), math.log(self.high) + 1e-9]),
        )

    def prior(self, psi: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Take ln r ~ N(0, 1) and ln n_h centred on the data."""
        middle = 0.5 * (math.log(self.low) + math.log(self.high))
        spread = max(math.log(self.high / self.low) / 2, 0.1)
        return np.array([psi[0], (psi[1] - middle) / spread]), np.diag([1.0, 1 / spread])

    def tokens(self, t: FloatArray, psi: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Effective tokens and their log-derivative."""
        r, weight = math.exp(psi[0]), 1.0 / (1.0 + (t / math.exp(psi[1])) ** 2)
        s = 1.0 + (r - 1.0) * weight
        jacobian = np.column_stack([r * weight, (r - 1.0) * 2.0 * weight * (1.0 - weight)])
        return t * s, jacobian / s[:, None]

    def values(self, t: FloatArray, psi: FloatArray) -> FloatArray:
        """Effective tokens."""
        x = t / math.exp(psi[1])
        return t * (1.0 + (math.exp(psi[0]) - 1.0) / (1.0 + x * x))

    def scalar(self, t: float, psi: list[float]) -> float:
        """Effective tokens of one step."""
        x = t / math.exp(psi[1])
        return t * (1.0 + (math.exp(psi[0]) - 1.0) / (1.0 + x * x))

    def settings(self) -> dict[str, Any]:
        """Range of the half-way point."""
        return {"low": self.low, "high": self.high}


@dataclass(frozen=True)
class Tilt:
    """T (T / n_r)^eta inside [low, high], exponent frozen outside; psi = (eta,).

    >>> round(Tilt(low=100.0, high=10000.0).scalar(10000.0, [-0.1]), 1)
    7943.3
    """

    low: float
    high: float
    name: ClassVar[str] = "tilt"

    @property
    def parameters(self) -> tuple[str, ...]:
        """The exponent."""
        return ("eta",)

    def starts(self) -> list[FloatArray]:
        """No tilt."""
        return [np.zeros(1)]

    def bounds(self) -> tuple[FloatArray, FloatArray]:
        """Bound |eta| to 0.25."""
        return np.array([-0.25]), np.array([0.25])

    def prior(self, psi: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Eta ~ N(0, 0.1^2)."""
        return psi / 0.1, np.array([[10.0]])

    def _log_ratio(self, t: FloatArray) -> FloatArray:
        return np.asarray(np.log(np.clip(t, self.low, self.high) / math.sqrt(self.low * self.high)))

    def tokens(self, t: FloatArray, psi: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Effective tokens and their log-derivative."""
        ratio = self._log_ratio(t)
        return t * np.exp(psi[0] * ratio), ratio[:, None]

    def values(self, t: FloatArray, psi: FloatArray) -> FloatArray:
        """Effective tokens."""
        return np.asarray(t * np.exp(psi[0] * self._log_ratio(t)))

    def scalar(self, t: float, psi: list[float]) -> float:
        """Effective tokens of one step."""
        inside = min(max(t, self.low), self.high)
        return float(t * (inside / math.sqrt(self.low * self.high)) ** psi[0])

    def settings(self) -> dict[str, Any]:
        """Where it is frozen."""
        return {"low": self.low, "high": self.high}
