"""Make charts of laws: everything but the drawing."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pandas as pd

from lengthwise.calibration.groups import Group
from lengthwise.calibration.intervals import Calibration
from lengthwise.calibration.lawset import LawSet
from lengthwise.calibration.phase_law import PhaseLaw
from lengthwise.data.load import load_in
from lengthwise.prediction.chunked import InChunks
from lengthwise.reporting.figures.chart import (
    HELD_OUT,
    MEASURED,
    Axis,
    Band,
    Chart,
    Line,
    Points,
)
from lengthwise.units import FloatArray, s_to_ms

GRID_POINTS = 160
"""Points of a curve, evenly spaced in logarithm: so close that steps of trees look upright."""
MOST_BATCHES = 5
LENGTH_LABEL = {
    "prefill": "prompt length (tokens)",
    "decode": "context length (tokens)",
    "mixed": "mean context length (tokens)",
}
TIME_LABEL = {"prefill": "prefill", "decode": "decode step", "mixed": "mixed step"}


class Laws(Protocol):
    """Fitted laws a curve can be drawn of: a law set, or one that answers for prompts in chunks."""

    @property
    def laws_(self) -> Mapping[tuple[str, str], PhaseLaw]:
        """Laws by deployment and phase."""

    @property
    def calibration_(self) -> Mapping[str, Calibration]:
        """Calibration of the intervals by phase; empty without intervals."""

    def predict(self, points: pd.DataFrame) -> FloatArray:
        """Predict times, shape (n,), milliseconds."""

    def predict_interval(self, points: pd.DataFrame, level: float = 0.9) -> FloatArray:
        """Predict intervals, shape (n, 2), milliseconds."""


def points_at(
    phase: str, labels: Mapping[str, object], lengths: FloatArray, batch_size: float
) -> pd.DataFrame:
    """Make the points of one deployment at some lengths, to ask a law about.

    Under load (``concurrency`` or ``request_rate`` among the labels) they have no batch.

    >>> points_at("decode", {"model": "m"}, np.array([8.0]), 2).to_dict("records")
    [{'phase': 'decode', 'context_len': 8.0, 'batch_size': 2, 'model': 'm'}]
    """
    column = "context_len" if phase == "decode" else "isl"
    frame = pd.DataFrame({"phase": phase, column: lengths})
    if not load_in(labels):
        frame["batch_size"] = batch_size
    known: dict[str, Any] = {name: value for name, value in labels.items() if value is not None}
    return frame.assign(**known)


def base_batch(group: Group) -> float:
    """Give the batch size measured at the most lengths; the smallest among equals."""
    sizes = np.unique(group.work.sequences[plain_steps(group)])
    counts = [len(np.unique(group.work.length[plain_steps(group) & (group.work.sequences == b)]))
              for b in sizes]  # fmt: skip
    return float(sizes[int(np.argmax(counts))]) if len(sizes) else 1.0


def curve_chart(
    group: Group, laws: Mapping[str, Laws], *, level: float = 0.9, cut: float | None = None,
    beyond: float = 2.0,
) -> Chart:  # fmt: skip
    """Measured points, the curves of several formulations and the band of the first.

    Parameters
    ----------
    group
        What was measured.
    laws
        Fitted laws by name; the first one's interval is drawn.
    level
        Coverage of the band.
    cut
        Longest length the laws were fitted on; the longest measured one when None.
    beyond
        How far past the longest measured length the curves go.
    """
    batch = base_batch(group)
    rows = plain_steps(group) & (group.work.sequences == batch)
    length, time = group.work.length[rows], s_to_ms(group.y_s[rows])
    if group.phase == "mixed" or not len(length):
        return Chart(f"{group.phase}", length_axis(group.phase), _time_axis(group.phase))
    end = float(length.max() if cut is None else cut)
    grid = np.geomspace(length.min(), length.max() * beyond, GRID_POINTS)
    grid = np.unique(np.append(grid, end))
    asked = points_at(group.phase, group.labels, grid, batch)
    lines, bands = [], []
    for role, (name, law) in enumerate(laws.items()):
        lines += two_lines(name, grid, law.predict(asked), end, role)
        if role == 0 and group.phase in law.calibration_:
            lo, hi = law.predict_interval(asked, level).T
            bands.append(Band(f"{100 * level:g} % interval of {name}", grid, lo, hi))
    return Chart(
        title=f"{group.phase}, batch {batch:g}", x=length_axis(group.phase),
        y=_time_axis(group.phase), lines=tuple(reversed(lines)), bands=tuple(bands),
        points=_measured(length, time, end), domain=(float(length.min()), end),
        note="shaded: lengths the laws were fitted on", subject=group.deployment,
    )  # fmt: skip


def batch_chart(group: Group, law: LawSet, *, cut: float | None = None) -> Chart:
    """One law at each measured batch size, with its points."""
    plain = plain_steps(group)
    sizes = np.unique(group.work.sequences[plain])
    if len(sizes) > MOST_BATCHES:
        sizes = sizes[np.unique(np.linspace(0, len(sizes) - 1, MOST_BATCHES).astype(int))]
    lines: list[Line] = []
    points: list[Points] = []
    longest = group.work.length[plain].max()
    end = float(longest if cut is None else cut)
    for batch in sizes:
        rows = plain & (group.work.sequences == batch)
        length, time = group.work.length[rows], s_to_ms(group.y_s[rows])
        grid = np.unique(np.append(np.geomspace(length.min(), max(longest, end), GRID_POINTS), end))
        time_ms = law.predict(points_at(group.phase, group.labels, grid, float(batch)))
        lines += two_lines(f"batch {batch:g}", grid, time_ms, end, 0)
        points += _measured(length, time, end)
    return Chart(
        title=f"{group.phase}, all batch sizes", x=length_axis(group.phase),
        y=_time_axis(group.phase), lines=tuple(lines), points=tuple(points),
        domain=(float(group.work.length[plain].min()), end), subject=group.deployment,
        note="one law, at each batch size measured",
    )  # fmt: skip


def two_lines(name: str, x: FloatArray, y: FloatArray, end: float, role: int) -> list[Line]:
    """Draw the fitted part solid and the rest dashed; the label belongs to the right end.

    >>> x = np.array([1.0, 2.0, 4.0])
    >>> [(line.name, line.x.tolist()) for line in two_lines("law", x, x, 2.0, 0)]
    [('', [1.0, 2.0]), ('law', [2.0, 4.0])]
    """
    inside, outside = x <= end, x >= end
    if not outside.sum() > 1:
        return [Line(name, x, y, role)]
    return [Line("", x[inside], y[inside], role), Line(name, x[outside], y[outside], role, True)]


def _measured(length: FloatArray, time: FloatArray, end: float) -> tuple[Points, ...]:
    seen = length <= end * 1.001
    parts = (
        Points("measured", length[seen], time[seen], MEASURED),
        Points("measured, held out", length[~seen], time[~seen], HELD_OUT),
    )
    return tuple(p for p in parts if len(p.x))


def plain_steps(group: Group) -> npt.NDArray[np.bool_]:
    """Find steps without cached prefixes or chunks, whose length says everything."""
    work = group.work
    if group.phase == "decode":
        return np.asarray(np.isclose(work.new_tokens, work.sequences))
    return np.asarray(np.isclose(work.new_tokens, work.sequences * work.isl, rtol=1e-3))


def length_axis(phase: str) -> Axis:
    """Return the axis of lengths of a phase, tokens.

    >>> length_axis("decode").label
    'context length (tokens)'
    """
    return Axis(LENGTH_LABEL[phase], "tokens")


def _time_axis(phase: str) -> Axis:
    return Axis(f"time of one {TIME_LABEL[phase]}", "ms")


def law_chart(laws: LawSet, law: PhaseLaw, *, level: float = 0.9, beyond: float = 2.0) -> Chart:
    """Draw a law without its data: its curve over the measured range and beyond.

    A law measured in chunks is drawn as the prompts it answers for, sums of steps.
    """
    low, high = law.domain.length
    empty = Chart(law.phase, length_axis(law.phase), _time_axis(law.phase))
    if law.phase == "mixed" or not low > 0:
        return empty
    grid = np.unique(np.append(np.geomspace(low, high * beyond, GRID_POINTS), high))
    asked = points_at(law.phase, law.labels, grid, law.domain.sequences[0])
    prompts = InChunks(laws, math.nan)
    bands: tuple[Band, ...] = ()
    if law.phase in laws.calibration_:
        lo, hi = prompts.predict_interval(asked, level).T
        bands = (Band(f"{100 * level:g} % interval", grid, lo, hi),)
    return Chart(
        title=f"{law.phase}, batch {law.domain.sequences[0]:g}", x=empty.x, y=empty.y,
        subject=law.deployment,
        lines=tuple(two_lines(law.law.name, grid, prompts.predict(asked), high, 0)), bands=bands,
        domain=(low, high), note="shaded: measured lengths",
    )  # fmt: skip
