"""MInference (Microsoft): prompts to 1M tokens on one A100, dense and sparse attention."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from lengthwise.data.readers.curves import read_curves


def read(folder: Path) -> pd.DataFrame:
    """Read ``a_minference.parquet``: whole prompts under eleven attention methods.

    Units and definitions
        Seconds of the tables in the README of the source: prefill without a KV cache, and the time
        to first token of single requests, which is a prefill here too.
    Traps
        Coarse at short lengths (0.1 s). The sparse methods are no plain Transformer, and their
        shortest prompts hold compilation.

    Returns
    -------
    DataFrame
        78 rows: 11 curves.
    """
    return read_curves(folder / "a_minference.parquet")
