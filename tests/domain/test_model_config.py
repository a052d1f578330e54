"""Configurations written by us, in the keys of each family, and what must be read from them."""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lengthwise.domain.layers import (
    Attention,
    Experts,
    FeedForward,
    LatentAttention,
    Layer,
    Recurrence,
)
from lengthwise.domain.model import ModelSpec
from lengthwise.domain.model_config import parse_config
from lengthwise.errors import InputError

Config = dict[str, Any]

DENSE: Config = {
    "model_type": "llama", "hidden_size": 64, "num_hidden_layers": 4, "num_attention_heads": 4,
    "num_key_value_heads": 2, "intermediate_size": 128, "vocab_size": 100,
    "tie_word_embeddings": False, "max_position_embeddings": 4096,
}  # fmt: skip
LATENT: Config = DENSE | {
    "q_lora_rank": 32, "kv_lora_rank": 16, "qk_nope_head_dim": 8, "qk_rope_head_dim": 4,
    "v_head_dim": 8, "n_routed_experts": 8, "num_experts_per_tok": 2, "n_shared_experts": 1,
    "moe_intermediate_size": 32, "first_k_dense_replace": 1, "num_nextn_predict_layers": 1,
}  # fmt: skip
EXPERTS: Config = DENSE | {
    "num_experts": 8, "num_experts_per_tok": 2, "moe_intermediate_size": 32,
}  # fmt: skip
MAMBA: Config = {
    "model_type": "nemotron_h", "hidden_size": 64, "vocab_size": 100, "num_attention_heads": 4,
    "num_key_value_heads": 2, "head_dim": 16, "mamba_num_heads": 8, "mamba_head_dim": 16,
    "ssm_state_size": 32, "n_groups": 2, "conv_kernel": 4, "intermediate_size": 128,
    "mlp_hidden_act": "relu2",
}  # fmt: skip
DELTA: Config = DENSE | {
    "model_type": "qwen3_5_text", "head_dim": 16, "linear_num_key_heads": 2,
    "linear_num_value_heads": 4, "linear_key_head_dim": 16, "linear_value_head_dim": 16,
}  # fmt: skip
PACKED: Config = DENSE | {
    "model_type": "deepseek_v4", "head_dim": 16, "q_lora_rank": 32, "o_lora_rank": 32,
    "o_groups": 2, "sliding_window": 128, "compress_ratios": [0, 4, 128, 4, 0],
    "index_n_heads": 2, "index_head_dim": 8, "index_topk": 20, "n_routed_experts": 8,
    "num_experts_per_tok": 2, "moe_intermediate_size": 32,
}  # fmt: skip
ALL = {
    "dense": DENSE, "latent": LATENT, "experts": EXPERTS, "delta": DELTA, "packed": PACKED,
    "mamba": MAMBA | {"hybrid_override_pattern": "M*-E", "n_routed_experts": 4,
                      "num_experts_per_tok": 2, "moe_intermediate_size": 32},
}  # fmt: skip


KINDS = ["full_attention", *["sliding_attention"] * 3]


def mixers(spec: ModelSpec) -> list[Any]:
    return [block.mixer for block in spec.blocks for _ in range(block.count)]


def ffns(spec: ModelSpec) -> list[Any]:
    return [block.ffn for block in spec.blocks for _ in range(block.count)]


def test_a_dense_model() -> None:
    spec = parse_config(DENSE, "tiny")
    assert spec.parameters == 4 * (64 * (64 + 64) + 64 * 64 + 3 * 64 * 128)
    assert spec.total_parameters == spec.parameters + 2 * 100 * 64 + 9 * 64
    assert (spec.layers, spec.heads, spec.kv_heads, spec.head_dim) == (4, 4, 2, 16)
    assert spec.kv_bytes(10) == 10 * spec.kv_bytes_per_token == 10 * 4 * 2 * 2 * 16 * 2
    assert (spec.max_context, spec.weight_format) == (4096, "bf16")


@pytest.mark.parametrize(
    ("change", "kv_heads"),
    [({"num_key_value_heads": None}, 4), ({"num_key_value_heads": None, "multi_query": True}, 1)],
)
def test_key_value_heads_left_out(change: Config, kv_heads: int) -> None:
    assert parse_config(DENSE | change).kv_heads == kv_heads


