"""Reports that trtllm-bench prints, under the names of its JSON report."""

from __future__ import annotations

import re
from typing import Any

from lengthwise.data.formats.base import Document
from lengthwise.data.formats.printed import figure, labelled

_SECTION = re.compile(r"^[^\n\w=]*= (?:PERFORMANCE OVERVIEW|GENERAL OVERVIEW|STATISTICS)\b", re.M)
_FIRST = re.compile(r"^[^\n\w=]*= (?:ENGINE DETAILS|\w+ BACKEND)\b", re.M)
_STATISTIC = re.compile(r"\[(TPOT|TTFT|Latency)\] (\w+)\s*")

_LABELS: dict[str, tuple[str, str]] = {
    "Model": ("engine", "model"), "TensorRT-LLM Version": ("engine", "version"),
    "TensorRT LLM Version": ("engine", "version"), "Dtype": ("engine", "dtype"),
    "KV Cache Dtype": ("engine", "kv_cache_dtype"), "Quantization": ("engine", "quantization"),
    "TP Size": ("world_info", "tp_size"), "PP Size": ("world_info", "pp_size"),
    "EP Size": ("world_info", "ep_size"),
    "Max Runtime Batch Size": ("world_info", "max_batch_size"),
    "Max Runtime Tokens": ("world_info", "max_num_tokens"),
    "Scheduling Policy": ("world_info", "scheduling_policy"),
    "Number of requests": ("request_info", "num_requests"),
    "Number of concurrent requests": ("request_info", "avg_num_concurrent_requests"),
    "Average Input Length (tokens)": ("request_info", "avg_input_length"),
    "Average Output Length (tokens)": ("request_info", "avg_output_length"),
    "Request Throughput (req/sec)": ("performance", "request_throughput_req_s"),
    "Total Output Throughput (tokens/sec)": ("performance", "system_output_throughput_tok_s"),
    "Token Throughput (tokens/sec)": ("performance", "system_output_throughput_tok_s"),
    "Total Latency (ms)": ("performance", "total_latency_ms"),
    "Average request latency (ms)": ("performance", "avg_request_latency_ms"),
    "Average time-to-first-token [TTFT] (ms)": ("streaming_metrics", "avg_ttft_ms"),
    "Average time-to-first-token (ms)": ("streaming_metrics", "avg_ttft_ms"),
    "Average time-per-output-token [TPOT] (ms)": ("streaming_metrics", "avg_tpot_ms"),
    "Average inter-token latency (ms)": ("streaming_metrics", "avg_tpot_ms"),
}  # fmt: skip
_PERCENTILES = {
    "TPOT": ("streaming_metrics", "tpot_percentiles"),
    "TTFT": ("streaming_metrics", "ttft_percentiles"),
    "Latency": ("performance", "request_latency_percentiles_ms"),
}
_TEXT = {"model", "version", "dtype", "kv_cache_dtype", "quantization", "scheduling_policy"}

Report = dict[str, dict[str, Any]]


def has_report(document: Document) -> bool:
    """Return whether a text holds a report with a throughput."""
    text = document.printed
    return "Request Throughput (req/sec)" in text and bool(_SECTION.search(text))


def reports_of(document: Document) -> list[Report]:
    """Return the reports of a text, each with what was printed about engine and world above it."""
    text = document.printed
    starts = [found.start() for found in _SECTION.finditer(text)]
    heads = [found.start() for found in _FIRST.finditer(text)]
    reports = []
    for index, start in enumerate(starts):
        stop = starts[index + 1] if index + 1 < len(starts) else len(text)
        earlier = starts[index - 1] if index else 0
        head = max((at for at in heads if earlier <= at < start), default=earlier)
        later = min((at for at in heads if start < at < stop), default=stop)
        reports.append(_report(text[head:later]))
    return reports


def _report(text: str) -> Report:
    report: Report = {}
    for label, value in labelled(text).items():
        place, found = _LABELS.get(label), _STATISTIC.fullmatch(label)
        if place:
            is_text = place[1] in _TEXT
            report.setdefault(place[0], {})[place[1]] = value if is_text else _number(value)
        elif found:
            part, name = _PERCENTILES[found[1]]
            block = report.setdefault(part, {}).setdefault(name, {})
            block[found[2].lower()] = _number(value)
        elif label == "Total Latency (seconds)":
            report.setdefault("performance", {})["total_latency_ms"] = 1e3 * figure(value)[0]
    return report | _machine(text)


def _machine(text: str) -> Report:
    found = re.search(r"= MACHINE DETAILS *\n=+\n([^\n,]+), memory", text)
    return {"machine": {"name": found[1].strip()}} if found else {}


def _number(value: str) -> float | None:
    found = figure(value)[0]
    return found if found == found else None
