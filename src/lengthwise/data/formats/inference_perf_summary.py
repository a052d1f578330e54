"""Stage and summary files of inference-perf: means over requests.

The times stand in ``latency``; before, beside the counts; at first under other names
(``time_per_request``, ``per_token_latency``). Lengths are ``prompt_len`` and ``output_len``, both
by the client's tokenizer; ``prompt_tokens`` and ``output_tokens``, by the server, came later.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from typing import Any

from lengthwise.data.formats.aggregates import mean_note, mean_of, statistic_columns
from lengthwise.data.formats.base import Parsed
from lengthwise.data.formats.fields import (
    MISMATCH,
    at,
    cached_part,
    damaged,
    first,
    mismatch_flags,
    number,
    parsed,
    request_row,
    tokens,
    tpot_s,
)
from lengthwise.data.formats.loads import fill_means
from lengthwise.units import MS_PER_S

_TIMES = {
    "time_to_first_token": "ttft_ms", "request_latency": "e2e_ms",
    "time_per_output_token": "tpot_tool_ms", "inter_token_latency": "itl_ms",
    "normalized_time_per_output_token": "ntpot_ms",
}  # fmt: skip


_FIRST_NAMES = {
    "request_latency": "time_per_request", "normalized_time_per_output_token": "per_token_latency",
}  # fmt: skip


def is_summary(data: Any) -> bool:
    """Whether an object is a stage or summary file."""
    parts = [at(data, name) for name in ("load_summary", "successes")]
    return all(isinstance(part, Mapping) for part in parts) and (
        "failures" in data or "latency" in parts[1] or bool(_timed(parts[1]))
    )


def read_summary(data: Mapping[str, Any]) -> Parsed:
    """Read the means of the requests of a stage as one row, other statistics as extra columns."""
    good = data["successes"]
    if not isinstance(good, Mapping):
        raise damaged("successes must be an object", repr(good)[:60])
    dropped = _failures(data.get("failures"))
    count = number(good.get("count"), "successes.count")
    if not count >= 1:
        return parsed([], dropped=dropped)
    latency = _latency(good)
    ttft = mean_of(latency.get("time_to_first_token"), "time_to_first_token")
    e2e = _mean_e2e(data, latency)
    server, client = _server_count(good, count), mean_of(good.get("output_len"), "output_len")
    osl = client if math.isnan(server) else server
    tool = mean_of(latency.get("time_per_output_token"), "time_per_output_token")
    agrees = not abs(client - osl) > MISMATCH * osl
    prompt = mean_of(first(good.get("prompt_tokens"), good.get("prompt_len")), "prompt_tokens")
    if math.isnan(prompt):
        prompt = mean_of(good.get("prompt_len"), "prompt_len")
    cached = number(at(good, "prompt_tokens", "cached"), "prompt_tokens.cached") / count
    isl = tokens(_or_none(prompt), "prompt_tokens")
    row = request_row(
        ttft=ttft, end=e2e, tpot=tool if agrees else tpot_s(ttft, e2e, osl),
        isl=isl, cached_tokens=cached_part(isl, round(cached)) if cached >= 0.5 else None,
        osl=tokens(_or_none(osl), "output_tokens"),
        clock="client", statistic="mean", n_requests=count, isl_mean=prompt, osl_mean=osl,
        cached_tokens_mean=cached, osl_client=client if server == server else math.nan,
    )  # fmt: skip
    for name, column in _TIMES.items():
        own = column in ("tpot_tool_ms", "itl_ms", "ntpot_ms")
        row |= statistic_columns(latency.get(name), column, MS_PER_S, mean=own)
    load = at(data, "load_summary")
    done = first(at(good, "throughput", "requests_per_sec"), at(load, "achieved_rate"))
    clients = number(at(load, "concurrency"), "load_summary.concurrency")
    rate = None if clients >= 1 else at(load, "requested_rate")  # of a closed loop it says nothing
    how = fill_means(row, concurrency=clients, rate=rate,
                     requests_per_s=number(done, "requests_per_sec"))  # fmt: skip
    notes = [mean_note(count), *how, *_tpot_note(row, server, agrees)]
    flags = mismatch_flags([row], ("osl", "osl_client", "output tokens"))
    return parsed([row], dropped=dropped, assumptions=notes, flags=flags)


def _timed(good: Mapping[str, Any]) -> dict[str, Any]:
    """Blocks of times by their newest names, wherever a version puts them."""
    named = {name: first(good.get(name), good.get(_FIRST_NAMES.get(name, name))) for name in _TIMES}
    return {name: block for name, block in named.items() if isinstance(block, Mapping)}


def _latency(good: Mapping[str, Any]) -> Mapping[str, Any]:
    latency = good.get("latency")
    return latency if isinstance(latency, Mapping) else _timed(good)


def _mean_e2e(data: Mapping[str, Any], latency: Mapping[str, Any]) -> float:
    """Mean E2E of the requests that succeeded, s.

    The first versions called the mean over all requests that of the successes.
    """
    good, bad = data["successes"], data.get("failures")
    mean = mean_of(latency.get("request_latency"), "request_latency")
    lost = number(at(bad, "count"), "failures.count")
    if not ({"time_per_request", "prompt_len"} <= set(good) and lost > 0):
        return mean
    done = number(good.get("count"), "successes.count")
    of_lost = mean_of(at(bad, "time_per_request"), "failures.time_per_request")
    return ((done + lost) * mean - lost * of_lost) / done


def _server_count(good: Mapping[str, Any], count: float) -> float:
    """Mean output tokens by the server; NaN when it told none and the client's stand in."""
    fallback = number(at(good, "client_fallback_requests", "output"), "client_fallback_requests")
    return math.nan if fallback >= count else mean_of(good.get("output_tokens"), "output_tokens")


def _tpot_note(row: Mapping[str, Any], server: float, agrees: bool) -> list[str]:
    if math.isnan(row["tpot_ms"]):
        return []
    if math.isnan(server):
        return ["tpot_ms is the mean the tool gives, by the client's count of tokens"]
    if agrees:
        return ["tpot_ms is the mean the tool gives: its token count agrees with the server's"]
    return [
        "tpot_ms is (mean E2E - mean TTFT) / (mean osl of the server - 1), because the tool "
        "counted tokens by another tokenizer"
    ]


def _or_none(value: float) -> float | None:
    return None if math.isnan(value) else value


def _failures(failures: Any) -> Counter[str]:
    """Failed requests by label; those without one are 'error'."""
    dropped: Counter[str] = Counter()
    labels = at(failures, "by_label")
    for label, entry in labels.items() if isinstance(labels, Mapping) else ():
        value = entry.get("count") if isinstance(entry, Mapping) else entry
        count = number(value, f"failures.by_label.{label}")
        if count >= 1:
            dropped[f"failed request: {label}"] += int(count)
    total = number(at(failures, "count"), "failures.count")
    rest = 0 if math.isnan(total) else int(total) - sum(dropped.values())
    if rest > 0:
        dropped["failed request: error"] += rest
    return dropped
