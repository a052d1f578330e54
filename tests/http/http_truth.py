"""Traffic of a pod whose law is known, in llm-d's rows."""

from __future__ import annotations

from typing import Any

import numpy as np

NOISE = 0.10
"""Standard deviation of the logarithm of the noise."""


def rows(
    n: int, seed: int, *, shortest: int = 64, longest: int = 4096, observed: bool = False
) -> list[dict[str, Any]]:
    """Rows to ask about, or (observed) to learn from: TTFT and TPOT in rows of their own."""
    rng = np.random.default_rng(seed)
    length = np.exp(rng.uniform(np.log(shortest), np.log(longest), n)).astype(int)
    found: list[dict[str, Any]] = []
    for i in range(n):
        row: dict[str, Any] = {
            "kv_cache_percentage": round(float(rng.uniform(0.05, 0.6)), 3),
            "input_token_length": int(length[i]),
            "num_request_waiting": int(rng.integers(0, 3)),
            "num_request_running": int(rng.integers(1, 33)),
            "num_tokens_generated": 0 if observed else 1,
            "prefix_cache_score": round(float(rng.uniform(0, 0.5)), 3),
            "pod_type": "",
            "prefill_tokens_in_flight": int(rng.integers(0, 2000)),
            "decode_tokens_in_flight": 0,
        }
        if not observed:
            found.append(row)
            continue
        ttft_ms, tpot_ms = (t * np.exp(rng.normal(0, NOISE)) for t in truth_ms(row))
        found.append({**row, "actual_ttft_ms": float(ttft_ms), "actual_tpot_ms": 0.0,
                      "timestamp": "2026-11-21T12:00:00.123456789Z"})  # fmt: skip
        found.append({**row, "prefix_cache_score": 0.0, "actual_ttft_ms": 0.0,
                      "actual_tpot_ms": float(tpot_ms),
                      "timestamp": "2026-11-21T12:00:00+02:00"})  # fmt: skip
    return [found[i] for i in rng.permutation(len(found))]


def truth_ms(row: dict[str, Any]) -> tuple[float, float]:
    """Median TTFT and TPOT of a row."""
    uncached = row["input_token_length"] * (1 - row["prefix_cache_score"])
    ttft = (
        18.0 + 0.055 * uncached + 1.2e-6 * uncached**2 + 0.05 * row["prefill_tokens_in_flight"]
        + 25.0 * row["num_request_waiting"] + 0.4 * row["num_request_running"]
    )  # fmt: skip
    tpot = 9.0 + 0.22 * row["num_request_running"] + 6.0 * row["kv_cache_percentage"]
    return ttft, tpot


def drawn_ms(rows_: list[dict[str, Any]], seed: int) -> tuple[Any, Any]:
    """What these rows will really take, arrays of shape (n,)."""
    rng = np.random.default_rng(seed)
    medians = np.array([truth_ms(row) for row in rows_])
    ttft, tpot = (medians * np.exp(rng.normal(0, NOISE, medians.shape))).T
    return ttft, tpot
