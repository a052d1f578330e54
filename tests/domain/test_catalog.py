import json
from collections import Counter
from pathlib import Path

import pytest

from lengthwise.data.datasets import fetch, table
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


@pytest.mark.data
def test_entries_agree_with_the_config_of_the_model(needs_data: Path) -> None:
    checked = set()
    for path in (needs_data / "models").glob("*.json"):
        model = find_model(path.stem.split("--")[1])
        config = json.loads(path.read_text())
        if model is None or model.source != CONFIG or "num_hidden_layers" not in config:
            continue
        checked.add(model.name)
        kinds = config.get("layer_types") or ["full_attention"] * config["num_hidden_layers"]
        assert model.layers == kinds.count("full_attention"), path.name
        assert model.heads == config["num_attention_heads"]
        if "kv_lora_rank" not in config:
            size = config.get("head_dim") or config["hidden_size"] // model.heads
            assert (model.kv_heads, model.head_dim) == (config["num_key_value_heads"], size)
    assert checked == {model.name for model in MODELS if model.source == CONFIG}


@pytest.mark.data
@pytest.mark.parametrize("name", ["splitwise", "edgereasoning", "llamacpp_benches"])
def test_models_of_the_step_data_are_known(needs_data: Path, name: str) -> None:
    assert all(find_model(model) for model in table(name)["model"].unique())
