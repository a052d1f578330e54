"""Draw charts with matplotlib, into PNG or SVG files. matplotlib is an extra, imported on use."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from lengthwise.data.output import is_stream, opened
from lengthwise.data.output_kinds import PICTURES, PRODUCER
from lengthwise.errors import InputError, MissingExtraError
from lengthwise.reporting.figures import style
from lengthwise.reporting.figures.chart import HELD_OUT, Bars, Chart
from lengthwise.reporting.figures.frame import padded
from lengthwise.reporting.figures.legend import BAND_ALPHA, DASHES, legend_of
from lengthwise.reporting.figures.svg import spread

SIZE = (6.4, 3.9)
TITLE_HEIGHT, KEY_HEIGHT = 0.3, 0.5
"""Room for a line of the heading and for the legend, inches."""
TITLE_LETTERS = 54
"""Letters of a heading that fit over one figure."""
DPI = 160
FEWEST_ROWS = 6
"""Bars are drawn as thick as if there were this many."""


def save(
    figures: Sequence[Chart | Bars], path: str | Path, *, theme: str = "light", title: str = "",
    columns: int = 2,
) -> Path:  # fmt: skip
    """Draw figures side by side into one file.

    Parameters
    ----------
    figures
        What to draw; empty ones are left out.
    path
        File to write: ``.png``, ``.svg`` or ``.pdf``; PNG for a pipe without a suffix.
    theme
        ``light`` or ``dark``.
    title
        Heading over all of them; what was measured, where it is the same for all, when empty.
    columns
        Figures in a row.

    Raises
    ------
    MissingExtraError
        If matplotlib is not installed.
    InputError
        If the ending is not one of these.
    OutputError
        If the file cannot be written.
    """
    target = Path(path)
    suffix = target.suffix.lower() or (PICTURES[0] if is_stream(target) else "")
    if suffix not in PICTURES:
        raise InputError(f"a picture ends in {', '.join(PICTURES)}", got=target.name,
                         remedy="rename it, for example to laws.png")  # fmt: skip
    agg = _matplotlib()
    shown = [f for f in figures if not f.is_empty]
    across = min(columns, max(len(shown), 1))
    down = -(-len(shown) // across) or 1
    heading = textwrap.fill(title or _subject(shown), TITLE_LETTERS * across)
    with agg["rc_context"](_settings(theme)):
        keys = legend_of(shown, theme)
        extra = TITLE_HEIGHT * (heading.count("\n") + 1) * bool(heading) + KEY_HEIGHT * bool(keys)
        figure = agg["Figure"](
            figsize=(SIZE[0] * across, SIZE[1] * down + extra), layout="constrained"
        )
        if heading:
            figure.suptitle(heading, x=0.01, ha="left", fontsize=12, fontweight="bold")
        if keys:
            figure.legend(handles=keys, loc="outside lower left", ncols=3 * across, frameon=False,
                          fontsize=9, handlelength=2.4, columnspacing=1.4)  # fmt: skip
        axes = figure.subplots(down, across, squeeze=False).ravel()
        for axis, chart in zip(axes, shown, strict=False):
            if isinstance(chart, Bars):
                _bars(axis, chart, theme)
            else:
                _chart(axis, chart, theme)
        for axis in axes[len(shown) :]:
            axis.set_axis_off()
        _write(figure, target, suffix, heading)
    return target


def _subject(figures: Sequence[Chart | Bars]) -> str:
    """Say what all charts are about; nothing if that differs."""
    found = {figure.subject for figure in figures if isinstance(figure, Chart)}
    return found.pop() if len(found) == 1 else ""


def _write(figure: Any, target: Path, suffix: str, heading: str) -> None:
    made_by = f"{PRODUCER} picture"
    facts: dict[str, dict[str, str | None]] = {
        ".png": {"Software": made_by},
        ".svg": {"Date": None, "Creator": made_by},
        ".pdf": {"Creator": made_by},
    }
    drawn = BytesIO()
    figure.savefig(drawn, format=suffix[1:], dpi=DPI, metadata={"Title": heading} | facts[suffix])
    with opened(target) as file:
        file.write(drawn.getvalue())


def _matplotlib() -> dict[str, Any]:
    try:
        from matplotlib import rc_context
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        raise MissingExtraError("matplotlib", "report") from None
    return {"rc_context": rc_context, "Figure": Figure, "canvas": FigureCanvasAgg}


def _settings(theme: str) -> dict[str, Any]:
    ink, muted = style.INK[theme], style.MUTED[theme]
    return {
        "font.size": 10.5, "font.family": "sans-serif", "axes.titlesize": 11.5,
        "axes.titleweight": "bold", "axes.titlelocation": "left", "axes.edgecolor": muted,
        "axes.labelcolor": ink, "text.color": ink, "xtick.color": muted, "ytick.color": muted,
        "axes.spines.top": False, "axes.spines.right": False, "axes.spines.left": False,
        "figure.facecolor": style.PAGE[theme], "axes.facecolor": style.PAGE[theme],
        "savefig.facecolor": style.PAGE[theme], "svg.fonttype": "none", "svg.hashsalt": "figure",
        "xtick.minor.size": 0, "ytick.minor.size": 0, "ytick.major.size": 0,
    }  # fmt: skip


def _chart(axis: Any, chart: Chart, theme: str) -> None:
    from matplotlib.transforms import ScaledTranslation

    palette = style.palette(theme)
    x_ends, y_ends = padded(chart.x, chart.x_range), padded(chart.y, chart.y_range)
    if chart.domain:
        axis.axvspan(*chart.domain, color=style.SHADE[theme], zorder=0, lw=0)
        axis.axvline(chart.domain[1], color=style.MUTED[theme], lw=0.8, ls=":", zorder=1)
    if chart.level_line is not None:
        axis.axhline(chart.level_line, color=style.INK[theme], lw=0.9, zorder=1)
    for band in chart.bands:
        axis.fill_between(
            band.x, band.lo, band.hi, color=palette[band.role], alpha=BAND_ALPHA, lw=0
        )
    for line in chart.lines:
        axis.plot(
            line.x, line.y, color=palette[line.role % len(palette)],
            lw=2.3 if line.role == 0 else 1.5, ls=DASHES if line.dashed else "-", zorder=3,
        )  # fmt: skip
    for points in chart.points:
        colour = style.INK[theme] if points.role < 0 else palette[points.role % len(palette)]
        face = style.PAGE[theme] if points.role == HELD_OUT else colour
        shift = ScaledTranslation(points.nudge / 90, 0, axis.figure.dpi_scale_trans)
        axis.plot(
            points.x, points.y, "o", ms=5, mec=colour, mfc=face, mew=1.3, ls="", zorder=4,
            transform=axis.transData + shift,
        )  # fmt: skip
    _axes(axis, chart, x_ends, y_ends, theme)
    _labels(axis, chart, y_ends, palette)


def _axes(
    axis: Any, chart: Chart, x_ends: tuple[float, float], y_ends: tuple[float, float], theme: str
) -> None:
    for which, side, ends, most in (("x", chart.x, x_ends, 7), ("y", chart.y, y_ends, 6)):
        getattr(axis, f"set_{which}scale")("log" if side.log else "linear")
        getattr(axis, f"set_{which}lim")(*ends)
        ticks = style.ticks_of(side.kind, *ends, log=side.log, most=most)
        getattr(axis, f"set_{which}ticks")(ticks, [style.label_of(side.kind, t) for t in ticks])
        getattr(axis, f"set_{which}ticks")([], minor=True)
        getattr(axis, f"set_{which}label")(side.label)
    axis.grid(axis="y", color=style.GRID[theme], lw=0.8, zorder=0)
    axis.set_axisbelow(True)
    axis.set_title(chart.title)


def _labels(axis: Any, chart: Chart, y_ends: tuple[float, float], palette: tuple[str, ...]) -> None:
    """Direct labels right of the axis, moved apart; positions are in parts of its height."""
    ends = {
        name: (float(np.clip(_part(y, y_ends, chart.y.log), 0, 1)), role)
        for name, (y, role) in chart.ends.items()
    }
    placed = spread([y for y, _ in ends.values()], 0.062, 0.02, 0.98)
    for (name, (_, role)), y in zip(ends.items(), placed, strict=True):
        axis.annotate(
            name, (1.015, y), xycoords="axes fraction", va="center", fontsize=9.5,
            color=palette[role % len(palette)], fontweight="bold" if role == 0 else "normal",
        )  # fmt: skip


def _part(value: float, ends: tuple[float, float], log: bool) -> float:
    if log:
        return float(np.log(value / ends[0]) / np.log(ends[1] / ends[0]))
    return (value - ends[0]) / (ends[1] - ends[0])


def _bars(axis: Any, bars: Bars, theme: str) -> None:
    palette = style.palette(theme)
    title, values = list(bars.panels.items())[-1]
    at = np.arange(len(bars.rows))[::-1]
    known = np.array([b.value for b in values])
    alpha = [1.0 if name == bars.highlight else 0.45 for name in bars.rows]
    for y, value, a, bar in zip(at, np.nan_to_num(known), alpha, values, strict=True):
        axis.barh(y, value, height=0.6, color=palette[0], alpha=a)
        if np.isfinite([bar.lo, bar.hi]).all():
            axis.plot([bar.lo, bar.hi], [y, y], color=style.INK[theme], lw=1.1)
        end = np.nanmax([value, bar.hi])
        text = f"{bar.value:.{0 if bar.value >= 100 else 1}f} {bars.unit}"
        axis.annotate(text, (end, y), xytext=(5, 0), va="center", textcoords="offset points")
    axis.set_yticks(at, bars.rows, color=style.INK[theme])
    axis.set_xticks([])
    axis.set_ylim(min(-0.5, len(bars.rows) - FEWEST_ROWS - 0.5), len(bars.rows) - 0.5)
    axis.spines["bottom"].set_visible(False)
    axis.set_xlim(0, float(np.nanmax([[b.value, b.hi] for b in values])) * 1.2)
    axis.set_title(f"{bars.title}, {title}")
