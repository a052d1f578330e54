"""What a figure shows, without how it is drawn: plain data that a test can read.

Preparation makes a :class:`Chart` or a :class:`Bars`; ``svg`` and ``plots`` draw either. Numbers
are in the unit of their axis. Series carry a ``role``, a number into the palette, not a colour,
because a page has a light and a dark palette.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import numpy as np

from lengthwise.units import FloatArray

Kind = Literal["tokens", "ms", "ratio", "percent", "factor"]

MEASURED = -1
"""Role of measured points: the colour of text."""
HELD_OUT = -2
"""Role of measured points the law did not see: the same colour, hollow."""
BAND_ROOM = 4.0
"""How far beyond curves and points a logarithmic axis follows a band, as a factor."""


@dataclass(frozen=True)
class Axis:
    """One axis: label with unit, kind of number, range (None: from the data) and scale."""

    label: str
    kind: Kind
    low: float | None = None
    high: float | None = None
    log: bool = True


@dataclass(frozen=True)
class Line:
    """A curve; ``dashed`` where it leaves the measured range; ``name`` is its direct label."""

    name: str
    x: FloatArray
    y: FloatArray
    role: int = 0
    dashed: bool = False


@dataclass(frozen=True)
class Band:
    """The interval around a curve, bounds ``lo`` and ``hi`` at ``x``."""

    name: str
    x: FloatArray
    lo: FloatArray
    hi: FloatArray
    role: int = 0


@dataclass(frozen=True)
class Points:
    """Marks at (x, y); ``nudge`` moves them sideways by pixels where several would coincide."""

    name: str
    x: FloatArray
    y: FloatArray
    role: int = MEASURED
    nudge: float = 0.0


@dataclass(frozen=True)
class Chart:
    """Lines, bands and points on two axes.

    Attributes
    ----------
    title, note
        What it is, and one sentence on how to read it.
    domain
        Range of x that was measured or fitted, shaded; None for no shade.
    level_line
        A horizontal reference, such as 1 for residuals.
    subject
        What was measured, for a file that shows the chart alone; a page says it beside the chart.

    Examples
    --------
    >>> xy = np.array([1.0, 2.0])
    >>> chart = Chart("t", Axis("x", "tokens"), Axis("y", "ms"), points=(Points("p", xy, xy),))
    >>> chart.x_range, chart.is_empty
    ((1.0, 2.0), False)
    """

    title: str
    x: Axis
    y: Axis
    lines: tuple[Line, ...] = ()
    bands: tuple[Band, ...] = ()
    points: tuple[Points, ...] = ()
    domain: tuple[float, float] | None = None
    level_line: float | None = None
    note: str = ""
    subject: str = ""

    @property
    def series(self) -> tuple[Line | Points, ...]:
        """Lines and points together."""
        return (*self.lines, *self.points)

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to draw."""
        return not any(len(s.x) for s in self.series)

    @property
    def ends(self) -> dict[str, tuple[float, int]]:
        """Where direct labels belong: y at the greatest x, and role, of each named series."""
        return {
            s.name: (float(s.y[int(np.argmax(s.x))]), s.role)
            for s in self.series
            if s.name and s.role >= 0 and len(s.x)
        }

    @property
    def x_range(self) -> tuple[float, float]:
        """Least and greatest x over everything, or what the axis says."""
        return _range(self.x, [s.x for s in self.series])

    @property
    def y_range(self) -> tuple[float, float]:
        """The same for y; a band that is much wider than curves and points is cut."""
        low, high = _range(self.y, [s.y for s in self.series])
        if not self.bands or not self.y.log or (self.y.low, self.y.high) != (None, None):
            return low, high
        least, most = _range(self.y, [e for band in self.bands for e in (band.lo, band.hi)])
        return max(min(low, least), low / BAND_ROOM), min(max(high, most), high * BAND_ROOM)

    def to_dict(self) -> dict[str, Any]:
        """Give plain values, ready for JSON."""
        out: dict[str, Any] = plain(asdict(self))
        return out


@dataclass(frozen=True)
class Bar:
    """One bar: its length and its interval."""

    value: float
    lo: float = float("nan")
    hi: float = float("nan")


@dataclass(frozen=True)
class Bars:
    """Horizontal bars: one row per name, one panel per column, a value label on each.

    Attributes
    ----------
    rows
        Names from top to bottom.
    panels
        ``{panel title: one Bar per row}``.
    highlight
        Name of the row to draw in the main colour.
    unit
        Written after each value.
    """

    title: str
    rows: tuple[str, ...]
    panels: Mapping[str, tuple[Bar, ...]] = field(default_factory=dict)
    highlight: str = ""
    unit: str = "%"
    note: str = ""

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to draw."""
        return not self.rows

    def to_dict(self) -> dict[str, Any]:
        """Give plain values, ready for JSON."""
        out: dict[str, Any] = plain(asdict(self))
        return out


def plain(value: Any) -> Any:
    """Turn arrays into lists of rounded numbers; what is not finite becomes None."""
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple | np.ndarray):
        return [plain(v) for v in value]
    if isinstance(value, float | np.floating):
        return float(f"{value:.6g}") if np.isfinite(value) else None
    return value.item() if isinstance(value, np.generic) else value


def _range(axis: Axis, columns: list[FloatArray]) -> tuple[float, float]:
    values = np.concatenate([c for c in columns if len(c)] or [np.array([1.0, 10.0])])
    values = values[np.isfinite(values) & ((values > 0) | (not axis.log))]
    low = axis.low if axis.low is not None else float(values.min())
    high = axis.high if axis.high is not None else float(values.max())
    return low, high
