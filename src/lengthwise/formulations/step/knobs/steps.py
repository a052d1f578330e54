"""One decode step and one prompt, operator by operator, with techniques switched on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lengthwise.formulations.step.batch import StepBatch
from lengthwise.formulations.step.counts import Amount, Counts, counts
from lengthwise.formulations.step.knobs.deploy import deployed
from lengthwise.formulations.step.knobs.extras import LAYERED, PARTS, Extra, Parts
from lengthwise.formulations.step.knobs.request import Physics, Request
from lengthwise.formulations.step.step_model import MATRIX, StepModel


@dataclass(frozen=True)
class Work:
    """A step (or the equal steps of one prompt): its composition, its parts and its counts.

    Attributes
    ----------
    parts
        Seconds by name in :data:`PARTS`.
    counts
        Arithmetic and bytes of one step.
    layers
        Layers it passes.
    steps
        How many steps these are.
    """

    parts: Parts
    counts: Counts
    layers: float
    steps: float = 1.0

    @property
    def seconds(self) -> float:
        """Seconds of all of it."""
        return sum(self.parts.values())


def decode_work(request: Request, running: float) -> Work:
    """One step in which ``running`` requests decode; with guesses, the step that checks them."""
    physics = request.physics
    step = deployed(request.step, physics)
    guesses, launch_s = physics.drafts or physics.own_heads, request.interference.launch_s
    sequences = running * physics.beams
    seen = max(1.0, request.context * read_share(physics))
    rows = StepBatch.of(decodes=sequences * (guesses + 1), context_len=seen)
    once = StepBatch.of(decodes=sequences, context_len=seen)
    parts, amount = _parts(request, step, rows), counts(step, rows)
    if guesses:  # the cache is read once for all tokens that are checked
        alone, few = _parts(request, step, once), counts(step, once)
        parts |= {k: alone[k] for k in ("attention_decode", "host_sequences")}
        read, checked = few.groups["attention_decode"], amount.groups["attention_decode"]
        amount.groups["attention_decode"] = Amount(
            checked.flops, read.moved_bytes, read.weight_bytes, checked.compute_s
        )
        busy = float(checked.compute_s[0]) / MATRIX
        parts["attention_decode"] = max(parts["attention_decode"], busy)
    depth = physics.decode_layers * physics.layers
    parts = {k: v * depth if k in LAYERED else v for k, v in parts.items()}
    amount = _scaled(amount, depth)
    extra = Extra(step, physics, rows, amount, parts, depth)
    parts |= extra.common() | extra.scores(0.0, sequences * seen)
    parts["index"] = fetched = 0.0
    everything = StepBatch.of(decodes=sequences, context_len=request.context)
    if physics.read_index:
        whole = _parts(request, step, everything)["attention_decode"]
        parts["index"] = physics.read_index * whole * depth
    if physics.cache_away:
        cached = counts(step, everything).groups["attention_decode"]
        fetched = physics.cache_away * float(cached.moved_bytes[0]) * read_share(physics) * depth
    parts |= extra.waiting(fetched, sum(parts.values()), launch_s)
    parts["draft"] = _guessing(request, step, once)
    return Work(_ordered(parts), amount, step.model.layer_count * depth)


def prompt_work(request: Request, decoding: float = 0.0) -> Work:
    """All steps of one prompt; ``decoding`` requests may decode in the same steps."""
    physics = request.physics
    step, launch_s = deployed(request.step, physics), request.interference.launch_s
    fresh = request.tokens - request.found_tokens
    steps = float(np.ceil(fresh / physics.chunk))
    size = fresh / steps
    seen = request.found_tokens + (fresh + size) / 2.0
    context = max(1.0, request.context * read_share(physics))
    batch = StepBatch.of(chunks=1.0, query_len=size, chunk_context=seen,
                         decodes=decoding * physics.beams, context_len=context)  # fmt: skip
    parts, amount = _parts(request, step, batch), counts(step, batch)
    dense = parts["attention_prefill"]
    if physics.pairs < 1.0:
        least = _parts(request, step, StepBatch.of(chunks=1.0, query_len=1.0))["attention_prefill"]
        parts["attention_prefill"] = least + physics.pairs * max(0.0, dense - least)
        amount.groups["attention_prefill"] = amount.groups["attention_prefill"] * physics.pairs
    parts = {k: v * physics.layers if k in LAYERED else v for k, v in parts.items()}
    amount = _scaled(amount, physics.layers)
    extra = Extra(step, physics, batch, amount, parts, physics.layers)
    parts |= extra.common() | extra.scores(size * seen * physics.pairs, decoding * context)
    parts["index"] = physics.pairs_index * dense * physics.layers
    parts |= extra.waiting(0.0, sum(parts.values()), launch_s)
    layers = step.model.layer_count * physics.layers
    return Work(_ordered({k: v * steps for k, v in parts.items()}), amount, layers, steps)


def read_share(physics: Physics) -> float:
    """Share of the context whose bytes a decode step reads, against 16 or 8 bits per value.

    Kernels for fewer than 8 bits are taken to move the smaller cache at the speed of 8-bit ones.
    """
    thin = 1.0 if physics.kv_bits is None else min(1.0, physics.kv_bits / 8.0)
    return physics.stored * physics.read * thin


def _guessing(request: Request, step: StepModel, batch: StepBatch) -> float:
    """Seconds of guessing the tokens of one step."""
    physics = request.physics
    if physics.own_heads:  # one more layer and the vocabulary table for each
        parts = _parts(request, step, batch)
        one = sum(parts[k] for k in LAYERED) / step.model.layer_count + parts["logits"]
        return physics.own_heads * one
    if not physics.drafts:
        return 0.0
    if physics.draft is None:
        return physics.drafts * physics.draft_cost * sum(_parts(request, step, batch).values())
    return physics.drafts * float(_draft(physics.draft, request.step).seconds(batch)[0])


def _draft(name: str, step: StepModel) -> StepModel:
    from lengthwise.data.model_files import load_model

    return StepModel.of(load_model(name), step.hardware, step.parallelism,
                        engine=step.profile.engine)  # fmt: skip


def _parts(request: Request, step: StepModel, batch: StepBatch) -> Parts:
    found = step.groups(batch).scaled(request.factors).seconds
    return {name: float(seconds[0]) for name, seconds in found.items()}


def _scaled(amount: Counts, depth: float) -> Counts:
    """Give counts with a share of the layers."""
    if depth == 1.0:
        return amount
    groups = {k: v * depth if k in LAYERED else v for k, v in amount.groups.items()}
    return Counts(groups, amount.bandwidth, amount.sent_bytes * depth, amount.link_bytes_per_s)


def _ordered(parts: Parts) -> Parts:
    return {name: parts[name] for name in PARTS if name in parts}
