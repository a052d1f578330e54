r"""How fast to adapt: levels that follow recent rows at several speeds, weighed by Hedge.

The law itself moves slowly, so that it stays right when nobody teaches it. What recent rows say on
top, such as a neighbour's job that comes and goes, is a level of its own,

    p <- p + q m,  g = p / (p + s^2 / m),  d <- d + g (r - d),  p <- (1 - g) p

after m rows of mean residual r, one level for every speed q; the first stays at 0. Their weighted
mean is published with its time, and answers let it fade with age.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from lengthwise.calibration.exploration.experts import Hedge, loss_of
from lengthwise.formulations.online.recent import Recent
from lengthwise.units import FloatArray

SPEEDS = np.array([0.0, 1e-3, 3e-3, 1e-2])
"""Standard deviation of a level's random walk per row, ln s."""
START = np.array([0.7, 0.1, 0.1, 0.1])
RATE, SPREAD = 1.0, 0.0003
"""How fast weights follow the losses of single rows, and the share of them spread anew by a row."""
HUBER = 2.0
LARGEST = 0.5
"""Farthest a level may go: larger changes are for the detectors."""
HOLD = 200.0
"""Rows after which a level counts a third: as long as it takes for them to come in."""
LEAST_S = 5.0
"""Seconds it takes at least: laws are published every second or so, however many rows come in."""
AVERAGED, PAUSE = 2000.0, 10.0
"""Rows over which their rate is averaged; a gap counts as so many times the usual one at most."""


class Pace:
    """Levels by speed, their weights, and how fast rows come in.

    Examples
    --------
    >>> pace = Pace()
    >>> for i in range(100):
    ...     pace.learn(np.full(10, 0.2) - 0.0, np.full(10, 0.1), float(i))
    >>> 0.15 < pace.recent.level < 0.21, pace.recent.at_s
    (True, 99.0)
    """

    def __init__(self) -> None:
        self._hedge = Hedge(len(SPEEDS), RATE, SPREAD)
        self.row_s, self.now, self.rows = 0.0, 0.0, 0
        self.restart()

    @property
    def level_now(self) -> float:
        """Level over the law, before it fades."""
        return self._hedge.combine(self.level)

    @property
    def recent(self) -> Recent:
        """Level to publish, with its time and how it fades."""
        return Recent(self.level_now, self.now, max(HOLD * self.row_s, LEAST_S))

    def restart(self) -> None:
        """Begin again at 0, after the law has changed."""
        self.level, self.variance = np.zeros(len(SPEEDS)), np.zeros(len(SPEEDS))
        self._hedge.weights = START.copy()

    def learn(self, residual: FloatArray, sd: FloatArray, now: float) -> None:
        """Take in rows.

        Parameters
        ----------
        residual, sd
            Log residual of the law without these levels, and its standard deviation, shape (m,).
        now
            Time of the last row, seconds on the clock of the observations.
        """
        m = len(residual)
        self._hedge.learn(loss_of(residual[:, None] - self.level).sum(axis=0), m)
        self.variance += SPEEDS**2 * m
        noise = float(np.mean(sd)) / m**0.5
        gain = self.variance / (self.variance + noise**2)
        surprise = float(np.median(residual) if m > 2 else residual.mean()) - self.level
        step = gain * np.clip(surprise, -HUBER * noise, HUBER * noise)
        self.level = np.clip(self.level + step, -LARGEST, LARGEST)
        self.variance *= 1.0 - gain
        self._count(m, now)

    def moved(self, by: float) -> None:
        """Take from the levels what the law itself has learnt since."""
        self.level[1:] -= by

    def _count(self, m: int, now: float) -> None:
        gap = max(now - self.now, 0.0) / m if self.rows else 0.0
        if self.row_s > 0:
            gap = min(gap, PAUSE * self.row_s)
        self.rows += m
        self.row_s += min(m / min(self.rows, AVERAGED), 1.0) * (gap - self.row_s)
        self.now = now

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON."""
        return {"level": self.level.tolist(), "variance": self.variance.tolist(),
                "weights": self._hedge.weights.tolist(), "row_s": self.row_s, "now": self.now,
                "rows": self.rows}  # fmt: skip

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Pace:
        """Read :meth:`to_dict` back."""
        pace = cls()
        arrays = [np.asarray(data[k], float) for k in ("level", "variance", "weights")]
        if any(a.shape != SPEEDS.shape or not np.isfinite(a).all() for a in arrays):
            raise ValueError(f"a pace has {len(SPEEDS)} levels, variances and weights")
        pace.level, pace.variance, pace._hedge.weights = arrays
        pace.row_s, pace.now = float(data["row_s"]), float(data["now"])
        pace.rows = int(data["rows"])
        return pace
