"""Read the kernel tables of AIConfigurator as the fits take them."""

from __future__ import annotations

import os
from pathlib import Path

import pandas as pd

from lengthwise.domain.hardware import HardwareSpec

SYSTEMS = ("a100_sxm", "b200_sxm", "gb200", "h100_sxm", "h200_sxm", "l40s")
ENGINES = ("trtllm", "vllm")
SOURCE = {
    "repository": "github.com/ai-dynamo/aiconfigurator",
    "commit": "095f58a",
    "licence": "Apache-2.0",
}
SKEW = {"balanced": 0.0, "power_law_1.01": 1.01, "power_law_1.2": 1.2}


def folder() -> Path:
    return Path(os.environ["LENGTHWISE_DATA"]) / "aiconfigurator" / "kernels"


def hardware(system: str) -> HardwareSpec:
    try:
        from lengthwise.data.hardware_catalog import find_hardware

        return find_hardware(system)
    except ImportError:
        row = pd.read_csv(folder().parent / "systems.csv").set_index("system").loc[system]
        units = {
            "a100_sxm": 108,
            "b200_sxm": 148,
            "gb200": 152,
            "h100_sxm": 132,
            "h200_sxm": 132,
            "l40s": 142,
        }
        peaks = {
            "bf16": row.peak_bf16_flops,
            "int8": row.peak_int8_ops,
            "fp8": row.peak_fp8_flops,
            "fp4": row.peak_fp4_flops,
        }
        return HardwareSpec(
            system,
            "gpu",
            row.memory_bandwidth_bytes_per_s,
            row.memory_capacity_bytes,
            {k: float(v) for k, v in peaks.items() if v == v},
            multiprocessors=units[system],
        )


def gemm(system: str, engine: str):
    """Yield (version, dtype, kernels, frame, file name) of one engine on one system."""
    path = next(folder().glob(f"{system}__gemm__{engine}__*"))
    table = pd.read_parquet(path)
    for dtype, rows in table.groupby("gemm_dtype"):
        frame = rows.groupby(["m", "n", "k"], as_index=False).latency.median()
        frame["seconds"] = frame.pop("latency") * 1e-3
        yield path.name.split("__")[3], dtype, sorted(rows.kernel_source.unique()), frame, path.name


def experts(system: str, engine: str):
    """Yield (version, dtype, kernels, frame, file name): the kernel with most rows of each format."""
    path = next(folder().glob(f"{system}__moe__{engine}__*"))
    table = pd.read_parquet(path)
    for dtype, rows in table.groupby("moe_dtype"):
        plain = rows[~rows.kernel_source.str.contains("nongated")]
        main = plain.kernel_source.value_counts().index[0]
        keep = rows[(rows.kernel_source == main) | rows.kernel_source.str.contains("nongated")]
        # The three models without a gate; other engines' tables do not say which rows are theirs.
        ungated = (keep.topk == 22) | ((keep.hidden_size == 2688) & (keep.inter_size == 1856))
        frame = pd.DataFrame(
            {
                "tokens": keep.num_tokens,
                "hidden": keep.hidden_size,
                "inter": keep.inter_size / keep.moe_tp_size,
                "active": keep.topk,
                "experts_on_gpu": keep.num_experts / keep.moe_ep_size,
                "experts": keep.num_experts,
                "gated": ~ungated,
                "skew": keep.distribution.map(SKEW),
                "model_inter": keep.inter_size,
                "tp": keep.moe_tp_size,
                "ep": keep.moe_ep_size,
                "seconds": keep.latency * 1e-3,
            }
        )
        keys = [c for c in frame if c != "seconds"]
        frame = frame.groupby(keys, as_index=False).seconds.median()
        yield (
            path.name.split("__")[3],
            dtype,
            sorted(keep.kernel_source.unique()),
            frame.assign(slow=slower_when_split(frame)),
            path.name,
        )


def slower_when_split(frame: pd.DataFrame) -> pd.Series:
    """Cuts of a layer over more processors that took longer than over half as many: tuning failed there.

    A rule on the table alone: the median over tokens and routings of time over that of half the
    degree of tensor or expert parallelism, above 1.25.
    """
    layer, same = ["hidden", "model_inter", "active", "experts"], ["tokens", "skew"]
    wide = frame.pivot_table(index=layer + same, columns=["tp", "ep"], values="seconds")
    slow = set()
    for tp, ep in sorted(wide.columns, key=lambda c: c[0] * c[1]):
        for half in ((tp / 2, ep), (tp, ep / 2)):
            if half in wide.columns:
                ratio = (wide[tp, ep] / wide[half]).groupby(layer).median()
                slow |= {
                    (*key, tp, ep) for key in ratio.index[ratio > 1.25] if (*key, *half) not in slow
                }
    return pd.Series(
        [tuple(r) in slow for r in frame[[*layer, "tp", "ep"]].itertuples(index=False)],
        index=frame.index,
    )
