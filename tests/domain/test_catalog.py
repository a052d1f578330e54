from collections import Counter
from pathlib import Path

import pytest

from lengthwise.data.datasets import fetch, table
from lengthwise.data.model_files import read_config
from lengthwise.data.readers import own_openvino
from lengthwise.domain.catalog import CONFIG, MODELS
from lengthwise.domain.model import find_model
from lengthwise.domain.names import model_key


@pytest.mark.parametrize(
    ("spelling", "name"),
    [
        ("Llama-2-70b-hf", "llama2-70b"),
        ("meta-llama/Llama-2-70b-chat-hf", "llama2-70b"),
        ("deepseek_r1_distill_qwen_14b", "deepseek-r1-distill-qwen-14b"),
        ("ggml-org/Qwen3-Coder-30B-A3B-Instruct-Q8_0-GGUF", "qwen3-30b-a3b"),
        ("ggml-org/gemma-3-4b-it-qat-GGUF", "gemma-3-4b"),
        ("Meta-Llama-3.1-8B-Instruct-Q4_K_M.gguf", "llama3.1-8b"),
        ("llama3.1:8b", "llama3.1-8b"),
        ("ibm__mpt-7b-instruct2", "mpt-7b"),
        ("Qwen/Qwen3-235B-A22B-Instruct-2507-FP8", "qwen3-235b-a22b"),
        ("nvidia/DeepSeek-R1-NVFP4", "deepseek-r1"),
        ("mistralai/Mixtral-8x7B-v0.1", "mixtral-8x7b"),
        ("bigscience/bloom", "bloom-176b"),
        ("FACEBOOK/OPT-6.7B", "opt-6.7b"),
    ],
)
def test_usual_spellings_find_the_model(spelling: str, name: str) -> None:
    model = find_model(spelling)
    assert model is not None
    assert model.name == name


@pytest.mark.parametrize("name", ["", "llama", "gpt-5", "google/flan-t5-xl", "llama2-71b"])
def test_unknown_names_find_nothing(name: str) -> None:
    assert find_model(name) is None


def test_keys_and_sources_are_unambiguous() -> None:
    assert max(Counter(model_key(model.name) for model in MODELS).values()) == 1
    assert all(model.source for model in MODELS)
    assert all(find_model(model.name) is model for model in MODELS)


@pytest.mark.parametrize(
    ("name", "billions"),
    [
        ("llama2-7b", 6.74), ("llama2-13b", 13.02), ("llama3.1-405b", 405.9), ("opt-175b", 175),
        ("bloom-176b", 176.2), ("mistral-7b", 7.24), ("mixtral-8x7b", 12.9), ("falcon-40b", 41.8),
        ("qwen2.5-14b", 14.8), ("phi-4", 14.7), ("starcoder", 15.5), ("gpt-neox-20b", 20.6),
        ("gemma-3-27b", 27.0), ("deepseek-v3", 37.6), ("qwen3-235b-a22b", 22.2),
    ],
)  # fmt: skip
def test_counts_lie_just_below_the_published_totals(name: str, billions: float) -> None:
    """The blocks are what is left of the (active) total without the vocabulary tables."""
    assert 0.88 * billions < find_model(name).parameters / 1e9 < 1.002 * billions


def test_own_models_have_the_shapes_that_were_measured() -> None:
    for name, shape in own_openvino.manifest(fetch("own-openvino-cpu"))["models"].items():
        model = find_model(name)
        tables = 2 * shape["vocab"] * shape["hidden"]
        assert model.parameters == shape["parameters"] - tables
        assert (model.layers, model.heads) == (shape["layers"], shape["heads"])


FORMATS = {"fp8_block": "fp8"}
"""A name says fp8; only the configuration says that its scales are per block."""


