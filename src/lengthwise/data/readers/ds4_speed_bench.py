"""Speed bench of ds4 (antirez): DeepSeek V4 Flash on six unified-memory machines."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from lengthwise.data.readers.curves import read_curves


def read(folder: Path) -> pd.DataFrame:
    """Read ``a_ds4_speed_bench.parquet``: six machines, each as chunks, running sum, decode steps.

    Units and definitions
        Chunks hold 2,048 tokens on ``cached_tokens``; the running sum of the chunks is a whole
        prompt (``derived``).
    Traps
        The model has compressed attention: its prompts do not grow with the square of the length.

    Returns
    -------
    DataFrame
        576 rows: 18 curves.
    """
    return read_curves(folder / "a_ds4_speed_bench.parquet")
