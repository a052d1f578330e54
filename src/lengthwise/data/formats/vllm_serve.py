"""``vllm bench serve``: one JSON object per run, JSON lines or concatenated with --append-result.

``ttfts``, ``itls``, ``latencies`` and ``queue_times`` are seconds, ``mean_ttft_ms`` and its like
milliseconds. ``queue_times`` is the wait at the client's own limit of concurrency, before TTFT
starts (``client_queue_ms``); ``server_queue_times`` is the wait in the engine, inside TTFT
(``queue_ms``). ``start_times`` is a monotonic clock and no time of day.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lengthwise.data.formats.base import Document, Parsed
from lengthwise.data.formats.failures import FAILED
from lengthwise.data.formats.fields import Row
from lengthwise.data.formats.serving_load import add_load
from lengthwise.data.formats.serving_names import first_with_times, has_times, is_vllm, renamed
from lengthwise.data.formats.serving_runs import Gathered, Run, add_requests, has_requests
from lengthwise.data.formats.serving_statistics import count_failures, statistics_row
from lengthwise.data.schema import DEPLOYMENT

NAME = "vllm-serve"
TITLE = "vLLM bench serve"

WORDS = {"ttft_ms": "ttft", "tpot_ms": "tpot", "e2e_ms": "e2el", "itl_ms": "itl"}

_OWN = {
    "date", "backend", "endpoint_type", "label", "model_id", "tokenizer_id", "num_prompts",
    "request_rate", "burstiness", "max_concurrency", "duration", "completed", "failed",
    "best_of", "use_beam_search", "rtfx", "request_goodput", "request_goodput:",
    "max_output_tokens_per_s", "max_concurrent_requests", "version", "total_input", "total_output",
    "correct_rate",
}  # fmt: skip
"""Keys of the tool itself; what else is at the top level was given with --metadata."""

_OWN_ENDINGS = ("_ms", "_throughput", "_tokens", "_start_rps", "_end_rps", "_strategy", "_rates")
_ALIASES = {
    "tensor_parallel_size": "tp", "pipeline_parallel_size": "pp", "data_parallel_size": "dp",
    "gpu": "hardware", "gpu_name": "hardware", "vllm_version": "engine_version",
    "dtype": "precision",
}  # fmt: skip


def matches(document: Document) -> bool:
    """Whether the first object with a time is a run of this tool, of any version."""
    return is_vllm(first_with_times(document.objects))


def read(document: Document) -> Parsed:
    """One row per request, or one of means per run without --save-detailed."""
    return read_runs(document.objects)


def read_runs(runs: Sequence[Run]) -> Parsed:
    """Return the rows of runs: one per request, or one of means per run without its requests."""
    gathered = Gathered()
    for run in map(renamed, runs):
        if not has_times(run):
            gathered.dropped["run that failed"] += 1
        elif has_requests(run):
            add_requests(gathered, run, _common(run))
        else:
            count_failures(run, gathered.dropped, FAILED)
            row = statistics_row(run, WORDS)
            if row:
                gathered.rows.append({**row, **_common(run)})
                add_load(gathered.rows[-1:], run, gathered.assumptions)
    return gathered.parsed()


def _common(run: Run) -> Row:
    row: Row = {
        "model": run.get("model_id"),
        "spec_acceptance_length": run.get("spec_decode_acceptance_length"),
        "label": run.get("label"),
    }
    given = {
        _ALIASES.get(key, key): value for key, value in run.items() if _is_metadata(key, value)
    }
    return row | {k: v for k, v in given.items() if k not in row or row[k] is None}


def _is_metadata(key: str, value: Any) -> bool:
    if not isinstance(value, (str, int, float)) or key in _OWN:
        return False
    return key in DEPLOYMENT or not (
        key.endswith(_OWN_ENDINGS) or key.startswith(("spec_decode", "probe_", "total_"))
    )
