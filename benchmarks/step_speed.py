"""Measure how fast compiled steps are, and write ``benchmarks/results/step_speed.json``.

    OMP_NUM_THREADS=1 python benchmarks/step_speed.py

CPU time on one thread, medians of repetitions, beside the step model that is compiled; about one
CPU minute. Needs no data. Limits: one step 20 us, 2 million steps per CPU second, an error of the
tables below 1 %.
"""

from __future__ import annotations

import json
import platform
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

import lengthwise
from lengthwise.data.hardware_catalog import load_hardware
from lengthwise.data.model_files import load_model
from lengthwise.domain.parallelism import Parallelism
from lengthwise.formulations.step.batch import StepBatch
from lengthwise.formulations.step.compiled import CompiledStep
from lengthwise.formulations.step.step_model import StepModel

OUT = Path(__file__).parent / "results" / "step_speed.json"
REPEATS = 5
CALLS = 20_000
STEPS = 1_000_000
CHECKED = 20_000
MODEL_STEPS = 20
DEPLOYMENTS = {
    "llama3.1-8b h100": ("llama3.1-8b", "h100", Parallelism()),
    "llama3.1-70b h100 tp4": ("llama3.1-70b", "h100", Parallelism(tp=4)),
    "deepseek-r1 h200 tp8 ep8": ("deepseek-r1", "h200", Parallelism(tp=8, ep=8)),
    "gpt-oss-120b b200": ("gpt-oss-120b", "b200", Parallelism()),
    "qwen3.5-397b b200 tp8": ("qwen3.5-397b-a17b", "b200", Parallelism(tp=8)),
}
LIMITS = {"scalar_us": 20.0, "million_steps_per_cpu_s": 2.0, "error": 0.01}


def cpu_s(work: Callable[[], object], repeats: int = REPEATS) -> float:
    """Median CPU time of ``work``, seconds."""
    times = []
    for _ in range(repeats):
        start = time.process_time()
        work()
        times.append(time.process_time() - start)
    return median(times)


def batches(n: int) -> dict[str, StepBatch]:
    """Draw n steps of each kind: 1 to 4096 decodes, contexts and prompts of any length."""
    rng = np.random.default_rng(0)

    def between(low: float, high: float) -> Any:
        return np.exp(rng.uniform(np.log(low), np.log(high), n)).round()

    decodes, context, query = between(1, 4096), between(1, 1e6), between(1, 1e5)
    seen = query + np.where(rng.random(n) < 0.5, 0.0, between(1, 1e6))
    chunks = rng.integers(1, 5, n)
    prompts = {"chunks": chunks, "query_len": query, "chunk_context": seen}
    return {
        "decode": StepBatch.of(decodes=decodes, context_len=context),
        "prefill": StepBatch.of(**prompts),
        "mixed": StepBatch.of(decodes=decodes, context_len=context, **prompts),
    }


def sums(batch: StepBatch) -> list[Any]:
    """Give what :meth:`CompiledStep.step` takes, as columns."""
    tokens = batch.prompt_tokens
    square = np.maximum(tokens * batch.query_len, 1.0)
    return [batch.decodes, batch.decodes * batch.context_len, tokens, batch.chunks, square,
            tokens * batch.prefix_tokens]  # fmt: skip


def scalar_us(fast: CompiledStep, batch: StepBatch) -> float:
    """CPU time of one step, microseconds."""
    rows = list(zip(*(c.tolist() for c in sums(batch.take(slice(CALLS)))), strict=True))
    step = fast.step

    def work() -> None:
        for row in rows:
            step(*row)

    return cpu_s(work) / CALLS * 1e6


def request_us(fast: CompiledStep) -> float:
    """CPU time of one request under load, microseconds; 100 lengths."""
    rows = [(100.0 * (1 + i % 100), 128.0, 1.0 + i % 64) for i in range(CALLS)]

    def work() -> None:
        for row in rows:
            fast.request(*row)

    return cpu_s(work, 3) / CALLS * 1e6


def model_us(model: StepModel, batch: StepBatch, steps: int) -> float:
    """CPU time of one step of the model itself, so many at once, microseconds."""
    parts = [batch.take(slice(i * steps, (i + 1) * steps)) for i in range(MODEL_STEPS)]

    def work() -> None:
        for part in parts:
            model.seconds(part)

    return cpu_s(work, 3) / (MODEL_STEPS * steps) * 1e6


def errors(model: StepModel, fast: CompiledStep, batch: StepBatch) -> dict[str, float]:
    """Relative difference of compiled steps from the model's, without a unit."""
    exact = [model.seconds(batch.take(slice(i, i + 4000))) for i in range(0, len(batch), 4000)]
    miss = np.abs(fast.steps_of(batch) / np.concatenate(exact) - 1.0)
    return {"median": rounded(np.median(miss)), "p99": rounded(np.quantile(miss, 0.99)),
            "max": rounded(miss.max())}  # fmt: skip


def rounded(value: float) -> float:
    """Keep three digits."""
    return float(f"{value:.3g}")


def measure(model: StepModel) -> dict[str, Any]:
    """All figures of one deployment."""
    model.seconds(StepBatch.of(decodes=1))
    fast = CompiledStep.of(model)
    many, few = batches(STEPS), batches(CHECKED)
    columns = {kind: sums(batch) for kind, batch in many.items()}
    return {
        "compile_cpu_s": rounded(cpu_s(lambda: CompiledStep.of(model), 3)),
        "with_factors_cpu_s": rounded(cpu_s(lambda: fast.with_factors({"experts": 1.1}))),
        "scalar_us": {k: rounded(scalar_us(fast, b)) for k, b in many.items()},
        "request_us": rounded(request_us(fast)),
        "million_steps_per_cpu_s": {
            k: rounded(STEPS / cpu_s(lambda c=c: fast.steps(*c)) / 1e6) for k, c in columns.items()
        },
        "error": {k: errors(model, fast, b) for k, b in few.items()},
        "step_model_scalar_us": rounded(model_us(model, many["mixed"], 1)),
        "step_model_million_steps_per_cpu_s": rounded(1.0 / model_us(model, many["mixed"], 4000)),
    }


def holds(found: dict[str, Any]) -> bool:
    """Whether a deployment is inside the limits."""
    return (
        max(found["scalar_us"].values()) <= LIMITS["scalar_us"]
        and min(found["million_steps_per_cpu_s"].values()) >= LIMITS["million_steps_per_cpu_s"]
        and max(e["max"] for e in found["error"].values()) <= LIMITS["error"]
    )


def main() -> None:
    result: dict[str, Any] = {
        "lengthwise": lengthwise.__version__, "python": platform.python_version(),
        "numpy": np.__version__, "machine": platform.machine(), "threads": 1, "limits": LIMITS,
    }  # fmt: skip
    deployments = {
        name: measure(StepModel.of(load_model(model), load_hardware(hardware), layout))
        for name, (model, hardware, layout) in DEPLOYMENTS.items()
    }
    result |= {"holds": all(map(holds, deployments.values())), "deployments": deployments}
    OUT.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
