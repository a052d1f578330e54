"""What marks, dashes and shades of a picture mean: its legend, for matplotlib."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lengthwise.reporting.figures import style
from lengthwise.reporting.figures.chart import HELD_OUT, MEASURED, Bars, Chart

DASHES = (0, (5, 3))
"""Dashes of a curve beyond the fitted lengths, in widths of the line."""
BAND_ALPHA = 0.16


def legend_of(figures: Sequence[Chart | Bars], theme: str) -> list[Any]:
    """Make the entries for what the charts hold; none for bars, which say everything themselves."""
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    charts = [figure for figure in figures if isinstance(figure, Chart)]
    ink, own = style.INK[theme], style.palette(theme)[0]
    roles = {points.role for chart in charts for points in chart.points}
    keys: list[Any] = []
    for role, face, text in ((MEASURED, ink, "measured"), (HELD_OUT, style.PAGE[theme],
                                                           "measured, not fitted")):  # fmt: skip
        if role in roles:
            keys.append(Line2D([], [], marker="o", ls="", ms=5, mec=ink, mfc=face, label=text))
    if any(line.dashed for chart in charts for line in chart.lines):
        keys.append(Line2D([], [], color=own, lw=2.3, label="law, in range"))
        keys.append(Line2D([], [], color=own, lw=2.3, ls=DASHES, label="extrapolated"))
    bands = dict.fromkeys(b.name.partition(" of ")[0] for chart in charts for b in chart.bands)
    keys += [Patch(fc=own, alpha=BAND_ALPHA, label=name) for name in bands]
    if any(chart.domain for chart in charts):
        keys.append(Patch(fc=style.SHADE[theme], ec=style.GRID[theme], label="lengths fitted"))
    return keys
