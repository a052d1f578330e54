"""Console text of ``ollama run --verbose``: a block of durations after each answer.

A block becomes the record of the API with the same figures (:mod:`.ollama`). The model stands, if
at all, in the command above it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from lengthwise.data.formats import ollama
from lengthwise.data.formats.base import Document, Parsed
from lengthwise.data.formats.printed import disagreement, figure, go_seconds, labelled
from lengthwise.data.report import Flag

NAME = "ollama-verbose"
TITLE = "console text of ollama run --verbose"

NS_PER_S = 1e9

_BLOCK = re.compile(
    r"^[ \t>*#-]*total duration:[^\n]*(?:\n[^\n]*(?:duration|count|rate):[^\n]*)+", re.M
)
_COMMAND = re.compile(r"ollama run (?:--\S+ +)*([\w./:-]+)")
_RATES = {
    "prompt eval": ("prompt eval rate", "prompt_eval_count", "prompt_eval_duration"),
    "eval": ("eval rate", "eval_count", "eval_duration"),
}


def matches(document: Document) -> bool:
    """Whether the text has a block with the duration of a generation."""
    text = document.printed
    return "eval duration:" in text and any(
        "eval duration" in labelled(block) for _, block in _blocks(text)
    )


def read(document: Document) -> Parsed:
    """Read one request row per block."""
    records: list[dict[str, Any]] = []
    flags: list[Flag] = []
    for model, block in _blocks(document.printed):
        told = labelled(block)
        record = _record(told)
        flags += disagreement([len(records)], _figures(told, record))
        records.append({**record, "model": model})
    made = ollama.read_records(records)
    return Parsed(made.frame, made.rows_read, made.dropped, made.assumptions,
                  (*made.flags, *flags), made.needs)  # fmt: skip


def _blocks(text: str) -> Iterator[tuple[str | None, str]]:
    model, last = None, 0
    for found in _BLOCK.finditer(text):
        commands = _COMMAND.findall(text, last, found.start())
        model = commands[-1] if commands else model
        last = found.end()
        yield model, found[0]


def _record(told: dict[str, str]) -> dict[str, Any]:
    durations = {
        f"{name.replace(' ', '_')}_duration": NS_PER_S * go_seconds(told[f"{name} duration"])
        for name in ("total", "load", "prompt eval", "eval") if f"{name} duration" in told
    }  # fmt: skip
    counts = {
        f"{name.replace(' ', '_')}_count": figure(told[f"{name} count"])[0]
        for name in ("prompt eval", "eval") if f"{name} count" in told
    }  # fmt: skip
    known = {name: value for name, value in durations.items() if value == value}
    return {**known, **counts, "done": True}


def _figures(told: dict[str, str], record: dict[str, Any]) -> dict[str, tuple[float, float]]:
    """Return printed rates with count / duration."""
    return {
        label: (figure(told[label])[0], record[count] * NS_PER_S / record[duration])
        for label, count, duration in _RATES.values()
        if label in told and count in record and record.get(duration, 0.0) > 0
    }
