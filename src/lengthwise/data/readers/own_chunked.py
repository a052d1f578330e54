"""The project's own chunked prefills: every step of a prompt, openvino-genai and llama.cpp."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from lengthwise.data.readers.rows import tidy


def read(folder: Path) -> pd.DataFrame:
    """Read ``chunked_cpu.parquet``: one row is one part of a prompt, or one decode step.

    Units and definitions
        A part is a prefill row: ``query_len`` new tokens on top of ``cached_tokens``; ``isl`` is
        their sum and ``request_isl`` the length of the prompt it belongs to. The time to first
        token of a prompt is the sum of its parts.
    Traps
        Prompts of different lengths share their first parts, which are repeats of one point. The
        first part of a prompt runs another kernel than later ones in openvino. llama.cpp reports
        the parts itself; their ``cpu_ms`` is read when the report arrives, a little late.

    Returns
    -------
    DataFrame
        One row per step.
    """
    return tidy(pd.read_parquet(folder / "chunked_cpu.parquet"))
