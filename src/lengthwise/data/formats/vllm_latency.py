"""``vllm bench latency``: times of whole static batches, seconds.

The file holds neither batch size nor lengths. They are read from the file name where it says them
(``latency_bs8_in1024_out128.json``) and are asked for otherwise.
"""

from __future__ import annotations

import re

from lengthwise.data.formats.base import Document, Parsed
from lengthwise.data.formats.fields import Row, number, numbers, parsed
from lengthwise.units import s_to_ms

NAME = "vllm-latency"
TITLE = "vLLM bench latency"

_IN_NAME = {
    "batch_size": r"(?:bs|batch(?:[-_]?size)?)",
    "isl": r"(?:isl|in(?:put)?(?:[-_]?len)?)",
    "osl": r"(?:osl|out(?:put)?(?:[-_]?len)?)",
    "tp": r"tp",
}


def matches(document: Document) -> bool:
    """Whether the object has the keys of this tool; single times or percentiles may lack."""
    found = document.json
    return (
        isinstance(found, dict) and "avg_latency" in found
        and bool({"latencies", "percentiles"} & set(found))
    )  # fmt: skip


def read(document: Document) -> Parsed:
    """One row per iteration: E2E of a batch; the first token is not timed."""
    found = document.json
    named = from_name(document.path.name)
    common = {"clock": "client", "engine": "vllm", "model": found.get("model_id"), **named}
    rows: list[Row] = [
        {"phase": "request", "e2e_ms": s_to_ms(seconds), "repeat": index, **common}
        for index, seconds in enumerate(numbers(found.get("latencies"), "latencies"))
    ]
    if not rows:
        mean = number(found["avg_latency"], "avg_latency")
        rows.append({"phase": "request", "e2e_ms": s_to_ms(mean), "over_repeats": "mean", **common})
    told = [f"{name}={value:g} is taken from the file name" for name, value in named.items()]
    made = parsed(rows, assumptions=told)
    needs = tuple(name for name in ("batch_size", "isl", "osl") if name not in named)
    return Parsed(made.frame, made.rows_read, made.dropped, made.assumptions, made.flags, needs)


def from_name(name: str) -> Row:
    """Read batch size, lengths and tensor parallelism from a file name.

    >>> from_name("latency_llama8B_tp2_bs8_in1024_out128.json")
    {'batch_size': 8.0, 'isl': 1024.0, 'osl': 128.0, 'tp': 2.0}
    """
    found = {}
    for column, words in _IN_NAME.items():
        hit = re.search(rf"(?:^|[-_.]){words}[-_=]?(\d+)(?=[-_.]|$)", name.lower())
        if hit:
            found[column] = float(hit[1])
    return found
