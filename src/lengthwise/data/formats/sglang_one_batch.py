"""``sglang.benchmark.one_batch`` and ``one_batch_server``: one static batch per JSON line.

``one_batch`` times the model in the process, seconds: ``prefill_latency`` of the whole batch, and
the median of the ``output_len - 1`` decode steps, whose contexts run from ``input_len + 1`` to
``input_len + output_len - 1`` and so have the median ``input_len + output_len / 2``.

``one_batch_server`` times a server from outside: ``last_ttft`` is when the last sequence of the
batch got its first token, ``latency`` the whole. Sequences of the batch share both times. Its
first versions have no ``last_ttft``.
"""

from __future__ import annotations

import math
from typing import Any

from lengthwise.data.formats.base import Document, Parsed
from lengthwise.data.formats.fields import (
    Row,
    cached_part,
    first,
    number,
    parsed,
    request_row,
    tokens,
)
from lengthwise.units import s_to_ms

NAME = "sglang-one-batch"
TITLE = "SGLang one_batch and one_batch_server"

_SHAPE = {"batch_size", "input_len", "output_len"}
_LAST = (
    "ttft_ms is when the last sequence of the batch got its first token, so it holds the prefill "
    "of the whole batch"
)


def matches(document: Document) -> bool:
    """Whether the first object is of either tool."""
    found = set(document.objects[0]) if document.objects else set()
    server = {"last_ttft", "overall_throughput", "output_throughput"} & found
    return found >= _SHAPE and ("prefill_latency" in found or ("latency" in found and bool(server)))


def read(document: Document) -> Parsed:
    """Make a prefill and a decode row per batch, or one request row of a server."""
    rows: list[Row] = []
    notes = []
    for run in document.objects:
        if "prefill_latency" in run:
            rows += _steps(run)
        else:
            rows.append(_request(run))
            notes += [_LAST] if "last_ttft" in run else []
    return parsed(rows, assumptions=notes)


def _steps(run: dict[str, Any]) -> list[Row]:
    isl, osl = (tokens(run[key], key) for key in ("input_len", "output_len"))
    common = {
        "batch_size": number(run["batch_size"], "batch_size"), "engine": "sglang",
        "clock": "server", "run_name": first(run.get("run_name")),
    }  # fmt: skip
    prefill = s_to_ms(number(run["prefill_latency"], "prefill_latency"))
    decode = s_to_ms(number(run.get("median_decode_latency"), "median_decode_latency"))
    rows: list[Row] = [{"phase": "prefill", "isl": isl, "latency_ms": prefill, **common}]
    if decode == decode:
        rows.append(
            {"phase": "decode", "context_len": isl + osl / 2, "latency_ms": decode, **common}
        )
    return rows


def _request(run: dict[str, Any]) -> Row:
    isl, osl = (tokens(run[key], key) for key in ("input_len", "output_len"))
    hit = number(run.get("cache_hit_rate"), "cache_hit_rate")
    ttft = number(run.get("last_ttft"), "last_ttft")
    return request_row(
        ttft=ttft if ttft > 0 else math.nan, end=number(run["latency"], "latency"),
        isl=isl, osl=osl, batch_size=number(run["batch_size"], "batch_size"),
        cached_tokens=cached_part(isl, float(round(hit * isl))) if hit > 0 else math.nan,
        engine="sglang", clock="client", run_name=first(run.get("run_name")),
        spec_acceptance_length=number(run.get("acc_length"), "acc_length"),
        early_stopped=number(run.get("num_early_stopped"), "num_early_stopped"),
    )  # fmt: skip
