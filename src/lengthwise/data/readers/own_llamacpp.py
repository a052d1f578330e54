"""The project's own step times: llama.cpp's server on one CPU thread, two small random Llamas."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from lengthwise.data.readers.rows import tidy


def read(folder: Path) -> pd.DataFrame:
    """Read ``llamacpp_cpu.parquet``: one row is one prefill or one decode step.

    Units and definitions
        ``latency_ms`` is the server's own ``prompt_ms`` and the difference of ``predicted_ms``;
        ``client_ms`` the time between arrivals at the client, ``cpu_ms`` CPU time of the server.
        With several sequences the prefill is the client's time from sending to the last first
        token (``clock`` says so): the server prefills the first prompt alone and the rest together.
    Traps
        ``warmup`` marks first visits, the first two and the last decode step. Rows with ``anchor``
        are further visits of one shape. Attention runs without a flash kernel where llama.cpp
        chooses so; decode steps double between contexts of 4,096 and 8,192.

    Returns
    -------
    DataFrame
        One row per step.
    """
    return tidy(pd.read_parquet(folder / "llamacpp_cpu.parquet"))
