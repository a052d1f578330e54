"""How long the parts of an engine step take, from what a model is made of.

    T_step = sum over layers and operators of  curve(sizes on one processor)  +  host

One operator after the other, as on the stream of a GPU; each curve is the smooth maximum of its own
compute and memory time (see :mod:`lengthwise.formulations.operators`). Pipeline stages follow each
other: a step passes through all of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from lengthwise.domain.hardware import HardwareSpec
from lengthwise.domain.layers import (
    Attention,
    Experts,
    Gemm,
    LatentAttention,
    Layer,
    Mixer,
    Recurrence,
)
from lengthwise.domain.model import ModelSpec
from lengthwise.domain.parallelism import Parallelism
from lengthwise.formulations.operators.latent_sizes import LatentDims
from lengthwise.formulations.step.batch import StepBatch
from lengthwise.formulations.step.formats import Formats, stored
from lengthwise.formulations.step.groups import GROUPS, GroupTimes
from lengthwise.formulations.step.host import HostOverhead
from lengthwise.formulations.step.profile import DeviceProfile
from lengthwise.formulations.step.shard import cut, experts_of, heads_of
from lengthwise.units import FloatArray

ACTIVATION_BYTES = 2.0
ELEMENTWISE_PASSES = 10.0
"""Times the tokens of a layer are read or written between its products (norms, sums, gate)."""
STREAM = 0.8
"""Share of the bandwidth that streaming kernels reach."""
MATRIX = 0.3
"""Share of peak that recurrences reach in chunks (Mamba-2, arXiv 2405.21060, section 9)."""
INDEX = 0.5
"""Share of peak at which an index scores the cache."""
NUMB = 1e-9

Timed = tuple[str, FloatArray]


@dataclass(frozen=True)
class StepModel:
    """One deployment: a model on processors in an engine.

    Attributes
    ----------
    model, hardware, parallelism, formats
        What is served, on what, how spread, in which number formats.
    profile
        Curves of the processor.
    host
        Overhead beside the kernels.
    precision
        Format the weights are stored in; None: as published.

    Examples
    --------
    >>> from lengthwise.data.hardware_catalog import find_hardware
    >>> from lengthwise.domain.model import find_model
    >>> llama = find_model("llama3.1-8b")
    >>> step = StepModel.of(llama, find_hardware("h100_sxm"), precision="bf16")
    >>> 4.8e-3 < float(step.seconds(StepBatch.of(decodes=1, context_len=1024))[0]) < 9e-3
    True
    """

    model: ModelSpec
    hardware: HardwareSpec
    parallelism: Parallelism
    formats: Formats
    profile: DeviceProfile
    host: HostOverhead = field(default_factory=HostOverhead)
    precision: str | None = None

    @classmethod
    def of(
        cls, model: ModelSpec, hardware: HardwareSpec, parallelism: Parallelism | None = None, *,
        engine: str = "vllm", precision: str = "auto", kv_precision: str | None = None,
    ) -> StepModel:  # fmt: skip
        """Put a model on hardware with the curves that ship with the package."""
        formats = Formats.of(model, precision, kv_precision)
        profile = DeviceProfile(hardware, engine)
        layout = parallelism or Parallelism()
        return cls(model, hardware, layout, formats, profile, precision=stored(model, precision))

    def seconds(self, batch: StepBatch) -> FloatArray:
        """Time of n steps, seconds, shape (n,)."""
        return self.groups(batch).total

    def groups(self, batch: StepBatch) -> GroupTimes:
        """Time of every operator group in n steps, seconds."""
        times = {name: np.zeros(len(batch)) for name in GROUPS}
        for layer in self.model.blocks:
            for name, seconds in self._layer(layer, batch):
                times[name] = times[name] + layer.count * seconds
        sampled = self._rank(batch.sequences)
        table = Gemm(self.model.vocab, self.model.hidden, "columns")
        times["logits"] = self._product(table, sampled, "bfloat16", self.parallelism.tp)
        times["collectives"] = times["collectives"] + self._handover(batch.tokens)
        times |= self.host.seconds(
            batch.sequences, layers=self.model.layer_count, stages=self.parallelism.pp
        )
        return GroupTimes(times)

    def _layer(self, layer: Layer, batch: StepBatch) -> Iterator[Timed]:
        mine = self._rank(batch.tokens)
        tp = self.parallelism.tp
        if layer.mixer is not None:
            for gemm in layer.mixer.projections:
                yield "projections", self._product(gemm, mine, self.formats.attention, tp)
            yield from self._mix(layer.mixer, batch)
            yield "collectives", self._reduce(mine, tp)
        if isinstance(layer.ffn, Experts):
            yield "experts", self._experts(layer.ffn, batch.tokens)
        if layer.ffn is not None:
            dtype = self.formats.shared if isinstance(layer.ffn, Experts) else self.formats.dense
            for gemm in layer.ffn.gemms(self.model.hidden):
                router = gemm.split == "none"
                fmt = "bfloat16" if router else dtype
                yield "feed_forward", self._product(gemm, mine, fmt, tp)
            yield "collectives", self._exchange(layer, batch.tokens)
        moved = ELEMENTWISE_PASSES * ACTIVATION_BYTES * self.model.hidden * mine
        yield "elementwise", moved / (STREAM * self.hardware.memory_bandwidth_bytes_per_s)

    def _product(self, gemm: Gemm, rows: FloatArray, dtype: str, degree: int) -> FloatArray:
        n, k = cut(gemm, degree)
        found = self.profile.gemm(dtype).seconds(np.maximum(rows, 1.0), n, k)
        return np.where(rows > 0, found, 0.0)

    def _mix(self, mixer: Mixer, batch: StepBatch) -> Iterator[Timed]:
        if isinstance(mixer, Recurrence):
            yield "recurrence", self._recur(mixer, batch)
            return
        heads, kv_heads = heads_of(mixer, self.parallelism.tp)
        chunks, decodes = self._rank(batch.chunks), self._rank(batch.decodes)
        has_chunk, has_decode = chunks * batch.query_len > 0, decodes > 0
        if has_chunk.any():
            at = has_chunk
            found = self._chunk(mixer, chunks[at], batch.query_len[at], batch.chunk_context[at],
                                heads, kv_heads)  # fmt: skip
            yield "attention_prefill", _placed(found, at)
        if has_decode.any():
            at = has_decode
            context = np.maximum(batch.context_len[at], 1.0)
            found = self._decode(mixer, decodes[at], context, heads, kv_heads)
            yield "attention_decode", _placed(found, at)

    def _chunk(
        self, mixer: Attention | LatentAttention, chunks: FloatArray, query: FloatArray,
        context: FloatArray, heads: float, kv_heads: float,
    ) -> FloatArray:  # fmt: skip
        if isinstance(mixer, LatentAttention):
            curve = self.profile.latent_prefill(self.formats.kv_bits)
            time = curve.seconds(chunks, query, context, heads, dims=self._dims(mixer))
        else:
            plain = self.profile.attention_prefill(self.formats.kv_bits)
            time = plain.seconds(chunks, query, context, heads, kv_heads, mixer.head_dim,
                                 _reach(mixer))  # fmt: skip
        return np.asarray(time + self._index(mixer, chunks * query * context * 0.5))

    def _decode(
        self, mixer: Attention | LatentAttention, sequences: FloatArray, context: FloatArray,
        heads: float, kv_heads: float,
    ) -> FloatArray:  # fmt: skip
        if isinstance(mixer, LatentAttention):
            curve = self.profile.latent_decode(self.formats.kv_bits)
            seen = context if mixer.selected is None else np.minimum(context, mixer.selected)
            time = curve.seconds(sequences, seen, heads, dims=self._dims(mixer))
        else:
            plain = self.profile.attention_decode(self.formats.kv_bits)
            time = plain.seconds(sequences, context, heads, kv_heads, mixer.head_dim,
                                 _reach(mixer))  # fmt: skip
        return np.asarray(time + self._index(mixer, sequences * context))

    def _dims(self, mixer: LatentAttention) -> LatentDims:
        return LatentDims(mixer.plain_dim, mixer.rope_dim, mixer.value_dim, mixer.q_rank,
                          mixer.kv_rank, self.model.hidden)  # fmt: skip

    def _index(self, mixer: Attention | LatentAttention, pairs: FloatArray) -> FloatArray:
        """Scoring of all cached tokens where attention then looks at a few only."""
        return np.asarray(mixer.index_flops * pairs / (INDEX * self.hardware.peak("fp8")))

    def _recur(self, mixer: Recurrence, batch: StepBatch) -> FloatArray:
        tokens, sequences = self._rank(batch.tokens), self._rank(batch.sequences)
        share = 1.0 / self.parallelism.tp
        flops = mixer.update_flops * share * tokens
        state = 2.0 * mixer.state_values * mixer.state_bits / 8 * share * sequences
        bandwidth = self.hardware.memory_bandwidth_bytes_per_s
        moved = state / (STREAM * bandwidth)
        return np.asarray(np.hypot(flops / (MATRIX * self.hardware.peak("bf16")), moved) + 5e-6)

    def _experts(self, ffn: Experts, tokens: FloatArray) -> FloatArray:
        held, inner = experts_of(ffn, self.parallelism)
        curve = self.profile.experts(self.formats.experts)
        found = curve.seconds(np.maximum(tokens, 1.0), ffn.width(self.model.hidden), inner,
                              ffn.active, held, ffn.experts, ffn.gated)  # fmt: skip
        return np.where(tokens > 0, found, 0.0)

    def _reduce(self, tokens: FloatArray, gpus: int) -> FloatArray:
        if gpus <= 1:
            return np.zeros_like(tokens)
        message = np.maximum(tokens, NUMB) * self.model.hidden * ACTIVATION_BYTES
        return self._send("all_reduce", message, gpus)

    def _exchange(self, layer: Layer, tokens: FloatArray) -> FloatArray:
        """Time what the feed-forward part has to gather and to give back."""
        layout = self.parallelism
        width = layout.tp * layout.dp
        if width <= 1:
            return np.zeros_like(tokens)
        message = np.maximum(tokens, NUMB) * self.model.hidden * ACTIVATION_BYTES
        if layout.dp == 1 or not isinstance(layer.ffn, Experts):
            return self._reduce(self._rank(tokens), layout.tp)
        if layout.ep > 1:
            sent = message / layout.dp * min(layer.ffn.active, layout.ep)
            return 2.0 * self._send("alltoall", sent, width)
        gathered = self._send("all_gather", message, width)
        return gathered + self._send("reduce_scatter", message, width)

    def _send(self, operation: str, message: FloatArray, gpus: int) -> FloatArray:
        curves = self.profile.collective(operation)
        return np.asarray(np.min([c.seconds(message, gpus) for c in curves], axis=0))

    def _handover(self, tokens: FloatArray) -> FloatArray:
        """Time passing activations from one pipeline stage to the next."""
        stages = self.parallelism.pp - 1
        moved = tokens * self.model.hidden * ACTIVATION_BYTES
        per_stage = moved / (STREAM * self.hardware.link_bytes_per_s) + 1e-5
        return stages * per_stage

    def _rank(self, total: FloatArray) -> FloatArray:
        """Give the share of one data-parallel copy, at least one sequence or token if any."""
        share = np.maximum(total / self.parallelism.dp, np.minimum(total, 1.0))
        return np.where(total > 0, share, 0.0)


def _reach(mixer: Attention) -> float | None:
    """Tokens a query sees at most, by window or by selection."""
    limits = [x for x in (mixer.window, mixer.selected) if x is not None]
    return float(min(limits)) if limits and not mixer.compress else None


def _placed(values: FloatArray, where: npt.NDArray[np.bool_]) -> FloatArray:
    out = np.zeros(where.shape)
    out[where] = values
    return out
