"""What a step computes and moves at least, over all processors together.

    flops   2 weights * tokens + pair FLOP * query-key pairs + state updates + logits
    bytes   weights read once + cache read and written + states + activations

Weights of experts count as far as some token of the step chose them, 1 - (1 - k/E)^T of them on
average. What data-parallel copies or tensor-parallel ranks hold twice is moved twice. Divided by
what the processors could have done in the time of the step, the two are the model FLOP utilisation
(PaLM, arXiv 2204.02311) and the model bandwidth utilisation.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from lengthwise.domain.layers import Attention, Experts, Gemm, LatentAttention, Layer, Recurrence
from lengthwise.formulations.operators.ceilings import Ceilings
from lengthwise.formulations.step.batch import StepBatch
from lengthwise.formulations.step.step_model import (
    ACTIVATION_BYTES,
    ELEMENTWISE_PASSES,
    StepModel,
)
from lengthwise.units import FloatArray

Part = tuple[FloatArray, FloatArray, FloatArray]
"""FLOP, seconds one processor would need for them at its peak, bytes; each of shape (n,)."""


@dataclass(frozen=True)
class Footprint:
    """Work of n steps over all processors.

    Attributes
    ----------
    flops, moved_bytes
        FLOP computed and bytes read or written, shape (n,).
    peak_seconds
        Seconds one processor would need for the FLOP at the peak of each part's format, shape (n,).
    bandwidth, gpus
        Bytes per second of one processor's memory, and how many processors there are.

    Examples
    --------
    >>> from lengthwise.data.hardware_catalog import find_hardware
    >>> from lengthwise.domain.model import find_model
    >>> step = StepModel.of(find_model("llama3.1-8b"), find_hardware("h100_sxm"), precision="bf16")
    >>> found = footprint(step, StepBatch.of(decodes=1, context_len=1000))
    >>> round(float(found.flops[0]) / 1e9, 1), round(float(found.moved_bytes[0]) / 1e9, 1)
    (15.5, 15.1)
    """

    flops: FloatArray
    peak_seconds: FloatArray
    moved_bytes: FloatArray
    bandwidth: float
    gpus: int

    def compute_share(self, seconds: FloatArray) -> FloatArray:
        """Model FLOP utilisation of steps that take so many seconds, shape (n,)."""
        return np.asarray(self.peak_seconds / (self.gpus * seconds))

    def memory_share(self, seconds: FloatArray) -> FloatArray:
        """Model bandwidth utilisation of steps that take so many seconds, shape (n,)."""
        return np.asarray(self.moved_bytes / (self.bandwidth * self.gpus * seconds))


def footprint(step: StepModel, batch: StepBatch) -> Footprint:
    """Count what n steps of a deployment compute and move.

    Parameters
    ----------
    step
        The deployment.
    batch
        Composition of the steps.

    Returns
    -------
    Footprint
        Totals over all processors, arrays of shape (n,).
    """
    totals = [np.zeros(len(batch)) for _ in range(3)]
    for layer in step.model.blocks:
        for part in _layer(step, layer, batch):
            totals = [have + layer.count * more for have, more in zip(totals, part, strict=True)]
    table = Gemm(step.model.vocab, step.model.hidden)
    last = _product(step, table, batch.sequences, "bfloat16", 1)
    flops, seconds, moved = (have + more for have, more in zip(totals, last, strict=True))
    return Footprint(flops, seconds, moved, step.hardware.memory_bandwidth_bytes_per_s,
                     step.parallelism.gpus)  # fmt: skip


def _layer(step: StepModel, layer: Layer, batch: StepBatch) -> Iterator[Part]:
    layout, hidden = step.parallelism, step.model.hidden
    if layer.mixer is not None:
        for gemm in layer.mixer.projections:
            yield _product(step, gemm, batch.tokens, step.formats.attention, layout.dp)
        yield _mixed(step, layer.mixer, batch)
    if isinstance(layer.ffn, Experts):
        yield _experts(step, layer.ffn, batch.tokens)
    if layer.ffn is not None:
        usual = step.formats.shared if isinstance(layer.ffn, Experts) else step.formats.dense
        for gemm in layer.ffn.gemms(hidden):
            router = gemm.split == "none"
            copies = layout.stage_gpus if router else 1
            yield _product(step, gemm, batch.tokens, "bfloat16" if router else usual, copies)
    none = np.zeros(len(batch))
    yield none, none, ELEMENTWISE_PASSES * ACTIVATION_BYTES * hidden * layout.tp * batch.tokens


def _product(
    step: StepModel, gemm: Gemm, rows: FloatArray, dtype: str, copies: int
) -> Part:  # fmt: skip
    ceilings = Ceilings.of(step.hardware, dtype)
    flops = 2.0 * gemm.weights * rows
    moved = np.where(rows > 0, gemm.weights * ceilings.weight_bytes * copies, 0.0)
    return flops, flops / ceilings.peak_flops, moved


def _experts(step: StepModel, ffn: Experts, tokens: FloatArray) -> Part:
    ceilings = Ceilings.of(step.hardware, step.formats.experts)
    one = ffn.expert_weights(step.model.hidden)
    flops = 2.0 * ffn.active * one * tokens
    touched = ffn.experts * (1.0 - (1.0 - ffn.active / ffn.experts) ** tokens)
    return flops, flops / ceilings.peak_flops, touched * one * ceilings.weight_bytes


def _mixed(
    step: StepModel, mixer: Attention | LatentAttention | Recurrence, batch: StepBatch
) -> Part:
    """Scores, weighted sums and cache traffic, or updates of the state, of one layer."""
    peak = step.hardware.peak("bf16")
    if isinstance(mixer, Recurrence):
        flops = mixer.update_flops * batch.tokens
        return flops, flops / peak, 2 * mixer.state_values * mixer.state_bits / 8 * batch.sequences
    near, far = _visible(mixer, batch.chunk_context), _visible(mixer, batch.context_len)
    pairs = batch.prompt_tokens * np.minimum(near, batch.chunk_context - (batch.query_len - 1) / 2)
    rows = batch.decodes * far
    decode = mixer.absorbed_pair_flops if isinstance(mixer, LatentAttention) else mixer.pair_flops
    scored = batch.prompt_tokens * batch.chunk_context / 2 + batch.decodes * batch.context_len
    flops = mixer.pair_flops * pairs + decode * rows + mixer.index_flops * scored
    entry = mixer.entry_values * step.formats.kv_bits / 8 * _held_by(mixer, step.parallelism.tp)
    return flops, flops / peak, entry * (batch.chunks * near + rows + batch.tokens)


def _visible(mixer: Attention | LatentAttention, context: FloatArray) -> FloatArray:
    """Cache entries a query sees after so many tokens, shape (n,)."""
    return np.array([mixer.visible(float(tokens)) for tokens in context])


def _held_by(mixer: Attention | LatentAttention, tp: int) -> float:
    """On how many tensor-parallel ranks each cache entry is kept and read."""
    if isinstance(mixer, LatentAttention):
        return float(tp)
    return max(1.0, tp / mixer.kv_heads)
