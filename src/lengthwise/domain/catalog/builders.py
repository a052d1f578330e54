"""Models in one line each: sizes in, a full spec out.

``parameters`` then counts the matrices of the blocks that one prompt token passes through:

    attention     2 h H d + 2 h H_kv d    h hidden size, H query and H_kv key-value heads of size d
    feed-forward  m h f                   m = 3 with a gate, 2 without; f inner size
    experts       k (3 h f) + h E         k active (routed and shared) of E experts

The embedding is a look-up and costs nothing; the output matrix is needed for the last prompt token
only. Both are left out. Norms and biases are negligible and left out.
"""

from __future__ import annotations

from dataclasses import replace

from lengthwise.domain.blocks import attention, latent, prediction_modules
from lengthwise.domain.layers import Experts, FeedForward, Layer
from lengthwise.domain.model import ModelSpec

CONFIG = "config.json of the model"
PUBLISHED = "published architecture, not checked against a config.json"


def model(
    name: str, hidden: int, vocab: int, blocks: tuple[Layer, ...], *, tied: bool = False,
    context: int | None = None, weights: str = "bf16", parts: tuple[tuple[str, str], ...] = (),
    other: float = 0.0, draft: int = 0, source: str = CONFIG,
) -> ModelSpec:  # fmt: skip
    """Write a model from its layers; ``draft`` modules of multi-token prediction, ``other`` vision.

    >>> model("m", 8, 10, (Layer(2, attention(8, 2, 2, 4), FeedForward(16)),), draft=1).parameters
    1280.0
    """
    return ModelSpec(
        name, hidden, vocab, blocks, tied, context, weights, parts, other,
        draft_parameters=float(prediction_modules(draft, hidden, blocks)), source=source,
    )  # fmt: skip


def stacked(
    name: str, layers: int, hidden: int, heads: int, kv_heads: int, head_dim: int,
    ffn: FeedForward | Experts, vocab: int, *, full: int | None = None, window: int | None = None,
    tied: bool = False, context: int | None = None, tables: bool = False,
    weights: str = "bf16", parts: tuple[tuple[str, str], ...] = (), other: float = 0.0,
    draft: int = 0, source: str = PUBLISHED,
) -> ModelSpec:  # fmt: skip
    """Write a model whose layers are alike, but ``full`` of them only with full attention.

    ``tables``: the published total stands for the parameters of a step, vocabulary tables included,
    because they are below one percent of it.
    """
    mixer = attention(hidden, heads, kv_heads, head_dim)
    blocks = [Layer(layers if full is None else full, mixer, ffn)] if full != 0 else []
    if full is not None:
        local = attention(hidden, heads, kv_heads, head_dim, window=window)
        blocks.insert(0, Layer(layers - full, local, ffn))
    made = model(
        name, hidden, vocab, tuple(blocks), tied=tied, context=context, weights=weights,
        parts=parts, other=other, draft=draft, source=source,
    )  # fmt: skip
    return replace(made, counted_parameters=made.active_parameters) if tables else made


def dense(
    name: str, layers: int, hidden: int, heads: int, kv_heads: int, head_dim: int, ffn: int,
    vocab: int, *, gate: bool = True, full: int | None = None, window: int | None = None,
    tied: bool = False, context: int | None = None, tables: bool = False, other: float = 0.0,
    draft: int = 0, source: str = PUBLISHED,
) -> ModelSpec:  # fmt: skip
    """Write a dense model.

    >>> round(dense("8b", 32, 4096, 32, 8, 128, 14336, 128256).total_parameters / 1e9, 2)
    8.03
    """
    return stacked(
        name, layers, hidden, heads, kv_heads, head_dim, FeedForward(ffn, gate), vocab,
        full=full, window=window, tied=tied, context=context, tables=tables, other=other,
        draft=draft, source=source,
    )  # fmt: skip


def moe(
    name: str, layers: int, hidden: int, heads: int, kv_heads: int, head_dim: int, ffn: int,
    active: int, experts: int, vocab: int, *, full: int | None = None, window: int | None = None,
    context: int | None = None, weights: str = "bf16", parts: tuple[tuple[str, str], ...] = (),
    other: float = 0.0, draft: int = 0, source: str = CONFIG,
) -> ModelSpec:  # fmt: skip
    """Write a mixture of experts: ``active`` of ``experts`` per token, each of inner size ffn.

    >>> round(moe("8x7b", 32, 4096, 32, 8, 128, 14336, 2, 8, 32000).total_parameters / 1e9, 1)
    46.7
    """
    return stacked(
        name, layers, hidden, heads, kv_heads, head_dim, Experts(ffn, True, experts, active), vocab,
        full=full, window=window, context=context, weights=weights, parts=parts, other=other,
        draft=draft, source=source,
    )  # fmt: skip


def latent_moe(
    name: str, layers: int, hidden: int, heads: int, ranks: tuple[int, int],
    dims: tuple[int, int, int], ffn: tuple[int, int, int], active: int, experts: int, vocab: int,
    *, index: tuple[int, int, int] | None = None, borrowing: int = 0, context: int | None = None,
    weights: str = "bf16", parts: tuple[tuple[str, str], ...] = (), other: float = 0.0,
    draft: int = 0, source: str = CONFIG, shared: int = 1,
) -> ModelSpec:  # fmt: skip
    """Write multi-head latent attention with a mixture of experts and ``shared`` experts.

    ``ranks`` are those of queries and of keys and values; ``dims`` the position-free, rotary and
    value sizes of a head; ``ffn`` the dense layers, their inner size and that of an expert;
    ``index`` the heads and size of the index of sparse attention and the tokens it selects;
    ``borrowing`` the layers that use the choice of an earlier layer.
    """
    index_heads, index_dim, selected = index or (0, 0, None)
    own = latent(hidden, heads, ranks, dims, selected=selected, index_heads=index_heads,
                 index_dim=index_dim)  # fmt: skip
    first, inner, expert = ffn
    routed = Experts(expert, True, experts, active, shared * expert)
    blocks = [Layer(first, own, FeedForward(inner))]
    if borrowing:
        blocks.append(
            Layer(borrowing, latent(hidden, heads, ranks, dims, selected=selected), routed)
        )
    blocks.append(Layer(layers - first - borrowing, own, routed))
    return model(
        name, hidden, vocab, tuple(blocks), context=context, weights=weights, parts=parts,
        other=other, draft=draft, source=source,
    )  # fmt: skip
