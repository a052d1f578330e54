"""Examples of bodies and answers, for the OpenAPI document."""

from __future__ import annotations

from typing import Any

LLMD_ROW: dict[str, Any] = {
    "kv_cache_percentage": 0.42, "input_token_length": 2048, "num_request_waiting": 1,
    "num_request_running": 12, "num_tokens_generated": 1, "prefix_cache_score": 0.25,
    "pod_type": "", "prefill_tokens_in_flight": 1536, "decode_tokens_in_flight": 0,
}  # fmt: skip
LLMD_TRAINING: dict[str, Any] = {
    **LLMD_ROW, "num_tokens_generated": 0, "actual_ttft_ms": 212.5, "actual_tpot_ms": 0.0,
    "timestamp": "2026-11-21T12:00:00Z",
}  # fmt: skip
LLMD_PREDICTION: dict[str, Any] = {
    "ttft_ms": 209.1, "tpot_ms": 21.4, "ttft_uncertainty": 14.2, "tpot_uncertainty": 1.3,
    "ttft_prediction_bounds": [187.3, 234.0], "tpot_prediction_bounds": [19.4, 23.7],
    "predicted_at": "2026-11-21T12:00:01.000000+00:00", "model_type": "lightgbm",
    "objective_type": "mean", "quantile": 0.9,
    "last_model_load": "2026-11-21T12:00:00.000000+00:00",
}  # fmt: skip
LLMD_BULK: dict[str, Any] = {
    "predictions": [LLMD_PREDICTION], "total_requests": 1, "successful_predictions": 1,
    "failed_predictions": 0, "processing_time_ms": 0.31,
}  # fmt: skip

ROW: dict[str, Any] = {
    "input_tokens": 2048, "cached_share": 0.25, "kv_share": 0.42, "waiting": 1, "running": 12,
    "prefill_in_flight": 1536, "pod": "pod-a", "osl": 256,
}  # fmt: skip
OBSERVATION: dict[str, Any] = {
    "request_id": "3f1c", **{k: v for k, v in ROW.items() if k != "osl"}, "ttft_ms": 212.5,
    "tpot_ms": 21.9, "observed_at": "2026-11-21T12:00:00Z",
}  # fmt: skip
PREDICTED: dict[str, Any] = {
    "ttft_ms": 209.1, "ttft_lo_ms": 187.3, "ttft_hi_ms": 234.0, "tpot_ms": 21.4,
    "tpot_lo_ms": 19.4, "tpot_hi_ms": 23.7, "in_domain": True, "extrapolation_factor": 1.0,
    "e2e_ms": 5666.1, "e2e_lo_ms": 5134.3, "e2e_hi_ms": 6277.5,
}  # fmt: skip
LAW_INFO: dict[str, Any] = {
    "version": 7, "sha256": "9f2b...", "created_at": "2026-11-21T12:00:00.000000+00:00",
    "note": "trained", "size_bytes": 20480, "active": True,
}  # fmt: skip
