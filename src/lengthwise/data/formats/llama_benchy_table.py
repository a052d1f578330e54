"""The table of llama-benchy as the entries of its JSON report."""

from __future__ import annotations

import re
from typing import Any

from lengthwise.data.formats.base import Document
from lengthwise.data.formats.fields import Row
from lengthwise.data.formats.printed import MarkdownTable, figure, markdown_tables

_TEST = re.compile(
    r"(?P<ctx>ctx_)?(?P<phase>pp|tg)(?P<n>\d+)?(?: *@ *d(?P<depth>\d+))?(?: *\(c(?P<c>\d+)\))?"
)
_COLUMNS = {"ttfr": "ttfr (ms)", "est_ppt": "est_ppt (ms)", "e2e_ttft": "e2e_ttft (ms)"}
_SPEEDS = {"throughput": ("t/s (total)", "t/s"), "req_throughput": ("t/s (req)",)}

Shape = dict[str, Any]


def has_table(document: Document) -> bool:
    """Return whether a text holds a table of this tool."""
    text = document.printed
    return "e2e_ttft (ms)" in text and any(map(_is_ours, markdown_tables(text)))


def shapes_of(document: Document) -> tuple[list[Shape], Row]:
    """Return one entry per shape (its pp and tg lines joined), and columns of all of them."""
    shapes: list[Shape] = []
    for table in filter(_is_ours, markdown_tables(document.printed)):
        shapes += _shapes(table)
    return shapes, {}


def _is_ours(table: MarkdownTable) -> bool:
    return {"model", "test", "e2e_ttft (ms)"} <= set(table.names)


def _shapes(table: MarkdownTable) -> list[Shape]:
    shapes: list[Shape] = []
    for row in table.rows:
        found = _TEST.fullmatch(row.get("test", ""))
        if not found:
            continue
        key = (row["model"], found["ctx"], found["depth"], found["c"])
        follows = found["phase"] == "tg" and shapes and shapes[-1]["_key"] == key
        if not follows or "tg_throughput" in shapes[-1]:
            shapes.append(_empty(row, found, key))
        shapes[-1] |= _measured(row, found)
    cached = {shape["labels"]["model"] for shape in shapes if shape["is_context_prefill_phase"]}
    for shape in shapes:
        del shape["_key"]
        shape["prefix_caching"] = shape["labels"]["model"] in cached
    return shapes


def _empty(row: dict[str, str], found: re.Match[str], key: tuple[Any, ...]) -> Shape:
    return {
        "_key": key, "labels": {"model": row["model"]}, "prompt_size": None, "response_size": None,
        "concurrency": int(found["c"] or 1) if "t/s (total)" not in row or found["c"] else None,
        "context_size": int(found["depth"] or 0), "is_context_prefill_phase": bool(found["ctx"]),
    }  # fmt: skip


def _measured(row: dict[str, str], found: re.Match[str]) -> Shape:
    phase, size = found["phase"], int(found["n"]) if found["n"] else None
    made: Shape = {}
    if size is not None:
        made["prompt_size" if phase == "pp" else "response_size"] = size
    for name, headings in _SPEEDS.items():
        for heading in headings:
            if row.get(heading):
                made.setdefault(f"{phase}_{name}", _block(row[heading]))
    for name, heading in _COLUMNS.items():
        if row.get(heading):
            made[name] = _block(row[heading])
    return made


def _block(cell: str) -> dict[str, float]:
    mean, spread = figure(cell)
    return {"mean": mean, "std": spread}
