"""The raw per-token samples of IBM LLM-Pilot: llama-7b on one A10, A100 or H100, 1 to 32 users."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd

from lengthwise.data.readers.rows import tidy
from lengthwise.units import FloatArray


def read(folder: Path) -> pd.DataFrame:
    """Read the nine ``raw_sample_*.csv.gz``: one row is the gap before one generated token.

    Units and definitions
        ``latency_ms`` is the gap between two stream messages at the client, whole milliseconds.
        Message 0 acknowledges the request, message 1 is the first token (``output_index`` 0), so
        rows begin with message 2. ``context_len`` is isl + output_index. ``batch_size`` is
        reconstructed: requests whose first token came before this message and whose last one had
        not yet come. ``timestamp`` is the arrival in unix seconds.
    Traps
        A gap also holds the prefills of requests that joined in between: with many users it is a
        mixture, not a pure decode step. Whole milliseconds are 5 to 10 % of a gap on an H100.
        Failed requests (A10 out of memory) have no tokens and give no rows.

    Returns
    -------
    DataFrame
        Decode rows, one per message from the third on.
    """
    files = sorted(folder.glob("raw_sample_*.csv.gz"))
    return tidy(pd.concat([_tokens(file) for file in files], ignore_index=True))


def _tokens(file: Path) -> pd.DataFrame:
    raw = pd.read_csv(file)
    raw = raw[raw["status"] == 200].reset_index(drop=True)
    gaps = [np.asarray(json.loads(text), dtype=float) for text in raw["latency_ms_per_token"]]
    times = [np.asarray(json.loads(text), dtype=float) for text in raw["timestamps_per_token"]]
    count = np.array([max(len(gap) - 2, 0) for gap in gaps])
    index = np.concatenate([np.arange(1, n + 1) for n in count])
    arrival = np.concatenate([t[2:] for t in times])
    isl = np.repeat(raw["n_input_tokens"].to_numpy(), count)
    return pd.DataFrame({
        "phase": "decode", "latency_ms": np.concatenate([gap[2:] for gap in gaps]),
        "isl": isl, "osl": np.repeat(raw["n_output_tokens"].to_numpy(), count),
        "context_len": isl + index, "batch_size": _running(times, arrival),
        "concurrency": np.repeat(raw["num_users"].to_numpy(), count), "output_index": index,
        "model": "llama-7b", "hardware": raw["gpu_type"].iloc[0].lower(), "engine": "tgis",
        "precision": "fp16", "tp": 1, "timestamp": arrival / 1e3, "clock": "client",
        "request": np.repeat(raw.index.to_numpy(), count),
        "source": f"ibm_llm_pilot/{file.name}",
    })  # fmt: skip


def _running(times: list[FloatArray], at: FloatArray) -> FloatArray:
    """Count requests that had their first token before ``at`` and their last one not before it."""
    decoding = [t for t in times if len(t) > 2]
    first = np.sort([t[1] for t in decoding])
    last = np.sort([t[-1] for t in decoding])
    begun = np.searchsorted(first, at, side="left")
    return np.asarray(begun - np.searchsorted(last, at, side="left"), dtype=float)
