"""Mean power of a prefill as a function of the prompt's length.

    P = low                                    n < start
    P = max(low, slope * ln n + offset)        n >= start

Short prompts leave a small processor near its idle power: they end before its clocks and its power
meter follow. EdgeReasoning uses the same form with ``start`` = 800 for its larger models and a
line for the smallest (github.com/edge-inference/edgereasoning).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np

from lengthwise.errors import InputError
from lengthwise.units import FloatArray


@dataclass(frozen=True)
class PrefillPower:
    """Mean watts while a prompt is processed.

    Attributes
    ----------
    low_w
        Power of short prompts, W.
    start
        Prompt length from which power rises, tokens.
    slope_w, offset_w
        Power beyond: W per e-fold of the length, and W at one token.

    Examples
    --------
    >>> law = PrefillPower(low_w=5.66, start=800, slope_w=9.34, offset_w=-52.2)
    >>> law.watts([128, 799, 1024, 4096]).round(1).tolist()
    [5.7, 5.7, 12.5, 25.5]
    """

    low_w: float
    start: float
    slope_w: float = 0.0
    offset_w: float = 0.0

    def __post_init__(self) -> None:
        if not (self.low_w > 0 and self.slope_w >= 0 and self.start >= 0):
            raise InputError("power is positive and does not fall with length",
                             got=str(asdict(self)))  # fmt: skip

    def watts(self, tokens: Any) -> FloatArray:
        """Mean power of prompts of so many tokens, W."""
        n = np.maximum(np.asarray(tokens, float), 1.0)
        risen = np.maximum(self.low_w, self.slope_w * np.log(n) + self.offset_w)
        return np.where(n >= self.start, risen, self.low_w)

    def to_dict(self) -> dict[str, float]:
        """Give plain values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, float]) -> Self:
        """Read plain values."""
        return cls(**{name: float(value) for name, value in values.items()})
