"""Colours, ticks and number formats shared by the two ways of drawing.

The palette is that of Okabe and Ito (2008), which colour-blind readers can tell apart, darkened for
white paper and lightened for a dark page; contrast with the page is at least 3 to 1.
"""

from __future__ import annotations

import math

LIGHT = ("#0067a8", "#c8500a", "#00805c", "#b0508a", "#8a6d00", "#3f8fc0", "#6b6b6b", "#7a5cc0")
DARK = ("#5cb3f0", "#ff9a5c", "#3ccf9f", "#eca3cf", "#e8c547", "#9fd4f7", "#b5b5b5", "#bda7f2")
INK = {"light": "#1d232b", "dark": "#e6e9ee"}
MUTED = {"light": "#5c6672", "dark": "#9aa4b0"}
GRID = {"light": "#e3e7ec", "dark": "#2c333c"}
PAGE = {"light": "#ffffff", "dark": "#14181d"}
SHADE = {"light": "#f2f5f8", "dark": "#1c2229"}
FEWEST = 3
"""Ticks that a logarithmic axis should have room for."""
MANY = 99


def palette(theme: str) -> tuple[str, ...]:
    """Return the colours of the series in a theme.

    >>> palette("dark")[0]
    '#5cb3f0'
    """
    return LIGHT if theme == "light" else DARK


def tokens_label(value: float) -> str:
    """Write a token count the way people say it.

    >>> [tokens_label(v) for v in (1, 128, 1024, 1536, 65536, 1048576)]
    ['1', '128', '1k', '1.5k', '64k', '1M']
    """
    for size, letter in ((1024**2, "M"), (1024, "k")):
        if value >= size:
            return f"{value / size:.3g}{letter}"
    return f"{value:.4g}"


def ms_label(value: float) -> str:
    """Write a time with few digits.

    >>> [ms_label(v) for v in (0.05, 2, 30, 1000, 25000, 0.5e6)]
    ['0.05 ms', '2 ms', '30 ms', '1 s', '25 s', '500 s']
    """
    return f"{value / 1e3:.3g} s" if value >= 1e3 else f"{value:.3g} ms"


def label_of(kind: str, value: float) -> str:
    """Write a tick of an axis.

    >>> label_of("factor", 4.0), label_of("ratio", 1.25), label_of("percent", 30.0)
    ('4x', '1.25', '30 %')
    """
    if kind == "tokens":
        return tokens_label(value)
    if kind == "ms":
        return ms_label(value)
    suffix = {"factor": "x", "percent": " %"}.get(kind, "")
    return f"{value:,.0f}{suffix}" if value >= 1e3 else f"{value:.3g}{suffix}"


def ticks_of(kind: str, low: float, high: float, *, log: bool, most: int = 7) -> list[float]:
    """Choose ticks at round values inside a range: powers of two for tokens, else 1, 2, 5.

    >>> ticks_of("tokens", 100, 70000, log=True)
    [256.0, 1024.0, 4096.0, 16384.0, 65536.0]
    >>> ticks_of("tokens", 500, 4200, log=True, most=3)
    [1024.0, 4096.0]
    >>> ticks_of("ms", 8, 900, log=True, most=4)
    [10.0, 30.0, 100.0, 300.0]
    >>> ticks_of("ratio", 0.0, 1.0, log=False)
    [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]

    Where a range is so short that it holds less than three of these, ticks are evenly spaced.

    >>> ticks_of("ms", 6.5, 7.6, log=True), ticks_of("tokens", 600, 1300, log=True)
    ([6.6, 6.8, 7.0, 7.2, 7.4, 7.6], [640.0, 768.0, 896.0, 1024.0, 1152.0, 1280.0])
    """
    if log and (kind == "factor" or len(_logarithmic(kind, low, high, MANY)) >= FEWEST):
        return _logarithmic(kind, low, high, most)
    size = 128.0 if kind == "tokens" and high - low > 256 else 1.0
    return [size * tick for tick in _linear(low / size, high / size, most)]


def _logarithmic(kind: str, low: float, high: float, most: int) -> list[float]:
    if kind in ("tokens", "factor"):
        first, last = math.ceil(math.log2(low) - 1e-9), math.floor(math.log2(high) + 1e-9)
        step = max(1, math.ceil((last - first + 1) / most))
        return [2.0**e for e in range(last, first - 1, -step)][::-1]
    for digits in ((1, 1.5, 2, 3, 5, 7), (1, 2, 3, 5), (1, 2, 5), (1, 3), (1,)):
        decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
        found = [d * 10.0**e for e in decades for d in digits]
        found = [float(f"{v:.6g}") for v in found if low * (1 - 1e-9) <= v <= high * (1 + 1e-9)]
        if len(found) <= most:
            return found
    return found[:: math.ceil(len(found) / most)]


def _linear(low: float, high: float, most: int) -> list[float]:
    raw = (high - low) / max(most - 1, 1) or 1.0
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(s * power for s in (1, 2, 2.5, 5, 10) if s * power >= raw * 0.999)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [float(f"{i * step:.6g}") for i in range(first, last + 1)]
