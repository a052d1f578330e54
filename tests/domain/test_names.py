"""Names as people write them: a table checked by hand, and rules that hold for all known models.

``model_names.tsv`` holds a name, the model it is (``-``: none of the known ones) and whether it was
read before the rules were written or only afterwards.
"""

import csv
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lengthwise.domain.catalog import ALIASES, MODELS
from lengthwise.domain.model import ModelSpec, find_model
from lengthwise.domain.names import model_key

with (Path(__file__).with_name("model_names.tsv")).open(encoding="utf-8") as file:
    ROWS = [(row["name"], row["model"]) for row in csv.DictReader(file, delimiter="\t")]

models = st.sampled_from(MODELS)
FORMATS = (
    "-Q4_K_M.gguf", "-IQ4_KS", "-UD-Q2_K_XL", "-AWQ", "-GPTQ-Int4", "-FP8", "-fp8-dynamic",
    "-quantized.w4a16", "-bnb-4bit", "-MLX-4bit", "-nvfp4", ".Q4_K_M.gguf", "-bf16", " Q8_0",
    " Q4_K - Medium", "-q4_0-00001-of-00002.gguf", " 6.25bpw", " IQ2_K_R4", ":q4_K_M", "-GGUF:Q8_0",
)  # fmt: skip
TUNINGS = ("", "-Instruct", "-Chat", "-it", "-hf", "-Thinking-2507", "-Instruct-1M", "-128k",
           "-abliterated", "_uncensored", "-v1", "-Instruct-0905")  # fmt: skip
PLACES = ("{}", "/models/x/{}/", "some-org/{}", "D:\\llm\\{}", "some-org--{}", "hf.co/org/{}",
          "~/hub/models--org--{}/snapshots/0e9e39f249a16976918f6564b8830bc894c89659")  # fmt: skip


@pytest.mark.parametrize(("name", "model"), ROWS, ids=[name for name, _ in ROWS])
def test_names_as_written_are_understood_or_left_alone(name: str, model: str) -> None:
    found = find_model(name)
    assert (found.name if found else "-") == model


def test_the_table_is_long_and_names_known_and_unknown_models() -> None:
    assert len(ROWS) >= 400
    assert len({name for name, _ in ROWS}) == len(ROWS)
    assert sum(model == "-" for _, model in ROWS) >= 80
    assert {model for _, model in ROWS} - {"-"} <= {model.name for model in MODELS}


@given(models, st.sampled_from(TUNINGS), st.sampled_from(FORMATS), st.sampled_from(PLACES),
       st.booleans())  # fmt: skip
def test_tuning_format_place_and_case_do_not_matter(
    model: ModelSpec, tuning: str, fmt: str, place: str, upper: bool
) -> None:
    name = place.format(model.name + tuning + fmt)
    found = find_model(name.upper() if upper else name)
    assert found is not None
    assert found.name == model.name


@given(models, st.sampled_from(["mamba", "vision", "eagle", "VL", "pruned", "MoE-16", "draft",
                                "small", "8x3B", "2of4", "1.5B"]))  # fmt: skip
def test_words_that_change_the_layers_are_never_ignored(model: ModelSpec, word: str) -> None:
    found = find_model(f"{model.name}-{word}")
    assert found is None or found.name != model.name


@given(models, st.integers(2, 900))
def test_another_size_is_another_model(model: ModelSpec, size: int) -> None:
    parts = model_key(model.name).split("-")
    sized = [i for i, part in enumerate(parts) if part.endswith("b") and part[0].isdigit()]
    for i in sized:
        changed = [*parts[:i], f"{size}b", *parts[i + 1 :]]
        found = find_model("-".join(changed))
        assert changed == parts or found is None or f"{size}b" in found.name or found.name in {
            ALIASES.get(key) for key in ALIASES if model_key(key) == "-".join(changed)
        }  # fmt: skip


@given(st.text(max_size=40))
def test_any_text_is_a_name_nobody_knows_or_a_model(name: str) -> None:
    found = find_model(name)
    assert found is None or found.name in {model.name for model in MODELS}


@pytest.mark.parametrize(
    ("finetune", "base"),
    [
        ("Foo-{}", "llama3.1-8b"), ("{}-Foo-Bar", "qwen3-8b"), ("Foo-3-{}-v2", "gemma-2-9b"),
        ("Foo-{}-abliterated-v2", "mistral-nemo-12b"),
    ],
)  # fmt: skip
def test_a_finetune_is_its_base_where_the_name_has_family_and_size(
    finetune: str, base: str
) -> None:
    found = find_model(finetune.format(base))
    assert found is not None
    assert found.name == base


@pytest.mark.parametrize("name", ["phi-4", "deepseek-v3", "kimi-k2", "starcoder", "minimax-m3"])
def test_a_name_without_a_size_takes_no_unknown_word(name: str) -> None:
    assert find_model(name) is not None
    assert find_model(f"{name}-foo") is None
    assert find_model(f"foo-{name}") is None


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Llama-3-8B", "Llama-3.1-8B"), ("DeepSeek-V3", "DeepSeek-R1"),
        ("DeepSeek-R1-Distill-Llama-8B", "Llama-3.1-8B"),
        ("DeepSeek-R1-Distill-Qwen-7B", "Qwen2.5-7B"), ("QwQ-32B", "Qwen2.5-32B"),
    ],
)  # fmt: skip
def test_releases_of_one_architecture_have_the_same_layers(one: str, other: str) -> None:
    first, second = find_model(one), find_model(other)
    assert first is not None
    assert second is not None
    assert first.blocks == second.blocks
