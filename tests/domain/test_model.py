"""What a spec says of bytes and FLOPs holds for any model, not only for known ones."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lengthwise.domain.blocks import attention, compressed, gated_delta, latent, mamba
from lengthwise.domain.catalog import MODELS
from lengthwise.domain.layers import Attention, Experts, FeedForward, Layer, Recurrence
from lengthwise.domain.model import ModelSpec, find_model
from lengthwise.domain.weights import BITS, UNQUANTISED
from lengthwise.errors import InputError

MIXERS = (
    attention(64, 4, 2, 16),
    attention(64, 4, 1, 16, window=100),
    attention(64, 4, 2, 16, selected=50, index_heads=2, index_dim=8),
    latent(64, 4, (32, 16), (8, 4, 8)),
    latent(64, 4, (0, 16), (8, 4, 8), selected=40, index_heads=2, index_dim=8),
    compressed(64, 4, 16, (32, 32), 2, 100, 4, (2, 8, 20)),
    compressed(64, 4, 16, (32, 32), 2, 100, 128),
    mamba(64, 8, 16, 32, 2),
    gated_delta(64, 2, 4, 16, 16),
    None,
)
FFNS = (
    FeedForward(128), FeedForward(128, gated=False), Experts(32, True, 8, 2),
    Experts(32, False, 8, 2, 64, latent=16), None,
)  # fmt: skip

layers = st.builds(Layer, st.integers(1, 40), st.sampled_from(MIXERS), st.sampled_from(FFNS))
specs = st.builds(
    ModelSpec, st.just("any"), st.just(64), st.integers(1, 1000),
    st.lists(layers, min_size=1, max_size=4).map(tuple), st.booleans(),
)  # fmt: skip
lengths = st.integers(0, 2_000_000)


@given(specs, lengths, lengths)
def test_the_cache_grows_with_the_sequence_and_never_faster_than_it(
    spec: ModelSpec, a: int, b: int
) -> None:
    short, long, both = (spec.kv_bytes(n) for n in (min(a, b), max(a, b), a + b))
    assert short <= long <= both
    assert both <= (spec.kv_bytes(a) + spec.kv_bytes(b)) * (1 + 1e-12)


@given(specs, lengths)
def test_fewer_bits_make_a_smaller_cache_and_states_do_not_change(
    spec: ModelSpec, tokens: int
) -> None:
    states = spec.kv_bytes(0)
    assert spec.kv_bytes(tokens, 8) - states == pytest.approx((spec.kv_bytes(tokens) - states) / 2)


@given(specs)
def test_weights_shrink_with_precision(spec: ModelSpec) -> None:
    order = sorted(BITS, key=lambda fmt: -BITS[fmt])
    sizes = [spec.weight_bytes(fmt) for fmt in order]
    assert sizes == sorted(sizes, reverse=True)
    assert spec.weight_bytes("bf16") == pytest.approx(2 * spec.total_parameters)
    kept = sum(size for part, size in spec.weights_by_part.items() if part in UNQUANTISED)
    assert min(sizes) >= 2 * kept


@given(specs)
def test_counts_are_consistent(spec: ModelSpec) -> None:
    assert spec.flops_per_token == 2 * spec.parameters
    assert sum(spec.weights_by_part.values()) == pytest.approx(spec.total_parameters)
    assert spec.parameters <= spec.active_parameters <= spec.total_parameters
    assert spec.layer_count == sum(block.count for block in spec.blocks)
    assert 0 <= spec.layers <= spec.layer_count


@given(st.sampled_from([m for m in MIXERS if m is not None and not isinstance(m, Recurrence)]),
       lengths)  # fmt: skip
def test_a_query_sees_no_more_than_is_held(mixer: Attention, tokens: int) -> None:
    assert 0 <= mixer.visible(tokens) <= mixer.entries(tokens) <= tokens + tokens / 4


def test_a_window_holds_no_more_than_the_window() -> None:
    local = attention(64, 4, 2, 16, window=100)
    assert local.cache_values(100) == local.cache_values(10**6) == 100 * 2 * 32
    assert (local.is_full, local.pair_growth) == (False, 0)


def test_an_index_makes_only_its_own_scores_grow() -> None:
    sparse = attention(64, 4, 2, 16, selected=50, index_heads=2, index_dim=8)
    assert sparse.visible(10**6) == 50
    assert sparse.pair_growth == 2 * 2 * 8 < sparse.pair_flops


def test_a_compressed_past_costs_a_fraction() -> None:
    full, packed = attention(64, 4, 1, 16), compressed(64, 4, 16, (32, 32), 2, 100, 128)
    assert packed.cache_values(10**6) < full.cache_values(10**6) / 200
    assert packed.visible(10**6) == pytest.approx(100 + 10**6 / 128)


def test_keys_that_are_values_need_no_matrix_of_their_own_but_are_cached() -> None:
    plain, shared = attention(64, 4, 2, 16), attention(64, 4, 2, 16, keys_are_values=True)
    assert plain.projections[0].n - shared.projections[0].n == 2 * 16
    assert plain.cache_values(10) == shared.cache_values(10)


def test_parts_keep_the_format_they_are_published_in() -> None:
    model = find_model("kimi-k2.5")
    plain, packed = model.weight_bytes("bf16"), model.weight_bytes()
    experts = model.weights_by_part["experts"]
    assert plain - packed == pytest.approx(experts * (16 - 4.5) / 8)


@pytest.mark.parametrize("model", MODELS, ids=lambda m: m.name)
def test_known_models_have_finite_positive_figures(model: ModelSpec) -> None:
    for value in (model.parameters, model.total_parameters, model.weight_bytes(),
                  model.kv_bytes(4096), model.weight_bytes("nvfp4")):  # fmt: skip
        assert math.isfinite(value)
        assert value > 0


@pytest.mark.parametrize(("tokens", "bits"), [(-1, 16), (math.nan, 16), (10, 0), (10, math.nan)])
def test_a_cache_needs_a_length_and_bits(tokens: float, bits: float) -> None:
    with pytest.raises(InputError, match="length and bits"):
        find_model("llama3.1-8b").kv_bytes(tokens, bits)


def test_an_unknown_format_is_refused_by_name() -> None:
    with pytest.raises(InputError, match=r"'fp5'.*nvfp4"):
        find_model("llama3.1-8b").weight_bytes("fp5")
