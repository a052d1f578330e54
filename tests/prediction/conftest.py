"""Tables and laws shared by the tests of predictions."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from lengthwise import LatencyLaw

LENGTHS = np.array([64, 128, 256, 512, 1024, 2048, 4096, 8192], dtype=float)
BATCHES = (1.0, 2.0, 4.0, 8.0)


def synthetic(
    hardware: str = "h100", tp: int = 2, speed: float = 1.0, seed: int = 0, noise: float = 0.01
) -> pd.DataFrame:
    """Prefill and decode steps of one deployment: floor, quadratic attention, KV reads."""
    n, b = (m.ravel() for m in np.meshgrid(LENGTHS, BATCHES))
    rng = np.random.default_rng(seed)
    prefill = 2e-2 * np.hypot(n * b, 300) + 2e-7 * b * n**2 + 0.1 * b
    decode = 8.0 + 2e-4 * n * b + 0.05 * b
    tables = [
        pd.DataFrame({"phase": "prefill", "isl": n, "batch_size": b, "latency_ms": prefill}),
        pd.DataFrame({"phase": "decode", "context_len": n, "batch_size": b, "latency_ms": decode}),
    ]
    table = pd.concat(tables, ignore_index=True)
    jitter = np.exp(noise * rng.standard_normal(len(table)))
    table["latency_ms"] *= jitter / speed
    return table.assign(model="llama2-70b", hardware=hardware, tp=tp)


@pytest.fixture(scope="session")
def table() -> pd.DataFrame:
    """One deployment."""
    return synthetic()


@pytest.fixture(scope="session")
def law(table: pd.DataFrame) -> LatencyLaw:
    """The default law of one deployment."""
    return LatencyLaw().fit(table)


@pytest.fixture(scope="session")
def fleet() -> LatencyLaw:
    """The default law of two deployments."""
    return LatencyLaw().fit(pd.concat([synthetic(), synthetic("a100", 4, speed=0.5, seed=1)]))
