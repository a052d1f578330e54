"""A row of the contract and bodies of such rows."""

import json
from typing import Any

ROW = {
    "kv_cache_percentage": 0.4, "input_token_length": 1000, "num_request_waiting": 1,
    "num_request_running": 4, "num_tokens_generated": 0, "prefix_cache_score": 0.25,
    "pod_type": "", "prefill_tokens_in_flight": 500, "decode_tokens_in_flight": 0,
    "actual_ttft_ms": 120.0, "actual_tpot_ms": 0.0,
}  # fmt: skip


def body(count: int, **fields: Any) -> bytes:
    """Body of ``count`` rows, numbered by ``n``."""
    return json.dumps({"entries": [{**ROW, **fields, "n": i} for i in range(count)]}).encode()
