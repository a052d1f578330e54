"""The step law of what a table names: model, processor, weight format, engine and layout."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING

from lengthwise.calibration.groups import Group
from lengthwise.data.hardware_catalog import known_hardware
from lengthwise.domain.hardware import HardwareSpec
from lengthwise.domain.model import ModelSpec
from lengthwise.domain.parallelism import Parallelism
from lengthwise.domain.work import Work
from lengthwise.units import FloatArray

if TYPE_CHECKING:
    from lengthwise.formulations.step.step_model import StepModel

_ASIDE = re.compile(r"\(([^)]*)\)")
_BACKEND = re.compile(r"\b(?:metal|cuda|vulkan|rocm)\b", re.IGNORECASE)
_SEVERAL = re.compile(r"\+|\bhybrid\b|\boffload|\b\d+ ?x ", re.IGNORECASE)
_CPU = re.compile(r"\bcpu\b", re.IGNORECASE)
_BITS = re.compile(r"(?<![a-z0-9])(?:ud-)?(?:i|t)?q(\d)(?:_|\b)")
_BLOCK_ENGINE = re.compile(r"llama\.?cpp|ggml|gguf|ollama|mlx|ds4", re.IGNORECASE)


def step_of(group: Group) -> StepModel | None:
    """Return the step law of a group's deployment; None unless all that it needs is known."""
    processor = processor_of(str(group.labels.get("hardware") or ""))
    precision = format_of(group.labels)
    if processor is None or precision is None or group.spec is None:
        return None
    tp, pp = (int(float(str(group.labels.get(name) or 1))) for name in ("tp", "pp"))
    return _step(group.spec, processor, precision, tp, pp, str(group.labels.get("engine") or ""))


@lru_cache(maxsize=64)
def _step(
    spec: ModelSpec, processor: HardwareSpec, precision: str, tp: int, pp: int, engine: str
) -> StepModel:  # fmt: skip
    from lengthwise.formulations.step.step_model import StepModel

    layout = Parallelism(tp=tp, pp=pp)
    return StepModel.of(spec, processor, layout, engine=engine or "vllm", precision=precision)


def step_seconds(step: StepModel, work: Work) -> FloatArray:
    """Compute the times of steps by the step law, seconds, shape (n,)."""
    from lengthwise.formulations.step.batch import StepBatch

    if work.phase == "decode":
        return step.seconds(StepBatch.of(decodes=work.sequences, context_len=work.context_len))
    query = work.new_tokens / work.sequences
    return step.seconds(
        StepBatch.of(chunks=work.sequences, query_len=query, chunk_context=work.context_len)
    )


def processor_of(name: str) -> HardwareSpec | None:
    """Return the processor that a table's ``hardware`` names; None if it is not a known one.

    Several processors, or a GPU that leaves part of a model to the CPU, are none of the catalogue.

    >>> names = ("GB10 (DGX Spark)", "Apple M4 Metal", "Apple M4 CPU", "EPYC 9355 + RTX 5090")
    >>> [None if (found := processor_of(name)) is None else found.name for name in names]
    ['dgx_spark', 'm4', None, None]
    """
    if _SEVERAL.search(name):
        return None
    for spelling in (name, _ASIDE.sub(" ", name), *_ASIDE.findall(name)):
        found = known_hardware(_BACKEND.sub(" ", spelling))
        if found is not None:
            return None if _CPU.search(name) and found.kind != "cpu" else found
    return None


def format_of(labels: Mapping[str, object]) -> str | None:
    """Name the weight format for the step law, from ``precision`` or the name of the model.

    Blocks of GGUF count as the nearer of 4 and 8 bits. Without a word the weights are as published
    (``auto``), but in engines that commonly run blocks nothing is known.

    >>> format_of({"precision": "Q4_K_M"}), format_of({"model": "DeepSeek-V2-Lite Q8_0"})
    ('int4', 'int8')
    >>> format_of({"engine": "vllm"}), format_of({"engine": "llama.cpp"})
    ('auto', None)
    """
    from lengthwise.formulations.step.formats import PRECISIONS

    for label in ("precision", "model"):
        text = str(labels.get(label) or "").lower()
        if text.replace("-", "_") in PRECISIONS:
            return text
        found = _BITS.search(text)
        if found:
            return "int4" if int(found[1]) < 6 else "int8"
    return None if _BLOCK_ENGINE.search(str(labels.get("engine") or "")) else "auto"
