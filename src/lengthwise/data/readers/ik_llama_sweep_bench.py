"""llama-sweep-bench tables of ik_llama.cpp's threads: CPUs, GPUs, hybrids, 205 runs."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from lengthwise.data.readers.curves import read_curves


def read(folder: Path) -> pd.DataFrame:
    """Read ``a_ik_llama_sweep_bench.parquet``: 205 runs of chunks, running sum and decode.

    Units and definitions
        A run prefills a prompt in chunks of ``query_len`` tokens and decodes ``osl`` tokens after
        each. A chunk is a prefill step on ``cached_tokens``; the running sum of the chunks is a
        whole prompt of ``isl`` tokens (``derived``); a decode row is the mean step after a chunk.
    Traps
        Hardware and model were assigned by hand from the threads. The running sum is no
        measurement of its own. Several runs compare builds of one set-up, so curves are not
        independent. Two in five chunk and decode curves fall somewhere by more than 2 %, and 81 of
        6,105 decode points lie more than 25 % off their neighbours.

    Returns
    -------
    DataFrame
        19,509 rows: 613 curves.
    """
    return read_curves(folder / "a_ik_llama_sweep_bench.parquet")
