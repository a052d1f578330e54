"""Numbers, times and settings as the page of a run writes them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from lengthwise.reporting.run_page.content import Facts


def numbers(values: Sequence[float | None]) -> list[str]:
    """Write a column of numbers with one count of decimals, that of three digits of the least.

    >>> numbers([0.943, 34.3, None]), numbers([4.25, 130.0]), numbers([980.2, 23000.0])
    (['0.94', '34.30', '-'], ['4.25', '130.00'], ['980', '23,000'])
    """
    known = [abs(v) for v in values if v is not None and math.isfinite(v)]
    positive = [v for v in known if v > 0]
    if not positive:
        return ["-" if v is None or not math.isfinite(v) else f"{v:g}" for v in values]
    most = 3 if max(known) < 10 else 2 if max(known) < 1000 else 1
    decimals = min(max(2 - math.floor(math.log10(min(positive))), 0), most)
    return ["-" if v is None or not math.isfinite(v) else f"{v:,.{decimals}f}" for v in values]


def counts(values: Sequence[float | None]) -> list[str]:
    """Write whole numbers.

    >>> counts([1024.0, None])
    ['1,024', '-']
    """
    return ["-" if v is None or not math.isfinite(v) else f"{v:,.0f}" for v in values]


def duration(seconds: float) -> str:
    """Write a span of time.

    >>> duration(12.34), duration(320), duration(7500)
    ('12.3 s', '5 min 20 s', '2 h 5 min')
    """
    if seconds < 120:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


def moment(text: str) -> str:
    """Write a time of a manifest.

    >>> moment("2026-03-01T12:30:05+00:00")
    '2026-03-01 12:30:05 UTC'
    """
    return f"{datetime.fromisoformat(text):%Y-%m-%d %H:%M:%S} UTC"


def facts_of(pairs: Sequence[tuple[str, Any]]) -> Facts:
    """Keep the pairs that are known, values as text.

    >>> facts_of([("seed", 0), ("precision", None), ("tp", "")])
    (('seed', '0'),)
    """
    return tuple((name, said(value)) for name, value in pairs if value not in (None, "", {}, []))


def said(value: Any) -> str:
    """Write a value of a manifest: mappings as ``name=value``."""
    if isinstance(value, Mapping):
        return ", ".join(f"{k}={said(v)}" for k, v in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(map(said, value))
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
