"""What follows a change: one rung at a time, each an event, down again when errors are normal.

1. widened, offset_refitted: intervals wider, the level moved by what rows since the change say.
2. covariance_reset: not enough, so all coefficients may move and rows from before are forgotten.
3. alarm: still not enough; a person should look, intervals stay wide.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from lengthwise.units import FloatArray

NORMAL, OFFSET, RESET, ALARM = range(4)
WIDEN = (1.0, 1.5, 2.0, 2.0)
"""Factor on the intervals by rung."""
LOOK_AFTER = (0, 100, 300, 300)
"""Rows after which a rung is judged."""
REFIT_AFTER = 100
"""Rows after the reset of the covariance at which the law is fitted again."""
OFF_CENTRE = 0.6
"""Median of standardised residuals (long-run) beyond which errors are not normal."""
TOO_WIDE = 1.35
"""Median absolute standardised residual beyond which they are not; a normal one has 0.67."""


@dataclass
class Ladder:
    """Rung and the residuals since it was reached.

    >>> ladder = Ladder()
    >>> ladder.climb(); ladder.widen
    1.5
    >>> ladder.judge(np.zeros(100), 1.0)
    'recovered'
    """

    rung: int = NORMAL
    recent: list[float] = field(default_factory=list)

    @property
    def widen(self) -> float:
        """Factor on the intervals."""
        return WIDEN[self.rung]

    def climb(self, to: int = OFFSET) -> None:
        """Step on a rung and look from there."""
        self.rung, self.recent = to, []

    def judge(self, z: FloatArray, long_run: float) -> str:
        """Look at standardised residuals (m,); name the event that follows, or ""."""
        if self.rung == NORMAL:
            return ""
        self.recent += z.tolist()
        if len(self.recent) < LOOK_AFTER[self.rung]:
            return ""
        last = np.array(self.recent[-LOOK_AFTER[self.rung] // 2 :])
        bad = abs(np.median(last)) > OFF_CENTRE * long_run or np.median(np.abs(last)) > TOO_WIDE
        if not bad:
            self.climb(NORMAL)
            return "recovered"
        before = self.rung
        self.climb(min(before + 1, ALARM))
        return {OFFSET: "covariance_reset", RESET: "alarm"}.get(before, "")

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Ladder:
        """Read :meth:`to_dict` back."""
        return cls(int(data["rung"]), [float(z) for z in data["recent"]])
