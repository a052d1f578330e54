"""Ollama: responses of ``/api/generate`` and ``/api/chat``, one object or one a line.

    TTFT = prompt_eval_duration    TPOT = eval_duration / (eval_count - 1)    durations in ns

The first token is drawn from the logits of the prompt, so ``eval_duration`` holds the gaps between
``eval_count`` tokens: one fewer. ``total_duration`` also holds the loading of the model
(``load_ms``) and what is in none of the parts, the wait for a slot and handling (``other_ms``);
E2E is without the loading. ``prompt_eval_count`` is absent where the whole prompt was cached.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from lengthwise.data.formats.base import Document, Parsed
from lengthwise.data.formats.fields import Row, number, parsed, request_row, tokens, tpot_s
from lengthwise.data.formats.request_records import EMPTY, FAILED, Record, add_load, moment
from lengthwise.data.report import Flag
from lengthwise.units import counted, s_to_ms

NAME = "ollama"
TITLE = "Ollama"

S_PER_NS = 1e-9
WAITED = 0.2
"""Share of a request spent in none of its parts from which on it is flagged."""

_DURATIONS = ("total_duration", "eval_duration")
_NOTES = (
    "ttft_ms is the time of the prompt; loading (load_ms) and waiting (other_ms) are apart from "
    "it, and e2e_ms is without loading",
    "eval_duration is of the tokens after the first: tpot_ms is eval_duration / (eval_count - 1)",
)


def matches(document: Document) -> bool:
    """Whether objects are responses of Ollama, the last of a stream among them."""
    return any(set(_DURATIONS) <= set(found) and "done" in found for found in document.objects)


def read(document: Document) -> Parsed:
    """Read one row per response that was finished."""
    return read_records(document.objects)


def read_records(records: Sequence[Record]) -> Parsed:
    """Read one row per finished response, given as objects of the API."""
    dropped: Counter[str] = Counter()
    rows: list[Row] = []
    for record in records:
        reason = _unusable(record)
        if reason:
            dropped[reason] += 1
        else:
            rows.append(_row(record))
    starts = [row["timestamp"] for row in rows]
    ends = [row.pop("_end") for row in rows]
    notes = [*_NOTES, *add_load(rows, starts, ends)] if rows else []
    if any(math.isnan(row["isl"]) for row in rows):
        notes.append("isl is not known where prompt_eval_count is absent: the prompt was cached")
    return parsed(rows, dropped=dropped, assumptions=notes, flags=_waits(rows))


def _unusable(record: Record) -> str:
    if "error" in record:
        return FAILED
    if not record.get("done"):
        return "part of a streamed answer"
    if record.get("done_reason") in ("load", "unload"):
        return "loading or unloading of a model"
    return "" if tokens(record.get("eval_count"), "eval_count") >= 1 else EMPTY


def _row(record: Mapping[str, Any]) -> Row:
    total, load, prompt, decode = (
        S_PER_NS * number(record.get(name), name)
        for name in ("total_duration", "load_duration", "prompt_eval_duration", "eval_duration")
    )
    load = 0.0 if math.isnan(load) else load
    osl = tokens(record["eval_count"], "eval_count")
    end = moment(record.get("created_at"), "created_at")
    known = 0.0 if math.isnan(prompt) else prompt
    row = request_row(
        ttft=prompt, end=total - load, tpot=tpot_s(0.0, decode, osl), osl=osl,
        isl=tokens(record.get("prompt_eval_count"), "prompt_eval_count"),
        model=record.get("model"), engine="ollama", clock="server", timestamp=end - total,
    )  # fmt: skip
    other = max(total - load - known - decode, 0.0)
    return {**row, "load_ms": s_to_ms(load), "other_ms": s_to_ms(other), "_end": end}


def _waits(rows: list[Row]) -> list[Flag]:
    slow = [i for i, row in enumerate(rows) if row["other_ms"] > WAITED * row["e2e_ms"]]
    if not slow:
        return []
    row = rows[slow[0]]
    seen = (
        f"{counted(len(slow), 'request')} spent over {WAITED:.0%} of the time neither on prompt "
        f"nor on tokens (row {slow[0]}: {row['other_ms']:.4g} of {row['e2e_ms']:.4g} ms), most "
        "likely waiting for others: e2e_ms holds the wait, ttft_ms does not"
    )
    remedy = "set OLLAMA_NUM_PARALLEL, or fit ttft_ms and tpot_ms only"
    return [Flag.of("waited", "warning", slow, seen, remedy)]
