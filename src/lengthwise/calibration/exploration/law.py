r"""A law light enough to be refitted after every measurement: six physical terms, all positive.

    prefill  t = e^{u_0} + e^{u_1} n B + e^{u_2} n^2 B       n prompt tokens, B sequences
    decode   t = e^{u_3} + e^{u_4} B   + e^{u_5} c B         c tokens of context

in seconds, lengths in thousands of tokens. The logarithms u have a Gaussian prior over deployments;
readings update it by Gauss-Newton steps on ln t (Laplace's method), so a handful of them suffices:

    A = P + J' W J / s^2,    A (u* - u) = P (m - u) + J' W (ln t - f(u)) / s^2

P, m: precision and mean of the prior; W: Huber's weights, since single readings can be wild;
s: spread of readings around the law, from the residuals with a prior worth four readings. Most of
it (``SHARED``) is what the law gets wrong at a point, which repeats there share; so k repeats are
worth less than k points. Beyond
the longest length (and the largest batch) measured, the law's own error grows by ``DRIFT`` per
doubling. It serves to decide what to measure; the answers come from the laws of the registry.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lengthwise.calibration.exploration.points import Points
from lengthwise.units import FloatArray

TERMS = ("prefill_s", "prefill_token_s", "prefill_pair_s",
         "decode_s", "decode_sequence_s", "decode_token_s")  # fmt: skip
"""Names of the coefficients: seconds, per thousand tokens, per million pairs of tokens."""
SPREAD, SPREAD_WEIGHT = 0.06, 4.0
"""Prior of the spread of readings around the law (of ln t), and the readings it is worth."""
DRIFT = 0.10
"""Error of ln t per doubling of length or batch beyond what was measured."""
SHARED = 0.75
"""Share of the variance around the law that repeats of a point have in common."""
HUBER = 2.0
"""Residuals beyond this many spreads count less."""
ROUNDS, LONGEST_STEP, CLOSE = 20, 2.5, 1e-3


@dataclass(frozen=True)
class Prior:
    """What is known about the coefficients before measuring.

    Attributes
    ----------
    mean
        Mean of u, shape (6,).
    covariance
        Covariance of u, shape (6, 6).
    """

    mean: FloatArray
    covariance: FloatArray

    @classmethod
    def vague(cls) -> Prior:
        """Anything from a laptop to a rack of GPUs.

        >>> float(Prior.vague().covariance[0, 0])
        9.0
        """
        mean = np.log([0.02, 0.05, 0.005, 0.02, 0.001, 0.001])
        return cls(mean, 4.0 * np.eye(6) + 5.0)


@dataclass(frozen=True)
class LightLaw:
    """The law after some readings; immutable.

    Attributes
    ----------
    u, covariance
        Mode and covariance of the logarithms of the coefficients, shapes (6,) and (6, 6).
    spread
        Spread of readings around the law, of ln t.
    longest, largest
        Longest length and largest batch measured, by phase (prefill, decode); shape (2,), 0: none.

    Examples
    --------
    >>> points = Points.of("prefill", [512, 1024, 2048, 4096])
    >>> law = fit(Prior.vague(), points, np.log([0.06, 0.11, 0.21, 0.41]))
    >>> bool(abs(np.exp(law.predict(Points.of("prefill", [8192])))[0] / 0.81 - 1) < 0.15)
    True
    """

    u: FloatArray
    covariance: FloatArray
    spread: float
    longest: FloatArray
    largest: FloatArray

    def predict(self, points: Points) -> FloatArray:
        """Give ln of the seconds of each step, shape (n,)."""
        return np.asarray(np.log(points.terms @ np.exp(self.u)))

    def gradient(self, points: Points) -> FloatArray:
        """Give the derivatives of ln t in u, shape (n, 6): the shares of the terms."""
        parts = points.terms * np.exp(self.u)
        return np.asarray(parts / parts.sum(axis=1, keepdims=True))

    def variance(self, points: Points) -> FloatArray:
        """Variance of ln t around the prediction, without the noise of a reading, shape (n,)."""
        g = self.gradient(points)
        inside = np.einsum("ij,jk,ik->i", g, self.covariance, g)
        return np.asarray(inside + drift(points, self.longest, self.largest))


def drift(points: Points, longest: FloatArray, largest: FloatArray) -> FloatArray:
    """Variance of ln t for lengths and batches beyond those measured, shape (n,) or (m, n).

    Parameters
    ----------
    longest, largest
        By phase, shape (2,) or (m, 2) for m campaigns at once.
    """
    phase = points.decode.astype(int)
    doublings = np.maximum(np.log2(points.length / np.maximum(longest, 1.0)[..., phase]), 0.0)
    wider = np.maximum(np.log2(points.batch / np.maximum(largest, 1.0)[..., phase]), 0.0)
    return np.asarray(DRIFT**2 * (doublings**2 + wider**2))


def fit(
    prior: Prior, points: Points, log_seconds: FloatArray, start: FloatArray | None = None
) -> LightLaw:
    """Fit the law to readings.

    Parameters
    ----------
    prior
        What is known before.
    points
        What was measured, n points (a point measured twice stands twice).
    log_seconds
        ln of the seconds read, shape (n,).
    start
        Where to start from; the law before the last reading saves rounds.
    """
    precision = np.linalg.inv(prior.covariance)
    u = prior.mean.copy() if start is None else start.copy()
    spread, spread_now = SPREAD, SPREAD
    repeats = worth(_repeats(points))
    for _ in range(ROUNDS):
        parts = points.terms * np.exp(u)
        total = parts.sum(axis=1)
        J, residual = parts / total[:, None], log_seconds - np.log(total)
        weight = repeats * np.minimum(1.0, HUBER * spread / np.maximum(np.abs(residual), 1e-12))
        A = precision + (J.T * weight) @ J / spread**2
        step = np.linalg.solve(
            A, precision @ (prior.mean - u) + J.T @ (weight * residual) / spread**2
        )
        size = float(np.abs(step).max())
        u = u + step * min(1.0, LONGEST_STEP / max(size, 1e-12))
        if size < 0.3:
            spread_now = _spread(residual, weight)
        if size < CLOSE and abs(spread_now - spread) < 1e-3:
            break
        spread = spread_now
    return LightLaw(u, np.linalg.inv(A), spread, *_reached(points))


def worth(repeats: FloatArray) -> FloatArray:
    """Give what each of k readings of a point is worth, of a single one; shape like ``repeats``.

    >>> worth(np.array([1.0, 2.0, 4.0])).round(2).tolist()
    [1.0, 0.57, 0.31]
    """
    return np.asarray(1.0 / (repeats * SHARED + 1.0 - SHARED))


def _repeats(points: Points) -> FloatArray:
    """How often each point stands among the points, shape (n,)."""
    rows = np.column_stack([points.decode, points.length, points.batch])
    same = (rows[:, None] == rows[None]).all(axis=2)
    return np.asarray(same.sum(axis=1), dtype=float)


def _spread(residual: FloatArray, weight: FloatArray) -> float:
    square = SPREAD_WEIGHT * SPREAD**2 + float(weight @ residual**2)
    return float(np.sqrt(square / (SPREAD_WEIGHT + float(weight.sum()))))


def _reached(points: Points) -> tuple[FloatArray, FloatArray]:
    longest, largest = np.zeros(2), np.zeros(2)
    for phase in (0, 1):
        mine = points.decode == bool(phase)
        if mine.any():
            longest[phase], largest[phase] = points.length[mine].max(), points.batch[mine].max()
    return longest, largest
