"""AIConfigurator's silicon sample: TTFT and TPOT of deployed servers, agg and disagg."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from lengthwise.data.readers.rows import tidy

_RENAME = {
    "silicon_ttft_ms": "ttft_ms", "silicon_tpot_ms": "tpot_ms", "model_path": "model",
    "system": "hardware", "backend": "engine", "backend_version": "engine_version",
    "tp_size": "tp", "pp_size": "pp",
    "batch_size": "batch_size_per_dp_rank",
}  # fmt: skip
_CONCURRENCY = r"silicon_concurrency=(\d+)"


def read(folder: Path) -> pd.DataFrame:
    """Read ``silicon_sample.csv``: one row is one serving run, summed up over its requests.

    Units and definitions
        ``ttft_ms`` and ``tpot_ms`` at the client. ``concurrency`` is read out of
        ``silicon_data_source``; where that is silent (19 rows) it is batch size times data-parallel
        ranks if both are known. The source's ``batch_size`` is concurrency per data-parallel rank,
        not a measured step size: here ``batch_size_per_dp_rank``. ``mode`` is ``agg`` or
        ``disagg``; a disaggregated row has its parallelism in ``prefill_*`` and ``decode_*`` only.
    Traps
        TTFT at high concurrency is queueing. Rows of one configuration from different dates are
        all kept. ``precision`` and ``engine_version`` are missing in part. 25 rows say
        ``moe_ep_size`` 0 and 15 ``attention_dp_size`` 0; there ``ep`` and ``dp`` are missing.

    Returns
    -------
    DataFrame
        4,000 request rows.
    """
    raw = pd.read_csv(folder / "silicon_sample.csv", low_memory=False)
    stated = raw["silicon_data_source"].str.extract(_CONCURRENCY)[0].astype(float)
    ranks = raw["attention_dp_size"].replace(0, np.nan)
    implied = raw["batch_size"] * ranks.fillna(1)
    table = raw.rename(columns=_RENAME).assign(
        phase="request", concurrency=stated.fillna(implied), clock="client",
        ep=raw["moe_ep_size"].replace(0, np.nan), dp=ranks,
        source="aiconfigurator/silicon_sample.csv",
    )  # fmt: skip
    return tidy(table)
