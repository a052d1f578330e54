"""Tables whose laws have golden numbers: measured ones that ship, and synthetic ones.

Every number is fixed: no random draws, so that the tables are the same everywhere.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from lengthwise.data import datasets
from lengthwise.units import FloatArray

BEYOND = (2.0, 4.0, 8.0)
DEPLOYMENT = ["model", "hardware", "engine", "engine_version", "precision", "tp"]
NAMES = {"model": "golden-model", "hardware": "golden-processor", "engine": "golden-engine"}
WIGGLE = (0.4, -1.1, 0.7, 1.3, -0.6, -0.2, 0.9, -1.4, 0.1, 0.5, -0.8, 1.0)
"""Relative noise of synthetic times, in turn, in standard deviations."""


@dataclass(frozen=True)
class Case:
    """One table and the options of its law."""

    name: str
    table: Callable[[], pd.DataFrame]
    options: tuple[tuple[str, str], ...] = ()


def own(dataset: str, longest: float | None = None, **labels: str) -> pd.DataFrame:
    """Take rows of a dataset that ships, of some labels, up to a length."""
    found = datasets.table(f"own-{dataset}-cpu")
    for column, value in labels.items():
        found = found[found[column] == value]
    if longest is not None:
        found = found[found["context_len"].fillna(found["isl"]) <= longest]
    return found.reset_index(drop=True)


def medians(frame: pd.DataFrame, lengths: list[int], *, slow: int | None = None) -> pd.DataFrame:
    """Take the median time of single prompts of a few lengths; one of them 2.5 times as slow."""
    alone = frame[(frame["phase"] == "prefill") & (frame["batch_size"] == 1)]
    alone = alone[alone["isl"].isin(lengths)]
    few = alone.groupby([*DEPLOYMENT, "phase", "isl", "batch_size"], as_index=False)
    found: pd.DataFrame = few["latency_ms"].median()
    if slow is not None:
        found.loc[slow, "latency_ms"] *= 2.5
    return found


def noisy(times_ms: FloatArray, sd: float) -> FloatArray:
    """Times with the fixed noise of relative standard deviation ``sd``."""
    return np.asarray(times_ms * np.exp(sd * np.resize(WIGGLE, len(times_ms))))


def prompts(lengths: FloatArray, times_ms: FloatArray, **labels: object) -> pd.DataFrame:
    """Table of single whole prompts."""
    return pd.DataFrame(
        {"phase": "prefill", "isl": lengths, "batch_size": 1.0, "latency_ms": times_ms,
         **NAMES, **labels}
    )  # fmt: skip


def floor_then_pairs(n: FloatArray) -> FloatArray:
    """Time that is a floor of 600 tokens first and attention last, milliseconds."""
    return np.asarray(0.05 * np.hypot(n, 600.0) + 4e-6 * n**2)


def synthetic(points: int, sd: float, slow: tuple[int, ...] = (), **labels: object) -> pd.DataFrame:
    """Table of ``floor_then_pairs`` at lengths from 64 on, some times 2.2 times as slow."""
    n = np.round(64.0 * 2.0 ** (np.arange(points) * (7.0 / max(points - 1, 7))))
    times = noisy(floor_then_pairs(n), sd)
    times[list(slow)] *= 2.2
    return prompts(n, times, **labels)


def shifted(step: float) -> pd.DataFrame:
    """Quadratic times that a simple formula follows better than the average."""
    n = 2.0 ** np.arange(7, 13)
    return prompts(n, 10.0 + step * n**2)


def decode(lengths: FloatArray, batches: tuple[float, ...], **labels: object) -> pd.DataFrame:
    """Table of decode steps whose context costs by its root and whose batch has a floor."""
    context, batch = (a.ravel() for a in np.meshgrid(lengths, batches))
    times = 0.8 * np.hypot(batch, 6.0) + 2e-2 * batch * np.sqrt(context) + 1e-4 * batch * context
    return pd.DataFrame(
        {"phase": "decode", "context_len": context, "batch_size": batch,
         "latency_ms": noisy(times, 0.01), **NAMES, **labels}
    )  # fmt: skip


def under_load() -> pd.DataFrame:
    """Requests at concurrency 8: waiting grows with the prompt."""
    n = 2.0 ** np.arange(8, 13)
    return pd.DataFrame(
        {"phase": "request", "isl": n, "osl": 128.0, "concurrency": 8.0,
         "ttft_ms": noisy(60.0 + 0.3 * n, 0.05), "tpot_ms": noisy(20.0 + 2e-3 * n, 0.03), **NAMES}
    )  # fmt: skip


def one_point(phase: str) -> pd.DataFrame:
    """One measurement of a known model on known hardware."""
    point = {"isl": 1024.0} if phase == "prefill" else {"context_len": 2048.0}
    time = 60.0 if phase == "prefill" else 9.0
    return pd.DataFrame(
        {"phase": [phase], **point, "batch_size": 1.0, "latency_ms": time,
         "model": "llama3.1-8b", "hardware": "H100", "engine": "vllm"}
    )  # fmt: skip


def relatives() -> pd.DataFrame:
    """Three deployments of one engine with many points and one with three: it borrows."""
    parts = [
        synthetic(points, 0.01, hardware=f"processor-{i}") for i, points in enumerate((8, 9, 10, 3))
    ]
    for scale, part in zip((1.0, 0.5, 2.0, 1.3), parts, strict=True):
        part["latency_ms"] *= scale
    return pd.concat(parts, ignore_index=True)


EIGHT = 2.0 ** np.arange(6, 14)
SHORT = [64, 128, 256, 512]
CASES = (
    Case("four points", lambda: medians(own("openvino", model="random-llama-56m"), SHORT)),
    Case("four points, one spoilt",
         lambda: medians(own("llamacpp", model="random-llama-19m"), SHORT, slow=1)),
    Case("one prompt of a known model", lambda: one_point("prefill")),
    Case("one decode step of a known model", lambda: one_point("decode")),
    Case("two points", lambda: synthetic(2, 0.01)),
    Case("floor and pairs", lambda: synthetic(8, 0.004)),
    Case("floor and pairs without e3", lambda: synthetic(8, 0.004), options=(("e3", "off"),)),
    Case("plain tokens", lambda: prompts(EIGHT, noisy(0.02 * EIGHT, 0.002))),
    Case("tokens on top of an overhead", lambda: prompts(EIGHT, noisy(9 + 0.02 * EIGHT, 0.03))),
    Case("quadratic with a rival", lambda: shifted(1e-6)),
    Case("sparse attention", lambda: synthetic(7, 0.01, (3,), engine="vllm MInference")),
    Case("twelve points, two spoilt", lambda: synthetic(12, 0.006, (2, 7))),
    Case("thirty points, one spoilt", lambda: synthetic(30, 0.02, (20,))),
    Case("decode of one batch", lambda: decode(EIGHT, (1.0,))),
    Case("decode of four batches", lambda: decode(EIGHT[2:7], (1.0, 2.0, 4.0, 8.0))),
    Case("requests under load", under_load),
    Case("few points with relatives", relatives),
    Case("prompts in batches",
         lambda: own("openvino", 4096, model="random-llama-19m", phase="prefill")),
    Case("decode of engines",
         lambda: own("transformers", 128, model="random-mamba-20m", phase="decode")),
    Case("chunks", lambda: own("chunked", 4096, engine="llama.cpp", phase="prefill")),
    Case("many chunks", lambda: own("chunked", engine="openvino-genai",
                                    model="random-llama-19m", phase="prefill")),
    Case("mixed", lambda: own("mixed")),
    Case("many decode steps",
         lambda: own("openvino", 4096, model="random-llama-19m", phase="decode")),
)  # fmt: skip
"""In the order of their cost, the cheapest first."""