def test_older_names_of_keys() -> None:
    spec = parse_config(
        {"model_type": "gpt2", "n_embd": 64, "n_layer": 4, "n_head": 4, "vocab_size": 100,
         "n_positions": 1024}
    )  # fmt: skip
    assert spec.blocks[0].ffn == FeedForward(256, gated=False)
    assert spec.table_parameters == 100 * 64  # tied, as the architecture is
    assert spec.max_context == 1024


@pytest.mark.parametrize(
    ("change", "full", "window"),
    [
        ({"sliding_window": 8}, [], 8),
        ({"sliding_window": 8, "use_sliding_window": False}, [0, 1, 2, 3], None),
        ({"sliding_window": 8, "max_window_layers": 3}, [0, 1, 2], 8),
        ({"sliding_window": 8, "sliding_window_pattern": 2}, [1, 3], 8),
        ({"sliding_window": 8, "model_type": "gemma2"}, [1, 3], 8),
        ({"sliding_window": 8, "layer_types": KINDS}, [0], 8),
        ({"sliding_window": 8, "hybrid_layer_pattern": [0, 1, 1, 0]}, [0, 3], 8),
        ({"attention_chunk_size": 16, "model_type": "llama4_text"}, [3], 16),
        ({"attention_chunk_size": 16, "no_rope_layers": [1, 0, 1, 1]}, [1], 16),
    ],
)  # fmt: skip
def test_which_layers_have_a_window(change: Config, full: list[int], window: int | None) -> None:
    spec = parse_config(DENSE | change)
    assert spec.layers == len(full)
    assert {m.window for m in mixers(spec)} == {None if i in full else window for i in range(4)}
    assert spec.kv_bytes(1000) == (
        (len(full) * 1000 + (4 - len(full)) * (window or 0)) * 2 * 32 * 2
    )


def test_local_layers_of_other_sizes() -> None:
    spec = parse_config(
        DENSE | {"hybrid_layer_pattern": [0, 1, 1, 1], "sliding_window": 8, "head_dim": 24,
                 "v_head_dim": 16, "swa_num_key_value_heads": 4}
    )  # fmt: skip
    full, *local = mixers(spec)
    assert (full.kv_heads, full.head_dim, full.value_dim) == (2, 24, 16)
    assert {(m.kv_heads, m.window) for m in local} == {(4, 8)}


def test_full_layers_whose_keys_are_values() -> None:
    spec = parse_config(
        DENSE | {"model_type": "gemma4_text", "layer_types": ["sliding_attention"] * 3 +
                 ["full_attention"], "sliding_window": 8, "head_dim": 16, "global_head_dim": 32,
                 "num_global_key_value_heads": 1, "attention_k_eq_v": True}
    )  # fmt: skip
    local, full = mixers(spec)[0], mixers(spec)[-1]
    assert (local.head_dim, local.kv_heads, local.projections[0].n) == (16, 2, 4 * 16 + 4 * 16)
    assert (full.head_dim, full.kv_heads, full.projections[0].n) == (32, 1, 4 * 32 + 32)
    assert full.cache_values(1) == 64


def test_layers_that_read_the_cache_of_earlier_ones() -> None:
    spec = parse_config(DENSE | {"num_kv_shared_layers": 2})
    assert spec.kv_bytes(10) == parse_config(DENSE | {"num_hidden_layers": 2}).kv_bytes(10)
    assert spec.flops_per_pair == parse_config(DENSE).flops_per_pair


def test_latent_attention_and_experts() -> None:
    spec = parse_config(LATENT)
    mixer, first, rest = spec.blocks[0].mixer, spec.blocks[0], spec.blocks[1]
    assert isinstance(mixer, LatentAttention)
    assert sum(g.weights for g in mixer.projections) == (
        64 * 32 + 32 * 4 * 12 + 64 * 20 + 16 * 4 * 16 + 4 * 8 * 64
    )
    assert (first.count, first.ffn) == (1, FeedForward(128))
    assert (rest.count, rest.ffn) == (3, Experts(32, True, 8, 2, shared_inner=32))
    assert spec.kv_bytes(10) == 10 * 4 * 20 * 2
    one_layer = sum(g.weights for g in mixer.projections) + 8 * 64 + 9 * 3 * 64 * 32
    assert spec.draft_parameters == one_layer + 2 * 64 * 64


def test_queries_that_are_not_factored() -> None:
    spec = parse_config(LATENT | {"q_lora_rank": None})
    assert mixers(spec)[0].q_rank == 0
    assert mixers(spec)[0].projections[0].n == 4 * 12


