"""Draw charts as inline SVG: text stays text, colours follow the page (light and dark).

Colours are CSS variables of the page (``--ink``, ``--c0`` ...), so that one drawing serves both
themes. For a file of its own the variables are written into the drawing.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from html import escape
from zlib import crc32

import numpy as np

from lengthwise.reporting.figures import style
from lengthwise.reporting.figures.chart import HELD_OUT, Axis, Bars, Chart
from lengthwise.reporting.figures.frame import NARROW, WIDE, Frame, frame_of, padded, shortened
from lengthwise.reporting.figures.svg_bars import draw_bars
from lengthwise.reporting.figures.svg_text import text_at
from lengthwise.units import FloatArray

LABEL_GAP = 14.0
STRAIGHT = 0.15
"""Points nearer than this to the line between their neighbours are left out, pixels."""
Scale = Callable[[FloatArray], FloatArray]


def css_variables(theme: str) -> str:
    """Return the palette of a theme as CSS declarations.

    >>> css_variables("light")[:14]
    '--ink:#1d232b;'
    """
    named = (("ink", style.INK), ("muted", style.MUTED), ("grid", style.GRID),
             ("page", style.PAGE), ("shade", style.SHADE))  # fmt: skip
    fixed = "".join(f"--{name}:{values[theme]};" for name, values in named)
    return fixed + "".join(f"--c{i}:{colour};" for i, colour in enumerate(style.palette(theme)))


def draw(figure: Chart | Bars, *, standalone: bool = False, narrow: bool = False) -> str:
    """Draw a figure.

    Parameters
    ----------
    figure
        What to show.
    narrow
        Draw for the width of a phone.
    standalone
        Write the colours of both themes and the page into the drawing, for a file.

    Returns
    -------
    str
        One ``svg`` element.
    """
    width, height = NARROW if narrow else WIDE
    if isinstance(figure, Bars):
        body, height = draw_bars(figure, width)
    else:
        body = _chart(figure, frame_of(figure, narrow=narrow))
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" '
        f'class="figure{" narrow" if narrow else ""}" '
        f'aria-label="{escape(figure.title, quote=True)}">'
    )
    own = ""
    if standalone:
        own = (
            "<style>svg{" + css_variables("light") + "background:var(--page);"
            "font:12px system-ui,sans-serif}@media(prefers-color-scheme:dark){svg{"
            + css_variables("dark") + "}}</style>"
        )  # fmt: skip
    return f"{head}{own}{body}</svg>"


def _scale(axis: Axis, low: float, high: float, start: float, end: float) -> Scale:
    if axis.log:
        a, b = math.log(low), math.log(high)
        return lambda v: (
            start + (np.log(np.maximum(v, 1e-12)) - a) / ((b - a) or 1.0) * (end - start)
        )
    return lambda v: start + (np.asarray(v, float) - low) / ((high - low) or 1.0) * (end - start)


def _chart(chart: Chart, frame: Frame) -> str:
    x_low, x_high = padded(chart.x, chart.x_range)
    y_low, y_high = padded(chart.y, chart.y_range)
    left, right = frame.x_ends
    bottom, top = frame.y_ends
    sx = _scale(chart.x, x_low, x_high, left, right)
    sy = _scale(chart.y, y_low, y_high, bottom, top)
    # A checksum, not hash(): the same chart must give the same file in every process.
    named = f"{chart.title} {x_low:.9g} {y_high:.9g} {len(chart.lines)} {frame.width}"
    clip = f"c{crc32(named.encode())}"
    parts = [
        f'<clipPath id="{clip}"><rect x="{left}" y="{top}" width="{right - left}" '
        f'height="{bottom - top}"/></clipPath>',
        _domain(chart, frame, sx), _grid(chart, frame, sx, sy, (x_low, x_high), (y_low, y_high)),
        f'<g clip-path="url(#{clip})">', *_bands(chart, sx, sy), *_lines(chart, sx, sy),
        *_points(chart, sx, sy), "</g>", _direct_labels(chart, frame, sy),
    ]  # fmt: skip
    return "".join(parts)


def _domain(chart: Chart, frame: Frame, sx: Scale) -> str:
    if chart.domain is None:
        return ""
    bottom, top = frame.y_ends
    a, b = np.clip(sx(np.array(chart.domain)), *frame.x_ends)
    return (
        f'<rect x="{a:.1f}" y="{top}" width="{max(b - a, 1):.1f}" '
        f'height="{bottom - top}" fill="var(--shade)"/>'
        f'<line x1="{b:.1f}" x2="{b:.1f}" y1="{top}" y2="{bottom}" '
        'stroke="var(--muted)" stroke-width=".8" stroke-dasharray="1 3"/>'
    )


def _grid(
    chart: Chart, frame: Frame, sx: Scale, sy: Scale, x_ends: tuple[float, float],
    y_ends: tuple[float, float],
) -> str:  # fmt: skip
    (left, right), (bottom, top) = frame.x_ends, frame.y_ends
    parts = []
    for v in style.ticks_of(chart.y.kind, *y_ends, log=chart.y.log, most=6):
        y = float(sy(np.array([v]))[0])
        parts.append(
            f'<line x1="{left}" x2="{right}" y1="{y:.1f}" y2="{y:.1f}" '
            f'stroke="var(--grid)"/>' + text_at(left - 7, y + 4, style.label_of(chart.y.kind, v),
                                              "end", "muted")
        )  # fmt: skip
    most = max(3, int((right - left) / 52))
    for v in style.ticks_of(chart.x.kind, *x_ends, log=chart.x.log, most=most):
        x = float(sx(np.array([v]))[0])
        parts.append(
            f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{bottom}" y2="{bottom + 4}" '
            f'stroke="var(--muted)"/>'
            + text_at(x, bottom + 17, style.label_of(chart.x.kind, v), "middle", "muted")
        )
    if chart.level_line is not None:
        y = float(sy(np.array([chart.level_line]))[0])
        parts.append(
            f'<line x1="{left}" x2="{right}" y1="{y:.1f}" y2="{y:.1f}" '
            'stroke="var(--ink)" stroke-width="1"/>'
        )
    middle = (left + right) / 2
    parts.append(
        f'<line x1="{left}" x2="{right}" y1="{bottom}" y2="{bottom}" '
        'stroke="var(--muted)"/>'
        + text_at(middle, frame.height - 8, chart.x.label, "middle", "ink")
    )
    y_middle = (top + bottom) / 2
    parts.append(
        f'<text transform="translate(13 {y_middle:.0f}) rotate(-90)" text-anchor="middle" '
        f'fill="var(--ink)">{escape(chart.y.label)}</text>'
    )
    return "".join(parts)


def _bands(chart: Chart, sx: Scale, sy: Scale) -> list[str]:
    out = []
    for band in chart.bands:
        x = np.concatenate([band.x, band.x[::-1]])
        y = np.concatenate([band.hi, band.lo[::-1]])
        out.append(
            f'<path d="{_path(sx(x), sy(y))}Z" fill="{_colour(band.role)}" opacity=".16">'
            f"<title>{escape(band.name)}</title></path>"
        )
    return out


def _lines(chart: Chart, sx: Scale, sy: Scale) -> list[str]:
    out = []
    for line in chart.lines:
        dash = ' stroke-dasharray="6 4"' if line.dashed else ""
        width = 2.4 if line.role == 0 else 1.5
        out.append(
            f'<path d="{_path(sx(line.x), sy(line.y))}" fill="none" '
            f'stroke="{_colour(line.role)}" stroke-width="{width}"{dash}>'
            f"<title>{escape(line.name)}</title></path>"
        )
    return out


def _points(chart: Chart, sx: Scale, sy: Scale) -> list[str]:
    out = []
    for group in chart.points:
        colour = _colour(group.role)
        paint = (
            f'fill="var(--page)" stroke="{colour}" stroke-width="1.6"' if group.role == HELD_OUT
            else f'fill="{colour}"'
        )  # fmt: skip
        marks = "".join(
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.2"><title>'
            f"{style.label_of(chart.x.kind, vx)}: {style.label_of(chart.y.kind, vy)}"
            "</title></circle>"
            for x, y, vx, vy in zip(
                sx(group.x) + group.nudge, sy(group.y), group.x, group.y, strict=True
            )
        )
        out.append(f"<g {paint}>{marks}</g>")
    return out


def _direct_labels(chart: Chart, frame: Frame, sy: Scale) -> str:
    """Names at the right ends of lines, moved apart where they would overlap."""
    bottom, top = frame.y_ends
    ends = {n: (float(sy(np.array([y]))[0]), role) for n, (y, role) in chart.ends.items()}
    placed = spread(
        [min(max(y, top + 6), bottom - 2) for y, _ in ends.values()],
        LABEL_GAP, top + 6.0, bottom - 2.0,
    )  # fmt: skip
    at, colours = frame.x_ends[1] + 8, len(style.LIGHT)
    return "".join(
        text_at(at, y + 4, shortened(name, frame.letters), "start", f"c{role % colours}", role == 0)
        for (name, (_, role)), y in zip(ends.items(), placed, strict=True)
    )


def spread(wanted: list[float], gap: float, low: float, high: float) -> list[float]:
    """Move positions apart to at least ``gap``, staying in order and near where they were.

    >>> spread([10.0, 12.0, 50.0], 14.0, 0.0, 100.0)
    [10.0, 24.0, 50.0]
    >>> spread([95.0, 96.0], 14.0, 0.0, 100.0)
    [86.0, 100.0]
    """
    order = sorted(range(len(wanted)), key=lambda i: wanted[i])
    placed = list(wanted)
    at = low - gap
    for i in order:
        at = placed[i] = max(wanted[i], at + gap)
    at = high + gap
    for i in reversed(order):
        at = placed[i] = min(placed[i], at - gap)
    return placed


def _path(x: FloatArray, y: FloatArray) -> str:
    kept = _bends(x, y)
    pairs = [f"{a:.1f} {b:.1f}" for a, b in zip(x[kept], y[kept], strict=True)]
    return "M" + "L".join(pairs) if pairs else ""


def _bends(x: FloatArray, y: FloatArray) -> list[int]:
    """Find the points that a polyline cannot do without.

    >>> _bends(np.array([0.0, 1.0, 2.0, 3.0]), np.array([0.0, 1.0, 2.0, 0.0]))
    [0, 2, 3]
    """
    kept = [0] if len(x) else []
    for i in range(1, len(x) - 1):
        a = kept[-1]
        dx, dy = x[i + 1] - x[a], y[i + 1] - y[a]
        between = slice(a + 1, i + 1)
        off = np.abs(dx * (y[between] - y[a]) - dy * (x[between] - x[a]))
        if off.max() > STRAIGHT * max(math.hypot(dx, dy), 1e-9):
            kept.append(i)
    return [*kept, len(x) - 1] if len(x) > 1 else kept


def _colour(role: int) -> str:
    return "var(--ink)" if role < 0 else f"var(--c{role % len(style.LIGHT)})"
