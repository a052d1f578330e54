"""optimum-benchmark: prefill and decode of a static batch, seconds.

``decode`` is the time of all steps after the first token, so one step takes

    decode / (max_new_tokens - 1)        at contexts isl + 1 .. isl + max_new_tokens - 1

``per_token`` lists single steps. After each run the tool appends the gaps between all tokens up to
then: with s steps per run it holds s, then 2 s + 1, then 3 s + 2, ... values; the last s of
each part are new. Lists of s values per run are read too, others not. Lengths and batch come from
the configuration, inside the file (benchmark.json) or beside it (benchmark_config.json); without
one the batch follows from the throughput.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np

from lengthwise.data.formats.base import Document, Parsed
from lengthwise.data.formats.fields import (
    Row,
    at,
    damaged,
    first,
    number,
    numbers,
    parsed,
    tokens,
)
from lengthwise.data.opening import read_text
from lengthwise.data.parsing import json_inside
from lengthwise.data.readers.rows import mean_context
from lengthwise.units import FloatArray, s_to_ms

NAME = "optimum-benchmark"
TITLE = "optimum-benchmark"

BESIDE = "benchmark_config.json"
PER_TOKEN_TRUNCATED = "per_token values that do not match the runs (decode is read instead)"


@dataclass(frozen=True)
class _Setup:
    """What was run; NaN where nothing says."""

    isl: float
    new_tokens: float
    batch: float
    beams: float
    labels: Row


def matches(document: Document) -> bool:
    """Whether this is a report with prefill and decode latencies in seconds."""
    report = _report(document.json)
    return all(at(report, part, "latency", "unit") == "s" for part in ("prefill", "decode"))


def read(document: Document) -> Parsed:
    """Read prefill rows and decode rows, one per repetition."""
    report, notes = _report(document.json), []
    config = at(document.json, "config")
    if config is None:
        config = _config_beside(document)
        notes.append(
            f"lengths and batch come from {BESIDE} in the same folder" if config else
            "the file has no configuration: the batch follows from the throughput; "
            "say the prompt with --set isl=N"
        )  # fmt: skip
    setup = _setup(config, report)
    dropped: Counter[str] = Counter()
    rows = [
        {"phase": "prefill", "latency_ms": s_to_ms(time), "isl": setup.isl,
         "batch_size": setup.batch * setup.beams, **extra, **setup.labels}
        for time, extra in _times(report, "prefill")
    ]  # fmt: skip
    rows += _decode(report, setup, dropped, notes)
    if setup.beams > 1:
        notes.append(f"{setup.beams:g} beams make as many sequences of each: in batch_size")
    notes.append("generate is prefill and decode together and is left out")
    needs = ("isl",) if math.isnan(setup.isl) else ()
    return parsed(rows, dropped=dropped, assumptions=notes, needs=needs)


def _report(data: Any) -> Any:
    return first(at(data, "report"), data)


def _config_beside(document: Document) -> Any:
    try:
        return json_inside(read_text(document.path.with_name(BESIDE)))
    except (OSError, ValueError):
        return None


def _setup(config: Any, report: Any) -> _Setup:
    scenario = first(at(config, "scenario"), at(config, "benchmark"))  # its first name
    shapes, kwargs = at(scenario, "input_shapes"), at(scenario, "generate_kwargs")
    backend, machine = at(config, "backend"), at(config, "environment")
    isl = tokens(at(shapes, "sequence_length"), "sequence_length")
    new = tokens(first(at(kwargs, "max_new_tokens"), at(scenario, "new_tokens")), "max_new_tokens")
    beams = number(at(kwargs, "num_beams"), "num_beams")
    batch = number(at(shapes, "batch_size"), "batch_size")
    if math.isnan(batch):
        batch = _volume(report, "prefill", "samples/s")
    gpu = at(machine, "gpu")
    gpus = ", ".join(map(str, gpu)) if isinstance(gpu, list) else gpu
    cpu = at(machine, "cpu")
    on_gpu = at(backend, "device") in (None, "cuda", "gpu")
    labels: Row = {
        "model": at(backend, "model"), "engine": at(backend, "name"),
        "engine_version": at(backend, "version"),
        "hardware": str(first(gpus, cpu) if on_gpu else cpu).strip() if gpus or cpu else None,
        "precision": first(at(backend, "quantization_scheme"), at(backend, "torch_dtype"),
                           at(backend, "dtype")),
        "clock": "server",
    }  # fmt: skip
    return _Setup(isl, new, batch, beams if beams >= 1 else 1.0, labels)


def _volume(report: Any, part: str, unit: str) -> float:
    """Give what one run of a part processes: throughput times mean time; NaN if not in ``unit``."""
    rate = at(report, part, "throughput")
    if at(rate, "unit") != unit:
        return math.nan
    mean = number(at(report, part, "latency", "mean"), f"{part}.latency.mean")
    volume = number(at(rate, "value"), f"{part}.throughput.value") * mean
    return float(round(volume)) if volume >= 0.5 and math.isfinite(volume) else math.nan


def _times(report: Any, part: str) -> list[tuple[float, Row]]:
    """List times of a part, s: its values as repeats, else its mean."""
    values = _values(report, part)
    if len(values):
        return [(float(time), {"repeat": repeat}) for repeat, time in enumerate(values)]
    mean = number(at(report, part, "latency", "mean"), f"{part}.latency.mean")
    count = number(at(report, part, "latency", "count"), f"{part}.latency.count")
    if math.isnan(mean):
        raise damaged(f"{part}.latency must hold values or a mean", repr(at(report, part))[:60])
    return [(mean, {"over_repeats": "mean", "n_runs": count})]


def _values(report: Any, part: str) -> FloatArray:
    return numbers(at(report, part, "latency", "values"), f"{part}.latency.values")


def _decode(report: Any, setup: _Setup, dropped: Counter[str], notes: list[str]) -> list[Row]:
    times = _times(report, "decode")
    steps = setup.new_tokens - 1
    if not steps >= 1 or math.isnan(setup.isl):
        why = "one new token has no decode step" if steps == 0 else "decode of unknown lengths"
        dropped[why] += len(times)
        return []
    base = {"phase": "decode", "batch_size": setup.batch * setup.beams, "isl": setup.isl,
            "osl": setup.new_tokens, **setup.labels}  # fmt: skip
    listed = _values(report, "per_token")
    singles = _single_steps(listed, len(times), int(steps))
    if len(singles):
        index = np.tile(np.arange(1, int(steps) + 1), len(times))
        return [
            {**base, "latency_ms": s_to_ms(float(time)), "context_len": setup.isl + step,
             "output_index": step, "repeat": number_ // int(steps)}
            for number_, (time, step) in enumerate(zip(singles, index.tolist(), strict=True))
        ]  # fmt: skip
    if len(listed):
        dropped[PER_TOKEN_TRUNCATED] += len(listed)
    else:
        notes.append(
            "without per_token, decode is generate less the mean prefill: the spread over repeats "
            "holds that of prefill too"
        )
    notes.append("a decode row is the mean step over the contexts it ran through, at their mean")
    context = mean_context(int(setup.isl), int(steps))
    return [
        {**base, "latency_ms": s_to_ms(time) / steps, "context_len": context, **extra}
        for time, extra in times
    ]


def _single_steps(listed: FloatArray, runs: int, steps: int) -> FloatArray:
    """Give the steps of every run in order, shape (runs * steps,); empty when they are not there.

    >>> _single_steps(np.array([1.0, 2.0, 1.0, 2.0, 9.0, 3.0, 4.0]), 2, 2).tolist()
    [1.0, 2.0, 3.0, 4.0]
    """
    if len(listed) == runs * steps:
        return listed
    ends = np.cumsum(np.arange(1, runs + 1) * (steps + 1) - 1)
    if len(listed) != ends[-1]:
        return np.empty(0)
    return np.concatenate([listed[end - steps : end] for end in ends])
