"""llm-d benchmark report 0.1, 0.2 and 0.2.1: statistics over the requests of one load stage.

A file holds one report, or several (YAML documents, JSON lines). Times are in s or ms as each block
says; TPOT leaves the first token out; input lengths hold cached tokens.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lengthwise.data.formats.aggregates import mean_note, mean_of, statistic_columns
from lengthwise.data.formats.base import Document, Parsed
from lengthwise.data.formats.fields import (
    Row,
    at,
    damaged,
    first,
    number,
    parsed,
    request_row,
    tokens,
    unix_seconds,
)
from lengthwise.data.formats.llmd_report_first import as_second
from lengthwise.data.formats.loads import fill_means
from lengthwise.data.parsing_yaml import parse_yaml
from lengthwise.errors import FileFormatError, MissingExtraError
from lengthwise.units import MS_PER_S, ms_to_s

NAME = "llm-d"
TITLE = "llm-d benchmark report"

_VERSION = re.compile(r"^version\s*:\s*['\"]?0\.\d", re.M)
_SECTIONS = re.compile(r"^(run|results|scenario|metrics)\s*:", re.M)
_SECONDS = {"s": 1.0, "ms": 1e-3, "s/token": 1.0, "ms/token": 1e-3}
_TIMES = {
    "time_to_first_token": "ttft_ms", "time_per_output_token": "tpot_ms",
    "request_latency": "e2e_ms", "inter_token_latency": "itl_ms",
    "normalized_time_per_output_token": "ntpot_ms",
}  # fmt: skip
_RATES = {
    "input_token_rate": "input_tokens_per_s", "output_token_rate": "output_tokens_per_s",
    "total_token_rate": "total_tokens_per_s", "request_rate": "requests_per_s",
}  # fmt: skip


def matches(document: Document) -> bool:
    """Whether this is a benchmark report, without parsing YAML."""
    if document.rows:
        data = document.rows[0]
        version = str(at(data, "version") or "")
        return version.startswith("0.") and _has_sections(set(data))
    text = document.text
    return bool(_VERSION.search(text)) and _has_sections({m[1] for m in _SECTIONS.finditer(text)})


def read(document: Document) -> Parsed:
    """Read one row of means per report, other statistics as extra columns."""
    rows: list[Row] = []
    dropped: Counter[str] = Counter()
    notes: list[str] = []
    for report in map(_of_known_version, document.rows or _from_yaml(document.text, document.path)):
        aggregate = at(report, "results", "request_performance", "aggregate")
        if not isinstance(aggregate, Mapping):
            dropped["report without request_performance.aggregate"] += 1
            continue
        count = _requests(aggregate, dropped)
        if count == 0:
            dropped["stage without a successful request"] += 1
            continue
        rows.append({**_row(aggregate, notes), "n_requests": count, **_scenario(report)})
        load = at(report, "scenario", "load", "standardized")
        notes += fill_means(
            rows[-1], concurrency=at(load, "concurrency"), rate=at(load, "rate_qps"),
            requests_per_s=rows[-1]["requests_per_s"],
        )  # fmt: skip
        notes.append(mean_note(count))
        notes.append("tokens are as the load tool counted them, perhaps not as the server did")
    return parsed(rows, dropped=+dropped, assumptions=notes)


def _has_sections(names: set[str]) -> bool:
    return {"run", "results"} <= names or {"scenario", "metrics"} <= names


def _of_known_version(report: Any) -> Any:
    version = str(at(report, "version"))
    if version == "0.1":
        return as_second(report)
    if version not in ("0.2", "0.2.1"):
        raise FileFormatError(
            "a benchmark report must be of version 0.1, 0.2 or 0.2.1", got=f"version {version}",
            remedy="convert it with the benchmark-report tool of llm-d",
        )  # fmt: skip
    return report


def _from_yaml(text: str, path: Path) -> list[Any]:
    try:
        return parse_yaml(text, path)
    except ModuleNotFoundError:
        raise MissingExtraError("pyyaml", "formats") from None


def _requests(aggregate: Mapping[str, Any], dropped: Counter[str]) -> float:
    """Successful requests; NaN when the report does not count them."""
    requests = at(aggregate, "requests")
    total = number(at(requests, "total"), "requests.total")
    for name in ("failures", "incomplete"):
        lost = number(at(requests, name), f"requests.{name}")
        if lost > 0:
            dropped["failed request" if name == "failures" else "incomplete request"] += int(lost)
            total -= lost
    return total


def _row(aggregate: Mapping[str, Any], notes: list[str]) -> Row:
    latency, requests = at(aggregate, "latency"), at(aggregate, "requests")
    factors = {name: _factor(at(latency, name), name) for name in _TIMES}
    means = {name: factors[name] * mean_of(at(latency, name), name) for name in _TIMES}
    tpot = means["time_per_output_token"]
    if math.isnan(tpot) and not math.isnan(means["inter_token_latency"]):
        tpot = means["inter_token_latency"]
        notes.append("tpot_ms is the mean inter-token latency, as the report has no TPOT")
    isl = mean_of(at(requests, "input_length"), "input_length")
    osl = mean_of(at(requests, "output_length"), "output_length")
    row = request_row(
        ttft=ms_to_s(means["time_to_first_token"]), end=ms_to_s(means["request_latency"]),
        tpot=ms_to_s(tpot), isl=_rounded(isl), osl=_rounded(osl), clock="client",
        statistic="mean", isl_mean=isl, osl_mean=osl,
    )  # fmt: skip
    for name, column in _TIMES.items():
        extra = column in ("itl_ms", "ntpot_ms")
        row |= statistic_columns(at(latency, name), column, factors[name], mean=extra)
    for name, column in (("input_length", "isl"), ("output_length", "osl")):
        row |= statistic_columns(at(requests, name), column)
    for name, column in _RATES.items():
        row[column] = mean_of(at(aggregate, "throughput", name), name)
    return row


def _factor(block: Any, name: str) -> float:
    """Milliseconds per unit of a block of statistics."""
    if block is None:
        return MS_PER_S
    units = str(at(block, "units"))
    if units not in _SECONDS:
        raise damaged(f"{name} must be in s or ms", f"units {units}")
    return MS_PER_S * _SECONDS[units]


def _rounded(mean: float) -> float:
    return tokens(None if math.isnan(mean) else mean, "length")


def _scenario(report: Any) -> Row:
    """Labels of a report."""
    load = at(report, "scenario", "load", "standardized")
    component = _engine(report)
    engine = at(component, "standardized")
    parallel = at(engine, "accelerator", "parallelism")
    row: Row = {
        "model": at(engine, "model", "name"), "hardware": at(engine, "accelerator", "model"),
        "engine": at(engine, "tool"), "engine_version": at(engine, "tool_version"),
        "precision": _precision(at(component, "native", "args")),
        "timestamp": unix_seconds(at(report, "run", "time", "start")),
        "load_tool": at(load, "tool"), "stage": number(at(load, "stage"), "stage"),
        "replicas": number(at(engine, "replicas"), "replicas"),
        "experiment_id": at(report, "run", "eid"), "run_id": at(report, "run", "uid"),
    }  # fmt: skip
    return row | {name: at(parallel, name) for name in ("tp", "pp", "ep", "dp")}


def _engine(report: Any) -> Any:
    """Give the inference engine of the stack; the one that decodes when prefill is apart."""
    stack = at(report, "scenario", "stack")
    parts = stack if isinstance(stack, list) else []
    engines = [part for part in parts if at(part, "standardized", "accelerator") is not None]
    decoding = [part for part in engines if at(part, "standardized", "role") != "prefill"]
    return next(iter([*decoding, *engines]), None)


def _precision(args: Any) -> Any:
    names = ("precision", "--quantization", "--dtype", "quantization", "dtype")
    return first(*(value for value in (at(args, name) for name in names) if value != "auto"))
