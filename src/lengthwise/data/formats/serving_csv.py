"""CSV with the keys of vLLM's or SGLang's result files (``mean_ttft_ms``), one run a line.

People join result files to such a table, and ``vllm bench sweep`` writes one (``summary.csv``).
Each line is read as the file it came from. Columns that no tool writes are kept.
"""

from __future__ import annotations

import csv
import io
import re
from typing import Any

from lengthwise.data.formats import sglang_serving, vllm_serve
from lengthwise.data.formats.base import Document, Parsed

NAME = "serving-csv"
TITLE = "CSV with the keys of vLLM's or SGLang's result files"

_KEY = re.compile(r"(?:mean|median)_(?:ttft|tpot|itl|e2el|e2e_latency)_ms")
_LENGTHS = {
    "isl": ("total_input_tokens", "input_len", "random_input_len", "input_length", "prompt_len"),
    "osl": ("total_output_tokens", "output_len", "random_output_len", "output_length"),
}  # fmt: skip
"""Total of a run, which says most, and columns that people put beside it instead."""

_CLIENTS = ("concurrency", "conc", "clients", "num_clients", "users", "concurrent_requests")

_NUMBER = re.compile(r"-?\d+(?:\.\d*)?(?:[eE][-+]?\d+)?")


def matches(document: Document) -> bool:
    """Whether the header has such a key and names no phase."""
    names = _header(document.printed)
    return "phase" not in names and any(map(_KEY.fullmatch, names))


def read(document: Document) -> Parsed:
    """Read one row of means per line."""
    text = document.printed.lstrip("\n")
    lines = csv.DictReader(io.StringIO(text), delimiter=_delimiter(text))
    runs = [
        _with_lengths(
            {name.strip(): _typed(value) for name, value in line.items() if name and value}
        )
        for line in lines
    ]
    if any("mean_e2e_latency_ms" in run or "accept_length" in run for run in runs):
        return sglang_serving.read_runs(runs)
    return vllm_serve.read_runs([_with_limit(run) for run in runs])


def _with_lengths(run: dict[str, Any]) -> dict[str, Any]:
    for column, (total, *others) in _LENGTHS.items():
        told = next((run[name] for name in others if name in run), None)
        if told is not None and run.get(total) is None:
            run.setdefault(column, told)
    return run


def _with_limit(run: dict[str, Any]) -> dict[str, Any]:
    """Name the clients of a closed loop as vLLM does; SGLang's ``concurrency`` is what ran."""
    told = next((name for name in _CLIENTS if run.get(name) is not None), None)
    if told is None or run.get("max_concurrency") is not None:
        return run
    return {**{name: run[name] for name in run if name != told}, "max_concurrency": run[told]}


def _header(text: str) -> list[str]:
    head = text.lstrip("\n").partition("\n")[0]
    return [name.strip(' "') for name in head.split(_delimiter(text))]


def _delimiter(text: str) -> str:
    head = text.lstrip("\n").partition("\n")[0]
    return max(",;\t", key=head.count)


def _typed(cell: str) -> Any:
    """Return a number where the cell is one; ``inf`` and text stay."""
    plain = cell.strip()
    if not _NUMBER.fullmatch(plain):
        return None if plain.lower() in ("none", "nan", "null") else plain
    return int(plain) if plain.lstrip("-").isdigit() else float(plain)
