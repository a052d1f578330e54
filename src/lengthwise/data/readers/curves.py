"""Curves of latency against length, collected from public repositories: what all five share."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from lengthwise.data.readers.rows import tidy

KINDS = {
    "prefill": "prompt", "prefill_cum": "prompt", "ttft": "prompt", "prefill_chunk": "chunk",
    "decode": "decode", "tpot": "decode",
}  # fmt: skip
"""What a step of each ``curve_kind`` is: a whole prompt, a chunk of one, a decode step."""

CLOCKS = {"engine": "server"}


def read_curves(path: Path) -> pd.DataFrame:
    """Read one Parquet file of curves as measurement rows, one deployment per curve.

    Several builds, cache types and settings of one set-up were measured, so labels alone would mix
    curves: ``engine_version`` becomes the name of the curve and ``engine_build`` keeps what the
    source said. A time to first token of a single prompt is a prefill of that prompt.

    Returns
    -------
    DataFrame
        Rows of the file with the extra columns ``curve_id``, ``curve_kind`` (the words of the
        source), ``kind`` (prompt, chunk or decode), ``setup`` (hardware|model), ``x_len`` (tokens;
        the middle of a chunk, the length of a prompt, the context of a decode step), ``derived``
        (computed from other rows), ``measured_on`` and what else the file has.
    """
    raw = pd.read_parquet(path).rename(
        columns={"engine_version": "engine_build", "timestamp": "measured_on"}
    )
    kind = raw["curve_kind"].map(KINDS)
    table = raw.assign(
        phase=kind.map({"prompt": "prefill", "chunk": "prefill", "decode": "decode"}),
        latency_ms=raw["y_ms"], engine_version=raw["curve_id"], kind=kind,
        setup=raw["hardware"].str.cat(raw["model"], sep="|"), clock=raw["clock"].replace(CLOCKS),
        source=f"curves/{path.name}",
    )  # fmt: skip
    return tidy(table.drop(columns=["y_ms", "ttft_ms"], errors="ignore"))
