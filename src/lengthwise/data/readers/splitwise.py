"""Splitwise (Patel et al. 2024, arXiv 2311.18677): Llama-2-70B and BLOOM-176B on A100 and H100."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from lengthwise.data.readers.rows import mean_context, tidy

_POINT = ["model", "hardware", "tp", "isl", "batch_size", "osl"]


def read(folder: Path) -> pd.DataFrame:
    """Read ``perf_model.csv``: every row gives one prefill row and one decode row.

    Units and definitions
        ``prompt_time`` is the prefill of the whole batch, ms. ``token_time`` is the mean decode
        step of the whole batch, ms; its ``context_len`` is the mean over the steps,
        isl + (osl + 1) / 2, a half rounded up. ``repeat`` counts the runs of a point from 0.
    Traps
        Prompt, batch and output were swept one at a time around (512, 1, 128), so the centre has
        15 runs instead of 5. The prefill rows of the output sweep all measure the same prefill
        point; ``osl`` tells the sweeps apart. ``e2e_time`` is inconsistent and not read. Power is
        a fraction of the limit, 0 where it was not measured (then missing here). Llama-2-70B on
        two GPUs at batch 64 is faster than at batch 32: kept.

    Returns
    -------
    DataFrame
        1,680 rows: 840 prefill, then 840 decode.
    """
    raw = pd.read_csv(folder / "perf_model.csv").rename(
        columns={"prompt_size": "isl", "token_size": "osl", "tensor_parallel": "tp"}
    )
    power = raw[["peak_power", "average_power"]].where(lambda p: p > 0).add_suffix("_fraction")
    base = raw[_POINT].join(power).assign(
        repeat=raw.groupby(_POINT).cumcount(), engine="vllm", precision="fp16",
        clock="server", source="splitwise/perf_model.csv",
    )  # fmt: skip
    prefill = base.assign(phase="prefill", latency_ms=raw["prompt_time"])
    context = mean_context(base["isl"], base["osl"])
    decode = base.assign(phase="decode", latency_ms=raw["token_time"], context_len=context)
    return tidy(pd.concat([prefill, decode], ignore_index=True))
