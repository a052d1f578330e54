"""Request rows as clients of a simulated server see them, in closed loop at a fixed concurrency.

The server is an engine with known step times: a waiting prompt is prefilled alone in its step as
soon as a slot is free, otherwise every running sequence gets one token. With more clients than
slots, requests queue.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

SLOTS = 4
LENGTHS = (128, 256, 512, 1024, 2048, 4096)
LOADS = (1, 2, 4, 8)


def prefill_s(tokens: float) -> float:
    """Time of the step of one prompt."""
    return 0.004 + 5e-5 * tokens + 1e-9 * tokens**2


def decode_s(contexts: list[float]) -> float:
    """Time of a step that gives every sequence a token."""
    return 0.008 + 2e-4 * len(contexts) + 1e-7 * sum(contexts)


@dataclass
class Request:
    """One request on its way."""

    sent: float
    osl: int
    first: float = 0.0
    done: int = 0


def run(isl: int, clients: int, seed: int = 0, requests: int = 120) -> pd.DataFrame:
    """Serve requests of equal prompts until enough are done; rows in milliseconds."""
    rng = np.random.default_rng(seed)
    now, rows = 0.0, []
    pending = [_next(0.0, rng) for _ in range(clients)]
    running: list[Request] = []
    while len(rows) < requests:
        arrived = [r for r in pending if r.sent <= now]
        if arrived and len(running) < SLOTS:
            request = min(arrived, key=lambda r: r.sent)
            pending.remove(request)
            now += prefill_s(isl)
            request.first, request.done = now, 1
            running.append(request)
        elif running:
            now += decode_s([isl + r.done + 1.0 for r in running])
            for request in running:
                request.done += 1
        else:
            now = min(r.sent for r in pending)
        for request in [r for r in running if r.done >= r.osl]:
            running.remove(request)
            rows.append((request.osl, request.first - request.sent, now - request.sent))
            pending.append(_next(now, rng))
    osl, ttft, e2e = np.array(rows[requests // 4 :]).T
    return pd.DataFrame({
        "phase": "request", "isl": isl, "osl": osl, "concurrency": clients, "clock": "client",
        "ttft_ms": 1e3 * ttft, "e2e_ms": 1e3 * e2e, "tpot_ms": 1e3 * (e2e - ttft) / (osl - 1),
    })  # fmt: skip


def sweep(lengths: tuple[int, ...] = LENGTHS, loads: tuple[int, ...] = LOADS) -> pd.DataFrame:
    """Rows of all lengths at all loads, warm-up left out."""
    runs = [run(n, load, seed=n + load) for n in lengths for load in loads]
    return pd.concat(runs, ignore_index=True)


def _next(now: float, rng: np.random.Generator) -> Request:
    """The next request of a client: a moment on the network, some 64 tokens to make."""
    return Request(now + rng.uniform(0.0, 0.004), int(rng.integers(56, 73)))
