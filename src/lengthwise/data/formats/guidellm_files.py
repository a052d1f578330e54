"""The files of a GuideLLM report: YAML as JSON, and CSV with a header of three rows, or of one."""

from __future__ import annotations

import csv
import io
import math
from collections import Counter
from collections.abc import Iterator
from typing import Any

from lengthwise.data.formats.base import Document
from lengthwise.data.formats.fields import Row, at, damaged, first, number, tokens
from lengthwise.data.formats.guidellm_header import as_three_rows, is_one_row
from lengthwise.data.formats.loads import little
from lengthwise.data.parsing import json_inside
from lengthwise.data.parsing_yaml import parse_yaml
from lengthwise.errors import InputError

METRICS = (
    ("ttft_ms", "time_to_first_token_ms", 1.0),
    ("tpot_ms", "inter_token_latency_ms", 1.0),  # its own "TPOT" holds the first token
    ("e2e_ms", "request_latency", 1e3),
)  # fmt: skip
"""Column, name of the metric, milliseconds in its unit."""

LENGTHS = {
    "isl_mean": ("prompt_token_count", "prompt_tokens"),
    "osl_mean": ("output_token_count", "output_tokens"),
}

_IN_CSV = {
    ("Time to First Token", "Successful ms"): ("ttft_ms", 1.0),
    ("Inter Token Latency", "Successful ms"): ("tpot_ms", 1.0),
    ("Request Latency", "Successful Sec"): ("e2e_ms", 1e3),
}
_LENGTHS_IN_CSV = {
    ("Token Metrics", "Successful Input Tokens", "Mean"): "isl_mean",
    ("Token Metrics", "Successful Output Tokens", "Mean"): "osl_mean",
}
_STATISTICS = {"Mean": "", "Median": "_p50", "Std Dev": "_stddev"}
_PERCENTILES = ("p0p1", "p1", "p5", "p10", "p25", "p50", "p75", "p90", "p95", "p99", "p99p9")
_COUNTS = {"Errored": "failed request", "Incomplete": "request cut off when the run ended"}
_LONGEST_CELL = 1 << 24


def is_report(found: Any) -> bool:
    """Whether an object is a report of any version."""
    if not isinstance(found, dict) or not isinstance(found.get("benchmarks"), list):
        return False
    meta = found.get("metadata")
    if at(meta, "guidellm_version") is not None or (at(meta, "version") == 1 and "args" in found):
        return True
    head = found["benchmarks"][0] if found["benchmarks"] else None
    return isinstance(at(head, "metrics", "time_to_first_token_ms"), dict)


def is_yaml(document: Document) -> bool:
    """Whether the text is YAML with the keys of a report; it is not parsed for that."""
    head = document.head.decode("utf-8", errors="replace")
    return (
        not head.lstrip().startswith(("{", "[")) and "guidellm_version:" in document.text
        and "\nbenchmarks:" in "\n" + document.text
    )  # fmt: skip


def load_yaml(document: Document) -> dict[str, Any]:
    """Parse a report in YAML."""
    try:
        found = parse_yaml(document.text, document.path)
    except ModuleNotFoundError:
        raise InputError(
            "a report in YAML needs the optional package pyyaml", got=str(document.path),
            remedy="pip install pyyaml, or let guidellm write JSON",
        ) from None  # fmt: skip
    if len(found) != 1 or not is_report(found[0]):
        raise damaged("a report must hold benchmarks", "none")
    return dict(found[0])


def is_csv(document: Document) -> bool:
    """Whether the first row holds the groups of columns of the CSV export."""
    top = document.head.decode("utf-8", errors="replace").lstrip("\ufeff").partition("\n")[0]
    return ("Run Info" in top and "Request Counts" in top) or is_one_row(
        next(csv.reader([top]), [])
    )


def rows_of_csv(document: Document, dropped: Counter[str]) -> Iterator[Row]:
    """Make one row of means per benchmark with a request that succeeded; count the others.

    ``strategy`` is left as text for the caller, and ``mean`` is the mean number in flight.
    """
    lines = list(_lines(document))
    heads = 1 if lines and is_one_row(lines[0]) else 3
    if len(lines) <= heads:
        raise damaged("the file must hold three header rows and a benchmark", f"{len(lines)} rows")
    keys = as_three_rows(lines[0]) if heads == 1 else list(zip(*lines[:3], strict=False))
    for line in lines[heads:]:
        cells = dict(zip(keys, line, strict=False))
        for name, reason in _COUNTS.items():
            lost = number(cells.get(("Request Counts", name, "")), name)
            if lost > 0:
                dropped[reason] += int(lost)
        row = _row(cells)
        if row["n_requests"] != 0:
            yield row


def _lines(document: Document) -> Iterator[list[str]]:
    before = csv.field_size_limit(_LONGEST_CELL)
    try:
        yield from (line for line in csv.reader(io.StringIO(document.text, newline="")) if line)
    except csv.Error as error:
        raise damaged("the file must be sound CSV", str(error)) from None
    finally:
        csv.field_size_limit(before)


def _row(cells: dict[tuple[str, ...], str]) -> Row:
    row: Row = {"phase": "request", "statistic": "mean", "clock": "client"}
    for (group, name), (column, factor) in _IN_CSV.items():
        stem = column.removesuffix("_ms")
        for label, suffix in _STATISTICS.items():
            value = number(cells.get((group, name, label)), f"{group} {label}")
            row[f"{stem}{suffix}_ms"] = factor * value
        points = cells.get((group, name, "Percentiles"))
        for label, value in zip(_PERCENTILES, _list(points), strict=False):
            row[f"{stem}_{label}_ms"] = factor * number(value, f"{group} {label}")
    for key, column in _LENGTHS_IN_CSV.items():
        value = number(cells.get(key), column)
        row[column] = tokens(value if math.isfinite(value) else None, column)
    row["n_requests"] = number(cells.get(("Request Counts", "Successful", "")), "Successful")
    lasted = number(cells.get(("Timings", "Duration", "Sec")), "Duration")
    per_s = row["n_requests"] / lasted if lasted > 0 else math.nan
    row["mean"] = little(per_s, row["e2e_ms"] / 1e3)
    row["strategy"] = cells.get(("Benchmark", "Strategy", ""), "")
    backend, worker = (_json(cells.get(("Run Info", name, ""))) for name in ("Backend", "Worker"))
    row["model"] = first(at(backend, "model"), at(worker, "backend_model"))
    return row


def _json(cell: str | None) -> Any:
    return json_inside(cell or "null")


def _list(cell: str | None) -> list[Any]:
    """Percentiles of a cell, from the 0.1st to the 99.9th; none unless all are there."""
    found = _json(cell)
    return found if isinstance(found, list) and len(found) == len(_PERCENTILES) else []
