"""AIConfigurator's silicon sample: TTFT and TPOT of deployed servers, agg and disagg."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from lengthwise.data.readers.rows import tidy

_RENAME = {
    "silicon_ttft_ms": "ttft_ms", "silicon_tpot_ms": "tpot_ms", "model_path": "model",
    "system": "hardware", "backend": "engine", "backend_version": "engine_version",
    "tp_size": "tp_recorded", "pp_size": "pp",
    "batch_size": "batch_size_per_dp_rank",
}  # fmt: skip
_CONCURRENCY = r"silicon_concurrency=(\d+)"


def read(folder: Path) -> pd.DataFrame:
    """Read ``silicon_sample.csv``: one row is one serving run, summed up over its requests.

    Units and definitions
        ``ttft_ms`` and ``tpot_ms`` at the client. ``concurrency`` is that of one replica: the
        source's ``batch_size`` (requests in flight per data-parallel rank, here
        ``batch_size_per_dp_rank``) times the ranks. Where it is not recorded (disaggregated rows)
        it is what ``silicon_data_source`` says of the client, which is kept in
        ``client_concurrency``; 37 rows were driven by one client through several replicas.
        ``mode`` is ``agg`` or ``disagg``; a disaggregated row has its parallelism in ``prefill_*``
        and ``decode_*`` only.
    Traps
        TTFT at high concurrency is queueing. Rows of one configuration from different dates are
        all kept. ``precision`` and ``engine_version`` are missing in part. Many rows record the
        product of two degrees where one is meant: eight GPUs with tp 8 and ep 8 stand as
        ``tp_size`` 64, data-parallel attention on them as ``attention_dp_size`` 64 (the ``id``
        says tp8_ep8). :func:`layout` undoes that; ``tp``, ``dp`` and ``ep`` mean here that
        attention is cut over ``tp`` GPUs and copied ``dp`` times, and experts are spread over
        ``ep`` of these ``tp * dp``. The recorded figures stay in ``tp_recorded``,
        ``attention_dp_size``, ``moe_tp_size`` and ``moe_ep_size``.

    Returns
    -------
    DataFrame
        4,000 request rows.
    """
    raw = pd.read_csv(folder / "silicon_sample.csv", low_memory=False)
    stated = raw["silicon_data_source"].str.extract(_CONCURRENCY)[0].astype(float)
    ranks = raw["attention_dp_size"].replace(0, np.nan)
    replica = raw["batch_size"] * ranks.fillna(1)
    table = raw.rename(columns=_RENAME).assign(
        phase="request", concurrency=replica.fillna(stated), clock="client",
        client_concurrency=stated,
        source="aiconfigurator/silicon_sample.csv", **layout(raw),
    )  # fmt: skip
    return tidy(table)


def layout(raw: pd.DataFrame) -> dict[str, pd.Series[Any]]:
    """Read tensor, data and expert parallelism out of the recorded degrees.

    Parameters
    ----------
    raw
        Columns ``tp_size``, ``attention_dp_size``, ``moe_tp_size``, ``moe_ep_size``; 0 and missing
        mean not recorded. Rows that leave the second one out record plain degrees.

    Returns
    -------
    dict
        ``tp``, ``dp``, ``ep``, each of shape (n,).

    Examples
    --------
    >>> rows = {"tp_size": [64, 1, 4, 8], "attention_dp_size": [1, 64, 4, 1],
    ...         "moe_tp_size": [8, 8, 1, 8], "moe_ep_size": [8, 8, 16, 1]}
    >>> {name: degrees.tolist() for name, degrees in layout(pd.DataFrame(rows)).items()}
    {'tp': [8.0, 1.0, 1.0, 8.0], 'dp': [1.0, 8.0, 4.0, 1.0], 'ep': [8.0, 8.0, 4.0, 1.0]}
    """
    tp = raw["tp_size"].astype(float)
    dp, inner, ep = (
        raw[name].astype(float).replace(0, np.nan).fillna(1.0)
        for name in ("attention_dp_size", "moe_tp_size", "moe_ep_size")
    )
    stated = raw["attention_dp_size"].notna()
    squared = stated & (inner == ep) & (inner > 1) & ((tp == inner**2) | (dp == inner**2))
    copied = (tp == dp) & (tp > 1) & (ep == tp**2)
    size = inner.where(squared, tp)
    alone = (squared & (dp > 1)) | copied
    return {
        "tp": size.where(~alone, 1.0),
        "dp": dp.where(~squared, 1.0).where(~alone, size),
        "ep": ep.where(~(squared | copied), size),
    }
