"""What ``GET /v1/live`` gives, made up: traffic with a drift, one request, none, one target."""

from __future__ import annotations

from typing import Any

import numpy as np

NOW_S = 1_793_300_400.0


def series(n: int, *, span_s: float, scale_ms: float, drift: float, seed: int) -> dict[str, Any]:
    """Requests of one target; in the last third they take ``drift`` times as long.

    The law learns the change: within a tenth of the traffic its predictions have followed.
    """
    rng = np.random.default_rng(seed)
    time_s = np.sort(NOW_S - rng.uniform(1.0, span_s, n))
    base = scale_ms * np.exp(rng.normal(0.0, 0.9, n))
    late = np.arange(n) >= 2 * n / 3
    learnt = np.clip((np.arange(n) - 2 * n / 3) / (0.1 * n), 0.0, 1.0)
    predicted = base * np.where(late, drift**learnt, 1.0)
    observed = base * np.where(late, drift, 1.0) * np.exp(rng.normal(0.0, 0.09, n))
    wide = 1.18 + np.where(late & (learnt < 1.0), 0.25, 0.0)
    columns = {
        "time_s": time_s, "observed_ms": observed, "predicted_ms": predicted,
        "lo_ms": predicted / wide, "hi_ms": predicted * wide,
    }  # fmt: skip
    return {name: np.round(values, 4).tolist() for name, values in columns.items()}


def history(requests: dict[str, Any], bins: int = 80) -> dict[str, Any]:
    """Median error and coverage of windows of the requests."""
    columns = {name: np.asarray(values, float) for name, values in requests.items()}
    n = columns["time_s"].size
    if n < 20:
        return {"time_s": [], "median_percent": [], "coverage_percent": []}
    windows = [slice(max(0, end - n // 12), end) for end in np.linspace(20, n, bins).astype(int)]
    off = 100 * np.abs(columns["predicted_ms"] / columns["observed_ms"] - 1)
    held = (columns["observed_ms"] >= columns["lo_ms"]) & (
        columns["observed_ms"] <= columns["hi_ms"]
    )
    return {
        "time_s": [float(columns["time_s"][w][-1]) for w in windows],
        "median_percent": [float(np.median(off[w])) for w in windows],
        "coverage_percent": [100 * float(held[w].mean()) for w in windows],
    }


TERMS = [
    ("ttft", "start", "s", 0.0131, 0.03),
    ("ttft", "prefill", "s/token", 4.52e-5, 0.0134),
    ("ttft", "attention", "s/pair", 3.1e-10, 0.077),
    ("ttft", "prompts ahead", "s/token", 2.2e-5, 0.14),
    ("ttft", "long prompts ahead", "s/token^1.5", 1.1e-7, 1.31),
    ("ttft", "waiting", "s/request", 0.0884, 0.035),
    ("tpot", "step", "s", 0.0082, 0.0122),
    ("tpot", "running", "s/request", 0.00041, 0.029),
    ("tpot", "crowding", "s/request^2", 5.2e-7, 0.84),
]
DOMAIN = {
    "input_tokens": [12, 8192], "prefill_in_flight": [0, 65210], "waiting": [0, 34],
    "running": [0, 128], "encoder_tokens": [0, 0],
}  # fmt: skip


def live(n: int = 1200, *, span_s: float = 1800.0, tpot: bool = True) -> dict[str, Any]:
    """Give traffic of ``n`` requests with a drift of 1.35 times; with few, no law is ready."""
    recent = {"ttft": series(n, span_s=span_s, scale_ms=240.0, drift=1.35, seed=1)}
    if tpot:
        recent["tpot"] = series(n, span_s=span_s, scale_ms=11.0, drift=1.35, seed=2)
    ready = n >= 20
    at = recent["ttft"]["time_s"][2 * n // 3] if ready else NOW_S
    events = [
        {"time_s": at - 0.45 * span_s, "kind": "promoted", "target": "ttft",
         "detail": {"version": 11, "error_before": 0.084, "error_after": 0.061,
                    "correction": False}},
        {"time_s": at + 0.006 * span_s, "kind": "drift", "target": "ttft",
         "detail": {"detector": "page-hinkley", "shift_percent": 34.8, "after_requests": 41}},
        {"time_s": at + 0.008 * span_s, "kind": "widened", "target": "ttft",
         "detail": {"factor": 1.5}},
        {"time_s": at + 0.03 * span_s, "kind": "offset_refitted", "target": "ttft",
         "detail": {"pod": "vllm-decode-7c9f", "offset_ms": 81.2}},
        {"time_s": at + 0.01 * span_s, "kind": "drift", "target": "tpot",
         "detail": {"detector": "adwin", "shift_percent": 33.1}},
        {"time_s": at + 0.1 * span_s, "kind": "promoted", "target": "",
         "detail": {"version": 12, "error_percent": 6.3}},
    ]  # fmt: skip
    names = ("target", "name", "unit", "value", "sd")
    terms = [dict(zip(names, t, strict=True)) | {"pod_type": "*"} for t in TERMS]
    return {
        "now_s": NOW_S,
        "law": {
            "version": 12 if ready else 0,
            "ready": {"ttft": ready, "tpot": ready and tpot},
            "terms": [t for t in terms if tpot or t["target"] == "ttft"],
        },
        "domain": DOMAIN if ready else {},
        "recent": recent,
        "error": {target: history(requests) for target, requests in recent.items()},
        "events": [e for e in events if tpot or e["target"] != "tpot"] if ready else [],
        "counts": {
            "accepted": 40 * n if ready else n,
            "duplicates": 0,
            "quarantined": {"ttft_s is longer than a day": 2, "waiting is negative": 1}
            if ready
            else {},
        },
    }


def nothing() -> dict[str, Any]:
    """A service that has just been started."""
    return {
        "now_s": NOW_S,
        "law": {"version": 0, "ready": {"ttft": False, "tpot": False}, "terms": []},
        "domain": {}, "recent": {}, "error": {}, "events": [],
        "counts": {"accepted": 0, "duplicates": 0, "quarantined": {}},
    }  # fmt: skip
