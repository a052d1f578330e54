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
from lengthwise.units import FloatArray

WIDTH, HEIGHT = 560, 330
LEFT, RIGHT, TOP, BOTTOM = 76, 118, 14, 44
LABEL_GAP = 14.0
Scale = Callable[[FloatArray], FloatArray]


def css_variables(theme: str) -> str:
    """Give the palette of a theme as CSS declarations.

    >>> css_variables("light")[:14]
    '--ink:#1d232b;'
    """
    palette = style.LIGHT if theme == "light" else style.DARK
    named = (("ink", style.INK), ("muted", style.MUTED), ("grid", style.GRID),
             ("page", style.PAGE), ("shade", style.SHADE))  # fmt: skip
    fixed = "".join(f"--{name}:{values[theme]};" for name, values in named)
    return fixed + "".join(f"--c{i}:{colour};" for i, colour in enumerate(palette))


def draw(figure: Chart | Bars, *, standalone: bool = False) -> str:
    """Draw a figure.

    Parameters
    ----------
    figure
        What to show.
    standalone
        Write the colours of both themes and the page into the drawing, for a file.

    Returns
    -------
    str
        One ``svg`` element.
    """
    body, height = _bars(figure) if isinstance(figure, Bars) else (_chart(figure), HEIGHT)
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" '
        f'class="figure" aria-label="{escape(figure.title, quote=True)}">'
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


def _chart(chart: Chart) -> str:
    x_low, x_high = padded(chart.x, chart.x_range)
    y_low, y_high = padded(chart.y, chart.y_range)
    sx = _scale(chart.x, x_low, x_high, LEFT, WIDTH - RIGHT)
    sy = _scale(chart.y, y_low, y_high, HEIGHT - BOTTOM, TOP)
    # A checksum, not hash(): the same chart must give the same file in every process.
    named = f"{chart.title} {x_low:.9g} {y_high:.9g} {len(chart.lines)}"
    clip = f"c{crc32(named.encode())}"
    parts = [
        f'<clipPath id="{clip}"><rect x="{LEFT}" y="{TOP}" width="{WIDTH - LEFT - RIGHT}" '
        f'height="{HEIGHT - TOP - BOTTOM}"/></clipPath>',
        _domain(chart, sx), _grid(chart, sx, sy, (x_low, x_high), (y_low, y_high)),
        f'<g clip-path="url(#{clip})">', *_bands(chart, sx, sy), *_lines(chart, sx, sy),
        *_points(chart, sx, sy), "</g>", _direct_labels(chart, sx, sy),
    ]  # fmt: skip
    return "".join(parts)


def _domain(chart: Chart, sx: Scale) -> str:
    if chart.domain is None:
        return ""
    a, b = np.clip(sx(np.array(chart.domain)), LEFT, WIDTH - RIGHT)
    return (
        f'<rect x="{a:.1f}" y="{TOP}" width="{max(b - a, 1):.1f}" '
        f'height="{HEIGHT - TOP - BOTTOM}" fill="var(--shade)"/>'
        f'<line x1="{b:.1f}" x2="{b:.1f}" y1="{TOP}" y2="{HEIGHT - BOTTOM}" '
        'stroke="var(--muted)" stroke-width=".8" stroke-dasharray="1 3"/>'
    )


def _grid(
    chart: Chart, sx: Scale, sy: Scale, x_ends: tuple[float, float], y_ends: tuple[float, float]
) -> str:
    parts = []
    for v in style.ticks_of(chart.y.kind, *y_ends, log=chart.y.log, most=6):
        y = float(sy(np.array([v]))[0])
        parts.append(
            f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}" '
            f'stroke="var(--grid)"/>' + _text(LEFT - 7, y + 4, style.label_of(chart.y.kind, v),
                                              "end", "muted")
        )  # fmt: skip
    for v in style.ticks_of(chart.x.kind, *x_ends, log=chart.x.log):
        x = float(sx(np.array([v]))[0])
        parts.append(
            f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{HEIGHT - BOTTOM}" y2="{HEIGHT - BOTTOM + 4}" '
            f'stroke="var(--muted)"/>'
            + _text(x, HEIGHT - BOTTOM + 17, style.label_of(chart.x.kind, v), "middle", "muted")
        )
    if chart.level_line is not None:
        y = float(sy(np.array([chart.level_line]))[0])
        parts.append(
            f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}" '
            'stroke="var(--ink)" stroke-width="1"/>'
        )
    middle = (LEFT + WIDTH - RIGHT) / 2
    parts.append(
        f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{HEIGHT - BOTTOM}" y2="{HEIGHT - BOTTOM}" '
        'stroke="var(--muted)"/>' + _text(middle, HEIGHT - 8, chart.x.label, "middle", "ink")
    )
    y_middle = (TOP + HEIGHT - BOTTOM) / 2
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


