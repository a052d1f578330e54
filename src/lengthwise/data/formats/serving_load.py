"""The load of a run of vLLM's or SGLang's client: from times, by Little's law, or its limits."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from lengthwise.data.formats.fields import Row, number, numbers
from lengthwise.data.formats.loads import Times, fill_load, little, rate_of
from lengthwise.units import ms_to_s

AT_ONCE = "no limit on concurrency or rate was set, so all requests were sent at once"


def add_load(
    rows: list[Row], run: Mapping[str, Any], notes: list[str], *,
    arrays: Mapping[str, Any] | None = None, good: list[int] | None = None,
) -> None:  # fmt: skip
    """Write the load of a run into its rows.

    Without a limit and a rate all requests were sent at once.

    Parameters
    ----------
    rows
        Requests that succeeded, in order, or the row of means.
    run
        The run: ``max_concurrency``, ``request_rate``, ``duration``, ...
    notes
        Where it is said how the load is known.
    arrays
        Lists of the run with one entry per request, failed ones too, seconds.
    good
        Positions of the rows in the lists.
    """
    rate = rate_of(run.get("request_rate"))
    limits = [number(run.get("max_concurrency"), "max_concurrency")]
    limits += [_sent(run, rows)] if rate is None else []
    among, spans = _times(arrays), None
    if among is not None:
        begin, end = np.asarray(among[0]), np.asarray(among[1])
        spans = begin[good], end[good]
    cap = min((n for n in limits if n >= 1), default=None)
    ramp = _ramp(run)
    if rows and rate is None and ramp is None and not limits[0] >= 1:
        notes.append(AT_ONCE)
    notes += fill_load(rows, cap=cap, rate=rate if ramp is None else ramp, spans=spans, among=among,
                       mean=_mean(run, rows, rate))  # fmt: skip
    for row in rows if ramp is not None else ():
        if row["load_from"] == "measured":
            row["request_rate"] = None  # it grew meanwhile


def _sent(run: Mapping[str, Any], rows: list[Row]) -> float:
    """Most requests that can have run at once when all were sent at once."""
    peak = number(run.get("max_concurrent_requests"), "max_concurrent_requests")
    if peak >= 1:
        return peak
    sent = number(run.get("num_prompts", run.get("completed")), "num_prompts")
    if sent >= 1:
        return sent
    return math.nan if rows and "statistic" in rows[0] else float(len(rows))


def _ramp(run: Mapping[str, Any]) -> float | None:
    """Mean rate of a run whose rate grows, None for a steady one."""
    if run.get("ramp_up_strategy") is None:
        return None
    ends = [number(run.get(f"ramp_up_{end}_rps"), end) for end in ("start", "end")]
    known = [rate for rate in ends if rate > 0]
    return sum(known) / len(known) if known else 1.0


def _mean(run: Mapping[str, Any], rows: list[Row], rate: float | None) -> float:
    """Mean number in flight: as the tool states it (SGLang), or of an open loop by its means."""
    stated = number(run.get("concurrency"), "concurrency")
    if stated > 0 or rate is None:
        return max(stated, 1.0) if stated > 0 else math.nan
    done, lasted = (number(run.get(name), name) for name in ("completed", "duration"))
    known = [time for row in rows if (time := _e2e_ms(row)) > 0]
    if not known or not lasted > 0:
        return math.nan
    return little(done / lasted, float(ms_to_s(np.mean(known))))


def _e2e_ms(row: Row) -> float:
    """E2E of a request or of means, which may hold its parts only; NaN if unknown."""
    e2e = float(row.get("e2e_ms", math.nan))
    tokens = float(row.get("osl_mean", math.nan))
    parts = row.get("ttft_ms", math.nan) + row.get("tpot_ms", math.nan) * (tokens - 1)
    return e2e if e2e > 0 else float(parts)


def _times(arrays: Mapping[str, Any] | None) -> Times | None:
    """Return starts and ends of all requests, s; None where the run does not hold them."""
    if arrays is None or "start_times" not in arrays:
        return None
    start = numbers(arrays["start_times"], "start_times")
    return start, start + np.array(_lasted(arrays))


def _lasted(arrays: Mapping[str, Any]) -> list[float]:
    """Seconds from send to end of every request, failed ones too."""
    lasted = []
    for index, ttft in enumerate(arrays["ttfts"]):
        latency = number(arrays["latencies"][index], "latencies") if "latencies" in arrays else 0.0
        gaps = numbers(arrays["itls"][index], "itls") if "itls" in arrays else np.empty(0)
        lasted.append(latency if latency > 0 else number(ttft, "ttft") + float(gaps.sum()))
    return lasted
