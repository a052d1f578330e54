"""Text in a drawing."""

from __future__ import annotations

from html import escape


def text_at(x: float, y: float, text: str, anchor: str, colour: str, bold: bool = False) -> str:
    """Draw text at a place; ``anchor`` as in SVG, ``colour`` a variable of the page.

    >>> text_at(1, 2, "a", "end", "ink")
    '<text x="1.0" y="2.0" text-anchor="end" fill="var(--ink)">a</text>'
    """
    weight = ' font-weight="600"' if bold else ""
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="var(--{colour})"{weight}>'
        f"{escape(text)}</text>"
    )
