"""The share of a model that one processor holds: weights, cache and activations.

::

    weights      matrices / tp, routed experts / (tp dp), routers and norms whole, layers / pp
    cache        key-value heads / tp, but at least one each; a latent cache is whole on every one
                 of the tp processors; states / tp; layers / pp
    activations  b T (3 h + widest inner vector) for a step of T tokens

All figures are of the fullest processor.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

from lengthwise.domain.layers import (
    Attention,
    Experts,
    FeedForward,
    Gemm,
    LatentAttention,
    Layer,
    Mixer,
    Recurrence,
)
from lengthwise.domain.model import ModelSpec
from lengthwise.domain.parallelism import Parallelism
from lengthwise.domain.weights import UNQUANTISED, weight_bits

ACTIVATION_BYTES = 2.0
LONGEST_SEARCHED = 2**40


@dataclass(frozen=True)
class Placement:
    """One model cut in one way.

    Attributes
    ----------
    model, parallelism
        What is cut, and how.
    precision
        Format of the matrices; None: as published.
    kv_bits
        Bits of one cached value.

    Examples
    --------
    >>> from lengthwise.domain.model import find_model
    >>> place = Placement(find_model("llama3.1-70b"), Parallelism(tp=2))
    >>> round(place.weights_bytes / 1e9, 1), round(place.cache_bytes(1000) / 1e6, 1)
    (70.6, 163.8)
    """

    model: ModelSpec
    parallelism: Parallelism
    precision: str | None = None
    kv_bits: float = 16

    @cached_property
    def weights_bytes(self) -> float:
        """Bytes of weights on one processor."""
        model, cut = self.model, self.parallelism
        total = sum(self._layer_weights(layer) * layer.count for layer in model.blocks)
        total *= self._stage_share
        tables = model.table_parameters if cut.pp == 1 else model.vocab * model.hidden
        total += tables * self._bytes("tables") / cut.tp
        return total + model.other_parameters * self._bytes("other") / cut.gpus

    def cache_bytes(self, tokens: float) -> float:
        """Bytes of cache and states of one sequence on one processor of its copy."""
        total = 0.0
        for layer in self.model.blocks:
            if layer.mixer is not None:
                total += layer.count * _cache(
                    layer.mixer, tokens, self.parallelism.tp, self.kv_bits
                )
        return total * self._stage_share

    def activation_bytes(self, tokens: float) -> float:
        """Bytes of the vectors alive at once in a step of that many tokens per copy."""
        return ACTIVATION_BYTES * tokens * (3 * self.model.hidden + self._widest)

    def longest(self, room: float) -> int | None:
        """Longest sequence whose cache takes no more than ``room`` bytes; None: any.

        >>> from lengthwise.domain.model import find_model
        >>> Placement(find_model("llama3.1-8b"), Parallelism()).longest(131072e3)
        1000
        """
        if self.cache_bytes(LONGEST_SEARCHED) <= room:
            return None
        low, high = 0, LONGEST_SEARCHED
        while low < high:  # the cache never shrinks with length
            middle = (low + high + 1) // 2
            if self.cache_bytes(middle) <= room:
                low = middle
            else:
                high = middle - 1
        return low

    @cached_property
    def _stage_share(self) -> float:
        """Share of the layers on the fullest stage."""
        layers = self.model.layer_count
        return math.ceil(layers / self.parallelism.pp) / layers if layers else 1.0

    @cached_property
    def _widest(self) -> float:
        return max((self._inner(layer) for layer in self.model.blocks), default=0.0)

    def _bytes(self, part: str) -> float:
        asked = self.precision
        if asked is not None and part in UNQUANTISED:
            asked = "bf16"
        return weight_bits(asked or self.model.format_of(part)) / 8

    def _layer_weights(self, layer: Layer) -> float:
        hidden, cut = self.model.hidden, self.parallelism
        total = 0.0
        if layer.mixer is not None:
            part = "recurrence" if isinstance(layer.mixer, Recurrence) else "attention"
            held = _cut(layer.mixer.projections, cut.tp) + _copied(layer.mixer, hidden, cut.tp)
            total += held * self._bytes(part)
        if isinstance(layer.ffn, FeedForward):
            total += _cut(layer.ffn.gemms(hidden), cut.tp) * self._bytes("dense")
        elif isinstance(layer.ffn, Experts):
            shared = layer.ffn.shared.gemms(hidden)
            total += _cut(shared, cut.tp) * self._bytes("shared")
            around = layer.ffn.gemms(hidden)[: -len(shared) or None]
            total += _cut(around, cut.tp) * self._bytes("router")
            here = math.ceil(layer.ffn.experts / cut.ep) / cut.moe_tp
            total += here * layer.ffn.expert_weights(hidden) * self._bytes("experts")
        return total

    def _inner(self, layer: Layer) -> float:
        """Values per token of the widest vectors alive at once inside a layer."""
        cut = self.parallelism
        mixer = (
            sum(_outputs(gemm, cut.tp) for gemm in layer.mixer.projections) if layer.mixer else 0
        )
        if isinstance(layer.ffn, FeedForward):
            return max(mixer, (3 if layer.ffn.gated else 2) * layer.ffn.inner / cut.tp)
        if isinstance(layer.ffn, Experts):
            inner = (3 if layer.ffn.gated else 2) * layer.ffn.inner / cut.moe_tp
            per_token = layer.ffn.active * (inner + layer.ffn.width(self.model.hidden))
            return max(mixer, per_token * cut.dp / cut.ep)
        return mixer


def _cut(gemms: tuple[Gemm, ...], tp: int) -> float:
    return sum(gemm.weights / (1 if gemm.split == "none" else tp) for gemm in gemms)


def _outputs(gemm: Gemm, tp: int) -> float:
    return gemm.n / tp if gemm.split == "columns" else float(gemm.n)


def _copied(mixer: Mixer, hidden: int, tp: int) -> float:
    """Weights of key-value heads beyond an even cut: a head cannot be cut."""
    if not isinstance(mixer, Attention):
        return 0.0
    more = _heads_here(mixer.kv_heads, tp) - mixer.kv_heads / tp
    return more * hidden * mixer.entry_values / mixer.kv_heads


def _heads_here(heads: int, tp: int) -> int:
    return math.ceil(heads / tp)


def _cache(mixer: Mixer, tokens: float, tp: int, kv_bits: float) -> float:
    """Bytes of one sequence in one layer on one processor."""
    if isinstance(mixer, Recurrence):
        share = _heads_here(mixer.heads, tp) / mixer.heads
        return mixer.state_values * share * mixer.state_bits / 8
    values = mixer.cache_values(tokens)
    if isinstance(mixer, LatentAttention):
        return values * kv_bits / 8
    own = mixer.entries(tokens) * mixer.entry_values  # the rest are the keys of an index, whole
    share = _heads_here(mixer.kv_heads, tp) / mixer.kv_heads
    return (own * share + values - own) * kv_bits / 8
