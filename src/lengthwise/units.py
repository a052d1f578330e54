"""Units: seconds inside, milliseconds at the edges (tables, command line, HTTP)."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
"""One-dimensional array of float64; docstrings give its shape and unit."""
IndexArray = npt.NDArray[np.intp]
"""Positions in an array."""

MS_PER_S = 1e3


def ms_to_s(value_ms: Any) -> Any:
    """Convert milliseconds to seconds.

    >>> ms_to_s(250.0)
    0.25
    """
    return value_ms / MS_PER_S


def s_to_ms(value_s: Any) -> Any:
    """Convert seconds to milliseconds.

    >>> s_to_ms(0.25)
    250.0
    """
    return value_s * MS_PER_S


def format_tokens(tokens: float) -> str:
    """Format a token count for people.

    >>> format_tokens(65536), format_tokens(1000000), format_tokens(300)
    ('65,536', '1,000,000', '300')
    """
    return f"{round(tokens):,}"


def counted(n: int, what: str) -> str:
    """Write how many there are of something.

    >>> counted(1, "law"), counted(1200, "row")
    ('1 law', '1,200 rows')
    """
    return f"{n:,} {what}{'' if n == 1 else 's'}"


def format_ms(value_ms: float) -> str:
    """Format a time with three significant digits and the unit that reads best.

    >>> format_ms(0.4567), format_ms(12.345), format_ms(2345.6), format_ms(123456.0)
    ('0.457 ms', '12.3 ms', '2.35 s', '123 s')
    >>> format_ms(1.234e12)
    '1.23e+09 s'
    """
    if not np.isfinite(value_ms):
        return "n/a"
    if abs(value_ms) < 1e3:
        digits = 3 if abs(value_ms) < 1 else 2 if abs(value_ms) < 10 else 1
        return f"{value_ms:.{0 if abs(value_ms) >= 100 else digits}f} ms"
    seconds = value_ms / MS_PER_S
    if seconds >= 1e5:
        return f"{seconds:.3g} s"
    return f"{seconds:.{0 if seconds >= 100 else 1 if seconds >= 10 else 2}f} s"
