"""Traffic with a known law that is not of the form the online law fits."""

import numpy as np

from lengthwise.formulations.online.rows import RouterRows

NAN = float("nan")


def traffic(
    seed: int, n: int, *, longest: int = 8192, noise: float = 0.1, pods: tuple[float, ...] = (),
    pod_type: str = "",
) -> tuple[RouterRows, np.ndarray, np.ndarray]:  # fmt: skip
    """Rows, TTFT and TPOT in seconds; ``pods`` are factors on the times of named pods."""
    rng = np.random.default_rng(seed)
    tokens = np.clip(rng.lognormal(6.5, 1.2, n), 16, longest).astype(int)
    share = np.where(rng.random(n) < 0.5, 0.0, rng.integers(0, 16, n) / 16)
    running = rng.integers(0, 30, n)
    ahead = rng.integers(0, 4000, n) * (rng.random(n) < 0.3)
    columns: dict = {
        "input_tokens": tokens, "cached_share": share, "running": running,
        "kv_share": running / 40, "prefill_in_flight": ahead, "pod_type": [pod_type] * n,
    }  # fmt: skip
    factor = np.ones(n)
    if pods:
        which = rng.integers(0, len(pods), n)
        factor = np.array(pods)[which]
        columns["pod"] = [f"pod-{w}" for w in which]
    ttft, tpot = truth(tokens, share, running, ahead)
    return (
        RouterRows.of(columns),
        ttft * factor * rng.lognormal(0, noise, n), tpot * factor * rng.lognormal(0, noise, n),
    )  # fmt: skip


def truth(
    tokens: np.ndarray, share: np.ndarray, running: np.ndarray, ahead: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Soft floor, n log n and attention for TTFT; powers for TPOT."""
    work = tokens * (1 - share)
    compute = 4e-5 * (work + ahead) * (1 + 0.05 * np.log2(1 + work / 64))
    ttft = (0.011**4 + compute**4) ** 0.25 + 2e-9 * tokens * work + 2e-4 * running
    return ttft, 0.011 + 3e-4 * running**0.9 + 1e-7 * tokens**0.97


def nothing(n: int) -> np.ndarray:
    """No observation."""
    return np.full(n, NAN)