def test_an_index_and_layers_that_borrow_its_choice() -> None:
    keys = {"index_topk": 16, "index_n_heads": 2, "index_head_dim": 8}
    own = parse_config(LATENT | keys)
    some = parse_config(LATENT | keys | {"indexer_types": ["full", "shared", "shared", "shared"]})
    assert {m.selected for m in mixers(some)} == {16}
    assert own.kv_bytes(100) - some.kv_bytes(100) == 3 * 100 * 8 * 2
    assert own.flops_per_pair == 4 * 2 * 2 * 8
    assert some.parameters < own.parameters


def test_blocks_of_tokens_chosen_by_an_index() -> None:
    spec = parse_config(
        DENSE | {"sparse_attention_config": {
            "sparse_block_size": 8, "sparse_topk_blocks": 2, "sparse_num_index_heads": 2,
            "sparse_index_dim": 8, "sparse_attention_freq": [0, 1, 1, 1]}}
    )  # fmt: skip
    first, *rest = mixers(spec)
    assert (first.selected, {m.selected for m in rest}) == (None, {16})
    assert first.visible(1000) == 1000
    assert rest[0].visible(1000) == 16


@pytest.mark.parametrize(
    ("change", "which"),
    [
        ({}, [1, 1, 1, 1]),
        ({"first_k_dense_replace": 3}, [0, 0, 0, 1]),
        ({"decoder_sparse_step": 2}, [0, 1, 0, 1]),
        ({"interleave_moe_layer_step": 2}, [0, 1, 0, 1]),
        ({"mlp_only_layers": [1, 2]}, [1, 0, 0, 1]),
        ({"moe_layer_freq": [0, 1, 1, 1]}, [0, 1, 1, 1]),
        ({"mlp_layer_types": ["dense", "sparse", "sparse", "dense"]}, [0, 1, 1, 0]),
        ({"moe_layers_enum": "2,3"}, [0, 0, 1, 1]),
    ],
)
def test_which_layers_have_experts(change: Config, which: list[int]) -> None:
    spec = parse_config(EXPERTS | change)
    assert sum(isinstance(ffn, Experts) for ffn in ffns(spec)) == sum(which)
    assert isinstance(spec.blocks[0].ffn, Experts if which[0] else FeedForward)


@pytest.mark.parametrize(
    ("change", "inner"),
    [
        ({}, 0), ({"n_shared_experts": 2}, 64), ({"shared_expert_intermediate_size": 48}, 48),
        ({"n_shared_experts": 1, "share_expert_dim": 48}, 48),
        ({"shared_intermediate_size": 0}, 0), ({"model_type": "llama4_text"}, 128),
        ({"enable_moe_block": True}, 128),
    ],
)  # fmt: skip
def test_shared_experts(change: Config, inner: int) -> None:
    assert ffns(parse_config(EXPERTS | change))[0].shared_inner == inner


def test_experts_that_work_in_a_narrower_space() -> None:
    spec = parse_config(EXPERTS | {"moe_latent_size": 16})
    wide = parse_config(EXPERTS)
    routed = 4 * 8 * 3 * 32
    assert wide.weights_by_part["experts"] == routed * 64
    assert spec.weights_by_part["experts"] == routed * 16
    assert spec.weights_by_part["router"] - wide.weights_by_part["router"] == 4 * 2 * 64 * 16


@pytest.mark.parametrize(
    "layout",
    [{"hybrid_override_pattern": "MM*-M-"},
     {"layers_block_type": ["mamba", "mamba", "attention", "mlp", "mamba", "mlp"]}],
)  # fmt: skip
def test_mixers_and_feed_forward_parts_in_turn(layout: Config) -> None:
    spec = parse_config(MAMBA | layout)
    counts = {type(b.mixer or b.ffn): b.count for b in spec.blocks}
    assert counts == {Recurrence: 3, Attention: 1, FeedForward: 2}
    assert spec.layers == 1
    state = 8 * 16 * 32 + (128 + 2 * 2 * 32) * 3
    assert spec.kv_bytes(0) == 3 * state * 2
    assert parse_config(MAMBA | layout | {"mamba_ssm_cache_dtype": "float32"}).kv_bytes(0) == (
        3 * state * 4
    )


