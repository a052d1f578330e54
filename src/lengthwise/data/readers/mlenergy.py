"""ML.ENERGY leaderboard (Chung et al. 2025, arXiv 2505.06371): steady-state vLLM runs."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from lengthwise.data.readers.rows import tidy

_RENAME = {
    "median_itl_ms": "tpot_ms", "gpu_model": "hardware", "model_id": "model",
    "weight_precision": "precision", "par_tensor_parallel": "tp", "par_expert_parallel": "ep",
    "par_data_parallel": "dp", "avg_power_watts": "power_w",
}  # fmt: skip


def read(folder: Path) -> pd.DataFrame:
    """Read ``configs_all.csv``: one row is one served configuration, summed up over its requests.

    Units and definitions
        ``tpot_ms`` is the *median gap* between tokens over all requests, ms: a typical decode step.
        A true TPOT is a mean, which chunked prefills of others pull up; compare
        ``p90_itl_ms``, ``p95_itl_ms`` and ``p99_itl_ms``, which are kept. ``osl`` and
        ``batch_size`` are the averages over the run, rounded (``avg_output_len`` and
        ``avg_batch_size`` keep them exact); ``max_num_seqs`` is the engine's limit.
        ``power_w`` sums all GPUs.
    Traps
        The source gives no input length: ``isl`` is missing, so these rows serve batch, power and
        energy questions, not laws in length. Expert-parallel rows have tp = 1 on 2 to 8 GPUs
        (``num_gpus``). Reasoning tasks (gpqa) have outputs of thousands of tokens, hence contexts
        far longer than a chat's.

    Returns
    -------
    DataFrame
        565 request rows.
    """
    raw = pd.read_csv(folder / "configs_all.csv")
    table = raw.rename(columns=_RENAME).assign(
        phase="request", isl=float("nan"), osl=raw["avg_output_len"].round(),
        batch_size=raw["avg_batch_size"].round(), engine="vllm", clock="server",
        hardware=raw["gpu_model"].str.lower(), source="mlenergy/configs_all.csv",
    )  # fmt: skip
    return tidy(table)
