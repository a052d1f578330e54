"""Prometheus text of vLLM and SGLang saved to a file: means since the server started.

A histogram holds the exact mean (``_sum / _count``) and buckets. Buckets are wide (vLLM's first one
of ITL ends at 10 ms), so a quantile is only bounded, by ``ttft_p50_lo_ms`` and ``ttft_p50_hi_ms``;
nothing is interpolated. llama.cpp has sums of time and tokens but no count of requests: no time of
a request follows from its page, and it is refused.
"""

from __future__ import annotations

import math
import re

from lengthwise.data.formats.aggregates import mean_note
from lengthwise.data.formats.base import Document, Parsed
from lengthwise.data.formats.fields import Row, cached_part, parsed, request_row, tokens, tpot_s
from lengthwise.data.prometheus_names import ENGINES, LENGTHS, TIMES
from lengthwise.data.prometheus_text import Histogram, Metrics, parse
from lengthwise.errors import FileFormatError, NothingUsableError
from lengthwise.units import s_to_ms

NAME = "prometheus"
TITLE = "Prometheus text of vLLM or SGLang"

_ENGINE = re.compile(r"^(?:# TYPE )?(vllm|sglang):\w", re.M)
_LLAMA_CPP = re.compile(r"^(?:# TYPE )?llamacpp:\w", re.M)
_PARTS = {
    **{part: TIMES[part] for part in ("queue", "prefill", "decode")},
    "inference": ("request_inference_time_seconds",),
}
_CACHED = ("prompt_tokens_cached_total", "cached_tokens_total")
_ABORTED = ("num_aborted_requests_total",)


def matches(document: Document) -> bool:
    """Whether this is a page of metrics of vLLM or SGLang, or of llama.cpp, which is refused."""
    text = document.text
    return not document.rows and bool(_ENGINE.search(text) or _LLAMA_CPP.search(text))


def read(document: Document) -> Parsed:
    """Read one row of means per engine and model."""
    if not _ENGINE.search(document.text):
        raise FileFormatError(
            "a page of metrics must count requests and their times",
            got="one of llama.cpp, which has sums of time and tokens only",
            remedy="measure the server (lengthwise measure http://HOST:PORT), or save the timings "
            "in its answers as a table",
        )
    metrics = parse(document.text)
    rows: list[Row] = []
    notes = ["means run from the start of the server, its warm-up included",
             "load is not in the page: --set concurrency=N or --set request_rate=R"]  # fmt: skip
    for engine in ENGINES:
        for model in _models(metrics, engine):
            row = _row(_of_model(metrics, model), engine, notes)
            if row:
                rows.append({**row, "engine": engine, "model": model or None, "clock": "server"})
    if not rows:
        raise NothingUsableError(
            "the page must count finished requests", got="none in any histogram of time",
            remedy="save it after requests were served",
        )  # fmt: skip
    return parsed(rows, assumptions=notes)


def _models(metrics: Metrics, engine: str) -> list[str]:
    """Names of the models an engine reports times for; one empty name when it names none."""
    found: dict[str, None] = {}
    for name in (*TIMES["e2e"], *TIMES["ttft"]):
        for labels in metrics.labels(f"{engine}:{name}_count"):
            found[labels.get("model_name", "")] = None
    return list(found)


def _of_model(metrics: Metrics, model: str) -> Metrics:
    """Keep the samples of one model."""
    kept = {
        name: {labels: value for labels, value in samples.items()
               if dict(labels).get("model_name", "") == model}
        for name, samples in metrics.samples.items()
    }  # fmt: skip
    return Metrics({name: samples for name, samples in kept.items() if samples}, metrics.types)


def _row(metrics: Metrics, engine: str, notes: list[str]) -> Row | None:
    keys = ("ttft", "tpot", "itl", "e2e")
    found = {key: _histogram(metrics, engine, TIMES[key]) for key in keys}
    ttft, tpot, itl, e2e = (_mean(found[key]) for key in keys)
    counts = [histogram.count for histogram in (found["e2e"], found["ttft"]) if histogram]
    if not any(counts):
        return None
    isl, osl = (_mean(_histogram(metrics, engine, names)) for names in LENGTHS.values())
    if math.isnan(tpot):
        tpot, how = _other_tpot(ttft, itl, e2e, osl)
        notes.append(how)
    whole = [tokens(None if math.isnan(mean) else mean, "tokens") for mean in (isl, osl)]
    row = request_row(
        ttft=ttft, end=e2e, tpot=tpot, isl=whole[0], osl=whole[1], statistic="mean",
        n_requests=max(counts), isl_mean=isl, osl_mean=osl, itl_mean_ms=s_to_ms(itl),
    )  # fmt: skip
    cached = _counter(metrics, engine, _CACHED) / max(counts)
    if cached >= 0.5:
        row |= {"cached_tokens": cached_part(whole[0], round(cached)), "cached_mean": cached}
    for key, histogram in found.items():
        row |= _bounds(key, histogram)
    for part, names in _PARTS.items():
        row[f"{part}_mean_ms"] = s_to_ms(_mean(_histogram(metrics, engine, names)))
    notes.append(mean_note(max(counts)))
    aborted = _counter(metrics, engine, _ABORTED) + _finished_otherwise(metrics)
    if aborted > 0:
        notes.append(f"{aborted:,.0f} aborted or failed requests may be in the means")
    return row


def _other_tpot(ttft: float, itl: float, e2e: float, osl: float) -> tuple[float, str]:
    """Give TPOT where no histogram of it exists, and how it came about."""
    if not math.isnan(itl):
        return itl, "tpot_ms is the mean gap between tokens: long answers weigh more"
    return tpot_s(ttft, e2e, osl), "tpot_ms is (mean E2E - mean TTFT) / (mean osl - 1)"


def _histogram(metrics: Metrics, engine: str, names: tuple[str, ...]) -> Histogram | None:
    for name in names:
        histogram = metrics.histogram(f"{engine}:{name}")
        if histogram is not None and histogram.count > 0:
            return histogram
    return None


def _mean(histogram: Histogram | None) -> float:
    mean = histogram.mean if histogram else None
    return math.nan if mean is None else mean


def _bounds(key: str, histogram: Histogram | None) -> Row:
    """Buckets the median and the 99th percentile lie in, ms; no upper end for the last bucket."""
    row: Row = {}
    for name, q in (("p50", 0.5), ("p99", 0.99)):
        bounds = histogram.quantile_bounds(q) if histogram else None
        if bounds:
            row[f"{key}_{name}_lo_ms"] = s_to_ms(bounds[0])
            row[f"{key}_{name}_hi_ms"] = s_to_ms(bounds[1]) if math.isfinite(bounds[1]) else None
    return row


def _counter(metrics: Metrics, engine: str, names: tuple[str, ...]) -> float:
    return next((value for name in names
                 if (value := metrics.value(f"{engine}:{name}")) is not None), 0.0)  # fmt: skip


def _finished_otherwise(metrics: Metrics) -> float:
    """Count requests of vLLM that ended by neither stop nor length."""
    samples = metrics.samples.get("vllm:request_success_total", {})
    return sum(value for labels, value in samples.items()
               if dict(labels).get("finished_reason") in ("abort", "error"))  # fmt: skip
