"""LLM-Inference-Bench (Chitty-Venkata et al. 2024, arXiv 2411.00136): whole-batch latencies."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from lengthwise.data.readers.rows import tidy

_RENAME = {
    "Hardware": "hardware", "Num of Hardware": "tp", "Framework": "engine", "Model": "model",
    "Input Output Length": "isl", "Input Length": "isl", "Output Length": "osl",
    "Batch Size": "batch_size", "Latency": "latency_s", "Throughput": "throughput_tokens_per_s",
    "TTFT Latency": "ttft_s", "end_latency": "latency_s", "avg_power": "power_mw",
}  # fmt: skip


def read(folder: Path) -> pd.DataFrame:
    """Read the four files: one row is one batch of equal requests sent together.

    Units and definitions
        ``e2e_ms`` is the time until the last of ``batch_size`` requests is done. In
        ``All_results.csv`` and ``power_results.csv`` input and output length are equal (osl = isl).
        ``all_results_TTFT.csv`` generates one token, so that its time is the TTFT.
        ``all_results_TTFT_ITL.csv`` repeats these TTFT and adds the time of the 1,024-token run
        although it says "Output Length 1"; here osl is 1,024 where that time is given, and
        ``tpot_ms`` is (e2e - ttft) / (osl - 1). ``power_w`` is the source's mean power, mW / 1000.
        ``tp`` is the number of devices used (llama.cpp splits layers, not tensors, over them).
    Traps
        The files overlap: select by ``source``. OPT-6.7B, GPT-J-6B and llama-7b at length 2,048
        take 0.04 s for a batch of one: the request exceeded the context limit and failed. They are
        kept.

    Returns
    -------
    DataFrame
        4,880 rows: 4,772 + 30 + 30 + 48.
    """
    whole = _load(folder, "All_results.csv")
    power = _load(folder, "power/power_results.csv")
    first = _load(folder, "all_results_TTFT.csv")
    both = _load(folder, "all_results_TTFT_ITL.csv")
    for frame in (whole, power):
        frame["osl"] = frame["isl"]
    power["power_w"] = power.pop("power_mw") / 1e3
    first["ttft_s"] = first["latency_s"]
    both["osl"] = both["isl"].where(both["latency_s"].notna(), both["osl"])
    table = pd.concat([whole, first, both, power], ignore_index=True)
    return tidy(_in_ms(table).assign(phase="request", clock="client"))


def _load(folder: Path, file: str) -> pd.DataFrame:
    raw = pd.read_csv(folder / file)
    raw.columns = raw.columns.str.strip()
    return raw.rename(columns=_RENAME).assign(source=f"argonne/{file}")


def _in_ms(table: pd.DataFrame) -> pd.DataFrame:
    table["e2e_ms"] = 1e3 * table.pop("latency_s")
    table["ttft_ms"] = 1e3 * table.pop("ttft_s")
    steps = (table["osl"] - 1).where(table["osl"] > 1)
    table["tpot_ms"] = (table["e2e_ms"] - table["ttft_ms"]) / steps
    return table
