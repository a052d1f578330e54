"""The project's own step times of short prompts: openvino-genai on one CPU thread."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from lengthwise.data.readers.rows import tidy


def read(folder: Path) -> pd.DataFrame:
    """Read ``openvino_short_cpu.parquet``: one row is one ``step()`` of the engine.

    Units and definitions
        As those of ``own-openvino-cpu``, for prompts of 1, 2, 4, 8, 16, 32 and 512 tokens.
    Traps
        Do not join it with ``own-openvino-cpu``: the machine was 1.1 to 1.5 times as slow on this
        day, as prompts of 32 and 512 tokens show, which are in both.

    Returns
    -------
    DataFrame
        One row per step.
    """
    return tidy(pd.read_parquet(folder / "openvino_short_cpu.parquet"))
