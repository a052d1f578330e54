"""What GuideLLM sent: its strategy, and how many requests were in flight."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from lengthwise.data.formats.aggregates import mean_of
from lengthwise.data.formats.fields import Row, at, first, number
from lengthwise.data.formats.loads import Times, fill_load

_AMOUNT = {"concurrent": "streams", "throughput": "max_concurrency"}


def offer_of(strategy: Any) -> dict[str, float]:
    """Return what a strategy, an object or text such as ``concurrent@8``, offers.

    >>> offer_of("concurrent@8"), offer_of({"type_": "poisson", "rate": 2.5, "max_concurrency": 64})
    ({'clients': 8.0}, {'cap': 64.0, 'rate': 2.5})
    """
    if isinstance(strategy, str):
        kind, _, amount = strategy.partition("@")
        value = float(amount) if amount.replace(".", "", 1).isdigit() else math.nan
        strategy = {"type_": kind, _AMOUNT.get(kind, "rate"): value}
    kind = at(strategy, "type_")
    if kind == "synchronous":
        return {"clients": 1.0}
    most = number(first(at(strategy, "streams"), at(strategy, "max_concurrency")), "streams")
    rate = number(at(strategy, "rate"), "rate")
    offer = {
        "clients" if kind == "concurrent" else "cap": most,
        "rate": rate if kind not in ("concurrent", "throughput", "trace") else math.nan,
    }
    return {name: value for name, value in offer.items() if value > 0}


def add_load(
    rows: Sequence[Row], strategy: Any, metrics: Any, requests: Any, *, whole: bool
) -> list[str]:
    """Write the load of a benchmark into its rows; times of all its requests come before its means.

    Parameters
    ----------
    rows
        Requests that succeeded, or the row of means.
    strategy
        As the report states it.
    metrics
        Statistics of successful requests, with ``request_concurrency``.
    requests
        Lists ``successful``, ``errored`` and ``incomplete``.
    whole
        Whether all requests of the benchmark are in the report, not a sample.
    """
    flight = (at(metrics, name) for name in ("request_concurrency", "requests_concurrency"))
    mean = max((mean_of(at(block, "successful"), "load") for block in flight), default=math.nan)
    parts = ("successful", "errored", "incomplete")
    sent = [request for part in parts for request in at(requests, part) or []]
    spans = [_span(row) for row in rows] if whole else []
    among = [span for request in sent if (span := span_of(request))[1] == span[1]]
    return fill_offer(
        rows, strategy, max(mean, 1.0) if mean > 0 else math.nan, _times(spans), _times(among)
    )


def fill_offer(
    rows: Sequence[Row], strategy: Any, mean: float, spans: Times | None = None,
    among: Times | None = None,
) -> list[str]:  # fmt: skip
    """Write the load of a strategy into rows; see :func:`.loads.fill_load`."""
    offer = offer_of(strategy)
    return fill_load(
        rows, clients=offer.get("clients"), cap=offer.get("cap"), rate=offer.get("rate"),
        spans=spans, among=among, mean=mean,
    )  # fmt: skip


def span_of(request: Any) -> tuple[float, float]:
    """Return start and end of a request, unix seconds; NaN where they are not stated.

    >>> span_of({"start_time": 5.0, "request_latency": 2.0})
    (5.0, 7.0)
    """
    told = first(at(request, "info", "timings"), at(request, "scheduler_info", "request_timings"))
    times: Mapping[str, Any] = {**request, **(told or {})} if isinstance(request, Mapping) else {}
    start = number(first(times.get("request_start"), times.get("start_time")), "request_start")
    end = number(first(times.get("request_end"), times.get("end_time")), "request_end")
    lasted = number(times.get("request_latency"), "request_latency")
    return start, start + lasted if lasted > 0 else end


def _span(row: Row) -> tuple[float, float]:
    start = float(row.get("timestamp", math.nan))
    return start, start + float(row.get("e2e_ms", math.nan)) / 1e3


def _times(spans: Sequence[tuple[float, float]]) -> Times | None:
    return ([s for s, _ in spans], [e for _, e in spans]) if spans else None
