"""A deployment as a campaign sees it: what can be measured, what that costs, what is asked about.

A run of a prefill point sends its prompt ``WAVES`` times; a run of a decode point first fills the
context of every sequence and then decodes ``STEPS`` tokens. Each run costs ``SETUP_S`` more.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from lengthwise.calibration.exploration.points import BoolArray, Points
from lengthwise.errors import InputError
from lengthwise.units import FloatArray

SETUP_S = 0.2
"""Seconds of a run beside its steps, on an engine that is up."""
WAVES, STEPS = 3, 32
"""Times a prompt is prefilled in a run, and tokens decoded."""
REACH = 4.0
"""The lengths asked about go up to this many times the longest that may be measured."""


def run_seconds(points: Points, step_s: FloatArray, fill_s: FloatArray) -> FloatArray:
    """Seconds that runs take, shape (n,).

    Parameters
    ----------
    step_s
        Seconds of one step of each point.
    fill_s
        Seconds to prefill the contexts of the decode points.

    Examples
    --------
    >>> points = Points.of(["prefill", "decode"], 1000.0)
    >>> run_seconds(points, np.array([0.1, 0.05]), np.array([0.0, 0.1])).round(2).tolist()
    [0.5, 1.9]
    """
    work = np.where(points.decode, fill_s + STEPS * step_s, WAVES * step_s)
    return np.asarray(SETUP_S + work)


def contexts(points: Points) -> Points:
    """Give the prefills that fill the contexts of ``points``."""
    return Points(np.zeros(len(points), dtype=bool), points.length, points.batch)


@dataclass(frozen=True)
class Deployment:
    """Readings of one deployment, recorded or simulated.

    Attributes
    ----------
    name
        Who it is.
    points
        All n points, those to be predicted.
    readings
        Seconds of the steps as read, one array per point.
    fill_s
        Seconds to fill the contexts, by point, shape (n,); 0 for prefills.
    reach
        Lengths up to the longest over ``reach`` can be measured; the others are only asked about.

    Examples
    --------
    >>> points = Points.of("prefill", [128, 512, 2048])
    >>> here = Deployment("mine", points, tuple(np.array([s]) for s in (0.1, 0.2, 0.5)),
    ...                   np.zeros(3))
    >>> here.measurable.tolist(), round(here.total_s, 2)
    ([True, True, False], 1.3)
    """

    name: str
    points: Points
    readings: tuple[FloatArray, ...]
    fill_s: FloatArray
    reach: float = REACH

    def __post_init__(self) -> None:
        if len(self.readings) != len(self.points) or not all(len(r) for r in self.readings):
            raise InputError("every point needs a reading", got=f"{self.name}: {len(self.points)} "
                             f"points, {len(self.readings)} arrays of readings",
                             remedy="leave out points without readings")  # fmt: skip

    @cached_property
    def truth(self) -> FloatArray:
        """Medians of ln of the readings, shape (n,)."""
        return np.array([np.median(np.log(r)) for r in self.readings])

    @cached_property
    def measurable(self) -> BoolArray:
        """Whether a point may be measured, shape (n,)."""
        out = np.zeros(len(self.points), dtype=bool)
        for phase in (False, True):
            mine = self.points.decode == phase
            if mine.any():
                limit = self.points.length[mine].max() / self.reach
                out |= mine & (self.points.length <= max(limit, self.points.length[mine].min()))
        return out

    @cached_property
    def seconds(self) -> FloatArray:
        """Seconds of a run of each point, shape (n,)."""
        return run_seconds(self.points, np.exp(self.truth), self.fill_s)

    @property
    def total_s(self) -> float:
        """Seconds to measure everything measurable once."""
        return float(self.seconds[self.measurable].sum())

    @cached_property
    def weight(self) -> FloatArray:
        """Weights of the points in the error: every phase counts the same, shape (n,), sum 1."""
        decode = self.points.decode
        share = np.where(decode, decode.mean(), 1.0 - decode.mean())
        weight = 1.0 / np.maximum(share, 1e-12)
        return np.asarray(weight / weight.sum())

    def read(self, i: int, rng: np.random.Generator) -> float:
        """Draw one reading of a point, seconds."""
        return float(rng.choice(self.readings[i]))

    def run_s(self, i: int, step_s: float) -> float:
        """Seconds of a run of point ``i`` whose steps took ``step_s``."""
        here = self.points.take(np.array([i]))
        return float(run_seconds(here, np.array([step_s]), self.fill_s[i : i + 1])[0])

    def error(self, log_seconds: FloatArray) -> float:
        """Mean absolute ln(predicted / read) over the points, the phases balanced."""
        return float(self.weight @ np.abs(log_seconds - self.truth))


def named(deployments: Sequence[Deployment], name: str) -> Deployment:
    """Find a deployment by name.

    Raises
    ------
    InputError
        If there is none.
    """
    for one in deployments:
        if one.name == name:
            return one
    raise InputError("no such deployment", got=repr(name),
                     remedy=f"use one of {', '.join(d.name for d in deployments)}")  # fmt: skip
