"""Rows of a measurement table as the work of step models.

Rows of one deployment are evaluated together: its curves see arrays, one call per operator.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any

import numpy as np

from lengthwise.data.hardware_catalog import load_hardware
from lengthwise.data.model_files import load_model
from lengthwise.domain.hardware import HardwareSpec
from lengthwise.domain.memory import memory_use
from lengthwise.domain.model import ModelSpec
from lengthwise.domain.parallelism import Parallelism
from lengthwise.errors import LengthwiseError
from lengthwise.formulations.step.batch import StepBatch
from lengthwise.formulations.step.groups import GROUPS
from lengthwise.formulations.step.step_model import StepModel
from lengthwise.units import FloatArray

IDENTITY = ("model", "hardware", "engine", "precision", "kv_precision", "tp", "pp", "ep", "dp")
"""Columns that choose a step model; ``engine_version`` is kept for the correction only."""
LABELS = (*IDENTITY, "engine_version")
CHUNK = 8192
"""Most prompt tokens of a step, where nothing else is said."""

Columns = dict[str, Any]
"""Column name to an array of shape (n,)."""


@dataclass(frozen=True)
class Evaluated:
    """What the physics says about n rows; arrays of shape (n, groups) in seconds.

    Attributes
    ----------
    decode
        One decode step at the row's batch and mean context.
    prompt
        The steps of one prompt.
    running
        Requests that fit in memory, shape (n,).
    problem
        Why a row cannot be answered, empty strings elsewhere, shape (n,).
    """

    decode: FloatArray
    prompt: FloatArray
    running: FloatArray
    problem: Any


def evaluate(columns: Columns) -> Evaluated:
    """Evaluate request rows: ``isl``, ``osl``, ``concurrency`` and the columns of ``IDENTITY``."""
    n = len(columns["isl"])
    decode, prompt = np.zeros((n, len(GROUPS))), np.zeros((n, len(GROUPS)))
    running, problem = np.asarray(columns["concurrency"], float).copy(), np.full(n, "", object)
    for key, at in by_deployment(columns).items():
        try:
            step = step_model(dict(zip(IDENTITY, key, strict=True)))
            part = {k: np.asarray(columns[k], float)[at] for k in ("isl", "osl", "concurrency",
                                                                  "cached_tokens")}  # fmt: skip
            running[at] = _running(step, part)
            decode[at], prompt[at] = _request(step, part, running[at])
        except LengthwiseError as error:
            problem[at] = str(error)
    return Evaluated(decode, prompt, running, problem)


def by_deployment(columns: Columns) -> dict[tuple[Hashable, ...], Any]:
    """Give the rows of each step model, by the values of ``IDENTITY``."""
    found: dict[tuple[Hashable, ...], list[int]] = {}
    for i, key in enumerate(zip(*(columns[name] for name in IDENTITY), strict=True)):
        found.setdefault(tuple(key), []).append(i)
    return {key: np.asarray(rows) for key, rows in found.items()}


def step_model(labels: dict[str, Any]) -> StepModel:
    """Build the step model that labels name; missing ones take the usual value."""
    degrees = {k: int(labels[k]) for k in ("tp", "pp", "ep", "dp") if _known(labels.get(k))}
    precision = labels["precision"] if _known(labels.get("precision")) else "auto"
    kv = labels["kv_precision"] if _known(labels.get("kv_precision")) else None
    engine = labels["engine"] if _known(labels.get("engine")) else "vllm"
    return StepModel.of(
        _model(labels["model"]), _hardware(labels["hardware"]), Parallelism(**degrees),
        engine=str(engine), precision=str(precision), kv_precision=kv,
    )  # fmt: skip


def _model(value: Any) -> ModelSpec:
    return value if isinstance(value, ModelSpec) else load_model(str(value))


def _hardware(value: Any) -> HardwareSpec:
    return value if isinstance(value, HardwareSpec) else load_hardware(str(value))


def _known(value: Any) -> bool:
    return value is not None and value == value and value != ""


def _running(step: StepModel, part: Columns) -> FloatArray:
    """Requests that fit next to the weights, at most those in flight."""
    out = np.asarray(part["concurrency"], float).copy()
    for i, length in enumerate(part["isl"] + part["osl"]):
        use = memory_use(step.model, step.hardware, step.parallelism, tokens_per_sequence=length,
                         sequences=int(out[i]), kv_bits=step.formats.kv_bits,
                         precision=None)  # fmt: skip
        most = use.max_sequences
        out[i] = min(out[i], most) if most else out[i]
    return np.maximum(out, 1.0)


def _request(step: StepModel, part: Columns, running: FloatArray) -> tuple[FloatArray, FloatArray]:
    context = part["isl"] + part["osl"] / 2.0
    decode = step.groups(StepBatch.of(decodes=running, context_len=context))
    fresh = part["isl"] - part["cached_tokens"]
    steps = np.ceil(fresh / CHUNK)
    size = fresh / steps
    seen = part["cached_tokens"] + (fresh + size) / 2.0
    prompt = step.groups(StepBatch.of(chunks=1.0, query_len=size, chunk_context=seen))
    decode_s = np.column_stack([decode.seconds[g] for g in GROUPS])
    prompt_s = np.column_stack([prompt.seconds[g] for g in GROUPS]) * steps[:, None]
    return decode_s, prompt_s
