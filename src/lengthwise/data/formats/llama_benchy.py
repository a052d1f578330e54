"""llama-benchy: llama-bench's table for any server, as markdown or JSON.

    e2e_ttft    send to first content token: TTFT        ttfr    send to first chunk of any kind
    t/s         of tg: (tokens - 1) / (last - first token), so TPOT is its inverse
    pp @ d      prompt of pp + d tokens; with prefix caching d of them are cached

With several requests at once, ``t/s (total)`` is of all of them and ``t/s (req)`` of one: without
the latter the time per token is not known. Figures are means over the runs of one shape.
"""

from __future__ import annotations

import math
from typing import Any

from lengthwise.data.formats.base import Document, Parsed
from lengthwise.data.formats.fields import Row, at, number, parsed
from lengthwise.data.formats.llama_benchy_table import has_table, shapes_of
from lengthwise.data.formats.loads import fill_load
from lengthwise.data.formats.printed import disagreement, repeated_mean
from lengthwise.data.report import Flag
from lengthwise.units import MS_PER_S, ms_to_s

NAME = "llama-benchy"
TITLE = "llama-benchy"

_KEYS = {"latency_mode", "benchmarks", "prefix_caching_enabled"}
_UNTIMED = (
    "t/s (total) is of all requests together: tpot_ms is left out where t/s (req) is not printed"
)


def matches(document: Document) -> bool:
    """Whether the content is a table or a JSON report of this tool."""
    found = document.json
    return (isinstance(found, dict) and set(found) >= _KEYS) or has_table(document)


def read(document: Document) -> Parsed:
    """Read one request row per shape: the mean over its runs."""
    if document.json is None:
        shapes, common = shapes_of(document)
    else:
        shapes, common = document.json["benchmarks"], {"model": document.json.get("model")}
        cached = bool(document.json.get("prefix_caching_enabled"))
        shapes = [{"prefix_caching": cached, **shape} for shape in shapes]
    rows: list[Row] = []
    flags: list[Flag] = []
    notes: list[str] = []
    for shape in shapes:
        row = _row(shape)
        notes += fill_load([row], clients=number(shape.get("concurrency"), "concurrency"))
        if row["concurrency"] not in (None, 1) and not row["tpot_ms"] > 0:
            notes.append(_UNTIMED)
        rows.append({**row, **shape.get("labels", {}), **common})
        flags += disagreement([len(rows) - 1], _figures(shape))
    return parsed(rows, flags=flags, assumptions=notes)


def _row(shape: dict[str, Any]) -> Row:
    prompt, depth = _lengths(shape)
    mean, spread = (number(at(shape, "e2e_ttft", key), "e2e_ttft") for key in ("mean", "std"))
    speed = _speed(shape, "tg")
    osl = number(shape.get("response_size"), "response_size")
    return {
        "phase": "request", "ttft_ms": mean, "tpot_ms": MS_PER_S / speed if speed > 0 else math.nan,
        "isl": prompt + depth, "osl": osl if osl > 0 else math.nan,
        "cached_tokens": depth if _is_cached(shape) else math.nan, "clock": "client",
        "ttfr_ms": number(at(shape, "ttfr", "mean"), "ttfr"),
        "est_ppt_ms": number(at(shape, "est_ppt", "mean"), "est_ppt"),
        **repeated_mean(spread, mean),
    }  # fmt: skip


def _lengths(shape: dict[str, Any]) -> tuple[float, float]:
    """Return new and earlier tokens of the prompt; loading the context is a prompt of its own."""
    depth = number(shape.get("context_size"), "context_size")
    if shape.get("is_context_prefill_phase"):
        return depth, 0.0
    return number(shape.get("prompt_size"), "prompt_size"), depth


def _is_cached(shape: dict[str, Any]) -> bool:
    return bool(shape.get("prefix_caching")) and _lengths(shape)[1] > 0


def _speed(shape: dict[str, Any], phase: str) -> float:
    """Return tokens per second of one request."""
    alone = number(at(shape, f"{phase}_req_throughput", "mean"), "t/s")
    if alone > 0 or shape.get("concurrency") != 1:
        return alone
    return number(at(shape, f"{phase}_throughput", "mean"), "t/s")


def _figures(shape: dict[str, Any]) -> dict[str, tuple[float, float]]:
    """Return the prompt's length as asked for, and as its time and speed give it."""
    time = number(at(shape, "est_ppt", "mean"), "est_ppt")
    prompt, depth = _lengths(shape)
    new = prompt if _is_cached(shape) else prompt + depth
    # The mean of a speed is no inverse of a mean time where requests differ.
    if shape.get("concurrency") != 1 or not time > 10:
        return {}
    seen = _speed(shape, "pp") * float(ms_to_s(time))
    return {"prompt tokens": (new, seen)} if abs(seen - new) > 0.1 * new else {}
