"""How layers see the past: counts, growth and shares that hold for every known model."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lengthwise.domain.catalog import MODELS
from lengthwise.domain.layer_kinds import attention_share, layer_kinds, pairs_per_token_growth
from lengthwise.domain.layers import Layer, Recurrence
from lengthwise.domain.model import ModelSpec, find_model
from lengthwise.errors import InputError

models = st.sampled_from(MODELS)
lengths = st.integers(1, 4_000_000)


@pytest.mark.parametrize(
    ("name", "counts"),
    [
        ("llama3.1-8b", (32, 0, 0, 0, 0)), ("deepseek-v3", (0, 61, 0, 0, 0)),
        ("deepseek-v3.2", (0, 0, 0, 61, 0)), ("gpt-oss-20b", (12, 0, 12, 0, 0)),
        ("gemma-3-1b", (4, 0, 22, 0, 0)), ("mistral-7b-v0.1", (0, 0, 32, 0, 0)),
        ("qwen3-next-80b-a3b", (12, 0, 0, 0, 36)), ("kimi-k3", (0, 24, 0, 0, 69)),
        ("minimax-m3", (3, 0, 0, 57, 0)), ("nemotron-h-56b", (10, 0, 0, 0, 54)),
        ("llama-4-scout-17b-16e", (12, 0, 36, 0, 0)), ("deepseek-v2-lite", (0, 27, 0, 0, 0)),
    ],
)  # fmt: skip
def test_layers_are_counted_by_kind(name: str, counts: tuple[int, ...]) -> None:
    kinds = layer_kinds(find_model(name))
    found = (kinds.full, kinds.latent, kinds.sliding, kinds.sparse, kinds.recurrent)
    assert found == counts


@given(models)
def test_kinds_add_up_to_the_layers_with_a_mixer(model: ModelSpec) -> None:
    kinds = layer_kinds(model)
    total = kinds.full + kinds.latent + kinds.sliding + kinds.sparse + kinds.recurrent
    assert total == sum(block.count for block in model.blocks if block.mixer is not None)


@given(models)
def test_growth_is_the_ratio_of_the_parts_and_zero_without_full_attention(
    model: ModelSpec,
) -> None:
    kinds, growth = layer_kinds(model), pairs_per_token_growth(model)
    assert growth * model.flops_per_token == pytest.approx(model.flops_per_pair)
    assert (growth > 0) == bool(kinds.full + kinds.latent + kinds.sparse)


def test_growth_is_zero_for_states_only() -> None:
    block = Layer(4, Recurrence(4, 16, 16, 1024), None)
    spec = ModelSpec("states", 64, 100, (block,))
    assert pairs_per_token_growth(spec) == 0
    assert attention_share(spec, 10**6) == 0


@given(models, lengths, lengths)
def test_the_share_lies_between_0_and_1_and_grows_with_the_length(
    model: ModelSpec, a: int, b: int
) -> None:
    short, long = (attention_share(model, n) for n in (min(a, b), max(a, b)))
    assert 0 <= short <= long + 1e-12
    assert long < 1


@given(lengths)
def test_the_share_of_full_attention_is_the_causal_half(tokens: int) -> None:
    model = find_model("llama3.1-8b")
    half = tokens * pairs_per_token_growth(model) / 2
    assert attention_share(model, tokens) == pytest.approx(half / (1 + half))


def test_a_window_is_full_attention_up_to_its_size_and_levels_off_beyond() -> None:
    window, full = find_model("mistral-7b-v0.1"), find_model("mistral-7b")
    for tokens in (1, 100, 4096):
        assert attention_share(window, tokens) == pytest.approx(attention_share(full, tokens))
    assert attention_share(window, 10**6) < attention_share(full, 10**6) / 5
    limit = attention_share(window, 10**9)
    assert attention_share(window, 10**8) == pytest.approx(limit, rel=1e-3)


@pytest.mark.parametrize("tokens", [0, -1, math.nan, math.inf])
def test_a_share_needs_a_length(tokens: float) -> None:
    with pytest.raises(InputError, match="a prompt has a length"):
        attention_share(find_model("llama3.1-8b"), tokens)
