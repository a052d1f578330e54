"""trtllm-bench of TensorRT-LLM: its report as JSON (``--report_json``) or as printed.

The report holds means over the requests of a run, in ms, and since 0.17 how many were in flight on
average. Without ``--streaming`` no first token is timed: such a run has E2E only. Reports up to
0.16 time nothing but the whole run unless they were streamed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from lengthwise.data.formats.aggregates import statistic_columns
from lengthwise.data.formats.base import Document, Parsed
from lengthwise.data.formats.fields import Row, at, first, number, parsed
from lengthwise.data.formats.loads import fill_load, little
from lengthwise.data.formats.printed import disagreement
from lengthwise.data.formats.trtllm_bench_text import has_report, reports_of
from lengthwise.data.report import Flag
from lengthwise.units import ms_to_s

NAME = "trtllm-bench"
TITLE = "trtllm-bench"

_TIMES = {
    "ttft_ms": ("streaming_metrics", "avg_ttft_ms", "ttft_percentiles"),
    "tpot_ms": ("streaming_metrics", "avg_tpot_ms", "tpot_percentiles"),
    "e2e_ms": ("performance", "avg_request_latency_ms", "request_latency_percentiles_ms"),
}  # fmt: skip
_WORDS = {"average": "mean", "minimum": "min", "maximum": "max"}
_WORLD = {"tp": "tp_size", "pp": "pp_size", "ep": "ep_size"}
_SETTINGS = ("max_batch_size", "max_num_tokens", "scheduling_policy")


def matches(document: Document) -> bool:
    """Whether the content is a report of this tool in either form."""
    found = document.objects[0] if document.objects else {}
    return {"request_info", "performance", "world_info"} <= set(found) or has_report(document)


def read(document: Document) -> Parsed:
    """Read one row of means per report."""
    reports = document.objects or reports_of(document)
    rows: list[Row] = []
    flags: list[Flag] = []
    notes: list[str] = []
    for report in reports:
        row = _row(report)
        rows.append(row)
        notes += _add_load(row, report)
        flags += disagreement([len(rows) - 1], _figures(report))
    untimed = [i for i, row in enumerate(rows) if not any(row[name] > 0 for name in _TIMES)]
    return parsed(rows, flags=[*flags, *_no_latency(untimed)], assumptions=notes)


def _row(report: Mapping[str, Any]) -> Row:
    row: Row = {"phase": "request", "statistic": "mean", "clock": "client"}
    for column, (part, name, percentiles) in _TIMES.items():
        block = at(report, part, percentiles) or {}
        named = {_WORDS.get(key, key): value for key, value in block.items()}
        time = number(first(at(report, part, name), named.get("mean")), name)
        row[column] = time if time > 0 else math.nan
        row |= statistic_columns(named, column) if time > 0 else {}
    requests, world = report.get("request_info"), report.get("world_info")
    for column, name in (("isl_mean", "avg_input_length"), ("osl_mean", "avg_output_length")):
        mean = number(at(requests, name), name)
        row[column] = float(round(mean)) if mean > 0 else math.nan
    row["n_requests"] = number(at(requests, "num_requests"), "num_requests")
    row |= {column: at(world, name) for column, name in _WORLD.items()}
    row |= {name: at(world, name) for name in _SETTINGS}
    return row | _engine(report)


def _engine(report: Mapping[str, Any]) -> Row:
    engine = report.get("engine")
    quantisation = at(engine, "quantization")
    return {
        "model": at(engine, "model"), "engine": "tensorrt-llm",
        "engine_version": at(engine, "version"), "backend": at(engine, "backend"),
        "precision": first(*(x for x in (quantisation, at(engine, "dtype")) if x != "None")),
        "kv_cache_dtype": at(engine, "kv_cache_dtype"), "hardware": at(report, "machine", "name"),
    }  # fmt: skip


def _add_load(row: Row, report: Mapping[str, Any]) -> list[str]:
    stated = number(at(report, "request_info", "avg_num_concurrent_requests"), "concurrency")
    total = number(at(report, "performance", "total_latency_ms"), "total_latency_ms")
    rate = row["n_requests"] / float(ms_to_s(total)) if total > 0 else math.nan
    mean = max(stated, 1.0) if stated > 0 else little(rate, float(ms_to_s(row["e2e_ms"])))
    return fill_load([row], mean=mean)


def _figures(report: Mapping[str, Any]) -> dict[str, tuple[float, float]]:
    """Return printed figures with the same from others of the report."""
    performance, requests = report.get("performance"), report.get("request_info")
    rate, tokens, total, latency = (
        number(at(performance, name), name)
        for name in (
            "request_throughput_req_s", "system_output_throughput_tok_s", "total_latency_ms",
            "avg_request_latency_ms",
        )
    )  # fmt: skip
    count, osl, flight = (
        number(at(requests, name), name)
        for name in ("num_requests", "avg_output_length", "avg_num_concurrent_requests")
    )
    return {
        "output throughput": (tokens, rate * osl),
        "request throughput": (rate, count / float(ms_to_s(total)) if total > 0 else math.nan),
        "concurrent requests": (flight, rate * float(ms_to_s(latency))),
    }


def _no_latency(rows: list[int]) -> list[Flag]:
    if not rows:
        return []
    return [Flag.of(
        "no latency", "warning", rows, "the report says how fast all requests went together, not "
        "how long any of them took", "run trtllm-bench with --streaming, or a newer version",
    )]  # fmt: skip
