"""Charts of measured points that lie on several axes: which axis goes where is found from them.

The axis with the most values becomes x; the others name the curves. A point is a middle and the
range around it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from lengthwise.reporting.figures.chart import Axis, Band, Chart, Kind, Line, Points
from lengthwise.units import FloatArray

MOST_CURVES, MOST_BANDS = 8, 3
"""More curves are thinned out, more bands would hide each other."""

LOG_FROM = 4.0
"""Ratio of the largest to the smallest time from which their axis is logarithmic."""


@dataclass(frozen=True)
class Mark:
    """One measured point: where, and its middle, least and greatest value there."""

    at: Mapping[str, float | None]
    mid: float
    lo: float
    hi: float


@dataclass(frozen=True)
class Dimension:
    """An axis points may lie on: its name in ``Mark.at``, its label, and how a curve is called."""

    name: str
    label: str
    say: Callable[[float], str]
    kind: Kind = "tokens"


def chart_of(
    title: str, y_label: str, marks: Sequence[Mark], dimensions: Sequence[Dimension], *,
    band: str = "", alone: str = "median", kind: Kind = "ms",
) -> Chart | None:  # fmt: skip
    """Draw points over the dimension with the most values.

    Parameters
    ----------
    dimensions
        In the order in which they are preferred for x.
    band
        What the range around the middle is.
    alone
        Name of a curve that is the only one.

    Returns
    -------
    None if all points have the same place.

    Examples
    --------
    >>> isl = Dimension("isl", "prompt length (tokens)", "isl {:g}".format)
    >>> batch = Dimension("batch", "batch", "batch {:g}".format)
    >>> marks = [Mark({"isl": n, "batch": b}, n * b, n, n * b)
    ...          for n in (64, 128, 256) for b in (1, 2)]
    >>> chart = chart_of("prefill", "time", marks, [batch, isl])
    >>> chart.x.label, sorted(chart.ends)
    ('prompt length (tokens)', ['batch 1', 'batch 2'])
    """
    marks = [m for m in marks if m.mid > 0]
    values = {d.name: sorted({v for m in marks if (v := m.at.get(d.name)) is not None})
              for d in dimensions}  # fmt: skip
    x = max(dimensions, key=lambda d: len(values[d.name]))
    if len(values[x.name]) < 2:
        return None
    rest = [d for d in dimensions if d is not x and len(values[d.name]) > 1]
    curves = _curves(marks, x, rest)
    shown = _some(list(curves))
    lines, bands, points = [], [], []
    for role, key in enumerate(shown):
        name = ", ".join(d.say(v) for d, v in zip(rest, key, strict=True) if v is not None)
        at, mid, lo, hi = _columns(curves[key], x.name)
        lines.append(Line(name or alone, at, mid, role))
        points.append(Points("", at, mid, role))
        if len(shown) <= MOST_BANDS and (hi > lo * 1.001).any():
            bands.append(Band(f"{name or alone}, {band}", at, lo, hi, role))
    notes = ["line: median"] * bool(band) + [f"shaded: {band}"] * bool(bands)
    if len(shown) < len(curves):
        notes.append(f"{len(shown)} of {len(curves)} curves")
    drawn = [m for key in shown for m in curves[key]]
    return Chart(
        title, _x_axis(x, [v for m in drawn if (v := m.at[x.name]) is not None]),
        _y_axis(y_label, drawn, kind), tuple(reversed(lines)), tuple(bands),
        tuple(reversed(points)), note="; ".join(notes),
    )  # fmt: skip


def _curves(
    marks: Sequence[Mark], x: Dimension, rest: Sequence[Dimension]
) -> dict[tuple[float | None, ...], list[Mark]]:
    found: dict[tuple[float | None, ...], list[Mark]] = {}
    for mark in marks:
        if mark.at.get(x.name) is not None:
            found.setdefault(tuple(mark.at.get(d.name) for d in rest), []).append(mark)
    return dict(sorted(found.items(), key=lambda item: [(v is None, v or 0) for v in item[0]]))


def _columns(
    marks: Sequence[Mark], name: str
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Give x, middle, least and greatest value; several points at one x become one."""
    places: dict[float, list[Mark]] = {}
    for mark in marks:
        places.setdefault(float(mark.at[name] or 0), []).append(mark)
    rows = [
        (x, np.median([m.mid for m in same]), min(m.lo for m in same), max(m.hi for m in same))
        for x, same in sorted(places.items())
    ]
    at, mid, lo, hi = np.array(rows, dtype=np.float64).T
    return at, mid, lo, hi


def _some(keys: list[tuple[float | None, ...]]) -> list[tuple[float | None, ...]]:
    if len(keys) <= MOST_CURVES:
        return keys
    return [keys[i] for i in np.unique(np.linspace(0, len(keys) - 1, MOST_CURVES).astype(int))]


def _x_axis(dimension: Dimension, values: Sequence[float]) -> Axis:
    if min(values) > 0:
        return Axis(dimension.label, dimension.kind)
    return Axis(dimension.label, "ratio", log=False)


def _y_axis(label: str, marks: Sequence[Mark], kind: Kind) -> Axis:
    """Make room for ranges, though not for a single value far out; begin at 0 if values are close.

    A logarithmic axis over values that hardly differ would make much of nothing.
    """
    mids = [m.mid for m in marks]
    high = min(max(m.hi for m in marks), 2 * max(mids))
    if max(mids) < LOG_FROM * min(mids):
        return Axis(label, kind, 0.0, high, log=False)
    low = max(min(m.lo for m in marks), min(mids) / 2)
    return Axis(label, kind, low, high)
