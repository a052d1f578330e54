"""Console text of the serving benchmarks of vLLM, SGLang and their descendants.

Each ``============ Serving Benchmark Result ============`` opens a block with counts, rates, and
mean, median and percentiles of TTFT, TPOT, ITL and E2E in ms; a file may hold many. A block becomes
the statistics of a result file with the same names, and so one row of means. Model and lengths
stand, if at all, in the command or the ``Namespace(...)`` printed above.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

from lengthwise.data.formats.base import Document, Parsed
from lengthwise.data.formats.failures import FAILED
from lengthwise.data.formats.fields import Row, number, parsed
from lengthwise.data.formats.printed import argument, disagreement, figure, labelled
from lengthwise.data.formats.serving_load import add_load
from lengthwise.data.formats.serving_statistics import count_failures, statistics_row
from lengthwise.data.report import Flag

NAME = "serving-console"
TITLE = "console text of the serving benchmarks of vLLM and SGLang"

WORDS = {"ttft_ms": "ttft", "tpot_ms": "tpot", "e2e_ms": "e2e", "itl_ms": "itl"}

_START = re.compile(r"=+ *(?:Serving )?Benchmark Result *=+[^\n]*\n")
_END = re.compile(r"={40,}[^\n\w]*$", re.M)
_TIME = re.compile(
    r"(Mean|Median|Std|Min|Max|P\d+(?:\.\d+)?) (TTFT|TPOT|ITL|E2EL|E2E Latency) \((ms|s)\)", re.I
)
_COUNTS = {
    "Successful requests": "completed", "Failed requests": "failed",
    "Benchmark duration (s)": "duration", "Total input tokens": "total_input_tokens",
    "Total generated tokens": "total_output_tokens",
    "Request throughput (req/s)": "request_throughput",
    "Output token throughput (tok/s)": "output_throughput",
    "Peak concurrent requests": "max_concurrent_requests",
    "Maximum request concurrency": "max_concurrency", "Max request concurrency": "max_concurrency",
    "Request rate configured (RPS)": "request_rate", "Traffic request rate": "request_rate",
    "Concurrency": "concurrency", "Accept length": "accept_length",
}  # fmt: skip
_COUNT = re.compile(rf"({'|'.join(map(re.escape, _COUNTS))}):[ \t]+([^\n]*\S)")
"""Found inside a line: logs of containers put a name and a time before it."""
_VALUE = re.compile(rf"{_TIME.pattern}:[ \t]+(\d[^\n]*)", re.I)
_OF_RUN = {"max_concurrency", "request_rate"}
_OWN_SERVER = {"sglang": "sglang", "sglang-native": "sglang"}


def matches(document: Document) -> bool:
    """Whether the text has a block of results with a time in it."""
    text = document.printed
    return "Benchmark Result" in text and any(_TIME.search(block) for _, block in _blocks(text))


def read(document: Document) -> Parsed:
    """Read one row of means per block."""
    rows: list[Row] = []
    flags: list[Flag] = []
    notes: list[str] = []
    dropped: Counter[str] = Counter()
    for above, block in _blocks(document.printed):
        run = _run(above, block)
        count_failures(run, dropped, FAILED)
        row = statistics_row(run, WORDS) if number(run.get("completed", 1), "completed") else {}
        if row:
            rows.append({**row, **_labels(above, block, run)})
            add_load(rows[-1:], run, notes)
            flags += disagreement([len(rows) - 1], _figures(run))
    return parsed(rows, dropped=dropped, assumptions=notes, flags=flags)


def _blocks(text: str) -> Iterator[tuple[str, str]]:
    """Yield each block with the text between the one before and it."""
    last = 0
    for start in _START.finditer(text):
        following = _START.search(text, start.end())
        end = _END.search(text, start.end(), following.start() if following else len(text))
        stop = end.start() if end else following.start() if following else len(text)
        yield text[last : start.start()], text[start.end() : stop]
        last = stop


def _run(above: str, block: str) -> dict[str, Any]:
    """Return a block under the names of a result file; times are ms."""
    run: dict[str, Any] = {}
    for label, value in _COUNT.findall(above):
        if _COUNTS[label] in _OF_RUN:
            run[_COUNTS[label]] = _count(value)
    for label, value in _COUNT.findall(block):
        run[_COUNTS[label]] = _count(value)
    for statistic, time, unit, value in _VALUE.findall(block):
        word = "e2e" if time.lower().startswith("e2e") else time.lower()
        run[f"{statistic.lower()}_{word}_ms"] = (1e3 if unit == "s" else 1.0) * figure(value)[0]
    return run | {"num_prompts": argument(above, "num_prompts", "num_prompt")}


def _count(value: str) -> Any:
    """Return a number, ``inf`` for no limit on a rate, None for what was not set."""
    if value.split()[0].lower() in ("inf", "infinity"):
        return "inf"
    return figure(value)[0] if value[:1].isdigit() else None


def _labels(above: str, block: str, run: dict[str, Any]) -> Row:
    backend = labelled(block).get("Backend") or argument(above, "backend") or ""
    return {
        "model": argument(above, "model") or labelled(block).get("Model"),
        "engine": _OWN_SERVER.get(backend), "spec_acceptance_length": run.get("accept_length"),
    }  # fmt: skip


def _figures(run: dict[str, Any]) -> dict[str, tuple[float, float]]:
    """Return rates as printed, with the same from counts and duration."""
    value = {name: number(run.get(name), name) for name in _COUNTS.values() if name not in _OF_RUN}
    seconds = value["duration"] if value["duration"] > 0 else float("nan")
    pairs = {
        "Output token throughput": (
            value["output_throughput"], value["total_output_tokens"] / seconds,
        ),
    }  # fmt: skip
    if value["request_throughput"] >= 1:  # two decimals say too little of a smaller one
        pairs["Request throughput"] = (value["request_throughput"], value["completed"] / seconds)
    return pairs
