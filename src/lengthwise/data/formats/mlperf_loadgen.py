"""MLPerf LoadGen: ``mlperf_log_summary.txt`` and ``mlperf_log_detail.txt``, means of a run in ns.

A run of one scenario is one row of means. Server sends at a Poisson rate; the requests in flight
follow from Little's law, completed per second x mean E2E. Offline sends everything at once, so
that its latency is mostly waiting. The mean ``osl`` is tokens per second / samples per second;
nothing is said of prompts, model or hardware.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

from lengthwise.data.formats.aggregates import mean_note, statistic_column
from lengthwise.data.formats.base import Document, Parsed
from lengthwise.data.formats.fields import Row, number, parsed
from lengthwise.data.formats.loads import fill_load, little
from lengthwise.data.formats.request_records import disagreement
from lengthwise.data.parsing import json_inside
from lengthwise.data.report import Flag
from lengthwise.units import ms_to_s

NAME = "mlperf-loadgen"
TITLE = "MLPerf LoadGen (summary and detail log)"

MS_PER_NS = 1e-6
_SUMMARY, _DETAIL = "MLPerf Results Summary", ":::MLLOG"

_LINE = re.compile(r"^\s*([A-Za-z0-9][^:]*?)\s*:\s*(\S.*?)\s*$")
_STATISTIC = re.compile(
    r"^(?P<kind>Min|Max|Mean|[\d.]+ percentile) "
    r"(?P<what>First Token latency|Time (?:to|per) Output Token|latency) \(ns\)$", re.I
)  # fmt: skip
_KEY = re.compile(
    r"^result_(?P<what>first_token_|time_to_output_token_|time_per_output_token_|)"
    r"(?P<kind>min|max|mean|[\d.]+_percentile)(?:_latency)?(?:_ns)?$"
)
_COLUMNS = {"first": "ttft_ms", "time": "tpot_ms", "latency": "e2e_ms", "": "e2e_ms"}
_NUMBERS = {
    "Completed samples per second": "samples_per_s", "Samples per second": "samples_per_s",
    "Completed tokens per second": "tokens_per_s", "Tokens per second": "tokens_per_s",
    "Scheduled samples per second": "request_rate", "target_qps": "target_qps",
    "result_completed_samples_per_sec": "samples_per_s",
    "result_samples_per_second": "samples_per_s",
    "result_completed_tokens_per_second": "tokens_per_s",
    "result_tokens_per_second": "tokens_per_s",
    "result_scheduled_samples_per_sec": "request_rate", "effective_target_qps": "target_qps",
    "result_query_count": "n_requests",
}  # fmt: skip
_TEXTS = {
    "SUT name": "sut", "Scenario": "scenario", "Mode": "mode", "Result is": "result",
    "sut_name": "sut", "effective_scenario": "scenario", "effective_test_mode": "mode",
    "result_validity": "result",
}  # fmt: skip


def matches(document: Document) -> bool:
    """Whether this is a summary or a detail log of LoadGen."""
    head = document.head[:4096].decode("utf-8", errors="replace")
    return _SUMMARY in head or head.lstrip().startswith(_DETAIL)


def read(document: Document) -> Parsed:
    """Read the run as one row of means."""
    detail = document.text.lstrip().startswith(_DETAIL)
    said = _detail(document.text) if detail else _summary(document.text)
    row: Row = {"phase": "request", "statistic": "mean", "clock": "client"}
    for key, value in said.items():
        row |= _entry(key, value)
    if not any(row.get(name, 0.0) > 0 for name in ("e2e_ms", "ttft_ms")):
        return parsed([])
    row.pop("target_qps", None)
    samples, per_s = row.pop("samples_per_s", math.nan), row.pop("tokens_per_s", math.nan)
    notes = [mean_note(row.get("n_requests", math.nan), "times"), *_load(row, samples)]
    if per_s > 0 and samples > 0:
        row["osl"] = per_s / samples
    return parsed([row], assumptions=notes, flags=[*_validity(row), *_tokens(row)])


def _summary(text: str) -> dict[str, Any]:
    """Return lines ``name : value`` of a summary; the first of a name holds."""
    found: dict[str, Any] = {}
    for line in text.splitlines():
        parts = _LINE.match(line)
        if parts:
            found.setdefault(parts[1], parts[2])
    return found


def _detail(text: str) -> dict[str, Any]:
    """Return the keys of a detail log; the last of a key holds."""
    found: dict[str, Any] = {}
    for line in text.splitlines():
        _, mark, body = line.partition(_DETAIL)
        entry = json_inside(body) if mark else None
        if isinstance(entry, Mapping) and "key" in entry:
            found[str(entry["key"])] = entry.get("value")
    return found


def _entry(key: str, value: Any) -> Row:
    if key in _TEXTS:
        return {_TEXTS[key]: str(value)}
    if key in _NUMBERS:
        return {_NUMBERS[key]: number(value, key)}
    found = _STATISTIC.match(key) or _KEY.match(key)
    if not found:
        return {}
    column = _COLUMNS[re.split(r"[ _]", found["what"].lower())[0]]
    kind = found["kind"].lower()
    share = re.match(r"[\d.]+", kind)
    label = f"p{float(share[0]):g}".replace(".", "p") if share else kind
    name = column if label == "mean" else statistic_column(column, label)
    return {name: MS_PER_NS * number(value, key)}


def _load(row: Row, samples: float) -> list[str]:
    """Write the load into a row by its scenario; return how it is known."""
    scenario, rate = str(row.get("scenario", "")), row.pop("request_rate", None)
    if scenario == "SingleStream":
        return fill_load([row], clients=1)
    rate = rate if scenario != "Offline" else None
    return fill_load([row], rate=rate, mean=little(samples, ms_to_s(row.get("e2e_ms", math.nan))))


def _validity(row: Row) -> list[Flag]:
    flags = []
    if row.get("result") == "INVALID":
        flags.append(Flag.of(
            "invalid run", "warning", [0], "LoadGen calls the result of this run INVALID",
            "see the recommendations in the summary; the times are those of the run all the same",
        ))  # fmt: skip
    if row.get("scenario") == "Offline":
        flags.append(Flag.of(
            "all sent at once", "warning", [0],
            "Offline sends every sample at the start: its latency is mostly waiting",
            "use a Server or SingleStream run for the time of a request",
        ))  # fmt: skip
    return flags


def _tokens(row: Row) -> list[Flag]:
    """Flag a mean time per token that the means of times and lengths cannot give."""
    if not {"ttft_ms", "tpot_ms", "e2e_ms", "osl"} <= set(row) or not row["osl"] > 1:
        return []
    given = (row["e2e_ms"] - row["ttft_ms"]) / (row["osl"] - 1)
    if 0.5 < row["tpot_ms"] / given < 2 if given > 0 else False:
        return []
    return disagreement([row], [row["tpot_ms"]], [given], "mean time per output token")
