"""Points in time of a log of requests as seconds: the unit, and which of them share a clock."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lengthwise.data.formats.fields import number, unix_seconds
from lengthwise.data.formats.request_log_names import UNITS, Columns
from lengthwise.data.formats.request_records import Record
from lengthwise.data.kinds import is_number

UNIX_S = (1e9, 2.9e9)
"""Unix times of the years 2001 to 2061, s."""

TOKEN_S = (5e-4, 0.5)
"""Plausible mean time per token, s: a factor of 1000, so that just one unit fits."""

SLACK = 100.0
"""Factor beyond those limits at which a number that could be a unix time is none."""

WHOLE_S = (0.03, 30.0)
"""Plausible time of a request whose tokens were not counted, s."""

_ORDER = ("arrival", "queued", "scheduled", "first", "last", "end")


@dataclass(frozen=True)
class Clock:
    """How numbers of a log become seconds.

    Attributes
    ----------
    factors
        Seconds in a unit of each point in time; NaN for ISO 8601 text.
    start
        The point in time a request begins at, by the same clock as its tokens.
    unit, guessed, said
        Unit in words, whether nothing but plausibility tells it, and a sentence on it.
    unix
        Whether times are unix times.
    """

    factors: Mapping[str, float]
    start: str
    unit: str
    guessed: bool
    said: str
    unix: bool


@dataclass(frozen=True)
class Moments:
    """Points in time of one request, s; NaN where the log has none."""

    start: float
    first: float
    last: float
    end: float
    waited: float
    unix: bool


def clock_of(found: Sequence[Mapping[str, Any]], columns: Columns) -> Clock:
    """Find the unit of each point in time and the clock that tokens are timed by."""
    medians = {point: _median(found, name) for point, (name, _) in columns.points.items()}
    texts = {point for point in medians if _is_text(found, columns.points[point][0])}
    sized = {point: _unit(point, columns, medians) for point in medians if point not in texts}
    value, limits = _times(found, columns, medians) if not texts else (math.nan, TOKEN_S)
    units = {
        point: unit if columns.points[point][1] or _may_be(unit, value, limits) else ""
        for point, unit in sized.items()
    }
    open_ = [point for point, unit in units.items() if not unit]
    guess = _plausible(value, limits) if open_ else ""
    factors = dict.fromkeys(texts, math.nan) | {p: UNITS[u or guess] for p, u in units.items()}
    scale = {p: medians[p] * (1.0 if p in texts else factors[p]) for p in medians}
    start = _same_clock(scale)
    names = sorted({units[p] or guess for p in units}) or ["ISO 8601"]
    how = "by names or sizes" if not open_ else "by what a token can take"
    said = f"times are in {' and '.join(names)} ({how})" if units else "times are ISO 8601"
    if start != next(p for p in _ORDER if p in scale):
        said += "; arrival is of another clock than the tokens: a request begins when queued"
    return Clock(factors, start, guess or names[0], bool(open_), said, _is_unix(scale["first"]))


def moments(record: Record, columns: Columns, clock: Clock) -> Moments:
    """Return the points in time of one record, s."""
    at = {
        point: _seconds(record.get(name), name, clock.factors[point])
        for point, (name, _) in columns.points.items()
    }
    last = at.get("last", math.nan)
    end = at.get("end", math.nan)
    end = end if math.isfinite(end) else last
    last = last if math.isfinite(last) else end
    queued = at.get("queued", math.nan)
    waiting_from = queued if math.isfinite(queued) else at[clock.start]
    waited = at.get("scheduled", math.nan) - waiting_from
    return Moments(at[clock.start], at["first"], last, max(last, end),
                   waited if waited >= 0 else math.nan, clock.unix)  # fmt: skip


def _seconds(value: Any, name: str, factor: float) -> float:
    if math.isnan(factor):
        return unix_seconds(value) if value not in (None, "") else math.nan
    return factor * number(value, name)


def _is_text(found: Sequence[Mapping[str, Any]], name: str) -> bool:
    value = next((r[name] for r in found if r.get(name) not in (None, "")), None)
    return isinstance(value, str) and math.isfinite(unix_seconds(value)) and not is_number(value)


def _median(found: Sequence[Mapping[str, Any]], name: str) -> float:
    if _is_text(found, name):
        values = [unix_seconds(r[name]) for r in found if r.get(name) not in (None, "")]
    else:
        values = [number(r.get(name), name) for r in found]
    known = [value for value in values if math.isfinite(value)]
    return float(np.median(known)) if known else math.nan


def _unit(point: str, columns: Columns, medians: Mapping[str, float]) -> str:
    """Return the unit in the name, or that in which the number is a unix time, else nothing."""
    named = columns.points[point][1]
    if named:
        return named
    size = abs(medians[point])
    return next((unit for unit, s in UNITS.items() if _is_unix(size * s)), "")


def _is_unix(seconds: float) -> bool:
    return UNIX_S[0] <= seconds <= UNIX_S[1]


def _times(
    found: Sequence[Mapping[str, Any]], columns: Columns, medians: Mapping[str, float]
) -> tuple[float, tuple[float, float]]:
    """Return the median time per token, else of a request, as it is, and its limits in s."""
    names = {point: name for point, (name, _) in columns.points.items()}
    last = names.get("last", names.get("end", ""))
    begin = names.get("queued", names.get("arrival", names["first"]))
    gaps, spans = [], []
    for record in found:
        first, stop, start = (number(record.get(n), n) for n in (names["first"], last, begin))
        osl = number(record.get(columns.osl), "osl") if columns.osl else math.nan
        spans.append(stop - start)
        if osl >= 2:
            gaps.append((stop - first) / (osl - 1))
    known = [gap for gap in gaps if gap > 0]
    values, limits = (known, TOKEN_S) if known else ([s for s in spans if s > 0], WHOLE_S)
    return (float(np.median(values)) if values else math.nan), limits


def _plausible(value: float, limits: tuple[float, float]) -> str:
    """Return the unit in which a token, or a request, takes a plausible time."""
    return next((u for u, s in UNITS.items() if limits[0] <= value * s < limits[1]), "s")


def _may_be(unit: str, value: float, limits: tuple[float, float]) -> bool:
    """Whether times of a unit that the size of a number suggests are not out of all reason."""
    if not unit or math.isnan(value):
        return bool(unit)
    return limits[0] / SLACK <= value * UNITS[unit] <= limits[1] * SLACK


def _same_clock(scale: Mapping[str, float]) -> str:
    """Return the earliest point in time that is of the clock of the first token."""
    unix = _is_unix(scale["first"])
    return next(p for p in _ORDER if p in scale and _is_unix(scale[p]) == unix)