def test_only_mamba() -> None:
    spec = parse_config(
        {"model_type": "mamba2", "hidden_size": 64, "num_hidden_layers": 3, "vocab_size": 100,
         "num_heads": 8, "head_dim": 16, "state_size": 32, "n_groups": 1, "expand": 2}
    )  # fmt: skip
    assert (spec.layers, spec.flops_per_pair, spec.kv_bytes_per_token) == (0, 0, 0)
    assert spec.kv_bytes(10**6) == spec.kv_bytes(0) > 0


def test_gated_delta_layers_between_gated_attention() -> None:
    spec = parse_config(DELTA)
    kinds = [type(m) for m in mixers(spec)]
    assert (kinds.count(Recurrence), kinds.count(Attention)) == (3, 1)
    full = next(m for m in mixers(spec) if isinstance(m, Attention))
    assert full.projections[0].n == 2 * 64 + 2 * 2 * 16  # queries and their gate, keys, values


def test_delta_attention_between_latent_attention() -> None:
    spec = parse_config(
        LATENT | {"linear_attn_config": {"num_heads": 4, "head_dim": 16, "full_attn_layers": [4],
                                         "kda_layers": [1, 2, 3]}}
    )  # fmt: skip
    assert [type(m) for m in mixers(spec)].count(LatentAttention) == spec.layers == 1


def test_a_compressed_past() -> None:
    spec = parse_config(PACKED)
    assert [m.compress for m in mixers(spec)] == [0, 4, 4, 128]  # the last entry is a draft module
    assert {m.selected for m in mixers(spec)} == {None, 20}
    assert spec.layers == 3
    entries = 4 * 128 + 2 * 1280 / 4 + 1280 / 128
    assert spec.kv_bytes(1280) == (entries * 16 + 2 * 8 * 320) * 2


def test_the_language_model_inside_a_multimodal_one() -> None:
    vision = {"depth": 2, "hidden_size": 32, "intermediate_size": 64, "patch_size": 4}
    spec = parse_config(
        {"architectures": ["XForConditionalGeneration"], "text_config": DENSE,
         "vision_config": vision}
    )  # fmt: skip
    plain = parse_config(DENSE)
    assert spec.blocks == plain.blocks
    tower = 2 * (4 * 32 * 32 + 2 * 32 * 64 + 4 * 32) + 3 * 4 * 4 * 32
    merger = 128 * 128 + 128 * 64
    assert spec.other_parameters - plain.other_parameters == tower + merger
    assert spec.parameters == plain.parameters


def test_a_tower_described_in_another_way_does_not_matter() -> None:
    odd = {"depth": [1, 2], "hidden_size": "wide"}
    assert parse_config(DENSE | {"vision_config": odd}).total_parameters == (
        parse_config(DENSE).total_parameters
    )


FP8 = {"quant_method": "fp8"}
GROUP = {"num_bits": 4, "type": "float", "group_size": 16}


@pytest.mark.parametrize(
    ("section", "fmt", "parts"),
    [
        (FP8, "fp8", {}),
        (FP8 | {"weight_block_size": [128, 128]}, "fp8_block", {}),
        (FP8 | {"modules_to_not_convert": ["gate", "lm_head"]}, "fp8", {}),
        ({"quant_method": "mxfp4", "modules_to_not_convert": ["model.layers.*.self_attn"]},
         "mxfp4", {"attention": "bf16"}),
        ({"quant_algo": "NVFP4", "ignore": [f"model.layers.{i}.self_attn*" for i in range(4)]},
         "nvfp4", {"attention": "bf16"}),
        ({"quant_algo": "NVFP4", "ignore": ["model.layers.0.self_attn*"]}, "nvfp4", {}),
        ({"quant_method": "compressed-tensors", "config_groups": {"g": {"weights": GROUP}}},
         "nvfp4", {}),
        ({"quant_method": "compressed-tensors", "format": "mxfp4-pack-quantized",
          "config_groups": {"g": {"weights": GROUP | {"group_size": 32}}},
          "ignore": ["re:.*self_attn.*", "re:.*shared_experts.*"]},
         "mxfp4", {"attention": "bf16", "shared": "bf16"}),
        ({"quant_method": "compressed-tensors",
          "config_groups": {"g": {"weights": {"num_bits": 4, "type": "int", "group_size": 32}}}},
         "int4_g32", {}),
        ({"quant_algo": "FP8", "config_groups": {"g": {"weights": {"num_bits": 8}}}}, "fp8", {}),
        ({"quant_method": "awq", "bits": 4}, "int4", {}),
        ({"quant_method": "gptq", "bits": 8}, "int8", {}),
        ({"quant_method": "bitsandbytes", "load_in_4bit": True}, "int4", {}),
        ({"quant_method": "fp8", "quant_algo": "MIXED_PRECISION", "moe_quant_algo": "NVFP4",
          "ignore": ["*.self_attn.*", "*.mlp.shared_experts.*"]},
         "nvfp4", {"attention": "fp8_block", "shared": "fp8_block"}),
    ],
)  # fmt: skip
def test_weight_formats(section: Config, fmt: str, parts: dict[str, str]) -> None:
    spec = parse_config(EXPERTS | {"n_shared_experts": 1, "quantization_config": section})
    assert (spec.weight_format, dict(spec.part_formats)) == (fmt, parts)
    assert spec.weight_bytes() < parse_config(EXPERTS | {"n_shared_experts": 1}).weight_bytes()


