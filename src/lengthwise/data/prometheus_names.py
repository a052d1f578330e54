"""How vLLM and SGLang call their histograms, old names last; without the prefix of the engine."""

from __future__ import annotations

ENGINES = ("vllm", "sglang")

TIMES: dict[str, tuple[str, ...]] = {
    "ttft": ("time_to_first_token_seconds",),
    "itl": ("inter_token_latency_seconds", "time_per_output_token_seconds"),
    "tpot": ("request_time_per_output_token_seconds",),
    "e2e": ("e2e_request_latency_seconds",),
    "queue": ("request_queue_time_seconds", "queue_time_seconds"),
    "prefill": ("request_prefill_time_seconds",),
    "decode": ("request_decode_time_seconds",),
}
"""Histograms in seconds by our name."""

LENGTHS: dict[str, tuple[str, ...]] = {
    "isl": ("request_prompt_tokens", "prompt_tokens_histogram"),
    "osl": ("request_generation_tokens", "generation_tokens_histogram"),
}
"""Histograms in tokens by our name."""
