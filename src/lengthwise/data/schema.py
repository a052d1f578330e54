"""Columns of the measurement table: the one currency between layers.

One row is one timed thing. Unknown extra columns are kept. Every time is in milliseconds, every
length in tokens per sequence.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["tokens", "count", "time", "rate", "power", "text", "flag", "number"]

PHASES = ("prefill", "decode", "mixed", "request")
STEP_PHASES = ("prefill", "decode", "mixed")

DEPLOYMENT = (
    "model", "hardware", "engine", "engine_version", "precision", "tp", "pp", "ep", "dp",
    "settings",
)  # fmt: skip
"""Columns that together name what was measured."""

LOAD = ("concurrency", "request_rate")
"""Columns that say what clients kept in flight; see :mod:`lengthwise.data.load`."""


@dataclass(frozen=True)
class Column:
    """One column: name, kind of value, unit and meaning."""

    name: str
    kind: Kind
    unit: str
    meaning: str


_ALL = (
    Column("phase", "text", "", "prefill, decode, mixed (one step) or request (a whole request)"),
    Column("latency_ms", "time", "ms", "time of the step"),
    Column("ttft_ms", "time", "ms", "time to first token of the request"),
    Column("tpot_ms", "time", "ms", "mean time per output token after the first"),
    Column("e2e_ms", "time", "ms", "send to last token of the request"),
    Column("isl", "tokens", "tokens", "prompt tokens per sequence"),
    Column("osl", "tokens", "tokens", "generated tokens per sequence"),
    Column("context_len", "tokens", "tokens", "KV tokens visible to a sequence, new ones included"),
    Column("query_len", "tokens", "tokens", "new tokens of a sequence in the step"),
    Column("cached_tokens", "tokens", "tokens", "prompt tokens already in the KV cache"),
    Column("batch_size", "count", "sequences", "sequences in the step (1 if absent)"),
    Column("concurrency", "count", "requests", "requests in flight at the client; not a batch"),
    Column("request_rate", "rate", "requests/s", "offered load"),
    Column("load_from", "text", "", "how the load is known: measured, cap, rate or assumed"),
    Column("sum_query_len", "tokens", "tokens", "mixed: sum of query_len over the step"),
    Column("sum_context_len", "tokens", "tokens", "mixed: sum of context_len over the step"),
    Column(
        "sum_query_x_context", "number", "tokens^2", "mixed: sum of query_len * context_len"
    ),
    Column("model", "text", "", "name of the LLM"),
    Column("hardware", "text", "", "name of the accelerator or machine"),
    Column("engine", "text", "", "serving engine"),
    Column("engine_version", "text", "", "version of the engine"),
    Column("precision", "text", "", "precision of weights and arithmetic"),
    Column("tp", "count", "", "tensor parallel degree"),
    Column("pp", "count", "", "pipeline parallel degree"),
    Column("ep", "count", "", "expert parallel degree"),
    Column("dp", "count", "", "data parallel degree"),
    Column("settings", "text", "", "other settings, as n_gpu_layers=10, where they vary"),
    Column("repeat", "number", "", "number of the repetition"),
    Column("warmup", "flag", "", "row was taken while warming up"),
    Column("output_index", "number", "", "index of the generated token, 0 for the first"),
    Column("timestamp", "number", "s", "when the row was measured, unix seconds"),
    Column("power_w", "power", "W", "mean power while measuring"),
    Column("clock", "text", "", "client or server"),
    Column("source", "text", "", "file or dataset the row comes from"),
)  # fmt: skip

COLUMNS: dict[str, Column] = {column.name: column for column in _ALL}

TIMES = tuple(c.name for c in _ALL if c.kind == "time")
TOKENS = tuple(c.name for c in _ALL if c.kind == "tokens")
COUNTS = tuple(c.name for c in _ALL if c.kind == "count")
NUMERIC = tuple(c.name for c in _ALL if c.kind not in ("text", "flag"))

NEEDED: dict[str, tuple[str, ...]] = {
    "prefill": ("latency_ms", "isl"),
    "decode": ("latency_ms", "context_len"),
    "mixed": ("latency_ms", "sum_query_len", "sum_context_len", "sum_query_x_context"),
    "request": (),
}
"""Columns a row of each phase must have; a request needs a time, and isl to be fitted."""
