"""How much arithmetic, memory traffic and link traffic a step is: the roofline's arguments.

    seconds >= max( sum of FLOP / peak,  sum of bytes / bandwidth,  bytes sent / link )

(Williams, Waterman, Patterson 2009). All figures are of one processor on its way through the whole
step, every pipeline stage included. Bytes are those that have to move at least: weights once, cache
once, inputs and outputs of matrix products once.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from lengthwise.domain.layers import Attention, Experts, Gemm, LatentAttention, Layer, Recurrence
from lengthwise.formulations.operators.ceilings import Ceilings
from lengthwise.formulations.step.batch import StepBatch
from lengthwise.formulations.step.groups import GROUPS
from lengthwise.formulations.step.shard import cut, experts_of, heads_of
from lengthwise.formulations.step.step_model import (
    ACTIVATION_BYTES,
    ELEMENTWISE_PASSES,
    StepModel,
)
from lengthwise.units import FloatArray

OUTPUT_BYTES = 2.0
KERNELS = tuple(name for name in GROUPS if not name.startswith("host"))


@dataclass(frozen=True)
class Amount:
    """Work of one operator, arrays of shape (n,).

    Attributes
    ----------
    flops, moved_bytes
        Arithmetic, and bytes read and written.
    weight_bytes
        The part of ``moved_bytes`` that is weights.
    compute_s
        Seconds of the arithmetic at the peak of its number format.
    """

    flops: FloatArray
    moved_bytes: FloatArray
    weight_bytes: FloatArray
    compute_s: FloatArray

    @classmethod
    def of(
        cls, flops: FloatArray, moved: FloatArray, peak: float, weights: FloatArray | float = 0.0
    ) -> Amount:
        """Take the arithmetic to be done at ``peak`` FLOP/s."""
        full = np.broadcast_to(np.asarray(weights, dtype=float), np.shape(flops))
        return cls(flops, moved, np.asarray(full), flops / peak)

    def __add__(self, other: Amount) -> Amount:
        return Amount(self.flops + other.flops, self.moved_bytes + other.moved_bytes,
                      self.weight_bytes + other.weight_bytes,
                      self.compute_s + other.compute_s)  # fmt: skip

    def __mul__(self, factor: float) -> Amount:
        return Amount(self.flops * factor, self.moved_bytes * factor, self.weight_bytes * factor,
                      self.compute_s * factor)  # fmt: skip


@dataclass(frozen=True)
class Counts:
    """Work of n steps on one processor.

    Attributes
    ----------
    groups
        By name of the operator group; host groups have none.
    bandwidth
        Bytes per second of its memory.
    sent_bytes, link_bytes_per_s
        Bytes it sends to others, shape (n,), and how fast it can.
    """

    groups: dict[str, Amount]
    bandwidth: float
    sent_bytes: FloatArray
    link_bytes_per_s: float

    @property
    def total(self) -> Amount:
        """All groups together."""
        first, *rest = self.groups.values()
        for amount in rest:
            first = first + amount
        return first

    @property
    def compute_s(self) -> FloatArray:
        """Seconds of all arithmetic at peak, shape (n,)."""
        return self.total.compute_s

    @property
    def memory_s(self) -> FloatArray:
        """Seconds of all bytes at the datasheet's bandwidth, shape (n,)."""
        return self.total.moved_bytes / self.bandwidth

    @property
    def link_s(self) -> FloatArray:
        """Seconds of all bytes sent at the link's bandwidth, shape (n,)."""
        return self.sent_bytes / self.link_bytes_per_s

    @property
    def floor_s(self) -> FloatArray:
        """Seconds no implementation of the same arithmetic can beat, shape (n,)."""
        return np.maximum(np.maximum(self.compute_s, self.memory_s), self.link_s)


