"""IBM LLM-Pilot (Lazuka et al. 2024, arXiv 2410.02425): requests to TGIS from closed-loop users."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq

from lengthwise.data.readers.rows import tidy

_RENAME = {
    "gpu": "hardware", "n_gpus": "tp", "n_users": "concurrency", "t_start_s": "start_s",
    "n_input_tokens": "isl", "n_output_tokens": "osl", "e2e_latency_ms": "e2e_ms",
    "itl_mean_ms": "tpot_ms",
}  # fmt: skip


def read(folder: Path, *, failed: bool = False) -> pd.DataFrame:
    """Read ``requests_agg.parquet``: one row is one answered request.

    Units and definitions
        Client clock, whole milliseconds. ``ttft_ms`` is the time of the *second* stream message:
        the first one (``first_msg_ms``) only acknowledges the request. ``tpot_ms`` is the mean gap
        between the stream messages that follow the first token (``itl_mean_ms`` in the source,
        which also gives the median, 95th percentile and maximum gap); it exists from three
        messages on. ``concurrency`` is the number of closed-loop users, ``tp`` the GPUs of the
        instance, ``start_s`` seconds since the start of the run.
    Traps
        34,357 of 829,495 requests failed (``ok`` false); they have no lengths and no ``e2e_ms``
        and come only with ``failed=True``, which is no valid measurement table.
        Times include queueing and the prefills of others, so at many users they are no step times.
        mt0, flan-t5 and flan-ul2 are encoder-decoder models. The engine changed the number of
        messages per token in a few runs: compare ``n_stream_chunks`` with ``osl``.

    Returns
    -------
    DataFrame
        795,138 rows (829,495 with the failed ones).
    """
    raw = pq.read_table(folder / "requests_agg.parquet").to_pandas()
    table = (raw if failed else raw[raw["ok"]]).rename(columns=_RENAME)
    table["model"] = _with_organisation(table["model"])
    for name, value in (
        ("phase", "request"), ("engine", "tgis"), ("precision", "fp16"), ("clock", "client"),
        ("source", "ibm_llm_pilot/requests_agg.parquet"),
    ):  # fmt: skip
        table[name] = value
    return tidy(table)


def _with_organisation(names: pd.Series) -> pd.Series:
    """Turn ``google__flan-t5-xl`` into ``google/flan-t5-xl``, once per distinct name."""
    return names.map({name: name.replace("__", "/") for name in names.unique()})
