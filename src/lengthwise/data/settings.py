"""Settings of an engine that no column of the table names: part of the deployment they belong to.

Rows that agree in model, hardware, engine, ... and differ in how many layers are on the GPU are no
repeats of one point. A known setting that varies within a deployment goes into ``settings``, as
``n_gpu_layers=10``; one that does not vary tells nothing apart and is left out. A limit, such as
``max_num_seqs``, is often varied to reach a batch: it counts only where one point was measured with
several. What a column of another name tells apart is found by :mod:`lengthwise.data.separating`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from lengthwise.data.identity import deployment_of
from lengthwise.data.lookalikes import plain_name
from lengthwise.data.points import point_of
from lengthwise.data.schema import COLUMNS

NAME = "settings"
BETWEEN = ", "

_KNOWN = frozenset({
    "n_gpu_layers", "ngl", "gpu_layers", "num_gpu", "num_gpu_layers", "n_cpu_moe", "ncmoe",
    "n_threads", "threads", "num_threads", "num_thread", "n_threads_batch", "cpu_mask",
    "cpu_strict", "poll", "numa", "flash_attn", "flash_attention", "fa", "type_k", "type_v", "ctk",
    "ctv", "cache_type_k", "cache_type_v", "kv_type", "kv_dtype", "kv_cache_type", "kv_cache_dtype",
    "kv_precision", "kv_quantization", "split_mode", "main_gpu", "tensor_split", "no_kv_offload",
    "nkvo", "kv_offload", "use_mmap", "no_mmap", "use_direct_io", "no_op_offload", "no_host",
    "tensor_buft_overrides", "override_tensor", "devices", "backends", "fmoe", "mla", "mla_attn",
    "amb", "rtr", "ser", "smart_expert_reduction", "ger", "embeddings",
    "cuda_graph", "cuda_graphs", "cudagraph", "cudagraphs", "cudagraph_mode", "use_cuda_graph",
    "enable_cuda_graph", "disable_cuda_graph", "cuda_graph_max_bs", "enforce_eager", "eager",
    "torch_compile", "enable_torch_compile", "compile", "compilation_config", "compilation_level",
    "attention_backend", "attn_backend", "attn_implementation", "attention", "sampling_backend",
    "moe_backend", "prefix_caching", "enable_prefix_caching", "disable_radix_cache",
    "radix_cache", "chunked_prefill", "enable_chunked_prefill", "quantization",
    "quantization_scheme", "quantization_config", "quant", "weight_dtype", "torch_dtype",
    "compute_dtype", "speculative_algorithm", "speculative_model", "speculative_config",
    "spec_method", "num_speculative_tokens", "speculative_tokens", "draft_model", "scheduler",
    "scheduling_policy", "schedule_policy", "async_scheduling", "disable_overlap_schedule",
    "overlap_schedule", "num_scheduler_steps", "multi_step", "page_size", "block_size",
    "kv_block_size", "gpu_clock_mhz", "power_limit_w", "power_limit", "power_cap_w", "governor",
    "cpu_governor", "disaggregated", "disagg", "pd_disaggregation", "enable_expert_parallel",
    "num_gpus", "n_gpus", "gpus", "num_nodes", "nodes", "lora", "enable_lora", "device_map",
})  # fmt: skip

_LIMITS = frozenset({
    "max_num_seqs", "max_num_batched_tokens", "max_batch_tokens", "max_batch_size",
    "max_running_requests", "max_prefill_tokens", "chunked_prefill_size", "n_batch", "n_ubatch",
    "ubatch", "ubatch_size", "max_num_tokens", "max_model_len", "max_seq_len", "n_parallel_slots",
    "gpu_memory_utilization", "mem_fraction_static", "kv_cache_free_gpu_mem_fraction", "beams",
    "num_beams",
})  # fmt: skip


def with_settings(frame: pd.DataFrame, columns: Sequence[str] = ()) -> pd.DataFrame:
    """Return the table with ``settings``, where settings vary within a deployment.

    Parameters
    ----------
    frame
        Measurement table, n rows; one that has settings already stays as it is.
    columns
        Further columns that are settings, whatever their names.

    Examples
    --------
    >>> rows = {"phase": "prefill", "model": "m", "isl": 512, "n_gpu_layers": [99, 10],
    ...         "n_threads": 8, "latency_ms": [103.0, 617.0]}
    >>> with_settings(pd.DataFrame(rows))["settings"].tolist()
    ['n_gpu_layers=99', 'n_gpu_layers=10']
    """
    names = [str(name) for name in frame.columns if name not in COLUMNS]
    known = [n for n in names if n in columns or plain_name(n) in _KNOWN]
    limits = [n for n in names if n not in known and plain_name(n) in _LIMITS]
    if not (known or limits) or (NAME in frame and frame[NAME].notna().any()):
        return frame
    frame = frame.drop(columns=NAME, errors="ignore")
    told = _differing(frame, known, deployment_of(frame, with_load=False).cat.codes.to_numpy())
    crossed = _differing(frame, limits, point_of(frame)) if limits else {}
    told |= crossed
    if not told:
        return frame
    joined = pd.Series("", index=frame.index)
    for text in told.values():
        both = (joined != "") & (text != "")
        joined = joined + np.where(both, BETWEEN, "") + text
    return frame.assign(**{NAME: joined.where(joined != "", None)})


def holds_all(known: object, asked: object) -> bool:
    """Tell whether settings hold all that is asked for.

    >>> holds_all("flash_attn=1, n_gpu_layers=99", "n_gpu_layers=99"), holds_all(None, "a=1")
    (True, False)
    """
    parts = [part.strip() for part in str(asked).split(BETWEEN.strip())]
    return set(parts) <= set(str(known).split(BETWEEN)) or str(known) == str(asked)


def _differing(
    frame: pd.DataFrame, names: Sequence[str], group: Any
) -> dict[str, pd.Series]:  # fmt: skip
    """Texts of columns with several values in one group; empty in deployments with one value."""
    found = {}
    deployment = deployment_of(frame, with_load=False).cat.codes.to_numpy()
    for name in names:
        text = _text(frame[name])
        codes = pd.Series(pd.factorize(text)[0], index=frame.index)
        several = codes.groupby(group).transform("nunique") > 1
        if several.any():
            varied = several.groupby(deployment).transform("any")
            found[name] = (f"{name}=" + text).where(varied & (text != ""), "")
    return found


def _text(values: pd.Series) -> pd.Series:
    """Write values the same whichever file they come from: 1 for 1.0 and for true."""
    numbers = pd.to_numeric(values, errors="coerce")
    words = values.map(lambda v: {"true": "1", "false": "0"}.get(str(v).strip().lower(), str(v)))
    as_text = numbers.map(lambda v: f"{float(v):g}", na_action="ignore")
    return as_text.where(numbers.notna(), words).where(values.notna(), "").astype(str).str.strip()
