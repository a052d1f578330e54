"""CSV summaries of AIPerf and genai-perf: ``profile_export_aiperf.csv`` and its like.

Three tables under each other: statistics per metric (``Time to First Token (ms),230.00,...``),
single values (``Request Count,96.00``) and, where it was recorded, telemetry of the GPUs. They hold
what the JSON of the same run holds, without its settings.
"""

from __future__ import annotations

import csv
import io
import math
import re
from typing import Any

from lengthwise.data.formats.base import Document, Parsed
from lengthwise.data.formats.fields import Row, at, number, parsed
from lengthwise.data.formats.genai_perf import COUNTED
from lengthwise.data.formats.loads import fill_load, little
from lengthwise.data.formats.metric_blocks import MS_PER, TIMES, summary_row
from lengthwise.data.formats.printed import disagreement
from lengthwise.units import ms_to_s

NAME = "aiperf-csv"
TITLE = "CSV of AIPerf or genai-perf"

_METRIC = re.compile(r"(?P<name>[^()]+?)\s*(?:\((?P<unit>[^()]*)\))?")

Blocks = dict[str, dict[str, Any]]


def matches(document: Document) -> bool:
    """Whether the first line names statistics of metrics and one metric is a latency."""
    text = document.printed.lstrip()
    if not text.startswith(("Metric,avg", "Metric,Value", '"Metric","avg"')):
        return False
    return any(name in _blocks(text)[0] for name in TIMES.values())


def read(document: Document) -> Parsed:
    """Read one row of means."""
    text = document.printed
    blocks, gpus = _blocks(text)
    row, flags = summary_row(blocks)
    row["hardware"] = ", ".join(dict.fromkeys(gpus)) or None
    notes = fill_load([row], mean=little(_rate(blocks, row), float(ms_to_s(_e2e_ms(row)))))
    if "Time To First Token" in text:  # the spelling of genai-perf
        notes.append(COUNTED)
    flags += disagreement([0], _figures(blocks, row))
    return parsed([row], flags=flags, assumptions=notes)


def _blocks(text: str) -> tuple[Blocks, list[str]]:
    """Return statistics by metric with their units, and the names of the GPUs."""
    blocks: Blocks = {}
    gpus: list[str] = []
    names: list[str] = []
    for cells in csv.reader(io.StringIO(text)):
        if cells and cells[0] in ("Metric", "Endpoint"):
            names = cells
        elif cells and names and names[0] == "Endpoint":
            gpus.append(dict(zip(names, cells, strict=False)).get("GPU_Name", ""))
        elif cells and names:
            blocks |= _block(names, cells)
    return blocks, [name for name in gpus if name]


def _block(names: list[str], cells: list[str]) -> Blocks:
    found = _METRIC.fullmatch(cells[0].strip())
    if not found:
        return {}
    values = zip(names[1:], cells[1:], strict=False)
    block: Row = {"avg" if name == "Value" else name: _figure(value) for name, value in values}
    unit = found["unit"] or ""
    return {
        found["name"].lower().replace(" ", "_"): {
            "unit": unit, **{name: value for name, value in block.items() if value is not None},
        }
    }  # fmt: skip


def _figure(cell: str) -> float | str | None:
    """Return a number, also one with commas between thousands; other text as it is."""
    plain = cell.strip().replace(",", "")
    try:
        return float(plain) if plain and plain != "N/A" else None
    except ValueError:
        return cell


def _e2e_ms(row: Row) -> float:
    return float(row.get("e2e_ms", math.nan))


def _rate(blocks: Blocks, row: Row) -> float:
    """Return requests per second, from count and duration where it is not printed."""
    printed = number(at(blocks, "request_throughput", "avg"), "request throughput")
    return printed if printed > 0 else _done_per_s(blocks, row)


def _done_per_s(blocks: Blocks, row: Row) -> float:
    duration = blocks.get("benchmark_duration", {})
    lasted = number(duration.get("avg"), "duration") * MS_PER.get(duration.get("unit", ""), 1e3)
    return float(row["n_requests"] / ms_to_s(lasted)) if lasted > 0 else math.nan


def _figures(blocks: Blocks, row: Row) -> dict[str, tuple[float, float]]:
    """Return printed rates with count / duration."""
    done = _done_per_s(blocks, row)
    osl = number(at(blocks, "output_sequence_length", "avg"), "output_sequence_length")
    rate, tokens = (
        number(at(blocks, name, "avg"), name)
        for name in ("request_throughput", "output_token_throughput")
    )
    pairs = {"output token throughput": (tokens, done * osl)}
    return pairs | ({"request throughput": (rate, done)} if rate >= 1 else {})
