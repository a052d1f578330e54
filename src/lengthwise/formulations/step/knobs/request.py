"""A request and the physical quantities that techniques change.

Everything at its default is the plain deployment: knobs at their defaults change no time at all.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from lengthwise.errors import InputError
from lengthwise.formulations.step.serving import Interference
from lengthwise.formulations.step.step_model import StepModel

CHUNK = 8192.0
"""Most prompt tokens of a step, where nothing else is said."""


@dataclass(frozen=True)
class Physics:
    """What techniques change, at the values of the plain deployment.

    Attributes
    ----------
    weight_bits, activation_bits, kv_bits
        Bits of a weight, of an input of a product, of a cached value; None: as deployed.
    dequantise
        Arithmetic of widening weights, as a share of the products they go into.
    eager
        Attention writes its score matrix to memory.
    pairs, pairs_index
        Share of the query-key pairs of a prompt that are computed; cost of choosing them, as a
        share of computing all.
    window
        Tokens visible in layers without a window of their own; None: all.
    stored, read, read_index
        Share of the cache that is kept; share of that which a token reads; cost of choosing it, as
        a share of reading all that is kept.
    cached, prompt, compressor_s
        Share of the prompt found in a cache; share of it left by compression; seconds the
        compressor takes per token of the prompt as it came.
    chunk, mixed
        Most prompt tokens of a step; whether running requests decode in the same steps.
    drafts, acceptance, draft_cost, draft, own_heads
        Tokens guessed per step; chance that one is right; cost of one as a share of a decode step;
        the model that guesses, if known; the model guesses with its own extra layers.
    decode_layers, layers
        Share of the layers that generated tokens pass; that all tokens pass.
    pruned
        Share of the rows or columns taken out of every matrix of the blocks.
    weights_away, cache_away, away_bytes_per_s, overlap
        Share of weights and of cache outside the processor's memory, over which link, and whether
        transfers hide behind work.
    lora_rank, adapters
        Rank of unmerged adapters, 0: none; different ones among the sequences of a step.
    separate, handover_bytes_per_s
        Prompts have processors of their own; link to those that decode; None: between nodes.
    launch_s, kernels
        Seconds of the host to launch a kernel, kernels of a layer.
    clock
        Share of the rated clock of the arithmetic units.
    beams
        Sequences decoded for one request.
    round_trip_s, token_round_trips, network_bytes_per_s, token_bytes
        Network between user and server: its delay, how many of them each token waits for, its
        bandwidth, bytes sent for one generated token.
    """

    weight_bits: float | None = None
    activation_bits: float | None = None
    kv_bits: float | None = None
    dequantise: float = 0.0
    eager: bool = False
    pairs: float = 1.0
    pairs_index: float = 0.0
    window: float | None = None
    stored: float = 1.0
    read: float = 1.0
    read_index: float = 0.0
    cached: float = 0.0
    prompt: float = 1.0
    compressor_s: float = 0.0
    chunk: float = CHUNK
    mixed: bool = False
    drafts: int = 0
    acceptance: float = 0.7
    draft_cost: float = 0.1
    draft: str | None = None
    own_heads: int = 0
    decode_layers: float = 1.0
    layers: float = 1.0
    pruned: float = 0.0
    weights_away: float = 0.0
    cache_away: float = 0.0
    away_bytes_per_s: float | None = None
    overlap: bool = True
    lora_rank: int = 0
    adapters: int = 1
    separate: bool = False
    handover_bytes_per_s: float | None = None
    launch_s: float = 0.0
    kernels: int = 12
    clock: float = 1.0
    beams: int = 1
    round_trip_s: float = 0.0
    token_round_trips: float = 0.0
    network_bytes_per_s: float = float("inf")
    token_bytes: float = 250.0


@dataclass(frozen=True)
class Request:
    """One kind of request on one deployment.

    Attributes
    ----------
    step
        The deployment.
    isl, osl
        Prompt and output tokens.
    concurrency
        Requests in flight.
    cached_tokens
        Prompt tokens already in the cache.
    interference
        How requests get into each other's way.
    factors
        Calibration: multiples of the time of operator groups.
    physics
        What techniques change.

    Examples
    --------
    >>> from lengthwise.data.hardware_catalog import find_hardware
    >>> from lengthwise.domain.model import find_model
    >>> step = StepModel.of(find_model("llama3.1-8b"), find_hardware("h100_sxm"), precision="bf16")
    >>> Request(step, isl=8192, osl=512).having(prompt=0.5).tokens
    4096.0
    """

    step: StepModel
    isl: float
    osl: float
    concurrency: float = 1.0
    cached_tokens: float = 0.0
    interference: Interference = field(default_factory=Interference)
    factors: Mapping[str, float] = field(default_factory=dict)
    physics: Physics = field(default_factory=Physics)

    def __post_init__(self) -> None:
        for name, least in (("isl", 1), ("osl", 1), ("concurrency", 1), ("cached_tokens", 0)):
            value = getattr(self, name)
            if not least <= value < float("inf"):
                raise InputError(f"{name} must be {least} or more", got=f"{value!r}")
        if self.cached_tokens >= self.isl:
            raise InputError(
                "cached_tokens must be fewer than isl: the last token is always computed",
                got=f"cached_tokens={self.cached_tokens:g}, isl={self.isl:g}",
            )

    def having(self, **changes: Any) -> Request:
        """Change physical quantities."""
        return replace(self, physics=replace(self.physics, **changes))

    @property
    def tokens(self) -> float:
        """Prompt tokens that reach the model."""
        return max(1.0, self.isl * self.physics.prompt)

    @property
    def found_tokens(self) -> float:
        """Prompt tokens found in a cache; at least one is computed."""
        found = max(self.cached_tokens * self.physics.prompt, self.physics.cached * self.tokens)
        return min(found, self.tokens - 1.0)

    @property
    def context(self) -> float:
        """Mean context of a decode step."""
        return self.tokens + self.osl / 2.0
