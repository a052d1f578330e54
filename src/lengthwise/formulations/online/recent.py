"""What recent rows say on top of a law, and how it fades."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

LARGEST = 1.0
"""No level of a law file is larger, natural logarithm."""


@dataclass(frozen=True)
class Recent:
    """Log level over the law at a time.

    Attributes
    ----------
    level
        Natural logarithm of the factor on the law.
    at_s
        Time of the last row learnt, seconds on the clock of the observations.
    fades_s
        Age at which a third of it is left, seconds.

    Examples
    --------
    >>> recent = Recent(0.2, at_s=100.0, fades_s=10.0)
    >>> [round(recent.at(now), 3) for now in (90.0, 100.0, 110.0, 1e9)]
    [0.2, 0.2, 0.074, 0.0]
    >>> recent.at(None)
    0.0
    """

    level: float = 0.0
    at_s: float = 0.0
    fades_s: float = 1.0

    def at(self, now_s: float | None) -> float:
        """Give what is left of the level; 0 if no time is given."""
        return self.level * self.fresh(now_s)

    def fresh(self, now_s: float | None) -> float:
        """How much the last rows still say: 1 when they are learnt, 0 if no time is given."""
        if now_s is None:
            return 0.0
        return math.exp(-max(now_s - self.at_s, 0.0) / self.fades_s)

    def to_dict(self) -> dict[str, float]:
        """Plain JSON."""
        return {"level": self.level, "at_s": self.at_s, "fades_s": self.fades_s}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Recent:
        """Read :meth:`to_dict` back."""
        recent = cls(*(float(data[k]) for k in ("level", "at_s", "fades_s")))
        if not (abs(recent.level) <= LARGEST and math.isfinite(recent.at_s) and recent.fades_s > 0):
            raise ValueError("a recent level is small, its time finite, and it fades")
        return recent


NOTHING = Recent()
