"""Rows of serving runs made from the step law itself times known factors."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np
import pandas as pd

from lengthwise.prediction.step_law import StepLaw

POINT: dict[str, Any] = {"model": "llama3.1-8b", "hardware": "h100_sxm", "engine": "vllm",
                         "precision": "bf16", "tp": 1, "isl": 1024, "osl": 128}  # fmt: skip
DEPLOYED = [("llama3.1-8b", "h100_sxm"), ("llama3.1-8b", "a100_sxm"), ("qwen3-8b", "h100_sxm"),
            ("qwen3-8b", "h200_sxm"), ("qwen3-32b", "h200_sxm")]  # fmt: skip


def grid(**sizes: Any) -> pd.DataFrame:
    """All combinations of lists of values; what is not named is as in ``POINT``."""
    lists = {k: v if isinstance(v, list) else [v] for k, v in (POINT | sizes).items()}
    return pd.DataFrame(list(product(*lists.values())), columns=list(lists))


def runs(
    factor: Callable[[str, str], float] = lambda model, hardware: 1.0, noise: float = 0.0,
    seed: int = 0, deployed: list[tuple[str, str]] = DEPLOYED, **sizes: Any,
) -> pd.DataFrame:  # fmt: skip
    """Requests of several deployments, as fast as the law without a fit says times a factor."""
    usual = {"isl": [256, 1024, 4096], "osl": [128], "concurrency": [1, 4, 16]}
    parts = [grid(model=m, hardware=h, **(usual | sizes)) for m, h in deployed]
    table = pd.concat(parts, ignore_index=True)
    said = StepLaw().answer(table).columns
    rng = np.random.default_rng(seed)
    scale = np.array([factor(m, h) for m, h in zip(table["model"], table["hardware"], strict=True)])
    jitter = np.exp(noise * rng.standard_normal((2, len(table))))
    times = {q: said[q] * scale * jitter[i] for i, q in enumerate(("ttft_ms", "tpot_ms"))}
    return table.assign(**times)


def say(law: StepLaw, name: str, **sizes: Any) -> np.ndarray:
    """One column of the answer at a grid of points, shape (n,)."""
    return np.asarray(law.answer(grid(**sizes)).columns[name])
