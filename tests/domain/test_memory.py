"""Whether a deployment fits, and how many sequences it holds."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lengthwise.data.hardware_catalog import find_hardware
from lengthwise.domain.catalog import MODELS
from lengthwise.domain.memory import MemoryUse, memory_use
from lengthwise.domain.model import ModelSpec, find_model
from lengthwise.domain.parallelism import Parallelism
from lengthwise.domain.placement import Placement
from lengthwise.errors import InputError

H100 = find_hardware("h100_sxm")
H200 = find_hardware("h200_sxm")


def model(name: str) -> ModelSpec:
    found = find_model(name)
    assert found is not None
    return found


def use(name: str, cut: Parallelism | None = None, **asked: object) -> MemoryUse:
    given_ = {"tokens_per_sequence": 8192} | asked
    return memory_use(model(name), H100, cut, **given_)  # type: ignore[arg-type]


def test_llama_70b_needs_two_80_gb_processors() -> None:
    alone = use("llama3.1-70b")
    assert not alone.fits
    assert alone.weights_bytes == pytest.approx(141.1e9, rel=0.01)
    assert "tp=2 would hold the weights" in alone.why_not
    assert (alone.max_sequences, alone.max_tokens_per_sequence) == (0, 0)
    pair = use("llama3.1-70b", Parallelism(tp=2))
    assert pair.fits
    assert pair.why_not == ""
    assert pair.weights_bytes == pytest.approx(alone.weights_bytes / 2)
    assert 1 <= (pair.max_sequences or 0) < 10


def test_eight_bits_bring_it_onto_one() -> None:
    assert use("llama3.1-70b", precision="fp8").weights_bytes == pytest.approx(72.7e9, rel=0.02)
    assert memory_use(model("llama3.1-70b"), H200, precision="fp8", tokens_per_sequence=8192).fits


def test_deepseek_v3_needs_eight_h200() -> None:
    assert not use("deepseek-v3", Parallelism(tp=8)).fits
    assert memory_use(
        model("deepseek-v3"), H200, Parallelism(tp=8), tokens_per_sequence=8192
    ).fits  # fmt: skip


@pytest.mark.parametrize(
    ("name", "cut", "bytes_per_token"),
    [
        ("llama3.1-8b", Parallelism(), 131072),
        ("llama3.1-70b", Parallelism(), 327680),
        ("llama3.1-70b", Parallelism(tp=8), 40960),
        ("llama3.1-70b", Parallelism(tp=16), 40960),  # 8 key-value heads: two copies of each
        ("llama3.1-70b", Parallelism(pp=4), 81920),
        ("deepseek-v3", Parallelism(), 61 * 576 * 2),
        ("deepseek-v3", Parallelism(tp=8), 61 * 576 * 2),  # a latent cache cannot be cut
    ],
)
def test_cache_of_one_token_on_one_processor(
    name: str, cut: Parallelism, bytes_per_token: int
) -> None:
    place = Placement(model(name), cut)
    assert place.cache_bytes(1001) - place.cache_bytes(1000) == pytest.approx(bytes_per_token)
    eight = Placement(model(name), cut, kv_bits=8)
    assert eight.cache_bytes(1000) == pytest.approx(place.cache_bytes(1000) / 2)


@pytest.mark.parametrize("spec", MODELS, ids=lambda spec: spec.name)
def test_one_processor_holds_the_whole_model(spec: ModelSpec) -> None:
    for precision in (None, "bf16", "fp8", "int4"):
        place = Placement(spec, Parallelism(), precision)
        assert place.weights_bytes == pytest.approx(spec.weight_bytes(precision))
    assert Placement(spec, Parallelism()).cache_bytes(5000) == pytest.approx(spec.kv_bytes(5000))


@given(
    spec=st.sampled_from(MODELS),
    tp=st.sampled_from([1, 2, 4, 8]),
    dp=st.sampled_from([1, 2, 4, 8]),
    pp=st.sampled_from([1, 2, 4]),
    wide=st.booleans(),
)
def test_parts_add_up_to_at_least_the_whole(
    spec: ModelSpec, tp: int, dp: int, pp: int, wide: bool
) -> None:
    cut = Parallelism(tp, pp, tp * dp if wide else 1, dp)
    place, whole = Placement(spec, cut), Placement(spec, Parallelism())
    assert place.weights_bytes * cut.gpus >= 0.999 * whole.weights_bytes
    assert place.weights_bytes <= whole.weights_bytes * 1.001
    assert place.cache_bytes(9000) * tp * pp >= 0.999 * whole.cache_bytes(9000)


@given(
    spec=st.sampled_from(MODELS),
    tokens=st.integers(1, 10**6),
    longer=st.integers(0, 10**6),
    tp=st.sampled_from([1, 2, 8]),
)
def test_longer_sequences_leave_room_for_fewer(
    spec: ModelSpec, tokens: int, longer: int, tp: int
) -> None:
    cut = Parallelism(tp=tp)
    short = memory_use(spec, H200, cut, tokens_per_sequence=tokens)
    long = memory_use(spec, H200, cut, tokens_per_sequence=tokens + longer)
    assert (long.max_sequences or 0) <= (short.max_sequences or 0)
    assert long.kv_bytes >= short.kv_bytes
    assert long.weights_bytes == short.weights_bytes


@given(spec=st.sampled_from(MODELS), tokens=st.integers(1, 300_000), tp=st.sampled_from([1, 4, 8]))
def test_the_largest_number_of_sequences_fits_and_one_more_does_not(
    spec: ModelSpec, tokens: int, tp: int
) -> None:
    def ask(sequences: int) -> MemoryUse:
        return memory_use(
            spec, H200, Parallelism(tp=tp), tokens_per_sequence=tokens, sequences=sequences
        )

    most = ask(1).max_sequences
    assert most is not None
    assert ask(1).fits == (most >= 1)
    if most:
        assert ask(most).fits
        assert ask(most + 1).max_sequences == most
        longest = ask(most).max_tokens_per_sequence
        assert longest is None or longest >= tokens
    assert not ask(most + 1).fits
    assert ask(most + 1).why_not


def test_copies_of_attention_share_the_sequences() -> None:
    one = memory_use(
        model("deepseek-v3"), H200, Parallelism(dp=8, ep=8), tokens_per_sequence=8192, sequences=64
    )
    tensor = memory_use(
        model("deepseek-v3"), H200, Parallelism(tp=8, ep=8), tokens_per_sequence=8192, sequences=64
    )
    assert one.kv_bytes == pytest.approx(tensor.kv_bytes / 8)
    assert one.weights_bytes > tensor.weights_bytes  # the attention part is there eight times
    assert (one.max_sequences or 0) > 4 * (tensor.max_sequences or 0)


def test_windows_and_states_stop_growing() -> None:
    gpt = Placement(model("gpt-oss-20b"), Parallelism())
    full = 12 * 8 * (64 + 64) * 2  # half of the 24 layers see everything
    assert gpt.cache_bytes(20001) - gpt.cache_bytes(20000) == pytest.approx(full)


def test_a_cache_that_is_too_large_says_how_much_would_fit() -> None:
    found = use("llama3.1-8b", tokens_per_sequence=131072, sequences=16)
    assert not found.fits
    assert "the cache of 16 sequences of 131,072 tokens needs 274.9 GB" in found.why_not
    assert f"at most {found.max_sequences} of that length" in found.why_not


def test_what_is_odd_is_noted_and_still_answered() -> None:
    odd = use("llama3.1-70b", Parallelism(tp=12), tokens_per_sequence=500_000)
    assert any("64 heads cannot be cut evenly over tp=12" in note for note in odd.notes)
    assert any("was made for" in note for note in odd.notes) == bool(
        (model("llama3.1-70b").max_context or 10**9) < 500_000
    )
    assert any("has no experts" in n for n in use("llama3.1-8b", Parallelism(tp=2, ep=2)).notes)
    assert use("llama3.1-8b", Parallelism(tp=2)).notes == ()


@pytest.mark.parametrize(
    "asked",
    [
        {"tokens_per_sequence": -1}, {"tokens_per_sequence": float("nan")}, {"sequences": -1},
        {"max_step_tokens": float("inf")}, {"utilisation": 0.0}, {"utilisation": 90},
        {"precision": "fp17"}, {"kv_bits": 0},
    ],
)  # fmt: skip
def test_bad_questions_are_refused(asked: dict[str, object]) -> None:
    with pytest.raises(InputError):
        use("llama3.1-8b", **asked)


def test_as_plain_values() -> None:
    found = use("llama3.1-8b").to_dict()
    assert found["fits"] is True
    assert found["total_bytes"] < found["available_bytes"]


@pytest.mark.parametrize(("name", "room"), [("llama3.1-8b", 0.1), ("llama3.1-405b", float("inf"))])
def test_a_law_is_told_whether_the_cache_or_the_weights_are_too_much(
    name: str, room: float
) -> None:
    long = use(name, tokens_per_sequence=4e6)
    assert (long.fits, long.max_sequences) == (False, 0)
    assert long.room == pytest.approx(room, rel=0.5)
    assert (long.room < 1) == bool(long.mean_sequences)
