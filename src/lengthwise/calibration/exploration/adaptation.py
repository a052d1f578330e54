r"""How fast to adapt: filters of different speed, and Hedge over them.

A filter tracks the level d of the log residuals of a phase by a random walk:

    p <- p + q,  g = p / (p + s^2),  d <- d + g (r - d),  p <- (1 - g) p

q is how fast the level may wander: 0 averages everything, a large one follows the last reading.
"""

from __future__ import annotations

import numpy as np

from lengthwise.calibration.exploration.experts import Exp3, Hedge, loss_of
from lengthwise.calibration.exploration.streams import Stream
from lengthwise.units import FloatArray

RATES = (0.0, 1e-5, 1e-4, 1e-3, 1e-2)
"""Variances of a step of the level, in ln t."""
NOISE, START = 0.1, 0.3
"""Standard deviation of a reading, and of the level before the first one."""


class LevelFilter:
    """Levels of the residuals of K filters at once.

    Parameters
    ----------
    rates
        Variances q of a step of the level, shape (K,).

    Examples
    --------
    >>> filters = LevelFilter((0.0, 1e-2))
    >>> for _ in range(50):
    ...     filters.learn(0.0)
    >>> for _ in range(5):
    ...     filters.learn(0.3)
    >>> filters.level.round(2).tolist()
    [0.03, 0.3]
    """

    def __init__(self, rates: tuple[float, ...] = RATES) -> None:
        self.rates = np.array(rates)
        self.level = np.zeros(len(rates))
        self.variance = np.full(len(rates), START**2)

    def learn(self, residual: float) -> None:
        """Take in one residual of ln t."""
        self.variance = self.variance + self.rates
        gain = self.variance / (self.variance + NOISE**2)
        self.level = self.level + gain * (residual - self.level)
        self.variance = (1.0 - gain) * self.variance


class AdaptiveLevel:
    """One level, from filters of every speed, weighted by how well they did.

    Examples
    --------
    >>> adaptive = AdaptiveLevel()
    >>> for _ in range(100):
    ...     adaptive.learn(0.3)
    >>> round(adaptive.level, 2)
    0.3
    """

    def __init__(self, rates: tuple[float, ...] = RATES) -> None:
        self.filters, self.hedge = LevelFilter(rates), Hedge(len(rates))

    @property
    def level(self) -> float:
        """What to add to ln t."""
        return self.hedge.combine(self.filters.level)

    def learn(self, residual: float) -> None:
        """Take in one residual of ln t."""
        self.hedge.learn(loss_of(self.filters.level - residual))
        self.filters.learn(residual)


def filtered(stream: Stream, rates: tuple[float, ...] = RATES) -> FloatArray:
    """Give what the filter of every rate predicts before each event, ln s, shape (n, K)."""
    filters = (LevelFilter(rates), LevelFilter(rates))
    out = np.empty((len(stream.points), len(rates)))
    for t, phase in enumerate(stream.points.decode.astype(int)):
        out[t] = stream.base[t] + filters[phase].level
        filters[phase].learn(float(stream.log_seconds[t] - stream.base[t]))
    return out


def adapted(stream: Stream, rates: tuple[float, ...] = RATES) -> FloatArray:
    """Give what adaptive levels predict, one per phase; ln s, shape (n,)."""
    levels = (AdaptiveLevel(rates), AdaptiveLevel(rates))
    out = np.empty(len(stream.points))
    for t, phase in enumerate(stream.points.decode.astype(int)):
        out[t] = stream.base[t] + levels[phase].level
        levels[phase].learn(float(stream.log_seconds[t] - stream.base[t]))
    return out


def drawn_rates(stream: Stream, predictions: FloatArray, seed: int = 0) -> FloatArray:
    """Choose one rate per event by Exp3; ln s, shape (n,)."""
    rng = np.random.default_rng(seed)
    bandits = [Exp3(predictions.shape[1]) for _ in range(2)]
    out = np.empty(len(predictions))
    for t, phase in enumerate(stream.points.decode.astype(int)):
        k = bandits[phase].draw(rng)
        out[t] = predictions[t, k]
        bandits[phase].learn(k, float(loss_of(out[t : t + 1] - stream.log_seconds[t])[0]))
    return out
