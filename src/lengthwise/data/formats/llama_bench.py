"""llama-bench of llama.cpp: time of a prompt, of generation, or of both, one sequence.

With depth d tokens already in the KV cache, a record is

    n_gen = 0       prefill of n_prompt tokens on top of d: isl = d + n_prompt, cached_tokens = d
    n_prompt = 0    n_gen decode steps, the KV cache growing from d + 1 to d + n_gen tokens
    both (-pg)      a request: prompt, then n_gen decode steps

``samples_ns`` are repeats of the same test; CSV and SQL hold only their mean.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from pathlib import PurePath
from typing import Any

import pandas as pd

from lengthwise.data.formats.base import Document, Parsed
from lengthwise.data.formats.fields import (
    Row,
    damaged,
    first,
    number,
    numbers,
    parsed,
    unix_seconds,
)
from lengthwise.data.formats.llama_bench_files import is_llama_bench, records_of
from lengthwise.data.formats.llama_log import PRECISION, quantisation
from lengthwise.data.readers.rows import mean_context

NAME = "llama-bench"
TITLE = "llama-bench"

MS_PER_NS = 1e-6

_QUANT_SUFFIX = re.compile(
    r"[-._](?:UD-)?(I?Q\d+\w*|TQ\d_\d|MXFP4\w*|BF16|F16|F32|FP16)(?:-\d+-of-\d+)?$", re.I
)
_USED = {
    "n_prompt", "n_gen", "n_depth", "test_time", "avg_ns", "stddev_ns", "avg_ts", "stddev_ts",
    "samples_ns", "samples_ts", "build_commit", "build_number", "cpu_info", "gpu_info",
    "model_filename",
}  # fmt: skip
_ASSUMED = (
    "llama-bench leaves tokenisation and sampling out of its times, and runs one sequence",
    "a prompt longer than n_ubatch is the sum of several passes",
    "a decode row is the mean step over the contexts it ran through, at their mean",
)


def matches(document: Document) -> bool:
    """Whether this is output of llama-bench in any of its formats."""
    return is_llama_bench(document)


def read(document: Document) -> Parsed:
    """Read tests as prefill, decode and request rows, one per repetition where those are kept."""
    rows: list[Row] = []
    dropped: Counter[str] = Counter()
    summed = False
    for record in records_of(document):
        n_prompt, n_gen, depth = (_size(record, name) for name in ("n_prompt", "n_gen", "n_depth"))
        samples = _samples(record)
        if not n_prompt and not n_gen:
            dropped["test of no tokens"] += 1
        elif not samples:
            dropped["test without a time"] += 1
        else:
            summed |= "over_repeats" in samples[0][1]
            rows += [
                {
                    **_settings(record),
                    **_row(n_prompt, n_gen, depth, time),
                    **extra,
                    **_labels(record),
                }
                for time, extra in samples
            ]
    notes = [*_ASSUMED]
    if summed:
        notes.append(
            "a row without samples_ns is the mean of its repetitions (column over_repeats)"
        )
    if any(row["phase"] == "request" for row in rows):
        notes.append("a row of -pg is a request of n_gen output tokens, each one decode step")
    result = parsed(rows, dropped=dropped, assumptions=notes)
    extra = {str(name) for record in records_of(document) for name in record} - _USED
    for name in extra & set(result.frame):
        result.frame[name] = _tidy(result.frame[name])
    return result


def _size(record: dict[str, Any], name: str) -> int:
    size = number(record.get(name), name)
    if math.isnan(size):
        return 0
    if size < 0 or size != math.floor(size):
        raise damaged(f"{name} must be a whole number of tokens", repr(record[name]))
    return int(size)


def _samples(record: dict[str, Any]) -> list[tuple[float, Row]]:
    """List times, ms, with what is known of each: its number, or that it is a mean."""
    samples = numbers(record.get("samples_ns"), "samples_ns") * MS_PER_NS
    if len(samples):
        return [(float(time), {"repeat": i}) for i, time in enumerate(samples) if time > 0]
    mean = number(record.get("avg_ns"), "avg_ns") * MS_PER_NS
    if not mean > 0:
        return []
    spread = number(record.get("stddev_ns"), "stddev_ns") / number(record["avg_ns"], "avg_ns")
    return [(mean, {"over_repeats": "mean", "relative_stddev": spread})]


def _row(n_prompt: int, n_gen: int, depth: int, time_ms: float) -> Row:
    """Turn one test into a row of its phase."""
    if n_gen == 0:
        return {"phase": "prefill", "latency_ms": time_ms, "isl": depth + n_prompt,
                "cached_tokens": depth, "query_len": n_prompt, "batch_size": 1}  # fmt: skip
    if n_prompt == 0:
        return {"phase": "decode", "latency_ms": time_ms / n_gen, "osl": n_gen, "query_len": 1,
                "context_len": mean_context(depth, n_gen), "batch_size": 1}  # fmt: skip
    return {"phase": "request", "e2e_ms": time_ms, "isl": depth + n_prompt,
            "cached_tokens": depth, "osl": n_gen, "batch_size": 1}  # fmt: skip


def _settings(record: dict[str, Any]) -> Row:
    return {str(name): _plain(value) for name, value in record.items() if name not in _USED}


def _labels(record: dict[str, Any]) -> Row:
    kind = str(record.get("model_type") or "")
    file = PurePath(str(record.get("model_filename") or "").replace("\\", "/")).name
    stem = _QUANT_SUFFIX.sub("", file.removesuffix(".gguf"))
    plain = PRECISION.sub("", kind.replace("(guessed)", "")).replace(" all", "").strip(" -")
    generic = stem.lower() in ("", "model", "ggml-model", "ggml-model-")
    on_cpu = str(record.get("backends", "")) == "CPU" or str(record.get("n_gpu_layers", "")) == "0"
    gpu, cpu = record.get("gpu_info"), record.get("cpu_info")
    build, commit = record.get("build_number"), record.get("build_commit")
    return {
        "model": first(plain if generic else stem, stem), "precision": quantisation(kind),
        "hardware": first(cpu, gpu) if on_cpu else first(gpu, cpu), "engine": "llama.cpp",
        "engine_version": f"b{build} ({commit})" if build and commit else None,
        "clock": "server", "timestamp": unix_seconds(record.get("test_time")),
    }  # fmt: skip


def _plain(value: Any) -> Any:
    """Make a setting the same whichever file it comes from: flags are 0 or 1, text is text."""
    if isinstance(value, bool):
        return int(value)
    return str(value) if isinstance(value, (list, dict)) else value


def _tidy(values: pd.Series[Any]) -> pd.Series[Any]:
    as_numbers = pd.to_numeric(values, errors="coerce")
    return values if as_numbers.isna().any() else as_numbers
