"""Bars as SVG: a row per name, a panel per column, each value written at the end of its bar."""

from __future__ import annotations

import numpy as np

from lengthwise.reporting.figures.chart import Bars
from lengthwise.reporting.figures.frame import LETTER, shortened
from lengthwise.reporting.figures.svg_text import text_at


def draw_bars(bars: Bars, width: int) -> tuple[str, int]:
    """Draw bars into ``width`` pixels; the body of the drawing and its height."""
    row, top = 24, 40
    label = min(22 + int(LETTER * max(map(len, bars.rows), default=0)), round(0.42 * width))
    letters = int((label - 10) / LETTER)
    height = top + row * len(bars.rows) + 10
    space = (width - label) / max(len(bars.panels), 1)
    parts = [
        text_at(
            label - 10,
            top + row * i + 14,
            shortened(name, letters),
            "end",
            "ink",
            name == bars.highlight,
        )
        for i, name in enumerate(bars.rows)
    ]
    for p, (title, values) in enumerate(bars.panels.items()):
        left, room = label + p * space, space - 78
        known = [b.value for b in values if np.isfinite(b.value)]
        most = max(known, default=1.0) or 1.0
        parts.append(text_at(left, 22, title, "start", "ink", True))
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
        return text_at(left + 6, y + 14, "none", "start", "muted")
    length = max(value * unit_px, 1.0)
    opacity = "1" if strong else ".45"
    out = (
        f'<rect x="{left:.1f}" y="{y + 3}" width="{length:.1f}" height="13" rx="1.5" '
        f'fill="var(--c0)" opacity="{opacity}"/>'
    )
    end = left + length
    if np.isfinite(lo) and np.isfinite(hi):
        a, b = left + lo * unit_px, min(left + hi * unit_px, left + room + 14)
        out += (
            f'<line x1="{a:.1f}" x2="{b:.1f}" y1="{y + 9.5}" y2="{y + 9.5}" '
            'stroke="var(--ink)" stroke-width="1.2"/>'
        )
        end = max(end, b)
    return out + text_at(
        end + 6, y + 14, f"{value:.{0 if value >= 100 else 1}f} {unit}".strip(), "start", "ink"
    )