def counts(step: StepModel, batch: StepBatch) -> Counts:
    """Count the work of n steps on one processor.

    Parameters
    ----------
    step
        Deployment.
    batch
        Composition of the steps, shape (n,).

    Returns
    -------
    Counts
        Arrays of shape (n,).

    Examples
    --------
    >>> from lengthwise.data.hardware_catalog import find_hardware
    >>> from lengthwise.domain.model import find_model
    >>> step = StepModel.of(find_model("llama3.1-8b"), find_hardware("h100_sxm"), precision="bf16")
    >>> one = counts(step, StepBatch.of(decodes=1, context_len=1000)).total
    >>> round(float(one.flops[0]) / 1e9, 1), round(float(one.moved_bytes[0]) / 1e9, 1)
    (15.5, 15.1)
    """
    zero = np.zeros(len(batch))
    found = {name: Amount(zero, zero, zero, zero) for name in KERNELS}
    sent = zero
    for layer in step.model.blocks:
        for name, amount in _layer(step, layer, batch):
            found[name] = found[name] + amount * layer.count
        sent = sent + layer.count * _sent(step, layer, batch)
    table = Gemm(step.model.vocab, step.model.hidden, "columns")
    found["logits"] = _product(step, table, _rank(step, batch.sequences), "bfloat16")
    gpus = step.parallelism.tp * step.parallelism.dp
    return Counts(found, step.hardware.memory_bandwidth_bytes_per_s, sent,
                  step.hardware.link(gpus))  # fmt: skip


def _layer(step: StepModel, layer: Layer, batch: StepBatch) -> Iterator[tuple[str, Amount]]:
    mine = _rank(step, batch.tokens)
    if layer.mixer is not None:
        for gemm in layer.mixer.projections:
            yield "projections", _product(step, gemm, mine, step.formats.attention)
        yield from _mix(step, layer.mixer, batch)
    if isinstance(layer.ffn, Experts):
        yield "experts", _experts(step, layer.ffn, batch.tokens)
    if layer.ffn is not None:
        dtype = step.formats.shared if isinstance(layer.ffn, Experts) else step.formats.dense
        for gemm in layer.ffn.gemms(step.model.hidden):
            fmt = "bfloat16" if gemm.split == "none" else dtype
            yield "feed_forward", _product(step, gemm, mine, fmt)
    moved = ELEMENTWISE_PASSES * ACTIVATION_BYTES * step.model.hidden * mine
    yield "elementwise", Amount.of(0.0 * mine, moved, 1.0)


def _product(step: StepModel, gemm: Gemm, rows: FloatArray, dtype: str) -> Amount:
    n, k = cut(gemm, step.parallelism.tp)
    ceilings: Ceilings = step.profile.gemm(dtype).ceilings
    any_row = rows > 0
    weights = np.where(any_row, n * k * ceilings.weight_bytes, 0.0)
    moved = weights + rows * (k * ceilings.input_bytes + n * OUTPUT_BYTES)
    return Amount.of(2.0 * rows * n * k, moved, ceilings.peak_flops, weights)


def _experts(step: StepModel, ffn: Experts, tokens: FloatArray) -> Amount:
    held, inner = experts_of(ffn, step.parallelism)
    width = ffn.width(step.model.hidden)
    ceilings: Ceilings = step.profile.experts(step.formats.experts).ceilings
    matrices = (3.0 if ffn.gated else 2.0) * width * inner
    here = tokens * ffn.active * held / ffn.experts
    touched = held * (1.0 - (1.0 - ffn.active / ffn.experts) ** tokens)
    weights = touched * matrices * ceilings.weight_bytes
    moved = weights + here * width * (ceilings.input_bytes + OUTPUT_BYTES)
    return Amount.of(2.0 * here * matrices, moved, ceilings.peak_flops, weights)


