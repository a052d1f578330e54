"""The table that llama-bench prints when no ``-o`` is given, as the records of its other files.

``t/s`` is the mean speed over the repetitions and its spread: a test of n tokens took n / (t/s).
``pp512`` is a prompt, ``tg128`` a generation, ``pp512+tg128`` both, ``@ d4096`` the tokens already
in the KV cache; ``tg128@pp512`` of ik_llama.cpp is a generation after a prompt.
"""

from __future__ import annotations

import re
from typing import Any

from lengthwise.data.formats import llama_log
from lengthwise.data.formats.base import Document
from lengthwise.data.formats.printed import MarkdownTable, figure, markdown_tables

NS_PER_S = 1e9

FIELDS = {
    "ngl": "n_gpu_layers", "sm": "split_mode", "threads": "n_threads", "nkvo": "no_kv_offload",
    "fa": "flash_attn", "mmap": "use_mmap", "embd": "embeddings", "nopo": "no_op_offload",
    "noh": "no_host", "dev": "devices", "ts": "tensor_split", "ot": "tensor_buft_overrides",
    "lm": "load_mode", "fitt": "fit_target", "fitc": "fit_min_ctx", "backend": "backends",
    "model": "model_type", "dio": "use_direct_io", "ncmoe": "n_cpu_moe",
}  # fmt: skip
"""Field of the other files for each heading that is not its name."""

_TEST = re.compile(
    r"(?:pp ?(?P<pp>\d+))?\+?(?:tg ?(?P<tg>\d+))?(?:@pp(?P<after>\d+))?(?:\s*@ ?d(?P<depth>\d+))?"
)
_LEFT_OUT = {"test", "t/s", "size", "params"}


def is_markdown(document: Document) -> bool:
    """Return whether the text holds a table of this tool."""
    text = document.printed
    return "t/s" in text and any(map(_is_ours, markdown_tables(text)))


def records_of_markdown(document: Document) -> list[dict[str, Any]]:
    """Return one record per line of every table of the text."""
    text, last = document.printed, 0
    records: list[dict[str, Any]] = []
    for table in filter(_is_ours, markdown_tables(text)):
        before, after = text[last : table.start], text[table.end :]
        common = _common(before, after.partition("\n|")[0])
        records += [{**common, **_record(row)} for row in table.rows if row.get("test")]
        last = table.end
    return records


def _is_ours(table: MarkdownTable) -> bool:
    names = set(table.names)
    return {"model", "test", "t/s"} <= names and not any("ttf" in name for name in names)


def _common(before: str, after: str) -> dict[str, Any]:
    commit, number = llama_log.build(after) or llama_log.build(before) or (None, None)
    return {
        "build_commit": commit, "build_number": number, "gpu_info": llama_log.devices(before),
    }  # fmt: skip


def _record(row: dict[str, str]) -> dict[str, Any]:
    speed, spread = figure(row.get("t/s", ""))
    found = _TEST.fullmatch(row["test"].replace("\\", ""))
    counts = {name: int(value or 0) for name, value in found.groupdict().items()} if found else {}
    prompt, gen = counts.get("pp", 0), counts.get("tg", 0)
    time = NS_PER_S * (prompt + gen) / speed if speed > 0 else None
    given: dict[str, str | None] = {
        FIELDS.get(name, name): value for name, value in row.items() if name not in _LEFT_OUT
    }
    if given.get("n_gpu_layers") == "0" or given.get("backends") == "CPU":
        given["gpu_info"] = None  # it ran elsewhere, on a processor that the table does not name
    return {
        **{name: value for name, value in given.items() if value or name == "gpu_info"},
        "n_prompt": prompt, "n_gen": gen,
        "n_depth": counts.get("depth", 0) + counts.get("after", 0),
        "avg_ns": time, "stddev_ns": time * spread / speed if time and spread == spread else None,
    }  # fmt: skip
