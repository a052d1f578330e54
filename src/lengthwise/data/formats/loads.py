"""The load of a run as a column: what clients kept in flight, and how that is known.

A rate says how often requests were sent and a limit how many could run; neither says how many did.
In order, the first that a file allows:

    fixed       a closed loop of N clients: concurrency N, load_from empty, a fact
    measured    starts and ends: mean number in flight while each request ran; or means by
                Little's law: requests/s x mean E2E
    rate        an open loop of which nothing else is known: request_rate alone
    cap         a limit alone: the most that can have run at once
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from lengthwise.data.formats.fields import Row, number
from lengthwise.data.formats.overlap import NOTE, in_flight
from lengthwise.units import MS_PER_S, FloatArray

REACHED = 0.75
"""Share of a limit from which a closed loop kept it: less is what was in flight itself."""

Times = tuple[npt.ArrayLike, npt.ArrayLike]
"""Starts and ends, s, shape (n,) each; NaN where unknown."""


def rate_of(value: Any) -> float | None:
    """Return requests per second; None for no limit (``inf``), for ``trace`` and for none.

    >>> rate_of("2.5"), rate_of("inf"), rate_of("trace"), rate_of(0)
    (2.5, None, None, None)
    """
    if value == "trace":
        return None
    rate = number(value, "request_rate", infinite=True)
    return rate if 0 < rate < math.inf else None


def little(requests_per_s: float, mean_e2e_s: float) -> float:
    """Return the mean number of requests in flight, at least 1, by Little's law; NaN if unknown.

    >>> little(20.0, 0.4), little(0.5, 0.7)
    (8.0, 1.0)
    """
    product = requests_per_s * mean_e2e_s
    return max(round(product, 2), 1.0) if 0 < product < math.inf else math.nan


def fill_load(
    rows: Sequence[Row], *, clients: float | None = None, cap: float | None = None,
    rate: float | None = None, spans: Times | None = None, among: Times | None = None,
    mean: float = math.nan,
) -> list[str]:  # fmt: skip
    """Write ``concurrency``, ``request_rate`` and ``load_from`` into the rows of one run.

    Parameters
    ----------
    rows
        Requests of the run that succeeded, or its means; filled in place.
    clients
        Requests a closed loop keeps in flight by construction.
    cap
        Most requests that can run at once: a limit of the client, or all that were sent.
    rate
        Requests offered per second, None for no limit.
    spans
        Starts and ends of the rows.
    among
        Starts and ends of all requests, failed ones too; those of ``spans`` if None.
    mean
        Requests in flight on average over the run, NaN if unknown (see :func:`little`).

    Returns
    -------
    list of str
        How the load is known, in words, for the report of an import.

    Examples
    --------
    >>> rows = [{}, {}]
    >>> _ = fill_load(rows, cap=64, rate=0.5, spans=([0.0, 2.0], [0.7, 2.7]))
    >>> rows[0]
    {'concurrency': 1.0, 'request_rate': 0.5, 'load_from': 'measured'}
    """
    if not rows:
        return []
    most = min((n for n in (clients, cap) if n is not None and n >= 1), default=math.inf)
    closed = rate is None and most < math.inf
    each = _in_flight(spans, among)
    values: FloatArray | float
    if most == 1 or (clients is not None and rate is None):
        values, how, note = most, None, ""
    elif each is not None and not (closed and float(np.nanmedian(each)) >= REACHED * most):
        values, how, note = each, "measured", NOTE + _unreached(cap)
    elif closed and (each is not None or mean >= REACHED * most):
        values, how, note = most, None, ""
    elif mean >= 1:
        values, how = round(mean, 2), "measured"
        note = "concurrency is the mean over the run, requests per second times mean E2E"
    elif rate is not None:
        values, how = math.nan, "rate"
        note = "only the rate of requests is known, not how many were in flight: a load of its own"
    elif closed:
        values, how = most, "cap"
        note = f"concurrency is {most:,.0f}, the most that can have run at once"
    else:
        values, how, note = math.nan, None, ""
    for row, value in zip(rows, np.broadcast_to(values, len(rows)).tolist(), strict=True):
        known = value == value
        row["concurrency"] = value if known else None
        row["request_rate"] = rate
        row["load_from"] = how if known or how == "rate" else None
    return [note] if note else []


def fill_means(
    row: Row, *, concurrency: Any, rate: Any = None, requests_per_s: float = math.nan
) -> list[str]:
    """Write the load of a run into its row of means; a list of how it is known, in words.

    Without a rate ``concurrency`` is what a closed loop keeps in flight, beside one a limit.

    Parameters
    ----------
    row
        Means with ``e2e_ms``.
    concurrency, rate
        As the tool was told, None for neither.
    requests_per_s
        Requests completed per second, NaN if unknown.

    Examples
    --------
    >>> row = {"e2e_ms": 400.0}
    >>> _ = fill_means(row, concurrency=64, rate=20, requests_per_s=19.5)
    >>> row["concurrency"], row["load_from"]
    (7.8, 'measured')
    """
    clients = number(concurrency, "concurrency", infinite=True)
    most = clients if 1 <= clients < math.inf else None
    offered = rate_of(rate)
    if offered is None and most is not None:
        return fill_load([row], clients=most)
    e2e_s = float(row.get("e2e_ms", math.nan)) / MS_PER_S
    return fill_load([row], cap=most, rate=offered, mean=little(requests_per_s, e2e_s))


def _in_flight(spans: Times | None, among: Times | None) -> FloatArray | None:
    """Mean number in flight while each row ran; None unless all ends are known."""
    if spans is None:
        return None
    start, end = (np.asarray(times, dtype=float) for times in spans)
    if not len(start) or not (np.isfinite(start) & np.isfinite(end)).all():
        return None
    return in_flight(start, end, among=spans if among is None else among)


def _unreached(cap: float | None) -> str:
    return f"; the limit of {cap:,.0f} was not reached" if cap is not None and cap >= 1 else ""
