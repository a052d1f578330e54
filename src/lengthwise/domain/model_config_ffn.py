"""Feed-forward parts of a ``config.json``: dense or experts, and which layer has which."""

from __future__ import annotations

from lengthwise.domain.layers import Experts, FeedForward
from lengthwise.domain.model_config_values import Values

UNGATED = frozenset({
    "gpt2", "gptj", "gpt_neo", "gpt_neox", "gpt_bigcode", "opt", "bloom", "falcon", "mpt", "phi",
    "starcoder2", "codegen", "nemotron", "nemotron_h", "persimmon", "stablelm_epoch",
})  # fmt: skip
"""Architectures whose feed-forward part has two matrices, not three."""

EXPERTS = ("num_local_experts", "n_routed_experts", "num_experts", "moe_num_experts")
ACTIVE = (
    "num_experts_per_tok", "num_experts_per_token", "experts_per_token", "moe_topk", "moe_top_k",
    "top_k_experts", "moe_k",
)  # fmt: skip


def is_gated(config: Values) -> bool:
    """Say whether the feed-forward part has a gate.

    >>> is_gated(Values({"model_type": "opt"}, "m")), is_gated(Values({}, "m"))
    (False, True)
    """
    act = config.text("mlp_hidden_act", "hidden_act", "activation_function")
    return config.text("model_type") not in UNGATED and act not in {"relu2", "relu"}


def dense(config: Values, hidden: int) -> FeedForward:
    """Write the dense part."""
    keys = ("intermediate_size_mlp", "dense_intermediate_size", "intermediate_size", "n_inner",
            "ffn_dim", "ffn_hidden_size")  # fmt: skip
    times = config.size("expansion_ratio", default=4)
    default = times * hidden if not is_gated(config) else None
    return FeedForward(config.size(*keys, default=default), is_gated(config))


def experts(config: Values) -> Experts | None:
    """Write the mixture of experts, None if the model has none.

    >>> keys = {"num_local_experts": 8, "num_experts_per_tok": 2, "intermediate_size": 14336}
    >>> experts(Values(keys, "m"))
    Experts(inner=14336, gated=True, experts=8, active=2, shared_inner=0, latent=0)
    """
    count = config.size(*EXPERTS, default=0, least=0)
    if count <= 1:
        return None
    inner = config.size("moe_intermediate_size", "expert_intermediate_size", "intermediate_size")
    active = config.size(*ACTIVE)
    if active > count:
        raise config.error("must use at most as many experts as there are", f"{active} of {count}")
    width = config.size("moe_latent_size", "routed_expert_hidden_size", default=0, least=0)
    return Experts(inner, is_gated(config), count, active, _shared(config, inner), width)


def _shared(config: Values, inner: int) -> int:
    """Give the inner size of what every token passes beside the routed experts."""
    if config.text("model_type").startswith("llama4"):
        return config.size("intermediate_size")
    if config.flag("enable_moe_block"):  # a dense part runs beside the experts
        return config.size("intermediate_size")
    count = config.size("n_shared_experts", "num_shared_experts", default=0, least=0)
    own = config.size(
        "moe_shared_expert_intermediate_size", "shared_expert_intermediate_size",
        "share_expert_dim", "shared_intermediate_size", default=inner if count else 0, least=0,
    )  # fmt: skip
    return own * max(count, 1)


def has_experts(config: Values, layers: int) -> list[bool]:
    """Say of each layer whether its feed-forward part is a mixture of experts.

    >>> has_experts(Values({"first_k_dense_replace": 1}, "m"), 3)
    [False, True, True]
    """
    listed = config.listing("mlp_layer_types", length=layers)
    if listed is not None:
        return [kind != "dense" for kind in listed]
    enumerated = config.get("moe_layers_enum", "moe_layers")
    if isinstance(enumerated, str):
        enumerated = [int(part) for part in enumerated.split(",") if part.strip().isdigit()]
    if isinstance(enumerated, list):
        return [i in enumerated for i in range(layers)]
    first = config.size("first_k_dense_replace", "moe_layer_start_index", default=0, least=0)
    every = config.get("moe_layer_freq")
    if isinstance(every, list):
        listed = config.listing("moe_layer_freq", length=layers)
        return [bool(entry) for entry in listed or []]
    step = config.size(
        "moe_layer_freq", "decoder_sparse_step", "interleave_moe_layer_step", "moe_layer_interval",
        "expert_layer_period", default=1,
    )  # fmt: skip
    offset = config.size("expert_layer_offset", default=step - 1, least=0)
    only = config.listing("mlp_only_layers") or []
    return [i >= first and i % step == offset and i not in only for i in range(layers)]
