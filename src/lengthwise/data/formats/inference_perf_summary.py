"""Stage and summary files of inference-perf: means over requests."""

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
    mismatch_flags,
    number,
    parsed,
    request_row,
    tokens,
    tpot_s,
)
from lengthwise.units import MS_PER_S

_TIMES = {
    "time_to_first_token": "ttft_ms", "request_latency": "e2e_ms",
    "time_per_output_token": "tpot_tool_ms", "inter_token_latency": "itl_ms",
    "normalized_time_per_output_token": "ntpot_ms",
}  # fmt: skip


def is_summary(data: Any) -> bool:
    """Whether an object is a stage or summary file."""
    return isinstance(data, Mapping) and {"load_summary", "successes", "failures"} <= set(data)


def read_summary(data: Mapping[str, Any]) -> Parsed:
    """Read the means of the requests of a stage as one row, other statistics as extra columns."""
    good = data["successes"]
    if not isinstance(good, Mapping):
        raise damaged("successes must be an object", repr(good)[:60])
    dropped = _failures(data["failures"])
    count = number(good.get("count"), "successes.count")
    if not count >= 1:
        return parsed([], dropped=dropped)
    latency = good.get("latency")
    ttft, e2e = (mean_of(at(latency, name), name) for name in
                 ("time_to_first_token", "request_latency"))  # fmt: skip
    server, client = (mean_of(good.get(name), name) for name in ("output_tokens", "output_len"))
    osl = client if math.isnan(server) else server
    tool = mean_of(at(latency, "time_per_output_token"), "time_per_output_token")
    agrees = not abs(client - osl) > MISMATCH * osl
    prompt = mean_of(good.get("prompt_tokens"), "prompt_tokens")
    cached = number(at(good, "prompt_tokens", "cached"), "prompt_tokens.cached") / count
    concurrency = number(at(data, "load_summary", "concurrency"), "load_summary.concurrency")
    asked = at(data, "load_summary", "requested_rate")
    rate = number(asked, "load_summary.requested_rate", infinite=True)
    isl = tokens(_or_none(prompt), "prompt_tokens")
    row = request_row(
        ttft=ttft, end=e2e, tpot=tool if agrees else tpot_s(ttft, e2e, osl),
        isl=isl, cached_tokens=cached_part(isl, round(cached)) if cached >= 0.5 else None,
        osl=tokens(_or_none(osl), "output_tokens"),
        concurrency=concurrency if concurrency >= 1 else None,
        request_rate=rate if 0 < rate < math.inf and not concurrency >= 1 else None,
        clock="client", statistic="mean", n_requests=count, isl_mean=prompt, osl_mean=osl,
        cached_tokens_mean=cached, osl_client=client,
    )  # fmt: skip
    for name, column in _TIMES.items():
        own = column in ("tpot_tool_ms", "itl_ms", "ntpot_ms")
        row |= statistic_columns(at(latency, name), column, MS_PER_S, mean=own)
    notes = [mean_note(count)]
    if agrees:
        notes.append("tpot_ms is the mean the tool gives: its token count agrees with the server's")
    else:
        notes.append(
            "tpot_ms is (mean E2E - mean TTFT) / (mean osl of the server - 1), because the tool "
            "counted tokens by another tokenizer"
        )
    flags = mismatch_flags([row], ("osl", "osl_client", "output tokens"))
    return parsed([row], dropped=dropped, assumptions=notes, flags=flags)


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
