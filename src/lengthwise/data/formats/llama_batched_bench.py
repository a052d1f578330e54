"""llama-batched-bench of llama.cpp: B prompts of PP tokens, then TG tokens for each of them.

T_PP    one prefill of B sequences (of one, when the prompt is shared)
T_TG    TG decode steps of B sequences (B times TG steps of one, with -tgs)
"""

from __future__ import annotations

from lengthwise.data.formats.base import Document, Parsed
from lengthwise.data.formats.fields import Row, number
from lengthwise.data.formats.llama_phases import (
    Record,
    has_lines,
    is_shared,
    phase_seconds,
    read_lines,
)
from lengthwise.data.readers.rows import mean_context
from lengthwise.units import s_to_ms

NAME = "llama-batched-bench"
TITLE = "llama-batched-bench"

_NOTES = ("a prefill longer than n_ubatch tokens is the sum of several passes",)


def matches(document: Document) -> bool:
    """Whether lines have this tool's columns, the number of sequences among them."""
    return has_lines(document, batched=True)


def read(document: Document) -> Parsed:
    """Read a prefill and a decode row per line."""
    return read_lines(document, _rows, batched=True, engine="llama.cpp", notes=_NOTES)


def _rows(record: Record) -> list[Row]:
    pp, tg, pl = (number(record.get(name), name) for name in ("pp", "tg", "pl"))
    apart = number(record.get("is_tg_separate"), "is_tg_separate") == 1
    prompts, width = (1.0 if is_shared(record) else pl), (1.0 if apart else pl)
    rows: list[Row] = []
    prefill = phase_seconds(record, "pp", pp * prompts)
    decode = phase_seconds(record, "tg", tg * pl)
    if pp > 0 and prefill > 0:
        rows.append({"phase": "prefill", "isl": pp, "query_len": pp, "batch_size": prompts,
                     "latency_ms": s_to_ms(prefill)})  # fmt: skip
    if tg > 0 and decode > 0:
        rows.append({"phase": "decode", "osl": tg, "query_len": 1, "batch_size": width,
                     "context_len": mean_context(pp, tg),
                     "latency_ms": s_to_ms(decode * width / (tg * pl))})  # fmt: skip
    return rows
