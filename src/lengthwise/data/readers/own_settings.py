"""The project's own tokens at varied settings: transformers and llama.cpp, one CPU thread."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from lengthwise.data.readers.rows import tidy


def read(folder: Path) -> pd.DataFrame:
    """Read ``settings_cpu.parquet``: one row is one token of a batch of prompts.

    Units and definitions
        ``latency_ms`` and ``cpu_ms`` as in the tables of the two engines. ``precision``,
        ``temperature`` (0 takes the likeliest token) and, for transformers, ``beams`` are the
        settings varied; ``request`` numbers the batches of prompts of each engine.
        ``cpu_util_percent``, ``load_pressure`` (percent of time some task waited for a CPU),
        ``load1`` and ``memory_used_mib`` are the machine's state, sampled every 100 ms.
    Traps
        ``batch_size`` counts sequences: in decode steps prompts times beams. ``warmup`` marks first
        visits, the first two and the last decode step. Each precision was loaded and measured after
        the other, so what drifts with time (load, memory) tells precisions apart. The version of
        the engine names beams and sampling too, so that a law fits them apart.

    Returns
    -------
    DataFrame
        One row per token.
    """
    return tidy(pd.read_parquet(folder / "settings_cpu.parquet"))
