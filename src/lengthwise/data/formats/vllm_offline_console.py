"""Console text of ``vllm bench latency`` and ``vllm bench throughput`` (benchmark_latency.py).

    Avg latency: 2.145 seconds              E2E of a static batch, mean over the iterations
    Throughput: 7.1 requests/s, 3500.1 total tokens/s, 909.3 output tokens/s

Batch size and lengths stand in the command or in the ``Namespace(...)`` printed above, or nowhere.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import replace

from lengthwise.data.formats.aggregates import statistic_column
from lengthwise.data.formats.base import Document, Parsed
from lengthwise.data.formats.fields import Row, number, parsed
from lengthwise.data.formats.printed import argument, labelled, whole
from lengthwise.data.report import Flag
from lengthwise.units import s_to_ms

NAME = "vllm-offline-console"
TITLE = "console text of vLLM bench latency and throughput"

_LATENCY = re.compile(
    r"^[ \t#>]*Avg latency: *([\d.]+(?:e-?\d+)?) *s(?:econds)?[ \t]*$"
    r"((?:\n+[ \t#>]*\d+% percentile latency: *[\d.]+[^\n]*)*)",
    re.M,
)
_PERCENTILE = re.compile(r"(\d+)% percentile latency: *([\d.]+)")
_THROUGHPUT = re.compile(
    r"Throughput: *([\d.]+) requests/s, *([\d.]+) (?:total )?tokens/s"
    r"(?:, *([\d.]+) output tokens/s)?"
)
_SHAPE = {"batch_size": ("batch_size",), "isl": ("input_len",), "osl": ("output_len",)}


def matches(document: Document) -> bool:
    """Whether the text has a line of results of either tool."""
    text = document.printed
    latency = "Avg latency:" in text and _LATENCY.search(text)
    return bool(latency or ("Throughput:" in text and _THROUGHPUT.search(text)))


def read(document: Document) -> Parsed:
    """Read a request row per latency run; a throughput run times no request."""
    text = document.printed
    rows = [*_latencies(text), *_throughputs(text)]
    untimed = [i for i, row in enumerate(rows) if "e2e_ms" not in row]
    made = parsed(
        rows, flags=_no_latency(untimed),
        assumptions=["a row is the mean of its iterations (column over_repeats)"],
    )  # fmt: skip
    frame = made.frame if "e2e_ms" in made.frame else made.frame.assign(e2e_ms=math.nan)
    needs = () if len(untimed) == len(rows) else tuple(_SHAPE)
    return replace(made, frame=frame, needs=needs)


def _latencies(text: str) -> Iterator[Row]:
    last = 0
    for found in _LATENCY.finditer(text):
        above = text[last : found.start()]
        last = found.end()
        shape = {name: whole(argument(above, *words), name) for name, words in _SHAPE.items()}
        percentiles = {
            statistic_column("e2e_ms", f"p{rank}"): s_to_ms(float(value))
            for rank, value in _PERCENTILE.findall(found[2])
        }
        yield {
            "phase": "request", "e2e_ms": s_to_ms(float(found[1])), **shape, **percentiles,
            "over_repeats": "mean", "clock": "client", **_labels(above),
        }  # fmt: skip


def _throughputs(text: str) -> Iterator[Row]:
    last = 0
    for found in _THROUGHPUT.finditer(text):
        above, below = text[last : found.start()], text[found.end() :]
        last = found.end()
        totals = labelled(below.partition("Throughput:")[0])
        yield {
            "phase": "request", "statistic": "total", "requests_per_s": float(found[1]),
            "tokens_per_s": float(found[2]), "output_tokens_per_s": number(found[3], "tokens/s"),
            "total_prompt_tokens": whole(totals.get("Total num prompt tokens"), "prompt tokens"),
            "total_output_tokens": whole(totals.get("Total num output tokens"), "output tokens"),
            "concurrency": whole(argument(above, "num_prompts"), "num_prompts"), **_labels(above),
        }  # fmt: skip


def _labels(above: str) -> Row:
    precision = argument(above, "quantization") or argument(above, "dtype")
    return {
        "engine": "vllm", "model": argument(above, "model"),
        "precision": None if precision == "auto" else precision,
        "tp": whole(argument(above, "tensor_parallel_size", "tp"), "tp"),
        "pp": whole(argument(above, "pipeline_parallel_size", "pp"), "pp"),
    }  # fmt: skip


def _no_latency(rows: list[int]) -> list[Flag]:
    if not rows:
        return []
    return [Flag.of(
        "no latency", "warning", rows, "a throughput run says how fast all requests went together, "
        "not how long any of them took",
        "measure latencies with vllm bench serve --save-detailed, vllm bench forward or latency",
    )]  # fmt: skip
