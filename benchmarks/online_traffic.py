"""Traffic of IBM's LLM-Pilot as a router would have seen it.

Each deployment (model, GPU, number of GPUs) was measured with 1 to 128 closed-loop users, 120 s
each. A run is taken as one pod of a pool; load at the arrival of a request follows from the
starts, first tokens and ends of the others: requests in flight, prompt tokens whose first token is
still to come, tokens in memory over the most seen in the past. Queue length is not known (0).
"""

from __future__ import annotations

from typing import Any

import numpy as np

COLUMNS = ("input_tokens", "kv_share", "running", "prefill_in_flight")
SPLIT_S = 80.0
"""Seconds of each run that are the past; its last 40 s are the future."""


def deployments(rows: int = 6000) -> list[tuple[str, Any]]:
    """Deployments with enough rows, by name."""
    import lengthwise

    table = lengthwise.dataset("ibm_llm_pilot")
    groups = table.groupby(["model", "hardware", "tp"])
    return [(" ".join(map(str, key)), g) for key, g in groups if len(g) >= rows]


def as_rows(group: Any) -> dict[str, np.ndarray]:
    """Rows of a deployment by time of completion, with ``start_s``."""
    parts = [_run(run) for _, run in group.groupby("concurrency")]
    table = {k: np.concatenate([p[k] for p in parts]) for k in parts[0]}
    order = np.argsort(table["time_s"], kind="stable")
    table = {k: v[order] for k, v in table.items()}
    past = table["start_s"] < SPLIT_S
    table["kv_share"] = np.minimum(table["kv_share"] / table["kv_share"][past].max(), 1.0)
    zero = np.zeros(len(order))
    return table | {"cached_share": zero, "waiting": zero}


def _run(run: Any) -> dict[str, np.ndarray]:
    start = run["start_s"].to_numpy(float)
    prompt, answer = run["isl"].to_numpy(float), run["osl"].to_numpy(float)
    first = start + run["ttft_ms"].to_numpy(float) / 1e3
    end = start + run["e2e_ms"].to_numpy(float) / 1e3
    return {
        "input_tokens": prompt,
        "kv_share": _before(start, start, prompt + answer) - _before(start, end, prompt + answer),
        "running": _before(start, start, 1.0) - _before(start, end, 1.0),
        "prefill_in_flight": _before(start, start, prompt) - _before(start, first, prompt),
        "ttft_s": first - start, "tpot_s": run["tpot_ms"].to_numpy(float) / 1e3,
        "start_s": start, "time_s": end,
    }  # fmt: skip


def _before(now: np.ndarray, times: np.ndarray, amount: Any) -> np.ndarray:
    """Sum of amounts at times strictly before each moment."""
    order = np.argsort(times, kind="stable")
    amounts = np.broadcast_to(amount, times.shape)[order]
    total = np.concatenate([[0.0], np.cumsum(amounts)])
    return total[np.searchsorted(times[order], now, side="left")]