def _direct_labels(chart: Chart, sx: Scale, sy: Scale) -> str:
    """Names at the right ends of lines, moved apart where they would overlap."""
    ends = {n: (float(sy(np.array([y]))[0]), role) for n, (y, role) in chart.ends.items()}
    placed = spread(
        [min(max(y, TOP + 6), HEIGHT - BOTTOM - 2) for y, _ in ends.values()],
        LABEL_GAP, TOP + 6.0, HEIGHT - BOTTOM - 2.0,
    )  # fmt: skip
    return "".join(
        _text(WIDTH - RIGHT + 8, y + 4, name, "start", f"c{role % len(style.LIGHT)}", role == 0)
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


def _bars(bars: Bars) -> tuple[str, int]:
    row, top, label = 24, 40, 150
    height = top + row * len(bars.rows) + 10
    space = (WIDTH - label) / max(len(bars.panels), 1)
    parts = [
        _text(label - 10, top + row * i + 14, name, "end", "ink", name == bars.highlight)
        for i, name in enumerate(bars.rows)
    ]
    for p, (title, values) in enumerate(bars.panels.items()):
        left, room = label + p * space, space - 78
        known = [b.value for b in values if np.isfinite(b.value)]
        most = max(known, default=1.0) or 1.0
        parts.append(_text(left, 22, title, "start", "ink", True))
        parts.append(
            f'<line x1="{left:.1f}" x2="{left:.1f}" y1="{top - 6}" y2="{height - 6}" '
            'stroke="var(--muted)"/>'
        )
        for i, bar in enumerate(values):
            y = top + row * i
            parts.append(_bar(bar.value, bar.lo, bar.hi, left, y, room / most, room,
                              bars.rows[i] == bars.highlight, bars.unit))  # fmt: skip
    return "".join(parts), height


def _bar(
    value: float, lo: float, hi: float, left: float, y: float, unit_px: float, room: float,
    strong: bool, unit: str,
) -> str:  # fmt: skip
    if not np.isfinite(value):
        return _text(left + 6, y + 14, "none", "start", "muted")
    length = max(value * unit_px, 1.0)
    opacity = "1" if strong else ".45"
    out = (
        f'<rect x="{left:.1f}" y="{y + 3}" width="{length:.1f}" height="13" rx="1.5" '
        f'fill="var(--c0)" opacity="{opacity}"/>'
    )
    text_at = left + length
    if np.isfinite(lo) and np.isfinite(hi):
        a, b = left + lo * unit_px, min(left + hi * unit_px, left + room + 14)
        out += (
            f'<line x1="{a:.1f}" x2="{b:.1f}" y1="{y + 9.5}" y2="{y + 9.5}" '
            'stroke="var(--ink)" stroke-width="1.2"/>'
        )
        text_at = max(text_at, b)
    return out + _text(
        text_at + 6, y + 14, f"{value:.{0 if value >= 100 else 1}f} {unit}".strip(), "start", "ink"
    )


def _path(x: FloatArray, y: FloatArray) -> str:
    pairs = [f"{a:.1f} {b:.1f}" for a, b in zip(x, y, strict=True)]
    return "M" + "L".join(pairs) if pairs else ""


def _colour(role: int) -> str:
    return "var(--ink)" if role < 0 else f"var(--c{role % len(style.LIGHT)})"


def _text(x: float, y: float, text: str, anchor: str, colour: str, bold: bool = False) -> str:
    weight = ' font-weight="600"' if bold else ""
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="var(--{colour})"{weight}>'
        f"{escape(text)}</text>"
    )
