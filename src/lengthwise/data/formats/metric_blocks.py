"""Metrics with units as AIPerf and genai-perf write them.

``{"value": 31.2, "unit": "ms"}`` in a record, ``{"unit": "ms", "avg": 31.2, "p99": 60.1, ...}`` in
a summary. The unit is read, never assumed. What they call inter_token_latency is one number per
request, (E2E - TTFT) / (OSL - tokens of the first chunk): with one token in that chunk, our TPOT.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from lengthwise.data.formats.aggregates import mean_of, statistic_columns
from lengthwise.data.formats.fields import MISMATCH, Row, damaged, first, number
from lengthwise.data.report import Flag

MS_PER = {
    "ms": 1.0, "millisecond": 1.0, "milliseconds": 1.0, "s": 1e3, "sec": 1e3, "second": 1e3,
    "seconds": 1e3, "us": 1e-3, "µs": 1e-3, "microseconds": 1e-3, "ns": 1e-6, "nanoseconds": 1e-6,
}  # fmt: skip
"""Milliseconds in a unit of time, by the names the tools use."""

_FIRST_NAMES = {
    "input_sequence_length": "num_input_token", "output_sequence_length": "num_output_token",
}  # fmt: skip

TIMES = {
    "ttft_ms": "time_to_first_token", "tpot_ms": "inter_token_latency", "e2e_ms": "request_latency",
}  # fmt: skip


def ms_per_unit(block: Any, what: str) -> float:
    """Give the milliseconds in the unit of a metric.

    >>> ms_per_unit({"unit": "ns"}, "request_latency")
    1e-06
    """
    unit = str(block.get("unit", "")).strip().lower()
    if unit not in MS_PER:
        raise damaged(f"the unit of {what} must be one of {', '.join(MS_PER)}", repr(unit))
    return MS_PER[unit]


def summary_row(found: Mapping[str, Any]) -> tuple[Row, list[Flag]]:
    """Make one row of a summary: means as times, percentiles as extra columns, and its flags.

    When client and server counted output tokens differently, TPOT is computed again from the means
    with the server's count.

    >>> block = {"unit": "s", "avg": 0.03, "p99": 0.06}
    >>> summary_row({"time_to_first_token": block})[0]["ttft_ms"]
    30.0
    """
    row: Row = {"phase": "request", "statistic": "mean", "clock": "client"}
    for column, name in TIMES.items():
        block = found.get(name)
        if isinstance(block, Mapping) and _mean(block, name) > 0:  # 0 where nothing was measured
            factor = ms_per_unit(block, name)
            row[column] = factor * _mean(block, name)
            row |= statistic_columns(block, column, factor)
    counts = {
        "isl": "input_sequence_length", "osl": "output_sequence_length",
        "isl_server": "usage_prompt_tokens", "osl_server": "usage_completion_tokens",
    }  # fmt: skip
    mean = {
        key: _mean(first(found.get(name), found.get(_FIRST_NAMES.get(name, name))), name)
        for key, name in counts.items()
    }
    for key in ("isl", "osl"):
        server, client = mean[f"{key}_server"], mean[key]
        best = server if server > 0 else client
        row[f"{key}_mean"] = float(round(best)) if best > 0 else math.nan
        row[f"{key}_client_mean"] = client if server > 0 else math.nan
    count = first(_mean(found.get("request_count"), "request_count"), math.nan)
    row["n_requests"] = count if count == count else _count(found)
    return row, _with_server_count(row, mean)


def _with_server_count(row: Row, mean: Mapping[str, float]) -> list[Flag]:
    client, server = mean["osl"], mean["osl_server"]
    if not abs(client - server) > MISMATCH * server or "e2e_ms" not in row:
        return []
    printed = row.get("tpot_ms", math.nan)
    row["tpot_ms"] = (row["e2e_ms"] - row.get("ttft_ms", math.nan)) / (server - 1)
    seen = (
        f"client and server count output tokens differently: {client:,.1f} against {server:,.1f} "
        f"on average; the printed {printed:.3g} ms per token becomes {row['tpot_ms']:.3g} ms"
    )
    remedy = "nothing to do: the server's count is used (aiperf --use-server-token-count)"
    return [Flag.of("token counts differ", "warning", [0], seen, remedy)]


def _mean(block: Any, what: str) -> float:
    if isinstance(block, Mapping) and "avg" in block:
        return number(block["avg"], what)
    return mean_of(block, what)


def requests_per_s(found: Mapping[str, Any]) -> float:
    """Return the requests completed per second; NaN where the summary does not say.

    >>> requests_per_s({"request_throughput": {"unit": "requests/sec", "avg": 2.5}})
    2.5
    """
    return _mean(found.get("request_throughput"), "request_throughput")


def _count(found: Mapping[str, Any]) -> float:
    block = found.get("request_latency")
    return number(block.get("count"), "count") if isinstance(block, Mapping) else math.nan
