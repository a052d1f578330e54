"""Measure the rate of GEMM kernels over that of attention kernels: the prior of the E1 coefficient.

    LENGTHWISE_DATA=... python benchmarks/attention_prior.py

Reads the operator microbenchmarks of NVIDIA AIConfigurator (Apache-2.0, commit 095f58a): bf16 GEMMs
with all sides at least 4,096 against causal context attention at 8,192 tokens and more, head
dimension 128, batch 1. No end-to-end row is used, so the prior knows nothing of the test curves.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pandas as pd

OUT = Path(__file__).parent / "results" / "attention_prior.json"
MS = 1e-3


def gemm_rate(path: Path) -> float:
    """Median FLOP/s of large 16-bit GEMMs."""
    table = pd.read_parquet(path)
    large = table[
        table["gemm_dtype"].isin(["bfloat16", "float16"])
        & (table[["m", "n", "k"]] >= 4096).all(axis=1)
    ]
    return float((2.0 * large["m"] * large["n"] * large["k"] / (large["latency"] * MS)).median())


def attention_rates(path: Path) -> dict[str, float]:
    """Median FLOP/s of long causal attention by precision: 4 H d (n^2 / 2) FLOP."""
    table = pd.read_parquet(path)
    keep = (table["isl"] >= 8192) & (table["batch_size"] == 1)
    if "window_size" in table:
        keep &= table["window_size"] == 0
    if "head_dim" in table:
        keep &= table["head_dim"] == 128
    long = table[keep]
    flops = 4.0 * long["num_heads"] * 128 * long["isl"] ** 2 / 2
    rate = flops / (long["latency"] * MS)
    return {str(k): float(v) for k, v in rate.groupby(long["attn_dtype"]).median().items()}


def main() -> None:
    """Compare the two rates for every system, engine and precision."""
    folder = Path(os.environ["LENGTHWISE_DATA"]) / "aiconfigurator" / "kernels"
    rows = []
    for path in sorted(folder.glob("*__context_attention_perf.parquet")):
        system, _, engine, *_ = path.name.split("__")
        for gemm in sorted(folder.glob(f"{system}__gemm__{engine}__*"))[:1]:
            rate = gemm_rate(gemm)
            for precision, attention in attention_rates(path).items():
                rows.append(
                    {"system": system, "engine": engine, "attention": precision,
                     "gemm_tflops": round(rate / 1e12), "attention_tflops": round(attention / 1e12),
                     "slowdown": round(rate / attention, 2)}
                )  # fmt: skip
    slowdown = np.array([r["slowdown"] for r in rows])
    found = {
        "median": round(float(np.median(slowdown)), 2),
        "least": float(slowdown.min()),
        "greatest": float(slowdown.max()),
        "rows": rows,
    }
    OUT.write_text(json.dumps(found, indent=1) + "\n")
    print(pd.DataFrame(rows).to_string(index=False))
    print(f"median {found['median']}, {found['least']} to {found['greatest']}")


if __name__ == "__main__":
    main()
