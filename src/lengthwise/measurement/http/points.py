"""The points of a sweep over a server: every combination of lengths and loads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Any

import numpy as np

from lengthwise.errors import InputError
from lengthwise.measurement.http.arrivals import ARRIVALS, arrival_times
from lengthwise.measurement.http.traces import Trace

FEWEST, PER_SLOT = 20, 4
MAX_POINTS, MAX_REQUESTS, MAX_LENGTH = 1_000, 10_000_000, 10_000_000


@dataclass(frozen=True)
class Point:
    """One combination of a sweep.

    Attributes
    ----------
    concurrency, request_rate
        Closed loop or open loop; exactly one of them is set.
    requests
        Requests that count; None if ``duration_s`` alone ends the point.
    warmup_requests
        Further ones before them.
    trace
        Arrivals and lengths of a replay; ``isl`` and ``osl`` are then the greatest.
    """

    isl: int
    osl: int
    concurrency: int | None = None
    request_rate: float | None = None
    arrival: str = "poisson"
    burstiness: float = 1.0
    requests: int | None = None
    duration_s: float | None = None
    warmup_requests: int = 0
    trace: Trace | None = field(default=None, repr=False)

    @property
    def load(self) -> str:
        """Name the load in a few words.

        >>> Point(8, 8, concurrency=4).load, Point(8, 8, request_rate=2.5).load
        ('concurrency 4', '2.5 requests/s poisson')
        """
        if self.trace is not None:
            return f"replay of {self.trace.format}"
        if self.concurrency is not None:
            return f"concurrency {self.concurrency}"
        return f"{self.request_rate:g} requests/s {self.arrival}"

    @property
    def title(self) -> str:
        """Name the point in a few words."""
        lengths = f"isl {self.isl}, osl {self.osl}" if self.trace is None else "lengths of trace"
        return f"{lengths}, {self.load}"

    @property
    def total(self) -> int | None:
        """Requests to send, warm-up included; None if only time ends the point."""
        return None if self.requests is None else self.requests + self.warmup_requests

    def to_dict(self) -> dict[str, Any]:
        """Give the point without its trace, ready for JSON."""
        return {k: v for k, v in vars(self).items() if k != "trace" and v is not None} | {
            "load": self.load
        }


def sweep(
    isl: Sequence[int], osl: Sequence[int], *, concurrency: Sequence[int] = (),
    request_rate: Sequence[float] = (), arrival: str = "poisson", burstiness: float = 1.0,
    trace: Trace | None = None, requests: int | None = None, duration_s: float | None = None,
    warmup_requests: int = 0,
) -> list[Point]:  # fmt: skip
    """List the points of a sweep, lengths outermost; without any load concurrency is 1.

    Raises
    ------
    InputError
        If a value is out of range or two of them exclude each other.

    Examples
    --------
    >>> [p.title for p in sweep([64, 128], [8], concurrency=[1, 2])][1:3]
    ['isl 64, osl 8, concurrency 2', 'isl 128, osl 8, concurrency 1']
    """
    _check(isl, osl, concurrency, arrival, requests, duration_s, warmup_requests)
    if trace is not None:
        if concurrency or request_rate:
            raise InputError("a trace brings its own load", got="--concurrency or --request-rate",
                             remedy="leave them out, or leave --trace out")  # fmt: skip
        return [_replay(trace, requests, duration_s, warmup_requests)]
    loads: list[tuple[int | None, float | None]] = [(n, None) for n in concurrency]
    loads += [(None, rate) for rate in request_rate]
    found = []
    for n_in, n_out, (slots, rate) in product(isl, osl, loads or [(1, None)]):
        if rate is not None:
            arrival_times(1, rate, arrival=arrival, burstiness=burstiness)
        wanted = requests
        if duration_s is not None and rate is not None:
            wanted = min(requests or MAX_REQUESTS, max(1, int(rate * duration_s)))
        elif wanted is None and duration_s is None:
            wanted = max(FEWEST, PER_SLOT * (slots or 1))
        found.append(Point(n_in, n_out, slots, rate, arrival, burstiness, wanted, duration_s,
                           warmup_requests))  # fmt: skip
    if len(found) > MAX_POINTS:
        raise InputError(f"a sweep has at most {MAX_POINTS:,} points", got=f"{len(found):,}",
                         remedy="name fewer lengths or loads")  # fmt: skip
    return found


def _replay(
    trace: Trace, requests: int | None, duration_s: float | None, warmup_requests: int
) -> Point:
    if duration_s is not None:
        trace = trace.head(max(1, int(np.searchsorted(trace.arrival_s, duration_s, "right"))))
    if requests is not None:
        trace = trace.head(requests + warmup_requests)
    warm = min(warmup_requests, len(trace.arrival_s) - 1)
    return Point(
        int(trace.isl.max()), int(trace.osl.max()), request_rate=trace.request_rate,
        arrival="replay", requests=len(trace.arrival_s) - warm, warmup_requests=warm, trace=trace,
    )  # fmt: skip


def _check(
    isl: Sequence[int], osl: Sequence[int], concurrency: Sequence[int], arrival: str,
    requests: int | None, duration_s: float | None, warmup_requests: int,
) -> None:  # fmt: skip
    counts = [("isl", isl), ("osl", osl), ("concurrency", concurrency),
              ("requests", [requests] if requests is not None else [])]  # fmt: skip
    for name, values in counts:
        if any(value < 1 for value in values):
            raise InputError(f"--{name} must be at least 1", got=str(min(values)),
                             remedy="write a positive number")  # fmt: skip
    if max(*isl, *osl, 0) > MAX_LENGTH:
        raise InputError(f"a request has at most {MAX_LENGTH:,} tokens",
                         got=f"{max(*isl, *osl):,}", remedy="check the unit")  # fmt: skip
    if warmup_requests < 0:
        raise InputError("--warmup-requests must be at least 0", got=str(warmup_requests),
                         remedy="write 0 for none")  # fmt: skip
    if duration_s is not None and not (np.isfinite(duration_s) and duration_s > 0):
        raise InputError("a duration must be positive", got=f"{duration_s:g} s",
                         remedy="write seconds, for example 30")  # fmt: skip
    if arrival not in ARRIVALS:
        raise InputError(f"the arrival must be one of {', '.join(ARRIVALS)}", got=repr(arrival),
                         remedy="write poisson")  # fmt: skip
