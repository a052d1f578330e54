"""What a decoder layer is made of.

A mixer moves information along the sequence, a feed-forward part works on each token alone.

::

    mixer  Attention         keys and values per token (MHA, GQA, MQA; window, index, compressed)
           LatentAttention   one short vector per token for all heads (MLA)
           Recurrence        a state of fixed size (linear attention, Mamba, gated delta)
    ffn    FeedForward       one product for all tokens
           Experts           a few of many, chosen per token, and a shared one

All sizes are those of the whole model, before any parallelism. FLOPs count a multiplication and an
addition as two. Sizes are values, not bytes: precision is a matter of the deployment.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Split = Literal["columns", "rows", "none"]


@dataclass(frozen=True)
class Gemm:
    """One weight matrix that every token of a step is multiplied with.

    Attributes
    ----------
    n, k
        Outputs and inputs, before tensor parallelism.
    split
        How tensor parallelism cuts it: ``columns`` n / tp, ``rows`` k / tp, ``none`` replicated.
    """

    n: int
    k: int
    split: Split = "columns"

    @property
    def weights(self) -> int:
        """Weights of the matrix, n k."""
        return self.n * self.k


@dataclass(frozen=True)
class Attention:
    """Softmax attention with keys and values of its own.

    Attributes
    ----------
    heads, kv_heads
        Query heads, and heads of keys and values they share.
    head_dim, value_dim
        Size of a query or key, and of a value.
    window
        Tokens visible at most; None: all.
    selected
        Cache entries chosen per query by an index; None: all visible ones.
    index_heads, index_dim
        Shape of that index: its query heads and the size of its one key per entry.
    compress
        0: every token is kept. r: the ``window`` last tokens are kept as they are, and beyond them
        one entry for every r tokens.
    cached_values
        Values one token leaves in the cache: None for its keys and values, fewer where keys serve
        as values too, 0 in layers that read the cache of an earlier layer.
    projections
        Weight matrices, the fused query, key and value matrix first.

    Examples
    --------
    >>> llama = Attention(heads=32, kv_heads=8, head_dim=128, value_dim=128)
    >>> llama.pair_flops, llama.cache_values(1000)
    (16384, 2048000.0)
    """

    heads: int
    kv_heads: int
    head_dim: int
    value_dim: int
    window: int | None = None
    selected: int | None = None
    projections: tuple[Gemm, ...] = ()
    index_heads: int = 0
    index_dim: int = 0
    compress: int = 0
    cached_values: int | None = None

    @property
    def is_full(self) -> bool:
        """Whether the cache grows with the sequence."""
        return self.window is None or bool(self.compress)

    @property
    def pair_flops(self) -> int:
        """FLOP of one query-key pair over all heads: score and weighted sum."""
        return 2 * self.heads * (self.head_dim + self.value_dim)

    @property
    def index_flops(self) -> int:
        """FLOP to score one cache entry for one query in the index."""
        return 2 * self.index_heads * self.index_dim

    @property
    def pair_growth(self) -> int:
        """FLOP that one more token far back costs a query: its pair, or its score in the index."""
        one = self.pair_flops if self.selected is None else self.index_flops
        return one // max(self.compress, 1) if self.is_full else 0

    @property
    def cache_growth(self) -> int:
        """Values that one more token adds to a long cache, about."""
        one = self.entry_values + self.index_dim
        return one // max(self.compress, 1) if self.is_full else 0

    @property
    def entry_values(self) -> int:
        """Values of one cache entry, without its index key."""
        own = self.kv_heads * (self.head_dim + self.value_dim)
        return own if self.cached_values is None else self.cached_values

    def entries(self, tokens: float) -> float:
        """Give the cache entries that a sequence of that many tokens holds."""
        near = float(tokens if self.window is None else min(tokens, self.window))
        return near + (tokens / self.compress if self.compress else 0.0)

    def visible(self, tokens: float) -> float:
        """Give the cache entries that one query attends to after so many tokens."""
        if not self.compress:
            return min(self.entries(tokens), float(self.selected or tokens))
        near = min(tokens, self.window or 0)
        return near + min(tokens / self.compress, float(self.selected or tokens))

    def cache_values(self, tokens: float) -> float:
        """Give the cached values of a sequence of that many tokens."""
        index = self.index_dim * (tokens / self.compress if self.compress else tokens)
        return self.entries(tokens) * self.entry_values + index


@dataclass(frozen=True)
class LatentAttention:
    """Multi-head latent attention: a short vector per token is cached for all heads together.

    Attributes
    ----------
    heads
        Query heads.
    plain_dim, rope_dim, value_dim
        Sizes of a head: the part of a query without position, with position, and the value.
    q_rank, kv_rank
        Ranks of queries (0: not factored) and of keys and values.
    selected, index_heads, index_dim
        Sparse attention: tokens chosen per query, and the index that chooses them.
    projections
        Weight matrices.

    Examples
    --------
    >>> deepseek = LatentAttention(128, 128, 64, 128, 1536, 512)
    >>> deepseek.pair_flops, deepseek.cache_values(1000)
    (81920, 576000)
    """

    heads: int
    plain_dim: int
    rope_dim: int
    value_dim: int
    q_rank: int
    kv_rank: int
    selected: int | None = None
    index_heads: int = 0
    index_dim: int = 0
    projections: tuple[Gemm, ...] = ()

    @property
    def is_full(self) -> bool:
        """Whether the cache grows with the sequence."""
        return True

    @property
    def head_dim(self) -> int:
        """Mean of query and value size, which makes 4 H d the FLOP of one pair."""
        return (self.plain_dim + self.rope_dim + self.value_dim) // 2

    @property
    def kv_heads(self) -> int:
        """Whole heads of that size that would hold about as much as the latent cache."""
        return max(1, round(self.entry_values / (2 * self.head_dim)))

    @property
    def pair_flops(self) -> int:
        """FLOP of one query-key pair over all heads, keys and values spelt out."""
        return 2 * self.heads * (self.plain_dim + self.rope_dim + self.value_dim)

    @property
    def absorbed_pair_flops(self) -> int:
        """FLOP of one pair when queries meet the latent cache itself, as decoding does."""
        return 2 * self.heads * (2 * self.kv_rank + self.rope_dim)

    @property
    def index_flops(self) -> int:
        """FLOP to score one token for one query in the index."""
        return 2 * self.index_heads * self.index_dim

    @property
    def pair_growth(self) -> int:
        """FLOP that one more token far back costs a query: its pair, or its score in the index."""
        return self.pair_flops if self.selected is None else self.index_flops

    @property
    def cache_growth(self) -> int:
        """Values that one more token adds to the cache, in whole heads."""
        return 2 * self.kv_heads * self.head_dim

    @property
    def entry_values(self) -> int:
        """Values of one token, without its index key."""
        return self.kv_rank + self.rope_dim

    def entries(self, tokens: float) -> float:
        """Give the cache entries that a sequence of that many tokens holds."""
        return tokens

    def visible(self, tokens: float) -> float:
        """Give the tokens that one query attends to."""
        return tokens if self.selected is None else min(tokens, self.selected)

    def cache_values(self, tokens: float) -> float:
        """Give the cached values of a sequence of that many tokens."""
        return tokens * (self.entry_values + self.index_dim)


@dataclass(frozen=True)
class Recurrence:
    """A state of fixed size instead of a cache: linear attention, Mamba, gated delta rule.

    Attributes
    ----------
    heads
        Heads of the state.
    key_dim, value_dim
        Rows and columns of the state of one head.
    state_values
        Values held per sequence and layer, those of the short convolution included.
    projections
        Weight matrices.
    state_bits
        Bits of one value of the state.

    Examples
    --------
    >>> mamba = Recurrence(heads=64, key_dim=128, value_dim=64, state_values=542720, state_bits=32)
    >>> mamba.update_flops
    3145728
    """

    heads: int
    key_dim: int
    value_dim: int
    state_values: int
    projections: tuple[Gemm, ...] = ()
    state_bits: int = 16

    @property
    def update_flops(self) -> int:
        """FLOP of one token on the state: decay, outer product, sum, and reading it out."""
        return 6 * self.heads * self.key_dim * self.value_dim


@dataclass(frozen=True)
class FeedForward:
    """Dense feed-forward part of inner size ``inner``; ``gated`` ones have a third matrix."""

    inner: int
    gated: bool = True

    def gemms(self, hidden: int) -> tuple[Gemm, ...]:
        """Give its matrices: up (and gate, fused), then down.

        >>> [gemm.weights for gemm in FeedForward(14336).gemms(4096)]
        [117440512, 58720256]
        """
        if not self.inner:
            return ()
        up = Gemm((2 if self.gated else 1) * self.inner, hidden, "columns")
        return up, Gemm(hidden, self.inner, "rows")


@dataclass(frozen=True)
class Experts:
    """Mixture of experts.

    Attributes
    ----------
    inner, gated
        Inner size of one routed expert, and whether it has a gate.
    experts, active
        Routed experts, and how many of them a token passes.
    shared_inner
        Inner size of all shared experts together, which every token passes; 0: none.
    latent
        Width at which routed experts work, when tokens are projected down to it first; 0: the
        hidden size.

    Examples
    --------
    >>> mixtral = Experts(inner=14336, gated=True, experts=8, active=2)
    >>> mixtral.routed_weights(4096) / mixtral.expert_weights(4096)
    8.0
    """

    inner: int
    gated: bool
    experts: int
    active: int
    shared_inner: int = 0
    latent: int = 0

    @property
    def shared(self) -> FeedForward:
        """The shared experts as one dense part."""
        return FeedForward(self.shared_inner, self.gated)

    def width(self, hidden: int) -> int:
        """Give the width of the tokens that routed experts see."""
        return self.latent or hidden

    def expert_weights(self, hidden: int) -> int:
        """Give the weights of one routed expert."""
        return (3 if self.gated else 2) * self.width(hidden) * self.inner

    def routed_weights(self, hidden: int) -> int:
        """Give the weights of all routed experts."""
        return self.experts * self.expert_weights(hidden)

    def gemms(self, hidden: int) -> tuple[Gemm, ...]:
        """Give the matrices every token passes: router, way in and out of the latent, shared."""
        router = Gemm(self.experts, hidden, "none")
        around = (Gemm(self.latent, hidden, "none"), Gemm(hidden, self.latent, "none"))
        return (router, *(around if self.latent else ()), *self.shared.gemms(hidden))


Mixer = Attention | LatentAttention | Recurrence


@dataclass(frozen=True)
class Layer:
    """``count`` layers that are alike; either part may be missing."""

    count: int
    mixer: Mixer | None
    ffn: FeedForward | Experts | None

    def active_weights(self, hidden: int) -> int:
        """Give the weights that one token passes in one of these layers.

        >>> Layer(32, None, FeedForward(14336)).active_weights(4096)
        176160768
        """
        gemms = self.mixer.projections if self.mixer else ()
        total = sum(gemm.weights for gemm in gemms)
        if self.ffn is not None:
            total += sum(gemm.weights for gemm in self.ffn.gemms(hidden))
        if isinstance(self.ffn, Experts):
            total += self.ffn.active * self.ffn.expert_weights(hidden)
        return total

    def all_weights(self, hidden: int) -> int:
        """Give the weights of one of these layers, those of unused experts too."""
        total = self.active_weights(hidden)
        if isinstance(self.ffn, Experts):
            total += (self.ffn.experts - self.ffn.active) * self.ffn.expert_weights(hidden)
        return total
