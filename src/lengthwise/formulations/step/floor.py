"""The least time a step can take: its arithmetic at peak, its bytes at full bandwidth.

    floor = max(FLOP / peak, bytes / bandwidth)          Williams, Waterman, Patterson 2009

Bytes are those no engine can avoid: every weight that is used once, and the cache of running
sequences once. Work is spread evenly over all processors, which is the best case.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from lengthwise.domain.layers import Experts, Recurrence
from lengthwise.formulations.operators.ceilings import BYTES, UNIT
from lengthwise.formulations.step.batch import StepBatch
from lengthwise.units import FloatArray

if TYPE_CHECKING:
    from lengthwise.formulations.step.step_model import StepModel


def roofline(step: StepModel, batch: StepBatch) -> tuple[FloatArray, FloatArray]:
    """Give the seconds of arithmetic and of memory traffic of n steps, each of shape (n,).

    Examples
    --------
    >>> from lengthwise.data.hardware_catalog import find_hardware
    >>> from lengthwise.domain.model import find_model
    >>> from lengthwise.formulations.step.step_model import StepModel
    >>> step = StepModel.of(find_model("llama3.1-8b"), find_hardware("h100_sxm"))
    >>> compute, memory = roofline(step, StepBatch.of(decodes=1, context_len=1024))
    >>> round(1e3 * float(memory[0]), 1), bool(memory[0] > compute[0])
    (4.2, True)
    """
    compute, moved = np.zeros(len(batch)), np.zeros(len(batch))
    used = batch.tokens > 0
    for part, weights, share in _weights(step, batch.tokens):
        dtype = getattr(step.formats, part)
        compute = compute + 2.0 * weights * share * batch.tokens / _peak(step, dtype)
        moved = moved + np.where(used, weights * BYTES[dtype][0], 0.0) * _touched(share, batch)
    pairs, read = _attention(step, batch)
    compute = compute + pairs / step.hardware.peak("bf16")
    spread = step.parallelism.gpus
    bandwidth = step.hardware.memory_bandwidth_bytes_per_s
    return compute / spread, (moved + read * step.formats.kv_bits / 8.0) / bandwidth / spread


def _weights(step: StepModel, tokens: FloatArray) -> list[tuple[str, float, float]]:
    """Give part, weights, and share of them that one token uses."""
    found: list[tuple[str, float, float]] = []
    for layer in step.model.blocks:
        hidden = step.model.hidden
        if layer.mixer is not None:
            total = sum(g.weights for g in layer.mixer.projections)
            found.append(("attention", float(layer.count * total), 1.0))
        if layer.ffn is not None:
            dense = sum(g.weights for g in layer.ffn.gemms(hidden))
            part = "shared" if isinstance(layer.ffn, Experts) else "dense"
            found.append((part, float(layer.count * dense), 1.0))
        if isinstance(layer.ffn, Experts):
            routed = float(layer.count * layer.ffn.routed_weights(hidden))
            found.append(("experts", routed, layer.ffn.active / layer.ffn.experts))
    return found


def _touched(share: float, batch: StepBatch) -> FloatArray:
    """Share of the weights that at least one token of the step uses."""
    return np.asarray(1.0 - (1.0 - share) ** np.maximum(batch.tokens, 1.0) if share < 1 else 1.0)


def _peak(step: StepModel, dtype: str) -> float:
    return step.hardware.peak(UNIT.get(dtype, dtype))


def _attention(step: StepModel, batch: StepBatch) -> tuple[FloatArray, FloatArray]:
    """Give the FLOP of attention and the cached values read."""
    flops, values = np.zeros(len(batch)), np.zeros(len(batch))
    query, seen = batch.query_len, batch.chunk_context
    for layer in step.model.blocks:
        if layer.mixer is None or isinstance(layer.mixer, Recurrence):
            continue
        mixer = layer.mixer
        visible = np.array([mixer.visible(float(c)) for c in batch.context_len])
        mean = np.maximum(seen - (query - 1.0) / 2.0, 0.0)
        near = np.array([mixer.visible(float(c)) for c in mean])
        pairs = batch.decodes * visible + batch.chunks * query * near
        flops = flops + layer.count * mixer.pair_flops * pairs
        values = values + layer.count * batch.decodes * visible * mixer.entry_values
    return flops, values
