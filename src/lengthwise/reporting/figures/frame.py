"""Where a drawing keeps its room: margins that fit the labels, so that the curves get the rest."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from lengthwise.reporting.figures import style
from lengthwise.reporting.figures.chart import Axis, Chart

LETTER = 7.4
"""Width of a letter of 12 pixels, bold and a little more than the mean, pixels."""
WIDE, NARROW = (560, 330), (360, 290)
"""Width and height of a drawing: for a column of a page, and for a phone."""


@dataclass(frozen=True)
class Frame:
    """Size of a drawing and its margins, pixels.

    Examples
    --------
    >>> frame = Frame(560, 330, 70, 90)
    >>> frame.x_ends, frame.y_ends
    ((70, 470), (286, 14))
    """

    width: int
    height: int
    left: int
    right: int
    top: int = 14
    bottom: int = 44

    @property
    def x_ends(self) -> tuple[int, int]:
        """Left and right end of the axis."""
        return self.left, self.width - self.right

    @property
    def y_ends(self) -> tuple[int, int]:
        """Lower and upper end of the axis."""
        return self.height - self.bottom, self.top

    @property
    def letters(self) -> int:
        """How many letters of a direct label fit beside the axis."""
        return int((self.right - 10) / LETTER)


def frame_of(chart: Chart, *, narrow: bool = False) -> Frame:
    """Give a chart the margins that its ticks and direct labels need."""
    width, height = NARROW if narrow else WIDE
    ticks = style.ticks_of(chart.y.kind, *padded(chart.y, chart.y_range), log=chart.y.log, most=6)
    left = 28 + _room(style.label_of(chart.y.kind, tick) for tick in ticks)
    right = 12 + _room(chart.ends)
    return Frame(width, height, left, min(right, round(0.34 * width)))


def padded(axis: Axis, ends: tuple[float, float]) -> tuple[float, float]:
    """Widen a range a little, so that nothing lies on the frame.

    >>> padded(Axis("x", "ms"), (1.0, 100.0))[1] > 100
    True
    """
    low, high = ends
    if axis.log:
        extra = max((high / low) ** 0.05, 1.08)
        return low / extra, high * extra
    extra = 0.05 * (high - low) or 1.0
    return (low if axis.low is not None else low - extra), high + extra


def shortened(text: str, letters: int) -> str:
    """Cut a label that has no room.

    >>> shortened("gradient-boosting", 12), shortened("linear", 12)
    ('gradient-bo…', 'linear')
    """
    return text if len(text) <= letters else text[: letters - 1] + "…"


def _room(labels: Iterable[str]) -> int:
    return int(np.ceil(LETTER * max((len(label) for label in labels), default=0)))
