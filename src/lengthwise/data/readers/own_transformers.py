"""The project's own step times: transformers on torch, one CPU thread, several variants."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from lengthwise.data.readers.rows import tidy


def read(folder: Path) -> pd.DataFrame:
    """Read ``transformers_cpu.parquet``: one row is one forward pass.

    Units and definitions
        ``latency_ms`` wall clock and ``cpu_ms`` process CPU time of a forward pass and the choice
        of the next token. ``engine_version`` names the variant: attention (sdpa, eager), cache
        (dynamic, static). ``cached_tokens`` is a prefix that was in the cache beforehand.
    Traps
        A static cache attends over its whole length, so its decode steps do not grow with context.
        Mamba has no attention at all: its prefill is a slow sequential scan on a CPU.

    Returns
    -------
    DataFrame
        One row per step.
    """
    return tidy(pd.read_parquet(folder / "transformers_cpu.parquet"))
