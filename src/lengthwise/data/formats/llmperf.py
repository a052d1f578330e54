"""llmperf: individual responses, or the summary of a run.

Its ``inter_token_latency_s`` is E2E / tokens and so holds the first token; it is never read:

    TPOT = (E2E - TTFT) / (osl - 1)

Tokens of prompt and output are counted by the client, with one tokenizer for all models.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from typing import Any

from lengthwise.data.formats.aggregates import STATISTICS, mean_note, statistic_column
from lengthwise.data.formats.base import Document, Parsed
from lengthwise.data.formats.failures import failed_because
from lengthwise.data.formats.fields import (
    Row,
    damaged,
    number,
    parsed,
    request_row,
    tokens,
    tpot_s,
)
from lengthwise.data.opening import read_text
from lengthwise.data.parsing import json_inside
from lengthwise.units import MS_PER_S

NAME = "llmperf"
TITLE = "llmperf"

_ONE = ("ttft_s", "end_to_end_latency_s", "number_output_tokens")
_LOOKED_AT = 1000
_SUMMARY = ("results_ttft_s_mean", "results_end_to_end_latency_s_mean")
_NOTES = (
    "inter_token_latency_s holds the first token and is not read: "
    "tpot_ms is (E2E - TTFT) / (osl - 1)",
    "tokens are counted by the client, with a tokenizer that may not be the model's",
)
_BLOCKS = (
    ("ttft_s", "ttft_ms", MS_PER_S), ("end_to_end_latency_s", "e2e_ms", MS_PER_S),
    ("number_input_tokens", "isl", 1.0), ("number_output_tokens", "osl", 1.0),
)  # fmt: skip


def matches(document: Document) -> bool:
    """Whether this is a list of individual responses or a summary of llmperf."""
    data = document.json
    if isinstance(data, list):
        return any(isinstance(one, Mapping) and set(_ONE) <= set(one) for one in data[:_LOOKED_AT])
    return isinstance(data, Mapping) and set(_SUMMARY) <= set(data)


def read(document: Document) -> Parsed:
    """Read one row per response, or the means of a run as one row."""
    data = document.json
    return _individual(data, document) if isinstance(data, list) else _summary(data)


def _summary_beside(document: Document) -> Mapping[str, Any]:
    """Read the summary the tool wrote with the responses; empty when it is not there."""
    name = document.path.name.replace("_individual_responses", "_summary")
    try:
        data = json_inside(read_text(document.path.with_name(name)))
    except (OSError, ValueError):
        return {}
    return data if isinstance(data, Mapping) else {}


def _individual(records: list[Any], document: Document) -> Parsed:
    run = _summary_beside(document)
    concurrency = number(run.get("num_concurrent_requests"), "num_concurrent_requests")
    rows: list[Row] = []
    dropped: Counter[str] = Counter()
    for record in records:
        if not isinstance(record, Mapping):
            raise damaged("each response must be an object", repr(record)[:60])
        code = record.get("error_code")
        osl = tokens(record.get("number_output_tokens"), "number_output_tokens")
        if code not in (None, ""):
            dropped[failed_because(code)] += 1
        elif math.isnan(osl):
            dropped["no output token"] += 1
        elif number(record.get("ttft_s"), "ttft_s") == 0:
            dropped[failed_because("no first token")] += 1
        else:
            rows.append(request_row(
                ttft=number(record.get("ttft_s"), "ttft_s"),
                end=number(record.get("end_to_end_latency_s"), "end_to_end_latency_s"),
                isl=tokens(record.get("number_input_tokens"), "number_input_tokens"), osl=osl,
                clock="client", model=run.get("model"),
                concurrency=concurrency if concurrency >= 1 else None,
            ))  # fmt: skip
    known = concurrency >= 1
    notes = ("model and concurrency come from the summary in the same folder",) if known else ()
    needs = () if known else ("concurrency",)
    return parsed(rows, dropped=dropped, assumptions=(*_NOTES, *notes), needs=needs)


def _summary(data: Mapping[str, Any]) -> Parsed:
    dropped = Counter({"failed request: error": _count(data, "results_number_errors")})
    count = _count(data, "results_num_completed_requests")
    if not count:
        return parsed([], dropped=+dropped)
    ttft, e2e, isl, osl = (number(data.get(f"results_{name}_mean"), name) for name, *_ in _BLOCKS)
    concurrency = number(data.get("num_concurrent_requests"), "num_concurrent_requests")
    stamp = number(data.get("timestamp"), "timestamp")
    row = request_row(
        ttft=ttft, end=e2e, tpot=tpot_s(ttft, e2e, osl), isl=_rounded(isl), osl=_rounded(osl),
        concurrency=concurrency if concurrency >= 1 else None, model=data.get("model"),
        clock="client", timestamp=stamp, statistic="mean", n_requests=count, isl_mean=isl,
        osl_mean=osl,
    )  # fmt: skip
    for name, column, factor in _BLOCKS:
        for statistic in STATISTICS[1:]:
            part = f"quantiles_{statistic}" if statistic[1:].isdigit() else statistic
            value = data.get(f"results_{name}_{part}")
            if value is not None:
                row[statistic_column(column, statistic)] = factor * number(value, part)
    how = "tpot_ms is (mean E2E - mean TTFT) / (mean osl - 1)"
    return parsed([row], dropped=+dropped, assumptions=(*_NOTES, mean_note(count), how))


def _count(data: Mapping[str, Any], name: str) -> int:
    count = number(data.get(name), name)
    return int(count) if math.isfinite(count) else 0


def _rounded(mean: float) -> float:
    return tokens(None if math.isnan(mean) else mean, "tokens")