def test_the_name_says_the_format_when_the_configuration_does_not() -> None:
    assert parse_config(DENSE, "tiny-NVFP4").weight_format == "nvfp4"
    assert parse_config(DENSE | {"torch_dtype": "float16"}, "tiny").weight_format == "fp16"


def test_experts_in_a_format_of_their_own() -> None:
    spec = parse_config(
        PACKED | {"expert_dtype": "fp4",
                  "quantization_config": FP8 | {"weight_block_size": [128, 128]}}
    )  # fmt: skip
    assert (spec.format_of("experts"), spec.format_of("attention")) == ("mxfp4", "fp8_block")


@pytest.mark.parametrize("key", ["hidden_size", "num_hidden_layers", "vocab_size",
                                 "num_attention_heads", "intermediate_size"])  # fmt: skip
def test_a_missing_size_is_named(key: str) -> None:
    with pytest.raises(InputError, match=rf'tiny must give .*"{key}".*Remedy'):
        parse_config({k: v for k, v in DENSE.items() if k != key}, "tiny")


@pytest.mark.parametrize("value", [-1, 0, math.nan, math.inf, 2.5, "64", True, [], {}, 10**12])
@pytest.mark.parametrize("key", ["hidden_size", "num_hidden_layers", "vocab_size"])
def test_a_size_that_cannot_be_is_refused(key: str, value: object) -> None:
    with pytest.raises(InputError, match=rf"must give {key} as a whole number"):
        parse_config(DENSE | {key: value})


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"model_type": "bert", "architectures": ["BertForMaskedLM"]}, "decoder-only"),
        ({"is_encoder_decoder": True, "model_type": "t5"}, "decoder-only"),
        (DENSE | {"layer_types": ["conv"] * 4}, "known kind, but got 'conv'"),
        (DENSE | {"layer_types": ["full_attention"] * 3}, "a list of 4 entries"),
        (DENSE | {"num_key_value_heads": 8}, "at most as many key-value heads"),
        (DENSE | {"num_attention_heads": 5, "num_key_value_heads": 1}, "must give head_dim"),
        (EXPERTS | {"num_experts_per_tok": 9}, "at most as many experts"),
        (DENSE | {"quantization_config": {"quant_method": "magic"}}, "'magic'"),
        (DENSE | {"quantization_config": [4]}, "as an object"),
        (DENSE | {"num_hidden_layers": 10**6}, "believable"),
        (MAMBA | {"hybrid_override_pattern": "MXM"}, "must write its layers"),
        (DENSE | {"multi_query": "yes", "num_key_value_heads": None}, "true or false"),
    ],
)
def test_what_is_no_decoder_or_makes_no_sense_is_refused(config: Config, message: str) -> None:
    with pytest.raises(InputError, match=message):
        parse_config(config)


def test_a_configuration_is_an_object() -> None:
    with pytest.raises(InputError, match="one object"):
        parse_config([1, 2])  # type: ignore[arg-type]


values = st.none() | st.booleans() | st.integers(-2, 300) | st.floats() | st.text(max_size=4)
odd = (
    values | st.lists(values, max_size=4) | st.dictionaries(st.text(max_size=3), values, max_size=2)
)


@given(st.sampled_from(sorted(ALL)), st.data())
def test_damage_never_gives_a_traceback(name: str, data: st.DataObject) -> None:
    config = dict(ALL[name])
    for key in data.draw(st.lists(st.sampled_from(sorted(config)), min_size=1, max_size=3)):
        config[key] = data.draw(odd)
    try:
        spec = parse_config(config)
    except InputError:
        return
    assert spec.total_parameters > 0
    assert all(isinstance(block, Layer) for block in spec.blocks)
