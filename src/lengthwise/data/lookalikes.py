"""Column names that mean a column of the measurement table under another name or in another unit.

``latency_s`` is not ``latency_ms``, and a table that says ``batch`` must not be read as batch 1.
Each look-alike is answered with the exact ``--map`` expression that mends it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from lengthwise.data.schema import COLUMNS, TIMES

MEASURED_LOADS = (
    "concurrency_mean", "mean_concurrency", "avg_concurrency", "average_concurrency",
    "achieved_concurrency", "request_concurrency", "avg_num_concurrent_requests", "in_flight",
    "inflight", "requests_in_flight", "num_in_flight", "num_requests_running", "requests_running",
    "running_requests", "num_running", "num_running_reqs", "active_requests",
)  # fmt: skip
"""Names of requests in flight that were counted or averaged."""

LIMITS = ("max_concurrency", "max_concurrent", "max_concurrent_requests", "max_in_flight")
"""Names of the most requests that a client lets run at once."""

_STEMS: dict[str, tuple[str, ...]] = {
    "latency_ms": (
        "latency", "step_latency", "step_time", "time", "duration", "elapsed", "prompt_time",
        "prefill_time", "prefill_latency", "decode_time", "decode_latency", "token_time",
    ),
    "ttft_ms": ("ttft", "time_to_first_token", "first_token_latency", "first_token_time"),
    "tpot_ms": ("tpot", "time_per_output_token", "time_per_token", "token_time"),
    "e2e_ms": (
        "e2e", "e2e_latency", "e2e_time", "end_to_end", "end_to_end_latency", "request_latency",
        "total_time", "total_latency",
    ),
    "isl": (
        "input_length", "input_len", "input_tokens", "prompt_tokens", "prompt_len", "prompt_length",
        "prompt_size", "num_prompt_tokens", "n_prompt", "input_sequence_length", "seq_len",
        "sequence_length", "seqlen", "input_size", "context_tokens",
    ),
    "osl": (
        "output_length", "output_len", "output_tokens", "completion_tokens", "num_output_tokens",
        "output_sequence_length", "generated_tokens", "token_size", "n_gen", "output_size",
    ),
    "context_len": (
        "context", "context_length", "ctx", "ctx_len", "kv_len", "kv_tokens", "kv_cache_len",
    ),
    "query_len": ("query", "query_length", "q_len", "chunk_size", "new_tokens"),
    "cached_tokens": (
        "cached", "cached_prompt_tokens", "prefix_len", "prefix_length", "num_cached_tokens",
    ),
    "batch_size": (
        "batch", "bs", "batchsize", "num_seqs", "n_seqs", "num_sequences", "mini_batch", "pl",
        "npl",
    ),
    "concurrency": (
        "conc", "concurrent", "concurrent_requests", "num_concurrent_requests",
        "concurrency_level", "num_concurrency", "users", "num_users", "n_users", "virtual_users",
        "vus", "num_vus", "clients", "num_clients", "n_clients", "parallel", "n_parallel",
        "num_parallel", "parallelism", "parallel_requests", "pl", "npl", "n_pl", "streams",
        "num_streams", "connections", "num_connections", "workers", "num_workers", "max_workers",
        *MEASURED_LOADS, *LIMITS,
    ),
    "request_rate": (
        "qps", "rps", "rate_qps", "target_qps", "target_rps", "req_rate", "target_rate",
        "arrival_rate", "offered_rate", "requested_rate", "requests_per_second",
        "requests_per_sec",
    ),
    "tp": ("tensor_parallel", "tensor_parallel_size", "tp_size"),
    "pp": ("pipeline_parallel", "pipeline_parallel_size", "pp_size"),
    "ep": ("expert_parallel", "expert_parallel_size", "ep_size"),
    "dp": ("data_parallel", "data_parallel_size", "dp_size"),
    "model": ("model_name", "model_id", "model_path"),
    "hardware": (
        "hw", "gpu", "gpu_name", "gpu_type", "gpu_model", "device", "device_name", "accelerator",
    ),
}  # fmt: skip

_UNITS = {
    "ms": "", "msec": "", "millis": "", "milliseconds": "", "s": "*1000", "sec": "*1000",
    "secs": "*1000", "second": "*1000", "seconds": "*1000", "us": "/1000", "usec": "/1000",
    "microseconds": "/1000", "ns": "/1000000", "nanoseconds": "/1000000",
}  # fmt: skip
_UNIT = re.compile(rf"^(.+?)_({'|'.join(sorted(_UNITS, key=len, reverse=True))})$")

RELEVANT: dict[str, tuple[str, ...]] = {
    "prefill": ("latency_ms", "isl", "batch_size", "cached_tokens"),
    "decode": ("latency_ms", "context_len", "batch_size"),
    "mixed": ("latency_ms", "batch_size"),
    "request": ("isl", "osl", "cached_tokens", "batch_size", *TIMES[1:]),
}
"""Columns whose absence changes what a row of the phase means."""


def meant(name: str, target: str) -> str | None:
    """Give the mapping from a column to ``target``, if its name looks like it.

    >>> meant("latency_s", "latency_ms"), meant("Prompt Tokens", "isl"), meant("isl", "osl")
    ('latency_ms=latency_s*1000', 'isl=`Prompt Tokens`', None)
    """
    if name == target:
        return None
    plain = plain_name(name)
    quoted = name if name.isidentifier() else f"`{name}`"
    if plain == target or plain in _STEMS.get(target, ()):
        return f"{target}={quoted}"
    found = _UNIT.match(plain)
    stems = (*_STEMS.get(target, ()), target.removesuffix("_ms"))
    if target in TIMES and found and found[1] in stems:
        return f"{target}={quoted}{_UNITS[found[2]]}"
    return f"{target}={quoted}" if target in TIMES and plain in stems else None


def lookalikes(names: Iterable[str], targets: Iterable[str]) -> list[tuple[str, str, str]]:
    """Find look-alikes of absent columns: ``(name, target, mapping)`` each.

    >>> lookalikes(["phase", "latency_us"], ["latency_ms"])
    [('latency_us', 'latency_ms', 'latency_ms=latency_us/1000')]
    """
    names = [str(name) for name in names]
    found = []
    for target in targets:
        if target in names:
            continue
        for name in names:
            mapping = None if name in COLUMNS else meant(name, target)
            if mapping:
                found.append((name, target, mapping))
    return found


def unit_is_open(name: str, target: str) -> bool:
    """Say whether a look-alike of a time leaves its unit open.

    >>> unit_is_open("latency", "latency_ms"), unit_is_open("latency_s", "latency_ms")
    (True, False)
    """
    return target in TIMES and not _UNIT.match(plain_name(name))


def plain_name(name: str) -> str:
    """Return a name in lower case with underscores between words.

    >>> plain_name("Max Concurrency"), plain_name("vllm:num-seqs")
    ('max_concurrency', 'vllm_num_seqs')
    """
    return re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")
