"""One decode step and one prompt, operator by operator, with techniques switched on.

Beside the operator groups there are further parts, zero without techniques: ``scores`` (matrix of
eager attention), ``index`` (choosing what attention sees), ``dequantise``, ``adapters``, ``draft``
(guessing tokens), ``transfers`` (weights and cache from slower memory), ``launches`` (waiting for
the host to launch kernels).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from lengthwise.domain.layers import Gemm, Recurrence
from lengthwise.formulations.step.batch import StepBatch
from lengthwise.formulations.step.counts import Amount, Counts, counts
from lengthwise.formulations.step.groups import GROUPS
from lengthwise.formulations.step.knobs.deploy import deployed
from lengthwise.formulations.step.knobs.request import Physics, Request
from lengthwise.formulations.step.shard import cut, heads_of
from lengthwise.formulations.step.step_model import MATRIX, STREAM, StepModel

PARTS = (*GROUPS, "scores", "index", "dequantise", "adapters", "draft", "transfers", "launches")
"""All parts of a step, in the order they are reported."""
LAYERED = tuple(
    name for name in GROUPS if name not in ("logits", "host_step", "host_sequences")
)  # fmt: skip
"""Groups that every layer has its part of."""
PRODUCTS = ("projections", "feed_forward", "experts")
SCORE_PASSES = 4.0
"""Times eager attention moves its scores: written, read and written by softmax, read again."""
ADAPTER_LAUNCH_S = 2e-6
"""Floor of a thin product inside a captured graph; an assumption."""

Parts = dict[str, float]


@dataclass(frozen=True)
class Work:
    """A step (or the equal steps of one prompt): its composition, its parts and its counts.

    Attributes
    ----------
    parts
        Seconds by name in :data:`PARTS`.
    counts
        Arithmetic and bytes of one step.
    steps
        How many steps these are.
    """

    parts: Parts
    counts: Counts
    steps: float = 1.0

    @property
    def seconds(self) -> float:
        """Seconds of all of it."""
        return sum(self.parts.values())


def decode_work(request: Request, running: float) -> Work:
    """One step in which ``running`` requests decode; with guesses, the step that checks them."""
    physics = request.physics
    step = deployed(request.step, physics)
    guesses = physics.drafts or physics.own_heads
    sequences = running * physics.beams
    seen = max(1.0, request.context * read_share(physics))
    rows = StepBatch.of(decodes=sequences * (guesses + 1), context_len=seen)
    once = StepBatch.of(decodes=sequences, context_len=seen)
    parts, amount = _parts(step, rows), counts(step, rows)
    if guesses:  # the cache is read once for all tokens that are checked
        alone, few = _parts(step, once), counts(step, once)
        parts |= {k: alone[k] for k in ("attention_decode", "host_sequences")}
        read, checked = few.groups["attention_decode"], amount.groups["attention_decode"]
        amount.groups["attention_decode"] = Amount(
            checked.flops, read.moved_bytes, read.weight_bytes, checked.compute_s
        )
        busy = float(checked.compute_s[0]) / MATRIX
        parts["attention_decode"] = max(parts["attention_decode"], busy)
    parts = _calibrated(parts, request.factors)
    depth = physics.decode_layers * physics.layers
    parts = {k: v * depth if k in LAYERED else v for k, v in parts.items()}
    amount = _scaled(amount, depth)
    extra = _Extra(step, physics, rows, amount, parts, depth)
    everything = StepBatch.of(decodes=sequences, context_len=request.context)
    cached = counts(step, everything).groups["attention_decode"]
    parts |= extra.common() | extra.scores(0.0, sequences * seen)
    whole = _parts(step, everything)["attention_decode"] if physics.read_index else 0.0
    parts["index"] = physics.read_index * whole * depth
    fetched = physics.cache_away * float(cached.moved_bytes[0]) * read_share(physics) * depth
    parts |= extra.waiting(fetched, sum(parts.values()))
    parts["draft"] = _guessing(request, step, once)
    return Work(_ordered(parts), amount)


def prompt_work(request: Request, decoding: float = 0.0) -> Work:
    """All steps of one prompt; ``decoding`` requests may decode in the same steps."""
    physics = request.physics
    step = deployed(request.step, physics)
    fresh = request.tokens - request.found_tokens
    steps = float(np.ceil(fresh / physics.chunk))
    size = fresh / steps
    seen = request.found_tokens + (fresh + size) / 2.0
    context = max(1.0, request.context * read_share(physics))
    batch = StepBatch.of(chunks=1.0, query_len=size, chunk_context=seen,
                         decodes=decoding * physics.beams, context_len=context)  # fmt: skip
    parts, amount = _parts(step, batch), counts(step, batch)
    dense = parts["attention_prefill"]
    if physics.pairs < 1.0:
        least = _parts(step, StepBatch.of(chunks=1.0, query_len=1.0))["attention_prefill"]
        parts["attention_prefill"] = least + physics.pairs * max(0.0, dense - least)
        amount.groups["attention_prefill"] = amount.groups["attention_prefill"] * physics.pairs
    parts = _calibrated(parts, request.factors)
    parts = {k: v * physics.layers if k in LAYERED else v for k, v in parts.items()}
    amount = _scaled(amount, physics.layers)
    extra = _Extra(step, physics, batch, amount, parts, physics.layers)
    parts |= extra.common() | extra.scores(size * seen, decoding * context)
    parts["index"] = physics.pairs_index * dense * physics.layers
    parts |= extra.waiting(0.0, sum(parts.values()))
    return Work(_ordered({k: v * steps for k, v in parts.items()}), amount, steps)


def read_share(physics: Physics) -> float:
    """Share of the context whose bytes a decode step reads, against 16 or 8 bits per value.

    Kernels for fewer than 8 bits are taken to move the smaller cache at the speed of 8-bit ones.
    """
    thin = 1.0 if physics.kv_bits is None else min(1.0, physics.kv_bits / 8.0)
    return physics.stored * physics.read * thin


@dataclass(frozen=True)
class _Extra:
    """Parts that techniques add to a step of so many rows."""

    step: StepModel
    physics: Physics
    batch: StepBatch
    amount: Counts
    parts: Parts
    depth: float

    def common(self) -> Parts:
        """Parts that a technique adds to any step; groups slowed by the clock among them."""
        slowed = self._slowed() if self.physics.clock < 1.0 else {}
        widened = {"dequantise": self._widening(), "adapters": self._adapters()}
        return slowed | widened

    def scores(self, prompt_pairs: float, decode_pairs: float) -> Parts:
        """Score matrices through memory, and the masked half of them that is computed anyway."""
        if not self.physics.eager:
            return {"scores": 0.0}
        layers = heads = flops = 0.0
        for block in self.step.model.blocks:
            if block.mixer is None or isinstance(block.mixer, Recurrence):
                continue
            here = heads_of(block.mixer, self.step.parallelism.tp)[0]
            layers += block.count
            heads += block.count * here
            flops += block.count * block.mixer.pair_flops * here / block.mixer.heads
        pairs = prompt_pairs + decode_pairs
        hardware = self.step.hardware
        moved = SCORE_PASSES * 2.0 * heads * pairs / self.step.parallelism.dp
        masked = float(np.sum(self.batch.chunks * self.batch.query_len**2)) / 2.0
        time = moved / (STREAM * hardware.memory_bandwidth_bytes_per_s)
        time += flops * masked / (MATRIX * hardware.peak("bf16"))
        return {"scores": time * self.depth}

    def waiting(self, fetched_bytes: float, busy_s: float) -> Parts:
        """Wait for transfers from slower memory, and for the host to launch kernels."""
        physics, step = self.physics, self.step
        away = physics.weights_away * float(self.amount.total.weight_bytes[0]) + fetched_bytes
        link = physics.away_bytes_per_s or step.hardware.host_bytes_per_s
        moved = away / link
        late = max(0.0, moved - busy_s) if physics.overlap else moved
        layers = step.model.layer_count * self.depth
        kernels_s = sum(self.parts[k] for k in LAYERED if not k.startswith("host"))
        launches = max(0.0, layers * physics.kernels * physics.launch_s - kernels_s)
        return {"transfers": late, "launches": launches}

    def _slowed(self) -> Parts:
        """Kernels at a lower clock: arithmetic takes longer, bytes do not."""
        slowed = {}
        for name, amount in self.amount.groups.items():
            work = float(amount.compute_s[0])
            memory = float(amount.moved_bytes[0]) / self.amount.bandwidth
            before, after = _either(work, memory), _either(work / self.physics.clock, memory)
            slowed[name] = self.parts[name] * (after / before if before > 0 else 1.0)
        return slowed

    def _widening(self) -> float:
        wide = self.step.formats.attention == "bfloat16" and self.step.precision in (None, "bf16")
        if not self.physics.dequantise or wide:
            return 0.0
        work = sum(float(self.amount.groups[name].compute_s[0]) for name in PRODUCTS)
        return self.physics.dequantise * work / self.physics.clock

    def _adapters(self) -> float:
        rank = self.physics.lora_rank
        if not rank:
            return 0.0
        rows, hardware = float(self.batch.tokens[0]), self.step.hardware
        held = min(float(self.physics.adapters), float(self.batch.sequences[0]))
        work = moved = launches = 0.0
        for count, gemm in _matrices(self.step):
            n, k = cut(gemm, self.step.parallelism.tp)
            work += count * 2.0 * rows * rank * (n + k)
            moved += count * 2.0 * held * rank * (n + k)
            launches += count * 2.0 * ADAPTER_LAUNCH_S
        products = work / (MATRIX * hardware.peak("bf16"))
        read = moved / (STREAM * hardware.memory_bandwidth_bytes_per_s)
        return (_either(products, read) + launches) * self.depth


def _matrices(step: StepModel) -> list[tuple[int, Gemm]]:
    """Matrices of the blocks that adapters are put beside, with their number."""
    found = []
    for block in step.model.blocks:
        own = block.mixer.projections if block.mixer is not None else ()
        after = block.ffn.gemms(step.model.hidden) if block.ffn is not None else ()
        found += [(block.count, g) for g in (*own, *after) if g.split != "none"]
    return found


def _guessing(request: Request, step: StepModel, batch: StepBatch) -> float:
    """Seconds of guessing the tokens of one step."""
    physics = request.physics
    if physics.own_heads:  # one more layer and the vocabulary table for each
        parts = _parts(step, batch)
        one = sum(parts[k] for k in LAYERED) / step.model.layer_count + parts["logits"]
        return physics.own_heads * one
    if not physics.drafts:
        return 0.0
    if physics.draft is None:
        return physics.drafts * physics.draft_cost * sum(_parts(step, batch).values())
    return physics.drafts * float(_draft(physics.draft, request.step).seconds(batch)[0])


def _draft(name: str, step: StepModel) -> StepModel:
    from lengthwise.data.model_files import load_model

    return StepModel.of(load_model(name), step.hardware, step.parallelism,
                        engine=step.profile.engine)  # fmt: skip


def _parts(step: StepModel, batch: StepBatch) -> Parts:
    return {name: float(s[0]) for name, s in step.groups(batch).seconds.items()}


def _calibrated(parts: Parts, factors: Mapping[str, float]) -> Parts:
    return {name: seconds * factors.get(name, 1.0) for name, seconds in parts.items()}


def _scaled(amount: Counts, depth: float) -> Counts:
    """Give counts with a share of the layers."""
    if depth == 1.0:
        return amount
    groups = {k: v * depth if k in LAYERED else v for k, v in amount.groups.items()}
    return Counts(groups, amount.bandwidth, amount.sent_bytes * depth, amount.link_bytes_per_s)


def _either(work: float, memory: float) -> float:
    """Smooth maximum of two times."""
    return float((work**4 + memory**4) ** 0.25)


def _ordered(parts: Parts) -> Parts:
    return {name: parts[name] for name in PARTS if name in parts}
