"""turboquant_plus (TheTom): prompts with a quantised KV cache on two Apple machines."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from lengthwise.data.readers.curves import read_curves


def read(folder: Path) -> pd.DataFrame:
    """Read ``a_turboquant_plus.parquet``: three prompt curves, one of chunks, one of decode steps.

    Units and definitions
        Prompt times are ``isl`` over the rate that the source reports (``derived``).
    Traps
        The rates probably come from perplexity runs, which compute logits for every token.

    Returns
    -------
    DataFrame
        25 rows: 5 curves.
    """
    return read_curves(folder / "a_turboquant_plus.parquet")
