"""Figures of a point, and what is to be said about them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from lengthwise.measurement.http.record import Record
from lengthwise.measurement.http.session import PointResult
from lengthwise.measurement.http.token_warnings import failure_warnings, token_warnings
from lengthwise.units import FloatArray

METRICS = ("ttft_ms", "tpot_ms", "itl_ms", "e2e_ms", "client_queue_ms")
MANY = 100
"""Requests from which a 99th percentile is more than the maximum."""

BUSY_CPU, LATE_MS, LATE_SHARE, QUEUE_MS = 0.85, 2.0, 0.1, 5.0


def statistics(values: Sequence[float] | FloatArray) -> dict[str, float | int | None]:
    """Give mean, percentiles and number of values, those that are known.

    >>> statistics([1.0, 2.0, 3.0])["p50"], statistics([])["n"]
    (2.0, 0)
    """
    names = ("mean", "p50", "p90", "p99")
    array = np.asarray(values, dtype=np.float64)
    if not len(array):
        return {**dict.fromkeys(names), "n": 0}
    found = (array.mean(), *np.percentile(array, (50, 90, 99)))
    return {**dict(zip(names, map(float, found), strict=True)), "n": len(array)}


def summary_of(result: PointResult) -> dict[str, Any]:
    """Give the figures of a point, warm-up left out, ready for JSON."""
    counted = [r for r in result.records if not r.job.warmup]
    good = [r for r in counted if r.ok]
    metrics = {}
    for name in METRICS:
        values = _gaps(good) if name == "itl_ms" else [
            v for r in good if (v := getattr(r, name)) is not None
        ]  # fmt: skip
        metrics[name] = statistics(values)
    over = result.overhead
    return {
        "point": result.point.to_dict(), "complete": result.complete, "requests": len(counted),
        "warmup_requests": len(result.records) - len(counted), "failed": len(counted) - len(good),
        "failures": failures(counted), "metrics": metrics, **_throughput(good),
        "client": {k: v if isinstance(v, str) else round(v, 4) for k, v in vars(over).items()},
        "warnings": warnings_of(result, good),
        **({"server": result.view.to_dict()} if result.view else {}),
    }  # fmt: skip


def failures(records: Sequence[Record]) -> dict[str, dict[str, Any]]:
    """Count failed requests by label, with an example of each."""
    counts = Counter(r.error for r in records if not r.ok)
    example = {r.error: r.detail for r in reversed(records) if not r.ok}
    return {label: {"n": n, "example": example[label]} for label, n in counts.most_common()}


def _gaps(records: Sequence[Record]) -> FloatArray:
    return np.concatenate([r.itl_ms for r in records]) if records else np.empty(0)


def _throughput(good: Sequence[Record]) -> dict[str, float | None]:
    names = ("requests_per_s", "output_tokens_per_s", "total_tokens_per_s")
    if not good:
        return dict.fromkeys(names)
    span_s = (max(r.last_ns for r in good) - min(r.sent_ns for r in good)) * 1e-9
    out = sum(r.osl or 0 for r in good)
    whole = out + sum(r.isl_server or r.job.isl for r in good)
    values = (n / span_s for n in (len(good), out, whole))
    return dict(zip(names, values, strict=True))


def warnings_of(result: PointResult, good: Sequence[Record]) -> list[str]:
    """Say what weakens the figures: observation - why it matters - what to type."""
    counted = [r for r in result.records if not r.job.warmup]
    return [*failure_warnings(counted, result.point.concurrency),
            *_client_warnings(result, good), *token_warnings(good)]  # fmt: skip


def _client_warnings(result: PointResult, good: Sequence[Record]) -> list[str]:
    over, gaps, found = result.overhead, _gaps(good), []
    gap_ms = float(np.median(gaps)) if len(gaps) else 0.0
    seen = f"bytes waited up to {over.lag_ms_p99:.1f} ms (p99) to be seen"
    exact = over.clock == "kernel"
    if over.cpu_share > BUSY_CPU:
        effect = "the load is below what was asked" + ("" if exact else " and times are too long")
        found.append(
            f"the client was the bottleneck: {over.cpu_share:.0%} of a core used, {seen} - "
            f"{effect} - run it on another machine, or lower --concurrency or --request-rate"
        )
    elif over.lag_ms_p99 > max(LATE_MS, LATE_SHARE * gap_ms) and not exact:
        found.append(
            f"the client was kept waiting by other work on its machine: {seen} with "
            f"{over.cpu_share:.0%} of a core used - single times are too long by up to that - give "
            "it a free core (taskset), or run it on another machine"
        )
    waits = [r.client_queue_ms for r in good if r.client_queue_ms is not None]
    if waits and result.point.concurrency is None and np.percentile(waits, 99) > QUEUE_MS:
        found.append(
            f"requests left up to {np.percentile(waits, 99):.0f} ms (p99) late - the load was "
            "burstier than asked; the wait is in client_queue_ms, not in the other times - lower "
            "--request-rate or use a freer machine"
        )
    return found
