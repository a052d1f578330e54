"""Attention layers of a ``config.json``: grouped, windowed, latent, with an index, compressed."""

from __future__ import annotations

from collections.abc import Sequence

from lengthwise.domain.blocks import attention, compressed, latent
from lengthwise.domain.layers import Attention, Gemm, LatentAttention
from lengthwise.domain.model_config_values import Values

WINDOWED = frozenset({"sliding_attention", "chunked_attention"})
RECURRENT = frozenset({"linear_attention", "mamba", "mamba2"})
OVERLAPPING = 4
"""Compression up to which entries overlap and an index chooses among them."""
FULL_NAME = "full_attention"
FULL = frozenset({"full_attention", "attention", "global_attention"})


def shape(config: Values) -> tuple[int, int, int]:
    """Give query heads, key-value heads and head size.

    >>> shape(Values({"hidden_size": 4096, "num_attention_heads": 32}, "m"))
    (32, 32, 128)
    """
    heads = config.size("num_attention_heads", "n_head", "n_heads", "num_heads")
    nested = config.mapping("attn_config")
    shared = config.get("num_key_value_heads", "num_kv_heads", "n_head_kv", "num_attention_groups")
    if shared is None and nested is not None:
        shared = nested.get("kv_n_heads")
    if shared is not None:
        kv_heads = config.whole(shared, "num_key_value_heads")
    else:
        kv_heads = 1 if config.flag("multi_query") else heads
    hidden = config.size("hidden_size", "n_embd", "d_model")
    if config.get("head_dim", "attention_head_dim", "kv_channels") is None and hidden % heads:
        raise config.error("must give head_dim where heads do not divide the hidden size",
                           f"{heads} heads in {hidden}")  # fmt: skip
    head_dim = config.size("head_dim", "attention_head_dim", "kv_channels", default=hidden // heads)
    if kv_heads > heads:
        raise config.error("must have at most as many key-value heads as query heads",
                           f"{kv_heads} and {heads}")  # fmt: skip
    return heads, kv_heads, head_dim


def kinds(config: Values, layers: int) -> list[str]:
    """Say of each layer how much it sees: ``full_attention``, ``sliding_attention``, ...

    >>> kinds(Values({"sliding_window": 8, "sliding_window_pattern": 2}, "m"), 4)[1]
    'full_attention'
    """
    listed = config.listing("layer_types", length=layers)
    if listed is not None:
        return [str(kind) for kind in listed]
    types = config.listing("attn_type_list", length=layers)
    if types is not None:  # 1: softmax
        return [FULL_NAME if entry else "linear_attention" for entry in types]
    own = config.listing("attn_layer_indices")
    if own is not None:
        return [FULL_NAME if i in own else "mamba" for i in range(layers)]
    period = config.size("attn_layer_period", default=0, least=0)
    if period:
        offset = config.size("attn_layer_offset", default=0, least=0)
        return [FULL_NAME if i % period == offset else "mamba" for i in range(layers)]
    hybrid = config.listing("hybrid_layer_pattern", length=layers)
    if hybrid is not None:  # 1: sliding
        return [_kind(bool(entry)) for entry in hybrid]
    interval = config.size("full_attention_interval", default=0, least=0)
    if interval:
        return ["linear_attention" if (i + 1) % interval else FULL_NAME for i in range(layers)]
    every = config.size("sliding_window_pattern", "_sliding_window_pattern", default=0, least=0)
    if every:
        return [_kind(bool((i + 1) % every)) for i in range(layers)]
    ropes = config.listing("no_rope_layers")
    if config.get("attention_chunk_size") is not None:
        step = config.size("no_rope_layer_interval", default=4)
        chunked = (
            [bool(r) for r in ropes] if ropes else [bool((i + 1) % step) for i in range(layers)]
        )
        return ["chunked_attention" if c else "full_attention" for c in chunked[:layers]]
    if config.get("sliding_window") is not None and config.flag("use_sliding_window", True):
        first = config.get("max_window_layers")
        after = config.whole(first, "max_window_layers", 0) if first is not None else 0
        return [_kind(i >= after) for i in range(layers)]
    return ["full_attention"] * layers


def _kind(sliding: bool) -> str:
    return "sliding_attention" if sliding else "full_attention"


def mixers(
    config: Values, hidden: int, layers: int
) -> Sequence[Attention | LatentAttention | None]:
    """Give the attention of each layer, None where it is none of softmax attention's kinds."""
    if config.get("compress_ratios") is not None:
        return _compressed(config, hidden, layers)
    if config.get("kv_lora_rank") is not None:
        return _latent(config, hidden, layers)
    sparse = _sparse(config, layers)
    shared = config.size("num_kv_shared_layers", default=0, least=0)
    found: list[Attention | None] = []
    for i, kind in enumerate(kinds(config, layers)):
        if kind in RECURRENT:
            found.append(None)
            continue
        if kind not in WINDOWED | FULL:
            raise config.error("must use layers of a known kind", repr(kind))
        made = _softmax(config, hidden, kind in WINDOWED, sparse[i])
        found.append(_reading(made, hidden) if i >= layers - shared else made)
    return found


def _softmax(config: Values, hidden: int, local: bool, sparse: dict[str, int]) -> Attention:
    """Write one layer, with the sizes that layers of its kind have."""
    heads, kv_heads, head_dim = shape(config)
    value = config.size("v_head_dim", default=head_dim)
    keys_are_values = False
    other = config.mapping("attention_other_setting")
    if local:
        heads = config.size("swa_num_attention_heads", default=heads)
        kv_heads = config.size("swa_num_key_value_heads", default=kv_heads)
        value = config.size("swa_v_head_dim", default=value)
        head_dim = config.size("swa_head_dim", default=head_dim)
        if other is not None and other.text("attention_type") in WINDOWED:
            heads = other.size("num_attention_heads", default=heads)
            kv_heads = other.size("num_attention_groups", default=kv_heads)
    else:
        keys_are_values = config.flag("attention_k_eq_v")
        head_dim = config.size("global_head_dim", default=head_dim)
        value = head_dim if config.get("global_head_dim") is not None else value
        if keys_are_values:
            kv_heads = config.size("num_global_key_value_heads", default=kv_heads)
    gate = heads * value if config.flag("attn_output_gate") else 0
    gate += heads if config.flag("use_head_wise_attn_gate") else 0
    window = _window(config) if local else None
    return attention(
        hidden, heads, kv_heads, head_dim, value_dim=value, window=window, gate=gate,
        keys_are_values=keys_are_values, **sparse,
    )  # fmt: skip


def _window(config: Values) -> int:
    return config.size("sliding_window", "sliding_window_size", "attention_chunk_size")


def _reading(own: Attention, hidden: int) -> Attention:
    """Rewrite a layer that reads keys and values of an earlier one: queries and output only."""
    query = Gemm(own.heads * own.head_dim, hidden, "columns")
    return Attention(
        own.heads, own.kv_heads, own.head_dim, own.value_dim, own.window,
        projections=(query, own.projections[-1]), cached_values=0,
    )  # fmt: skip


def _sparse(config: Values, layers: int) -> list[dict[str, int]]:
    """Give the index of each layer of block-sparse attention, empty where it has none."""
    nested = config.mapping("sparse_attention_config")
    if nested is None or not nested.flag("use_sparse_attention", True):
        return [{} for _ in range(layers)]
    block = nested.size("sparse_block_size")
    on = nested.listing("sparse_attention_freq", length=layers) or [1] * layers
    index = {
        "selected": block * nested.size("sparse_topk_blocks"),
        "index_heads": nested.size("sparse_num_index_heads"),
        "index_dim": nested.size("sparse_index_dim"),
    }
    return [dict(index) if entry else {} for entry in on]


def _latent(config: Values, hidden: int, layers: int) -> list[LatentAttention | None]:
    """Write multi-head latent attention, in those layers that are not linear."""
    heads = config.size("num_attention_heads")
    ranks = (config.size("q_lora_rank", default=0, least=0), config.size("kv_lora_rank"))
    plain, rope = config.size("qk_nope_head_dim"), config.size("qk_rope_head_dim", least=0)
    dims = (plain, rope, config.size("v_head_dim", default=plain))
    gated = config.text("hidden_act") == "situ" or config.flag("mla_output_gate")
    gate = heads * dims[2] if gated else 0
    full = latent(hidden, heads, ranks, dims, gate=gate)
    if config.get("index_topk") is not None:
        index = {
            "index_heads": config.size("index_n_heads"),
            "index_dim": config.size("index_head_dim"),
        }
        own = latent(hidden, heads, ranks, dims, selected=config.size("index_topk"), **index)
        borrowed = latent(hidden, heads, ranks, dims, selected=own.selected)
        types = config.listing("indexer_types", length=layers) or ["full"] * layers
        return [borrowed if kind == "shared" else own for kind in types]
    linear = config.mapping("linear_attn_config")
    if linear is None:
        return [full] * layers
    positions = linear.listing("full_attn_layers") or []
    return [full if i + 1 in positions else None for i in range(layers)]


def _compressed(config: Values, hidden: int, layers: int) -> list[Attention]:
    """Write attention over a window and a compressed past, by the ratio of each layer."""
    ratios = [
        config.whole(entry, "compress_ratios", 0)
        for entry in config.listing("compress_ratios", length=layers) or []
    ]
    heads, size = config.size("num_attention_heads"), config.size("head_dim")
    ranks = config.size("q_lora_rank"), config.size("o_lora_rank")
    groups, window = config.size("o_groups"), config.size("sliding_window")
    index = (
        config.size("index_n_heads"), config.size("index_head_dim"), config.size("index_topk"),
    )  # fmt: skip
    made = {
        ratio: compressed(
            hidden, heads, size, ranks, groups, window, ratio,
            index if 0 < ratio <= OVERLAPPING else (0, 0, 0),
        )
        for ratio in dict.fromkeys(ratios)
    }  # fmt: skip
    return [made[ratio] for ratio in ratios]
