r"""What physics says of a curve before its first point: priors from the step law.

Where model and processor of a deployment are both known, the step law (see
:mod:`lengthwise.formulations.step`) times a grid of steps around and beyond the measured ones, and
the family's quadratic structure with a floor is fitted to these times. Its coefficients are the
prior means of the averaged fit: the shape

    ln n0, ln(alpha_2 / alpha_1), ln(alpha_kv / alpha_1), ln(alpha_b / alpha_1)

and the level ln alpha_1. Which of them enter, and with what standard deviation, was measured on
public curves, a source at a time (``SDS``; experiments/LOG.md, ``benchmarks/known.py``).
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from lengthwise.calibration.groups import Group
from lengthwise.calibration.learned import attention_of, kind_of
from lengthwise.data.hardware_catalog import known_hardware
from lengthwise.domain.hardware import HardwareSpec
from lengthwise.domain.layers import Attention, LatentAttention
from lengthwise.domain.model import ModelSpec
from lengthwise.domain.parallelism import Parallelism
from lengthwise.domain.work import Work
from lengthwise.formulations.hachiya_patias import HachiyaPatias
from lengthwise.units import FloatArray

if TYPE_CHECKING:
    from lengthwise.formulations.step.step_model import StepModel

Priors = dict[str, tuple[float, float]]
"""Mean and standard deviation of the logarithm, by parameter."""

SDS: Mapping[str, Mapping[str, float]] = {
    "prompt": {"ln_n0_tokens": 1.0, "E1": 0.7, "B": 1.5},
    "decode": {"ln_a1": 1.0, "ln_n0_tokens": 1.0, "KV": 1.0},
}
"""Standard deviations by kind of group, for the coefficients that helped on sources left out."""
SLOWER = 0.4
"""What engines take longer than the step law, ln: the median over sources of public curves."""
MOST_TOKENS, MOST_SIZES = 2**20, 7

_ASIDE = re.compile(r"\(([^)]*)\)")
_BACKEND = re.compile(r"\b(?:metal|cuda|vulkan|rocm)\b", re.IGNORECASE)
_SEVERAL = re.compile(r"\+|\bhybrid\b|\boffload|\b\d+ ?x ", re.IGNORECASE)
_CPU = re.compile(r"\bcpu\b", re.IGNORECASE)
_BITS = re.compile(r"(?<![a-z0-9])(?:ud-)?(?:i|t)?q(\d)(?:_|\b)")
_BLOCK_ENGINE = re.compile(r"llama\.?cpp|ggml|gguf|ollama|mlx|ds4", re.IGNORECASE)


def shape_priors(group: Group) -> Priors | None:
    """Return the priors that the step law gives the parameters of a group's fit.

    Parameters
    ----------
    group
        Points of one deployment and phase.

    Returns
    -------
    dict or None
        Mean and standard deviation of the logarithm by parameter: ``ln_a1`` in seconds per token,
        ``ln_n0_tokens`` in tokens, the others over alpha_1. None under load, where model, hardware
        or weight format are not known, where attention looks at a part of the context only, and for
        kinds of groups that nothing of it helps.

    Examples
    --------
    >>> import pandas as pd
    >>> from lengthwise.calibration.groups import groups_of
    >>> rows = {"phase": ["decode"], "context_len": [2048], "latency_ms": [9.0],
    ...         "model": "llama3.1-8b", "hardware": "H100"}
    >>> (group,) = groups_of(pd.DataFrame(rows))
    >>> sorted(shape_priors(group))
    ['KV', 'ln_a1', 'ln_n0_tokens']
    """
    sds = SDS.get(kind_of(group.work))
    if sds is None or group.load or attention_of(group.spec, group.labels) != "full":
        return None
    step = step_of(group)
    if step is None or _selects(step.model):
        return None
    means = coefficients(step, group.work)
    means["ln_a1"] += SLOWER
    return {name: (means[name], sd) for name, sd in sds.items() if name in means}


def coefficients(step: StepModel, work: Work) -> dict[str, float]:
    """Fit the family to the step law's times around some steps.

    Parameters
    ----------
    step
        Step law of the deployment.
    work
        Steps of one phase.

    Returns
    -------
    dict
        ``ln_a1`` (seconds per token), ``ln_n0_tokens``, and the logarithm of every other
        coefficient over alpha_1.

    Examples
    --------
    >>> from lengthwise.domain.model import find_model
    >>> from lengthwise.formulations.step.step_model import StepModel
    >>> step = StepModel.of(find_model("llama3.1-8b"), known_hardware("H100"), precision="bf16")
    >>> found = coefficients(step, Work.of("decode", query_len=1.0, context_len=2048.0))
    >>> 50 < math.exp(found["ln_n0_tokens"]) < 500
    True
    """
    grid = grid_of(work)
    law = HachiyaPatias("quadratic", "floor", "off", sharpness=2, spec=step.model)
    law.fit_work(grid, step_seconds(step, grid))
    names = ("ln_a1", *law.scaling_.parameters, *(term.name for term in law.terms_))
    return dict(zip(names, law.theta_.tolist(), strict=True))


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


def grid_of(work: Work) -> Work:
    """Return the steps to ask the step law for: those around and beyond the given ones.

    Parameters
    ----------
    work
        Steps of one phase.

    Returns
    -------
    Work
        All combinations of a few lengths from a quarter of the shortest to 16 times the longest and
        of batches from a quarter to four times (decode steps: 64 times, where they are no longer
        bound by memory); chunks likewise where prefixes were cached.

    Examples
    --------
    >>> grid = grid_of(Work.of("prefill", query_len=1024.0, context_len=1024.0))
    >>> float(grid.context_len.min()), float(grid.context_len.max()), len(grid)
    (256.0, 16384.0, 21)
    """
    if work.phase == "decode":
        batch = _sizes(work.sequences, 64.0)
        return _crossed("decode", np.ones(1), _sizes(work.context_len, 16.0), batch)
    batch = _sizes(work.sequences, 4.0)
    query = work.new_tokens / work.sequences
    if work.is_fresh.all():
        return _crossed("prefill", _sizes(query, 16.0), np.zeros(1), batch)
    prefix = np.append(0.0, _sizes(work.context_len, 16.0))
    return _crossed("prefill", _sizes(query, 4.0), prefix, batch)


def _crossed(phase: str, query: FloatArray, cached: FloatArray, batch: FloatArray) -> Work:
    size, before, many = (cell.ravel() for cell in np.meshgrid(query, cached, batch))
    context = before if phase == "decode" else size + before
    return Work.of(phase, query_len=size, context_len=context, batch_size=many)


def _sizes(values: FloatArray, above: float) -> FloatArray:
    """Sizes from a quarter of the least to ``above`` times the greatest, evenly in logarithm."""
    low = max(math.floor(math.log2(float(values.min()) / 4.0)), 0)
    high = max(math.ceil(math.log2(min(float(values.max()) * above, MOST_TOKENS))), low + 1)
    count = min(high - low + 1, MOST_SIZES)
    return np.unique(np.round(2.0 ** np.linspace(low, high, count)))


def _selects(spec: ModelSpec) -> bool:
    """Tell whether attention picks or compresses tokens, which the step law was not tested on."""
    return any(
        (isinstance(block.mixer, (Attention, LatentAttention)) and block.mixer.selected is not None)
        or (isinstance(block.mixer, Attention) and bool(block.mixer.compress))
        for block in spec.blocks
    )
