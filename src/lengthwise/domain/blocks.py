"""Short ways to write layers: mixers with their weight matrices, from a handful of sizes."""

from __future__ import annotations

from collections.abc import Iterable

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


def attention(
    hidden: int, heads: int, kv_heads: int, head_dim: int, *, value_dim: int | None = None,
    window: int | None = None, selected: int | None = None, index_heads: int = 0,
    index_dim: int = 0, gate: int = 0, keys_are_values: bool = False,
) -> Attention:  # fmt: skip
    """Write softmax attention with a fused query, key and value matrix and an output matrix.

    Parameters
    ----------
    hidden, heads, kv_heads, head_dim, value_dim
        Sizes; the value is as large as the key unless given.
    window, selected, index_heads, index_dim
        As in :class:`~lengthwise.domain.layers.Attention`.
    gate
        Further outputs of the fused matrix, for a gate on the output.
    keys_are_values
        Values are the keys before their rotation, so there is no value matrix (both are cached).

    Examples
    --------
    >>> [gemm.n for gemm in attention(4096, 32, 8, 128).projections]
    [6144, 4096]
    """
    value = head_dim if value_dim is None else value_dim
    fused = heads * head_dim + kv_heads * (head_dim + (0 if keys_are_values else value)) + gate
    # one key per token, a query of its own for each index head
    index = (Gemm((index_heads + 1) * index_dim, hidden, "none"),) if index_heads else ()
    matrices = (Gemm(fused, hidden, "columns"), *index, Gemm(hidden, heads * value, "rows"))
    return Attention(
        heads, kv_heads, head_dim, value, window, selected, matrices, index_heads, index_dim
    )


def latent(
    hidden: int, heads: int, ranks: tuple[int, int], dims: tuple[int, int, int], *,
    selected: int | None = None, index_heads: int = 0, index_dim: int = 0, gate: int = 0,
) -> LatentAttention:  # fmt: skip
    """Write multi-head latent attention.

    Parameters
    ----------
    hidden, heads
        Sizes.
    ranks
        Of queries (0: queries are not factored), and of keys and values.
    dims
        Sizes of a head: position-free, rotary, value.
    selected, index_heads, index_dim
        Sparse attention with an index.
    gate
        Outputs of a gate on the output.

    Examples
    --------
    >>> sum(gemm.weights for gemm in latent(7168, 128, (1536, 512), (128, 64, 128)).projections)
    187105280
    """
    (q_rank, kv_rank), (plain, rope, value) = ranks, dims
    query = heads * (plain + rope)
    if q_rank:
        first = [Gemm(q_rank + kv_rank + rope, hidden, "none"), Gemm(query, q_rank, "columns")]
    else:
        first = [Gemm(query, hidden, "columns"), Gemm(kv_rank + rope, hidden, "none")]
    if index_heads:  # queries of the index, its key and the weights of its heads
        first.append(Gemm(index_heads * index_dim, q_rank or hidden, "none"))
        first.append(Gemm(index_dim + index_heads, hidden, "none"))
    if gate:
        first.append(Gemm(gate, hidden, "columns"))
    last = Gemm(heads * (plain + value), kv_rank, "columns"), Gemm(hidden, heads * value, "rows")
    return LatentAttention(
        heads, plain, rope, value, q_rank, kv_rank, selected, index_heads, index_dim,
        (*first, *last),
    )  # fmt: skip


