"""A plane through the law, for a client that announces `bayesian_ridge`.

Such a client reads an intercept and coefficients from `/metrics` and adds them up itself. The plane
is fitted to the law over typical rows; it is right near them and nowhere else, which is why another
model type is announced unless this one is asked for.
"""

from __future__ import annotations

import numpy as np

from lengthwise.formulations.online.law import OnlineLaw
from lengthwise.formulations.online.rows import RouterRows
from lengthwise.units import MS_PER_S

FIELDS = {
    "ttft": {
        "kv_cache_percentage": "kv_share", "input_token_length": "input_tokens",
        "num_request_waiting": "waiting", "num_request_running": "running",
        "prefix_cache_score": "cached_share",
    },
    "tpot": {
        "kv_cache_percentage": "kv_share", "input_token_length": "input_tokens",
        "num_request_waiting": "waiting", "num_request_running": "running",
        "num_tokens_generated": "generated",
    },
}  # fmt: skip
ROWS = 400


def plane(law: OnlineLaw, target: str) -> tuple[float, dict[str, float]]:
    """Intercept and coefficients by field, milliseconds.

    >>> intercept, slopes = plane(OnlineLaw.cold(), "ttft")
    >>> slopes["input_token_length"] > 0
    True
    """
    rng = np.random.default_rng(0)
    columns = {
        "input_tokens": np.exp(rng.uniform(np.log(32), np.log(4096), ROWS)),
        "kv_share": rng.uniform(0, 1, ROWS),
        "waiting": rng.integers(0, 8, ROWS).astype(float),
        "running": rng.integers(0, 32, ROWS).astype(float),
        "cached_share": rng.uniform(0, 1, ROWS) if target == "ttft" else np.zeros(ROWS),
        "generated": rng.integers(0, 512, ROWS).astype(float),
    }
    answer = law.predict(RouterRows.of(columns))
    times_ms = MS_PER_S * (answer.ttft_s if target == "ttft" else answer.tpot_s)
    design = np.column_stack([np.ones(ROWS), *(columns[c] for c in FIELDS[target].values())])
    found, *_ = np.linalg.lstsq(design, times_ms, rcond=None)
    return float(found[0]), dict(zip(FIELDS[target], found[1:].tolist(), strict=True))
