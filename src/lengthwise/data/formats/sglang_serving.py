"""``sglang.benchmark.serving`` (before: ``bench_serving``): JSON lines, one run each.

Arrays are there with --output-details, seconds; statistics are milliseconds. There is no time of
the whole request, so E2E is ttft + sum(itls). ``input_lens`` and ``output_lens`` are the server's
counts where it sent them, else what the client asked for; the count of the client's tokenizer,
``total_output_tokens_retokenized``, exists only as a sum. ``concurrency`` is the mean that was
reached, ``max_concurrency`` the limit.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lengthwise.data.formats.base import Document, Parsed
from lengthwise.data.formats.failures import FAILED
from lengthwise.data.formats.fields import MISMATCH, Row, at, first, number
from lengthwise.data.formats.serving_load import add_load
from lengthwise.data.formats.serving_names import first_with_times, has_times, is_sglang, renamed
from lengthwise.data.formats.serving_runs import Gathered, Run, add_requests, has_requests
from lengthwise.data.formats.serving_statistics import count_failures, statistics_row
from lengthwise.data.report import Flag

NAME = "sglang-serving"
TITLE = "SGLang serving benchmark"

_SETTINGS = (
    "attention_backend", "chunked_prefill_size", "cuda_graph_max_bs", "disable_cuda_graph",
    "disable_overlap_schedule", "disable_radix_cache", "enable_torch_compile", "kv_cache_dtype",
    "max_running_requests", "page_size", "sampling_backend", "schedule_policy",
    "speculative_algorithm",
)  # fmt: skip
"""Arguments of the server that change its times."""

WORDS = {"ttft_ms": "ttft", "tpot_ms": "tpot", "e2e_ms": "e2e_latency", "itl_ms": "itl"}


def matches(document: Document) -> bool:
    """Whether the first object with a time is a run of this tool, of any version."""
    return is_sglang(first_with_times(document.objects))


def read(document: Document) -> Parsed:
    """One row per request, or one of means per run without --output-details."""
    return read_runs(document.objects)


def read_runs(runs: Sequence[Run]) -> Parsed:
    """Return the rows of runs: one per request, or one of means per run without its requests."""
    gathered, flags = Gathered(), []
    for run in map(renamed, runs):
        before = len(gathered.rows)
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
        flags += _count_flags(run, range(before, len(gathered.rows)))
    return gathered.parsed(*flags)


def _common(run: Run) -> Row:
    server = run.get("server_info")
    own = run.get("backend") in ("sglang", "sglang-native")  # sglang-oai speaks to any server
    return {
        "model": first(at(server, "served_model_name"), at(server, "model_path")),
        "engine": "sglang" if server or own else None,
        "engine_version": at(server, "version"),
        "tp": first(at(server, "tp_size"), at(server, "tensor_parallel_size")),
        "pp": at(server, "pp_size"), "ep": at(server, "ep_size"), "dp": at(server, "dp_size"),
        "precision": _precision(server),
        "spec_acceptance_length": run.get("accept_length"), "label": run.get("tag"),
        **{name: at(server, name) for name in _SETTINGS},
    }  # fmt: skip


def _precision(server: Any) -> str | None:
    dtype = first(at(server, "quantization"), at(server, "dtype"))
    return str(dtype) if dtype not in (None, "auto") else None


def _count_flags(run: Run, rows: range) -> list[Flag]:
    server = number(run.get("total_output_tokens"), "total_output_tokens")
    client = number(run.get("total_output_tokens_retokenized"), "total_output_tokens_retokenized")
    if not abs(client - server) > MISMATCH * server:
        return []
    seen = f"output_lens are {server:,.0f} tokens in all, the tokenizer of the client {client:,.0f}"
    return [Flag.of(
        "token counts differ", "warning", list(rows), seen,
        "nothing to do: output_lens are used",
    )]  # fmt: skip
