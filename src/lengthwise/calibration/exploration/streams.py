"""Streams of readings of a deployment, as traffic would bring them, with and without drift."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from lengthwise.calibration.exploration.deployment import Deployment
from lengthwise.calibration.exploration.law import LightLaw, Prior, fit
from lengthwise.calibration.exploration.points import BoolArray, Points
from lengthwise.units import FloatArray

Drift = Literal["none", "step", "ramp", "back and forth"]
EVENTS = 300
FACTOR = 1.35
STAGES = (1 / 16, 1 / 4, 1.0)
"""Share of the longest length that traffic reaches in each third of the stream."""
FEW = 6
"""Readings that the law was fitted to before the stream."""


@dataclass(frozen=True)
class Stream:
    """n events and the law that predicts them before anything is corrected.

    Attributes
    ----------
    points
        What was run, n.
    log_seconds
        What it took, shape (n,).
    base
        ln of what the law says, shape (n,).
    beyond
        Whether a point is longer than everything before it in the stream, shape (n,).
    """

    points: Points
    log_seconds: FloatArray
    base: FloatArray
    beyond: BoolArray


def stream(
    deployment: Deployment, prior: Prior, drift: Drift, seed: int, events: int = EVENTS
) -> Stream:
    """Draw a stream: lengths grow in three stages, the law knows ``FEW`` short readings.

    Examples
    --------
    >>> from lengthwise.calibration.exploration.simulated import simulate
    >>> found = stream(simulate(1), Prior.vague(), "step", seed=0)
    >>> len(found.points), bool(found.log_seconds.std() > 0)
    (300, True)
    """
    rng = np.random.default_rng(seed)
    law = _first_law(deployment, prior, rng)
    chosen = np.concatenate([
        rng.choice(_within(deployment.points, share), events // len(STAGES)) for share in STAGES
    ])  # fmt: skip
    read = np.log([deployment.read(int(i), rng) for i in chosen])
    points = deployment.points.take(chosen)
    return Stream(points, read + _shift(drift, len(chosen)), law.predict(points), _beyond(points))


def _first_law(deployment: Deployment, prior: Prior, rng: np.random.Generator) -> LightLaw:
    pool = _within(deployment.points, STAGES[0])
    few = rng.choice(pool, min(FEW, len(pool)), replace=False)
    return fit(prior, deployment.points.take(few), np.array(
        [np.log(deployment.read(int(i), rng)) for i in few]))  # fmt: skip


def _within(points: Points, share: float) -> FloatArray:
    """Give the points up to a share of the longest length of their phase; the shortest always."""
    limit = np.zeros(len(points))
    for phase in (False, True):
        mine = points.decode == phase
        if mine.any():
            length = points.length[mine]
            limit[mine] = max(share * length.max(), np.sort(np.unique(length))[:2].max())
    return np.asarray(np.flatnonzero(points.length <= limit))


def _shift(drift: Drift, n: int) -> FloatArray:
    at, size = np.arange(n), np.log(FACTOR)
    if drift == "step":
        return np.asarray(np.where(at >= n // 2, size, 0.0))
    if drift == "ramp":
        return np.asarray(size * np.clip((at - n / 4) / (n / 2), 0.0, 1.0))
    if drift == "back and forth":
        return np.asarray(np.where((at // (n // 6)) % 2 == 1, size, 0.0))
    return np.zeros(n)


def _beyond(points: Points) -> BoolArray:
    out = np.zeros(len(points), dtype=bool)
    for phase in (False, True):
        mine = np.flatnonzero(points.decode == phase)
        longest = np.maximum.accumulate(points.length[mine])
        out[mine[1:]] = points.length[mine[1:]] > longest[:-1]
    return np.asarray(out)