def compressed(
    hidden: int, heads: int, head_dim: int, ranks: tuple[int, int], groups: int, window: int,
    ratio: int = 0, index: tuple[int, int, int] = (0, 0, 0),
) -> Attention:  # fmt: skip
    """Write attention over a window and a compressed past (DeepSeek-V4).

    Queries go through a short vector, one vector per entry is key and value for all heads, and the
    output is projected in groups. Entries of a small ratio overlap, which doubles the matrices that
    make them, and are chosen by an index with a compressor of its own.

    Parameters
    ----------
    hidden, heads, head_dim
        Sizes.
    ranks
        Of queries and of each group of the output.
    groups
        Groups of the output.
    window, ratio
        Tokens kept as they are, and tokens per compressed entry (0: none).
    index
        Heads and size of the index, and entries it selects; heads 0: all entries are seen.

    Examples
    --------
    >>> compressed(4096, 64, 512, (1024, 1024), 8, 128, ratio=128).cache_values(128000)
    577536.0
    """
    q_rank, out_rank = ranks
    index_heads, index_dim, selected = index
    gemms = [
        Gemm(q_rank + head_dim, hidden, "none"),
        Gemm(heads * head_dim, q_rank, "columns"),
        Gemm(groups * out_rank, heads * head_dim // groups, "columns"),
        Gemm(hidden, groups * out_rank, "rows"),
    ]
    if ratio:
        gemms.append(Gemm(2 * head_dim * (2 if index_heads else 1), hidden, "none"))
    if index_heads:
        gemms.append(Gemm(index_heads * index_dim, q_rank, "none"))
        gemms.append(Gemm(index_heads + 4 * index_dim, hidden, "none"))
    return Attention(
        heads, 1, head_dim, head_dim, window, selected or None, tuple(gemms), index_heads,
        index_dim, ratio, head_dim,
    )  # fmt: skip


def mamba(
    hidden: int, heads: int, head_dim: int, state: int, groups: int, kernel: int = 4,
    state_bits: int = 16,
) -> Recurrence:  # fmt: skip
    """Write a Mamba-2 mixer: ``heads`` of ``head_dim`` values, each with ``state`` states.

    >>> mamba(2688, 64, 64, 128, 8).projections[0].n
    10304
    """
    inner, shared = heads * head_dim, 2 * groups * state
    matrices = Gemm(2 * inner + shared + heads, hidden, "columns"), Gemm(hidden, inner, "rows")
    held = heads * head_dim * state + (inner + shared) * (kernel - 1)
    return Recurrence(heads, state, head_dim, held, matrices, state_bits)


def gated_delta(
    hidden: int, key_heads: int, value_heads: int, key_dim: int, value_dim: int, kernel: int = 4,
    state_bits: int = 32,
) -> Recurrence:  # fmt: skip
    """Write a gated delta rule mixer (Yang et al. 2024, arXiv 2412.06464).

    Its fused input matrix gives queries, keys, values, an output gate, and two numbers per head.

    >>> gated_delta(2048, 16, 32, 128, 128).projections[0].n
    12352
    """
    keys, values = key_heads * key_dim, value_heads * value_dim
    fused = 2 * keys + 2 * values + 2 * value_heads
    matrices = Gemm(fused, hidden, "columns"), Gemm(hidden, values, "rows")
    held = value_heads * key_dim * value_dim + (2 * keys + values) * (kernel - 1)
    return Recurrence(value_heads, key_dim, value_dim, held, matrices, state_bits)


def kimi_delta(
    hidden: int, heads: int, head_dim: int, kernel: int = 4, full_gate: bool = False
) -> Recurrence:
    """Write Kimi delta attention (Kimi Team 2025, arXiv 2510.26692).

    Queries, keys, values; a decay per channel through a narrow pair of matrices; one number per
    head; an output gate, through a narrow pair as well unless ``full_gate``.

    >>> kimi_delta(2304, 32, 128).projections[0].n
    12320
    """
    inner = heads * head_dim
    wide = 3 * inner + heads + (inner if full_gate else 0)
    narrow = 1 if full_gate else 2
    gemms = (
        Gemm(wide, hidden, "columns"), Gemm(narrow * head_dim, hidden, "none"),
        Gemm(narrow * inner, head_dim, "columns"), Gemm(hidden, inner, "rows"),
    )  # fmt: skip
    held = heads * head_dim * head_dim + 3 * inner * (kernel - 1)
    return Recurrence(heads, head_dim, head_dim, held, gemms, 32)


def grouped(
    pairs: Iterable[tuple[Mixer | None, FeedForward | Experts | None]],
) -> tuple[Layer, ...]:
    """Gather layers that are alike, in the order in which they first appear.

    >>> [layer.count for layer in grouped([(None, FeedForward(8)), (None, FeedForward(8))])]
    [2]
    """
    counts: dict[tuple[Mixer | None, FeedForward | Experts | None], int] = {}
    for pair in pairs:
        counts[pair] = counts.get(pair, 0) + 1
    return tuple(Layer(count, mixer, ffn) for (mixer, ffn), count in counts.items())


def prediction_modules(count: int, hidden: int, blocks: tuple[Layer, ...]) -> int:
    """Count ``count`` multi-token-prediction modules: a layer like the last, and a 2 h x h matrix.

    Where mixers and feed-forward parts take turns, a module has one of each, attention first.

    >>> prediction_modules(1, 8, (Layer(2, attention(8, 2, 2, 4), FeedForward(16)),))
    768
    """
    whole = [b for b in blocks if b.ffn is not None and b.mixer is not None]
    if not count or not blocks:
        return 0
    if whole:
        layer = whole[-1].all_weights(hidden)
    else:
        mixers = [b for b in blocks if isinstance(b.mixer, Attention)]
        parts = [b for b in blocks if b.ffn is not None]
        layer = sum(found[-1].all_weights(hidden) for found in (mixers, parts) if found)
    return count * (layer + 2 * hidden * hidden)