def _mix(
    step: StepModel, mixer: Attention | LatentAttention | Recurrence, batch: StepBatch
) -> Iterator[tuple[str, Amount]]:
    if isinstance(mixer, Recurrence):
        tokens, sequences = _rank(step, batch.tokens), _rank(step, batch.sequences)
        share = 1.0 / step.parallelism.tp
        state = 2.0 * mixer.state_values * mixer.state_bits / 8 * share * sequences
        flops = mixer.update_flops * share * tokens
        yield "recurrence", Amount.of(flops, state, step.hardware.peak("bf16"))
        return
    chunks, decodes = _rank(step, batch.chunks), _rank(step, batch.decodes)
    new = chunks * batch.query_len
    yield "attention_prefill", _attention(
        step, mixer, chunks * pairs(batch.query_len, batch.chunk_context, visible_of(mixer)),
        chunks * np.where(batch.query_len > 0, _entries(mixer, batch.chunk_context), 0.0), new,
        batch.prompt_tokens * 0.5 * batch.chunk_context, absorbed=False,
    )  # fmt: skip
    seen = _visible(mixer, batch.context_len)
    yield "attention_decode", _attention(
        step, mixer, decodes * seen, decodes * seen, decodes, decodes * batch.context_len,
        absorbed=True,
    )  # fmt: skip


def _attention(
    step: StepModel, mixer: Attention | LatentAttention, seen: FloatArray, entries: FloatArray,
    tokens: FloatArray, indexed: FloatArray, *, absorbed: bool,
) -> Amount:  # fmt: skip
    """Work for so many query-key pairs, cache entries read, new tokens and scores of an index."""
    heads, kv_heads = heads_of(mixer, step.parallelism.tp)
    share = heads / mixer.heads
    pair, kept = mixer.pair_flops, mixer.entry_values * kv_heads / mixer.kv_heads
    if isinstance(mixer, LatentAttention):  # one cache for all heads, on every processor
        pair = mixer.absorbed_pair_flops if absorbed else pair
        kept = float(mixer.entry_values)
    flops = pair * share * seen + mixer.index_flops * indexed
    through = heads * (mixer.head_dim + mixer.value_dim) * ACTIVATION_BYTES * tokens
    read = kept * entries * step.formats.kv_bits / 8
    return Amount.of(flops, read + through, step.hardware.peak("bf16"))


def pairs(query: FloatArray, context: FloatArray, reach: float = np.inf) -> FloatArray:
    """Count causal query-key pairs of the last ``query`` of ``context`` tokens, shape (n,).

    >>> pairs(np.array([4.0, 4.0]), np.array([4.0, 4.0]), 2.0).tolist()
    [7.0, 7.0]
    >>> pairs(np.array([2.0]), np.array([10.0])).tolist()
    [19.0]
    """

    def upto(n: FloatArray) -> FloatArray:
        short = np.minimum(n, reach)
        wide = np.where(n > short, (n - short) * short, 0.0)
        return np.asarray(short * (short + 1.0) / 2.0 + wide)

    return upto(context) - upto(np.maximum(context - query, 0.0))


def visible_of(mixer: Attention | LatentAttention) -> float:
    """Give the keys a query sees at most; infinite: all.

    >>> visible_of(Attention(32, 8, 128, 128, window=4096))
    4096.0
    """
    window = mixer.window if isinstance(mixer, Attention) and not mixer.compress else None
    limits = [float(x) for x in (window, mixer.selected) if x is not None]
    return min(limits, default=np.inf)


def _visible(mixer: Attention | LatentAttention, tokens: FloatArray) -> FloatArray:
    return np.array([mixer.visible(x) for x in tokens.tolist()])


def _entries(mixer: Attention | LatentAttention, tokens: FloatArray) -> FloatArray:
    return np.array([mixer.entries(x) for x in tokens.tolist()])


def _sent(step: StepModel, layer: Layer, batch: StepBatch) -> FloatArray:
    """Bytes one processor sends in a layer at least."""
    tokens = _rank(step, batch.tokens)
    out = np.zeros(len(batch))
    for i, one in enumerate(tokens.tolist()):
        exchanges = step.parallelism.collectives(
            layer, one, step.model.hidden, gpus_per_node=step.hardware.gpus_per_node
        )
        out[i] = sum(exchange.wire_bytes for exchange in exchanges)
    return out


def _rank(step: StepModel, total: FloatArray) -> FloatArray:
    """Share of one data-parallel copy, at least one whole sequence or token if there are any."""
    share = np.maximum(total / step.parallelism.dp, np.minimum(total, 1.0))
    return np.where(total > 0, share, 0.0)
