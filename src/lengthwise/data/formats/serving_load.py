"""How many requests ran at once in a run that limits neither their number nor their rate."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from lengthwise.data.formats.failures import failure_of
from lengthwise.data.formats.fields import Row, number, numbers
from lengthwise.data.formats.overlap import in_flight


def add_burst_load(
    rows: list[Row], arrays: Mapping[str, Any], run: Mapping[str, Any], notes: list[str]
) -> None:
    """Write ``concurrency`` into the rows of a run whose requests were all sent at once.

    Parameters
    ----------
    rows
        Requests that succeeded, in order.
    arrays
        Lists of the run with one entry per request, failed ones too, seconds.
    run
        The run.
    notes
        Where it is said how the number came about.
    """
    if not rows or any(rows[0].get(name) is not None for name in ("concurrency", "request_rate")):
        return
    if "start_times" in arrays:
        start = numbers(arrays["start_times"], "start_times")
        stop = start + np.array(_lasted(arrays))
        good = [i for i in range(len(start)) if failure_of(arrays, i) is None]
        busy = in_flight(start[good], stop[good], among=(start, stop))
        for row, value in zip(rows, busy, strict=True):
            row["concurrency"] = float(value)
        how = "the mean number in flight while each request ran"
    else:
        at_once = number(run.get("max_concurrent_requests"), "max_concurrent_requests")
        at_once = at_once if at_once >= 1 else float(len(rows))
        for row in rows:
            row["concurrency"] = at_once
        how = f"{at_once:,.0f}, the most that can have run at once"
    notes.append(
        "no limit on concurrency or rate was set, so all requests were sent at once: concurrency "
        f"is {how}"
    )


def _lasted(arrays: Mapping[str, Any]) -> list[float]:
    """Seconds from send to end of every request, failed ones too."""
    lasted = []
    for index, ttft in enumerate(arrays["ttfts"]):
        latency = number(arrays["latencies"][index], "latencies") if "latencies" in arrays else 0.0
        gaps = numbers(arrays["itls"][index], "itls") if "itls" in arrays else np.empty(0)
        lasted.append(latency if latency > 0 else number(ttft, "ttft") + float(gaps.sum()))
    return lasted
