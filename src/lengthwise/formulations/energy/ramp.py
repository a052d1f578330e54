"""Power that rises from one level to another, and the energy under it.

    P(t) = P_inf - dP e^(-t / tau)
    E(T) = P_inf T - dP tau (1 - e^(-T / tau))

A small processor reaches its steady decode power only after a second or two, so short answers draw
less power on average. Source: EdgeReasoning, github.com/edge-inference/edgereasoning.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np

from lengthwise.errors import InputError
from lengthwise.units import FloatArray


@dataclass(frozen=True)
class PowerRamp:
    """Power in watts after the start of a phase.

    Attributes
    ----------
    steady_w
        Power that is approached, P_inf.
    deficit_w
        How far below it the phase starts, dP; from 0 to ``steady_w``.
    time_constant_s
        Seconds in which e^-1 of the deficit is left, tau.

    Examples
    --------
    >>> ramp = PowerRamp(steady_w=28.06, deficit_w=24.9, time_constant_s=1.49)
    >>> ramp.watts([0.0, 1.49, 60.0]).round(2).tolist(), float(ramp.joules(10.0).round(1))
    ([3.16, 18.9, 28.06], 243.5)
    """

    steady_w: float
    deficit_w: float
    time_constant_s: float

    def __post_init__(self) -> None:
        good = (
            all(np.isfinite(value) for value in asdict(self).values())
            and self.steady_w > 0
            and 0 <= self.deficit_w <= self.steady_w
            and self.time_constant_s > 0
        )
        if not good:
            raise InputError(
                "a ramp starts between 0 W and its steady power",
                got=str(asdict(self)),
                remedy="0 <= deficit_w <= steady_w and time_constant_s > 0",
            )

    def watts(self, seconds: Any) -> FloatArray:
        """Power after so many seconds, W."""
        return np.asarray(self.steady_w - self.deficit_w * self._left(seconds))

    def joules(self, seconds: Any) -> FloatArray:
        """Energy of the first so many seconds, J."""
        t = np.asarray(seconds, float)
        missing = self.deficit_w * self.time_constant_s * (1.0 - self._left(t))
        return np.asarray(self.steady_w * t - missing)

    def mean_watts(self, seconds: Any) -> FloatArray:
        """Mean power over the first so many seconds, W."""
        t = np.maximum(np.asarray(seconds, float), 1e-9 * self.time_constant_s)
        return np.asarray(self.joules(t) / t)

    def _left(self, seconds: Any) -> FloatArray:
        t = np.asarray(seconds, float)
        if not np.all(t >= 0):
            raise InputError("a phase lasts 0 seconds or more", got=str(np.min(t)))
        return np.exp(-t / self.time_constant_s)

    def to_dict(self) -> dict[str, float]:
        """Give plain values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, float]) -> Self:
        """Read plain values."""
        return cls(**{name: float(value) for name, value in values.items()})
