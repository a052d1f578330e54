"""Which correction to trust, per context: a bandit over corrections, replayed on streams.

A context is the phase and whether the point is longer than all seen before: a correction that is
best inside its data may be the worst beyond it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lengthwise.calibration.exploration.corrections import MEMORY, Correction, corrections
from lengthwise.calibration.exploration.experts import Exp3, Hedge, loss_of
from lengthwise.calibration.exploration.points import BoolArray, Points, join
from lengthwise.calibration.exploration.streams import Stream
from lengthwise.units import FloatArray

REFIT = 15
"""Events between two fits of the corrections."""
KEPT = 2 * MEMORY
"""Latest events that are kept."""
CONTEXTS = 4


def contexts_of(points: Points, beyond: BoolArray) -> np.ndarray[tuple[int], np.dtype[np.intp]]:
    """Give the context of every point, 0 to 3."""
    return np.asarray(2 * points.decode.astype(int) + beyond.astype(int))


class TrustedCorrection:
    """Corrections that learn online, combined by how well they did in each context.

    Parameters
    ----------
    experts
        The corrections; one of each by default.

    Examples
    --------
    >>> online, inside = TrustedCorrection(), np.array([False])
    >>> point = Points.of("prefill", [512.0])
    >>> for _ in range(60):
    ...     online.observe(point, inside, np.array([0.3]))
    >>> round(float(online.predict(point, inside)[0]), 1)
    0.3
    """

    def __init__(self, experts: Sequence[Correction] | None = None) -> None:
        self.experts = corrections() if experts is None else list(experts)
        self.hedges = [Hedge(len(self.experts)) for _ in range(CONTEXTS)]
        self._points: list[Points] = []
        self._residuals: list[FloatArray] = []
        self._seen = 0

    def predict(self, points: Points, beyond: BoolArray) -> FloatArray:
        """Give what to add to ln t, shape (n,); ``beyond``: longer than all before it."""
        offers = self._offers(points)
        pairs = zip(contexts_of(points, beyond), offers, strict=True)
        return np.array([self.hedges[context].combine(row) for context, row in pairs])

    def observe(self, points: Points, beyond: BoolArray, residual: FloatArray) -> None:
        """Take in n residuals, ln observed - ln of the law, shape (n,); refit now and then."""
        losses = loss_of(self._offers(points) - residual[:, None])
        for context, row in zip(contexts_of(points, beyond), losses, strict=True):
            self.hedges[context].learn(row)
        self._points.append(points)
        self._residuals.append(residual)
        self._seen += len(points)
        if self._seen // REFIT > (self._seen - len(points)) // REFIT:
            self._refit()

    def _offers(self, points: Points) -> FloatArray:
        if self._seen < REFIT:
            return np.zeros((len(points), len(self.experts)))
        return np.stack([expert.predict(points) for expert in self.experts], axis=1)

    def _refit(self) -> None:
        seen = join(self._points).take(slice(-KEPT, None))
        residual = np.concatenate(self._residuals)[-KEPT:]
        self._points, self._residuals = [seen], [residual]
        for expert in self.experts:
            expert.fit(seen, residual)


def offered(stream: Stream, experts: Sequence[Correction] | None = None) -> FloatArray:
    """Give what every correction predicts for every event before it happened, ln s, (n, K).

    Examples
    --------
    >>> from lengthwise.calibration.exploration.law import Prior
    >>> from lengthwise.calibration.exploration.simulated import simulate
    >>> from lengthwise.calibration.exploration.streams import stream
    >>> offered(stream(simulate(1), Prior.vague(), "none", 0, events=60)).shape
    (60, 4)
    """
    made = corrections() if experts is None else list(experts)
    out = np.repeat(stream.base[:, None], len(made), axis=1)
    residual = stream.log_seconds - stream.base
    for start in range(REFIT, len(residual), REFIT):
        seen, ahead = stream.points.take(slice(0, start)), slice(start, start + REFIT)
        for k, correction in enumerate(made):
            correction.fit(seen, residual[:start])
            out[ahead, k] += correction.predict(stream.points.take(ahead))
    return out


def hedged(stream: Stream, predictions: FloatArray) -> FloatArray:
    """Combine the corrections by Hedge, one per context; ln s, shape (n,)."""
    hedges = [Hedge(predictions.shape[1]) for _ in range(CONTEXTS)]
    out = np.empty(len(predictions))
    for t, context in enumerate(contexts_of(stream.points, stream.beyond)):
        out[t] = hedges[context].combine(predictions[t])
        hedges[context].learn(loss_of(predictions[t] - stream.log_seconds[t]))
    return out


def drawn(stream: Stream, predictions: FloatArray, seed: int = 0) -> FloatArray:
    """Choose one correction per event by Exp3, which sees that one's loss; ln s, shape (n,)."""
    rng = np.random.default_rng(seed)
    bandits = [Exp3(predictions.shape[1]) for _ in range(CONTEXTS)]
    out = np.empty(len(predictions))
    for t, context in enumerate(contexts_of(stream.points, stream.beyond)):
        k = bandits[context].draw(rng)
        out[t] = predictions[t, k]
        bandits[context].learn(k, float(loss_of(out[t : t + 1] - stream.log_seconds[t])[0]))
    return out
