"""llama-sweep-bench of ik_llama.cpp: a prompt chunk and a generation at each depth of the cache.

With N_KV tokens already cached, T_PP is a prefill of PP more tokens and T_TG are TG decode steps,
one sequence.
"""

from __future__ import annotations

from lengthwise.data.formats.base import Document, Parsed
from lengthwise.data.formats.fields import Row, number
from lengthwise.data.formats.llama_phases import Record, has_lines, phase_seconds, read_lines
from lengthwise.data.readers.rows import mean_context
from lengthwise.units import s_to_ms

NAME = "llama-sweep-bench"
TITLE = "llama-sweep-bench"

_NOTES = ("the tool belongs to ik_llama.cpp; for a port of it: --set engine=llama.cpp",)


def matches(document: Document) -> bool:
    """Whether lines have this tool's columns, without a number of sequences."""
    return has_lines(document, batched=False)


def read(document: Document) -> Parsed:
    """Read a prefill on top of the cache and a decode row per line."""
    return read_lines(document, _rows, batched=False, engine="ik_llama.cpp", notes=_NOTES)


def _rows(record: Record) -> list[Row]:
    pp, tg, depth = (number(record.get(name), name) for name in ("pp", "tg", "n_kv"))
    prefill, decode = phase_seconds(record, "pp", pp), phase_seconds(record, "tg", tg)
    rows: list[Row] = []
    if pp > 0 and prefill > 0:
        rows.append({"phase": "prefill", "isl": depth + pp, "cached_tokens": depth,
                     "query_len": pp, "batch_size": 1, "latency_ms": s_to_ms(prefill)})  # fmt: skip
    if tg > 0 and decode > 0:
        rows.append({"phase": "decode", "osl": tg, "query_len": 1, "batch_size": 1,
                     "context_len": mean_context(depth, tg),
                     "latency_ms": s_to_ms(decode / tg)})  # fmt: skip
    return rows