@pytest.mark.data
def test_entries_agree_with_the_config_of_the_model(needs_data: Path) -> None:
    paths = sorted((needs_data / "models").glob("*.json"))
    checked = set()
    for path in paths:
        name = path.stem.split("--")[1]
        model, read = find_model(name), read_config(path)
        assert model is not None, name
        checked.add(model.name)
        assert set(model.blocks) == set(read.blocks), name
        assert (model.hidden, model.vocab) == (read.hidden, read.vocab), name
        assert model.tied_embeddings == read.tied_embeddings, name
        assert model.draft_parameters == read.draft_parameters, name
        assert model.total_parameters == pytest.approx(read.total_parameters, rel=1e-3), name
        formats = {FORMATS.get(spec.weight_format, spec.weight_format) for spec in (model, read)}
        assert len(formats) == 1, name
    assert len(paths) == 79
    assert checked == {model.name for model in MODELS if model.source == CONFIG}


# figures of laws fitted before models were described layer by layer: parameters, layers, heads,
# kv_heads, head_dim, FLOP per pair, KV bytes per token
KEPT = {
    "llama2-70b": (68975329280.0, 80, 64, 8, 128, 2621440, 327680),
    "llama3.1-8b": (6979321856.0, 32, 32, 8, 128, 524288, 131072),
    "deepseek-r1-distill-qwen-14b": (13212057600.0, 48, 40, 8, 128, 983040, 196608),
    "deepseek-v3": (35697917952.0, 61, 128, 2, 160, 4997120, 78080),
    "glm-4.7-flash": (3262119936.0, 47, 20, 1, 256, 962560, 48128),
    "mixtral-8x7b": (12617515008.0, 32, 32, 8, 128, 524288, 131072),
    "gpt-oss-120b": (4551966720.0, 18, 64, 8, 64, 294912, 36864),
    "gemma-3-27b": (25598361600.0, 10, 32, 16, 128, 163840, 81920),
    "opt-175b": (174563917824.0, 96, 96, 96, 128, 4718592, 4718592),
    "falcon-7b": (6625951744.0, 32, 71, 1, 64, 581632, 8192),
}


@pytest.mark.parametrize("name", KEPT)
def test_figures_that_committed_laws_were_fitted_with_stay(name: str) -> None:
    model = find_model(name)
    found = (
        model.parameters, model.layers, model.heads, model.kv_heads, model.head_dim,
        model.flops_per_pair, model.kv_bytes_per_token,
    )  # fmt: skip
    assert found == KEPT[name]
    assert model.flops_per_token == 2 * model.parameters
    assert model.flops_per_pair == 4 * model.layers * model.heads * model.head_dim


@pytest.mark.parametrize(
    ("name", "fmt"),
    [
        ("Qwen3-235B-A22B-FP8", "fp8"), ("nvidia/DeepSeek-R1-NVFP4", "nvfp4"),
        ("deepseek-v3-fp8", "fp8_block"), ("gemma-3-4b-it-Q4_K_M.gguf", "q4_k_m"),
        ("Qwen2.5-7B-Instruct-AWQ", "int4"), ("gpt-oss-20b", "mxfp4"), ("llama3.1-8b", "bf16"),
        ("Nemotron-3-Nano-30B-A3B-BF16", "bf16"), ("gpt-oss-20b-BF16", "bf16"),
    ],
)  # fmt: skip
def test_a_name_says_the_weight_format(name: str, fmt: str) -> None:
    model = find_model(name)
    assert model.weight_format == fmt
    assert model.format_of("tables") == "bf16"


def test_nvfp4_leaves_latent_attention_in_16_bits() -> None:
    model = find_model("nvidia/DeepSeek-R1-NVFP4")
    assert model.format_of("attention") == "bf16"
    assert model.format_of("experts") == "nvfp4"
    assert model.blocks == find_model("deepseek-r1").blocks


@pytest.mark.data
@pytest.mark.parametrize("name", ["splitwise", "edgereasoning", "llamacpp_benches"])
def test_models_of_the_step_data_are_known(needs_data: Path, name: str) -> None:
    assert all(find_model(model) for model in table(name)["model"].unique())
