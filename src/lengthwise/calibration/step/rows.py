"""Points of a table as the work of step models.

Points of one deployment are evaluated together: its curves see arrays, one call per operator. A
request becomes a decode step at its mean context and the steps of its prompt; a measured step is
itself.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from functools import lru_cache
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
from lengthwise.formulations.step.floor import roofline
from lengthwise.formulations.step.groups import GROUPS
from lengthwise.formulations.step.serving import running_of
from lengthwise.formulations.step.step_model import StepModel
from lengthwise.units import FloatArray

IDENTITY = ("model", "hardware", "engine", "precision", "kv_precision", "tp", "pp", "ep", "dp")
"""Columns that choose a step model; ``engine_version`` is for the correction only."""
LABELS = (*IDENTITY, "engine_version")
NUMBERS = ("isl", "osl", "concurrency", "cached_tokens", "context_len", "batch_size", "query_len")
DISAGGREGATED = "a disaggregated run has a parallelism for each phase, which tp and dp do not say"
CHUNK = 8192
"""Most prompt tokens of a step, where nothing else is said."""

Columns = Mapping[str, Any]
"""Column name to an array of shape (n,): ``phase``, the labels, the numbers."""


@dataclass(frozen=True)
class Evaluated:
    """What the physics says about n points.

    Attributes
    ----------
    decode
        Seconds of each group in one decode step at the point's batch and mean context, shape
        (n, groups); of a measured step, that step.
    prompt
        Seconds of each group in the steps of one prompt, shape (n, groups); of a measured step,
        that step.
    capacity
        Requests or sequences that fit in memory, shape (n,); infinite where not even one does, so
        that memory does not explain the measurement.
    ideal
        Seconds at the ceilings of the hardware: compute and memory of the decode step, compute and
        memory of the prompt, shape (n, 4).
    architecture
        What stands for the model where only its shape matters, shape (n,).
    measured
        Whether all curves come from kernel tables of this very processor, shape (n,).
    problem
        Why a point cannot be answered, empty strings elsewhere, shape (n,).
    """

    decode: FloatArray
    prompt: FloatArray
    capacity: FloatArray
    ideal: FloatArray
    architecture: Any
    measured: Any
    problem: Any

    def take(self, index: Any) -> Evaluated:
        """Select points."""
        return Evaluated(self.decode[index], self.prompt[index], self.capacity[index],
                         self.ideal[index], self.architecture[index], self.measured[index],
                         self.problem[index])  # fmt: skip

    @property
    def floor(self) -> FloatArray:
        """Least seconds of the decode step and of the prompt, shape (n, 2)."""
        return np.column_stack([self.ideal[:, :2].max(axis=1), self.ideal[:, 2:].max(axis=1)])


def evaluate(columns: Columns) -> Evaluated:
    """Evaluate points of any phase."""
    n = len(columns["phase"])
    out = Evaluated(
        np.zeros((n, len(GROUPS))), np.zeros((n, len(GROUPS))), np.full(n, np.inf),
        np.zeros((n, 4)), np.full(n, "", object), np.zeros(n, bool), np.full(n, "", object),
    )  # fmt: skip
    apart = np.asarray(columns.get("mode", np.full(n, "agg", object))) == "disagg"
    out.problem[apart] = DISAGGREGATED
    for key, at in by_deployment(columns).items():
        at = at[~apart[at]]
        if not len(at):
            continue
        try:
            step = step_model(dict(zip(IDENTITY, key, strict=True)))
            _evaluate(step, columns, at, out)
        except LengthwiseError as error:
            out.problem[at] = str(error)
    return out


def _evaluate(step: StepModel, columns: Columns, at: Any, out: Evaluated) -> None:
    phases = np.asarray(columns["phase"])[at]
    out.architecture[at] = architecture(step.model)
    for phase in dict.fromkeys(phases.tolist()):
        rows = at[phases == phase]
        part = {k: np.asarray(columns[k], float)[rows] for k in NUMBERS}
        if phase == "request":
            out.capacity[rows] = capacity(step, part)
            running = running_of(part["concurrency"], out.capacity[rows])
            decode, (prompt, steps) = _decode(part, running), _prompt(part)
        else:
            length = part["context_len" if phase == "decode" else "isl"]
            out.capacity[rows] = capacity(step, part | {"isl": length, "osl": 0.0 * length})
            decode = prompt = _batch(phase, part)
            steps = np.ones(len(rows))
        out.decode[rows] = _matrix(step, decode)
        out.prompt[rows] = _matrix(step, prompt) * steps[:, None]
        first = [x * steps for x in roofline(step, prompt)]
        out.ideal[rows] = np.column_stack([*roofline(step, decode), *first])
    out.measured[at] = not any("typical" in text for text in step.profile.remarks.values())


def by_deployment(columns: Columns) -> dict[tuple[Hashable, ...], Any]:
    """Give the points of each step model, by the values of ``IDENTITY``."""
    found: dict[tuple[Hashable, ...], list[int]] = {}
    for i, key in enumerate(zip(*(columns[name] for name in IDENTITY), strict=True)):
        found.setdefault(tuple(key), []).append(i)
    return {key: np.asarray(rows) for key, rows in found.items()}


@lru_cache(maxsize=512)
def architecture(model: ModelSpec) -> str:
    """Name the shape of a model: models with the same layers are the same here.

    >>> from lengthwise.domain.model import find_model
    >>> architecture(find_model("deepseek-v3")) == architecture(find_model("deepseek-r1"))
    True
    """
    return f"{model.hidden}-{model.layer_count}-{model.total_parameters:.4g}"


def step_model(labels: Mapping[str, Any]) -> StepModel:
    """Build the step model that labels name."""
    return StepModel.of(
        _model(labels["model"]), _hardware(labels["hardware"]),
        Parallelism(**{k: int(labels[k]) for k in ("tp", "pp", "ep", "dp")}),
        engine=str(labels["engine"]), precision=str(labels["precision"]),
        kv_precision=str(labels["kv_precision"]),
    )  # fmt: skip


def _model(value: Any) -> ModelSpec:
    return value if isinstance(value, ModelSpec) else load_model(str(value))


def _hardware(value: Any) -> HardwareSpec:
    return value if isinstance(value, HardwareSpec) else load_hardware(str(value))


def capacity(step: StepModel, part: Columns) -> FloatArray:
    """Give the sequences that fit beside the weights; the cache is paged, so at mean length."""
    most: dict[float, float] = {}
    lengths = part["isl"] + part["osl"] / 2.0
    for length in dict.fromkeys(lengths.tolist()):
        use = memory_use(step.model, step.hardware, step.parallelism, tokens_per_sequence=length,
                         kv_bits=step.formats.kv_bits, precision=step.precision)  # fmt: skip
        most[length] = use.room
    return np.array([most[length] for length in lengths.tolist()])


def _decode(part: Columns, running: FloatArray) -> StepBatch:
    """Describe a request's decode step at its mean context."""
    return StepBatch.of(decodes=running, context_len=part["isl"] + part["osl"] / 2.0)


def _prompt(part: Columns) -> tuple[StepBatch, FloatArray]:
    """Describe the mean step of a prompt, and how many it takes."""
    fresh = part["isl"] - part["cached_tokens"]
    steps = np.ceil(fresh / CHUNK)
    size = fresh / steps
    seen = part["cached_tokens"] + (fresh + size) / 2.0
    return StepBatch.of(chunks=1.0, query_len=size, chunk_context=seen), steps


def _batch(phase: str, part: Columns) -> StepBatch:
    """Describe measured steps."""
    if phase == "decode":
        return StepBatch.of(decodes=part["batch_size"], context_len=part["context_len"])
    fresh = part["isl"] - part["cached_tokens"]
    return StepBatch.of(chunks=part["batch_size"], query_len=fresh, chunk_context=part["isl"])


def _matrix(step: StepModel, batch: StepBatch) -> FloatArray:
    times = step.groups(batch).seconds
    return np.column_stack([times[name] for name in GROUPS])
