"""Read the kernel tables of aiconfigurator into rows that the fits take.

Tables are named SYSTEM__GROUP__ENGINE__VERSION__TABLE_perf.parquet; latencies are in ms.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd

from lengthwise.calibration.operators.attention_fit import BYTES, decode_call, prefill_call
from lengthwise.data.hardware_catalog import find_hardware
from lengthwise.formulations.operators import decode_terms, prefill_terms
from lengthwise.formulations.operators.attention_decode import DecodeAttentionCurve
from lengthwise.formulations.operators.attention_prefill import PrefillAttentionCurve
from lengthwise.formulations.operators.collective import Links
from lengthwise.formulations.operators.device import Device

SYSTEMS = ("a100_sxm", "b200_sxm", "gb200", "h100_sxm", "h200_sxm", "l40s")
REPOSITORY = "github.com/ai-dynamo/aiconfigurator"
COMMIT = "095f58a"
LICENCE = "Apache-2.0"
CACHE_BYTES = {
    "a100_sxm": 40e6, "h100_sxm": 50e6, "h200_sxm": 50e6, "b200_sxm": 126e6, "gb200": 126e6,
    "l40s": 96e6,
}  # fmt: skip
"""Last shared cache, from NVIDIA's architecture papers of Ampere, Ada, Hopper and Blackwell."""

ELEMENT_BYTES = {"half": 2.0, "bfloat16": 2.0, "int8": 1.0}
MOST_WRONG = 0.05
"""Share of impossible calls from which all calls of a shape are set apart."""
SHAPE = ["num_heads", "num_key_value_heads", "head_dim", "window_size"]


@dataclass(frozen=True)
class Table:
    """One table: where it comes from, and its rows."""

    file: str
    system: str
    engine: str
    version: str
    rows: pd.DataFrame


def folder() -> Path:
    """Find the kernel tables below $LENGTHWISE_DATA."""
    root = Path(os.environ.get("LENGTHWISE_DATA", "../shared/data"))
    return root / "aiconfigurator" / "kernels"


def device(system: str, dtype: str) -> Device:
    """Ceilings of a system for a format of the tables."""
    return Device.of(find_hardware(system), dtype, CACHE_BYTES[system])


def links(system: str) -> Links:
    """Links of a system."""
    return Links.of(find_hardware(system))


@cache
def tables(name: str) -> tuple[Table, ...]:
    """All tables of one kind, such as ``context_attention``."""
    found = []
    for path in sorted(folder().glob(f"*__{name}_perf.parquet")):
        system, _, engine, version, _ = path.name.split("__")
        rows = pd.read_parquet(path)
        rows["seconds"] = rows.pop("latency") * 1e-3
        found.append(Table(path.name, system, engine, version, rows))
    return tuple(found)


def attention(name: str) -> list[tuple[Table, str, str, pd.DataFrame]]:
    """Attention tables by format of attention and of the cache; one row per call (the median).

    A prefill call of one token is left out: engines send it to their decode kernel.
    """
    out = []
    for table in tables(name):
        rows = table.rows.copy()
        if "window_size" not in rows:
            rows["window_size"] = 0
        rows["window_size"] = rows["window_size"].fillna(0).astype(int)
        rows = rows[(name != "context_attention") | (rows["isl"] > 1)]
        keys = ["batch_size", "isl", "step", *SHAPE]
        for (dtype, kv), part in rows.groupby(["attn_dtype", "kv_cache_dtype"]):
            calls = part.groupby(keys, as_index=False)["seconds"].median()
            kept = possible(calls, table.system, str(dtype), str(kv), name)
            out.append((table, str(dtype), str(kv), kept))
    return out


def possible(calls: pd.DataFrame, system: str, dtype: str, kv: str, name: str) -> pd.DataFrame:
    """Set calls apart that are faster than memory and arithmetic allow (by more than 5 %).

    Shapes with more than a few of them go whole: their bytes are not what the table says
    (TensorRT-LLM 1.0.0 on A100, grouped decode: 1.7 times the memory bandwidth). What is set apart
    is counted in ``attrs["set_apart"]``.
    """
    top = device(system, dtype)
    per = (BYTES[dtype], BYTES[kv])
    if name == "context_attention":
        bound = prefill_terms.floor(
            PrefillAttentionCurve(top, *per, ()).sizes(*prefill_call(calls), warm=True)
        )
    else:
        bound = decode_terms.floor(
            DecodeAttentionCurve(top, *per, ()).sizes(*decode_call(calls), warm=True)
        )
    wrong = bound > 1.05 * calls["seconds"].to_numpy()
    shape = calls["num_heads"] * 100_000 + calls["num_key_value_heads"]
    share = pd.Series(wrong).groupby(shape.to_numpy()).transform("mean").to_numpy()
    wrong = wrong | (share > MOST_WRONG)
    kept = calls[~wrong].reset_index(drop=True)
    kept.attrs["set_apart"] = int(wrong.sum())
    return kept


def latent(name: str) -> list[tuple[Table, str, str, str, pd.DataFrame]]:
    """Latent attention tables by formats of attention, cache and projections."""
    out = []
    for table in tables(name):
        rows = table.rows.copy()
        if "gemm_type" not in rows:
            rows["gemm_type"] = ""
        rows = rows[("context" not in name) | (rows["isl"] > 1)]
        if name == "mla_generation_module":
            rows["step"] = rows["step"] - 1
        keys = ["batch_size", "isl", "step", "num_heads"]
        for (dtype, kv, gemm), part in rows.groupby(["mla_dtype", "kv_cache_dtype", "gemm_type"]):
            calls = part.groupby(keys, as_index=False)["seconds"].median()
            out.append((table, str(dtype), str(kv), str(gemm), calls))
    return out


def messages(system: str, library: str) -> tuple[list[str], dict[str, pd.DataFrame]]:
    """Messages by kind of collective of NCCL (``nccl``) or of an engine's own all-reduce.

    Sizes are in elements: both formats of NCCL then take equally long for equal bytes.
    """
    name = "nccl" if library == "nccl" else "custom_allreduce"
    files: list[str] = []
    parts: dict[str, list[pd.DataFrame]] = {}
    for table in tables(name):
        if table.system != system or (library != "nccl" and table.engine != library):
            continue
        rows = table.rows
        if "backend" in rows and library == "vllm":
            rows = rows[rows["kernel_source"] == "vLLM_custom_graph"]
        column = "nccl_dtype" if library == "nccl" else "allreduce_dtype"
        rows = rows.assign(message_bytes=rows["message_size"] * rows[column].map(ELEMENT_BYTES))
        files.append(table.file)
        for kind, part in rows.groupby("op_name"):
            calls = part.groupby(["num_gpus", "message_bytes"], as_index=False)["seconds"].median()
            parts.setdefault(str(kind), []).append(calls)
    return files, {k: pd.concat(v, ignore_index=True) for k, v in parts.items()}


def errors(predicted: np.ndarray, measured: np.ndarray) -> dict[str, float | int]:
    """Median and 90th percentile of absolute relative errors."""
    error = np.abs(predicted / measured - 1.0)
    if not len(error):
        return {"rows": 0}
    return {
        "rows": len(error),
        "median": round(float(np.median(error)), 4),
        "p90": round(float(np.quantile(error, 0.9)), 4),
    }
