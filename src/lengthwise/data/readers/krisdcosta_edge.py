"""edge-llm-bench (KrisDcosta): llama.cpp on a phone, an Apple M4 and a laptop."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from lengthwise.data.readers.curves import read_curves


def read(folder: Path) -> pd.DataFrame:
    """Read ``a_krisdcosta_edge.parquet``: prompts and decode steps of 256 to 2,048 tokens.

    Units and definitions
        Prompts fill the context but for about 64 tokens, so ``isl`` is approximate. Points were
        repeated (``repeat``).
    Traps
        Phone and laptop throttle: bursts of up to four times the usual time.

    Returns
    -------
    DataFrame
        4,082 rows: 96 curves.
    """
    return read_curves(folder / "a_krisdcosta_edge.parquet")
