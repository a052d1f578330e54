"""The statistics of a serving run as one row: means as times, the rest as extra columns.

A time that is 0 was not measured: no request succeeded, none was streamed, or none had a second
token. Old files of SGLang hold medians only; their row is one of medians (``statistic`` is p50).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from typing import Any

from lengthwise.data.formats.aggregates import statistic_column
from lengthwise.data.formats.fields import Row, number

NO_SUCCESS = "run without a successful request"

_SPELLINGS = {"median": "p50", "std": "stddev"}


def statistics_row(run: Mapping[str, Any], names: Mapping[str, str]) -> Row:
    """Return one row of the statistics of a run; empty when it states no time.

    Parameters
    ----------
    run
        Result with keys such as ``mean_ttft_ms`` and ``p99_ttft_ms``, milliseconds.
    names
        Word of the tool for each column: ``{"ttft_ms": "ttft", "e2e_ms": "e2el"}``.

    Examples
    --------
    >>> run = {"mean_ttft_ms": 30.0, "p99_ttft_ms": 60.0, "completed": 4, "total_input_tokens": 40}
    >>> row = statistics_row(run, {"ttft_ms": "ttft"})
    >>> row["ttft_ms"], row["ttft_p99_ms"], row["isl_mean"]
    (30.0, 60.0, 10.0)
    """
    count = completed(run)
    lengths = {
        "isl_mean": _per_request(run, "total_input_tokens", count),
        "osl_mean": _per_request(run, "total_output_tokens", count),
    }
    blocks = {column: _block(run, word) for column, word in names.items()}
    if run.get("mean_itl_ms") == 0 and not lengths["osl_mean"] <= 1:
        blocks |= {"ttft_ms": {}, "tpot_ms": {}}  # not streamed: "ttft" is the whole answer
    centre = "mean" if any("mean" in block for block in blocks.values()) else "p50"
    times: Row = {}
    for column, block in blocks.items():
        for statistic, value in block.items():
            is_value = statistic == centre and column != "itl_ms"
            times[column if is_value else statistic_column(column, statistic)] = value
    if not times:
        return {}
    return {
        "phase": "request", "statistic": centre, "n_requests": count, "clock": "client", **times,
        **lengths,
    }  # fmt: skip


def completed(run: Mapping[str, Any]) -> float:
    """Return how many requests succeeded; NaN when nothing says.

    >>> completed({"request_throughput": 2.5, "duration": 4.0, "num_prompts": 12})
    10.0
    """
    told = number(run.get("completed"), "completed")
    if math.isnan(told):
        rate = number(run.get("request_throughput"), "request_throughput")
        told = float(round(rate * number(run.get("duration"), "duration"), 3))
    if math.isnan(told):
        failed = number(run.get("failed"), "failed")
        told = number(run.get("num_prompts"), "num_prompts") - (failed if failed > 0 else 0.0)
    return told


def count_failures(run: Mapping[str, Any], dropped: Counter[str], label: str) -> None:
    """Count the requests of a run that failed, without the arrays that would say why."""
    failed = number(run.get("failed"), "failed")
    if math.isnan(failed) and completed(run) == 0:
        failed = number(run.get("num_prompts"), "num_prompts")
    if failed > 0:
        dropped[label] += int(failed)
    elif completed(run) == 0:
        dropped[NO_SUCCESS] += 1


def _block(run: Mapping[str, Any], word: str) -> dict[str, float]:
    """Statistics of one time, ms, by name; empty where the time was not measured."""
    found = {}
    for key, value in run.items():
        kind, _, rest = key.partition("_")
        if rest == f"{word}_ms" and isinstance(value, (int, float)):
            found[_SPELLINGS.get(kind, kind.replace(".", "p"))] = float(value)
    return found if found.get("mean", found.get("p50", 0.0)) > 0 else {}


def _per_request(run: Mapping[str, Any], key: str, count: float) -> float:
    total = number(run.get(key), key)
    return float(round(total / count)) if count > 0 and total > 0 else math.nan
