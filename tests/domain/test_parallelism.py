"""Degrees of parallelism and the exchanges they cause."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lengthwise.domain.layers import Experts, FeedForward, Layer
from lengthwise.domain.model import find_model
from lengthwise.domain.parallelism import Collective, Parallelism
from lengthwise.errors import InputError

LLAMA = find_model("llama3.1-70b")
DENSE = LLAMA.blocks[0] if LLAMA else Layer(1, None, FeedForward(8))
ROUTED = Experts(inner=2048, gated=True, experts=256, active=8, shared_inner=2048)
MOE = Layer(58, DENSE.mixer, ROUTED)
DEGREES = st.sampled_from([1, 2, 4, 8, 16])


@pytest.mark.parametrize("name", ["tp", "pp", "ep", "dp"])
@pytest.mark.parametrize("value", [0, -1, 1.5, "2", True, None])
def test_a_degree_is_a_whole_number_from_1(name: str, value: object) -> None:
    with pytest.raises(InputError, match=f"{name} must be a whole number"):
        Parallelism(**{name: value})  # type: ignore[arg-type]


def test_ep_divides_the_processors_of_a_stage() -> None:
    assert Parallelism(tp=4, dp=2, ep=8).moe_tp == 1
    assert Parallelism(tp=4, dp=2).moe_tp == 8
    with pytest.raises(InputError, match="ep must divide"):
        Parallelism(tp=2, ep=4)


def test_one_processor_tells_nobody_anything() -> None:
    alone = Parallelism()
    assert alone.collectives(DENSE, 1024, 8192) == []
    assert alone.collectives(MOE, 1024, 8192) == []
    assert alone.stage_sends(1024, 8192) == []
    assert alone.table_collectives(1024, 8, 8192, 128256) == []


def test_tensor_parallelism_reduces_twice_per_layer() -> None:
    """Megatron-LM: after the attention output and after the feed-forward output, T h values."""
    found = Parallelism(tp=4).collectives(DENSE, 1000, 8192)
    assert found == [Collective("all_reduce", 1000 * 8192 * 2.0, 4)] * 2
    assert found[0].wire_bytes == pytest.approx(2 * 3 / 4 * 1000 * 8192 * 2)


def test_a_layer_without_one_part_reduces_once() -> None:
    assert len(Parallelism(tp=4).collectives(Layer(1, DENSE.mixer, None), 10, 64)) == 1
    assert len(Parallelism(tp=4).collectives(Layer(1, None, FeedForward(8)), 10, 64)) == 1


def test_experts_without_data_parallel_attention_need_no_dispatch() -> None:
    kinds = [c.kind for c in Parallelism(tp=8, ep=8).collectives(MOE, 64, 7168)]
    assert kinds == ["all_reduce", "all_reduce"]


def test_wide_expert_parallelism_sends_tokens_there_and_back() -> None:
    """DeepSeek-V3: 8 bits to the experts, 16 bits back, once per rank that holds one of them."""
    cut = Parallelism(dp=32, ep=32)
    there, back = cut.collectives(MOE, 128, 7168, dispatch_bytes=1)
    ranks = 32 * (1 - (31 / 32) ** 8)
    assert (there.kind, back.kind, there.gpus) == ("alltoall", "alltoall", 32)
    assert there.message_bytes == pytest.approx(128 * 7168 * ranks)
    assert back.message_bytes == pytest.approx(2 * there.message_bytes)
    assert there.crosses_nodes
    assert ranks < 8


def test_experts_cut_over_copies_gather_and_scatter() -> None:
    found = Parallelism(dp=8).collectives(MOE, 128, 7168)
    assert [c.kind for c in found] == ["all_gather", "reduce_scatter"]
    assert found[0].message_bytes == 8 * 128 * 7168 * 2


def test_dense_copies_are_independent() -> None:
    assert Parallelism(dp=8).collectives(DENSE, 128, 8192) == []


def test_stages_hand_over_and_some_cross_nodes() -> None:
    sends = Parallelism(tp=8, pp=2).stage_sends(1024, 8192)
    assert [send.crosses_nodes for send in sends] == [True]
    assert sends[0].message_bytes == 1024 * 8192 * 2 / 8
    assert not any(s.crosses_nodes for s in Parallelism(pp=8).stage_sends(1024, 8192))
    near = Parallelism(tp=2, pp=4).stage_sends(1, 8, gpus_per_node=4)
    assert [send.crosses_nodes for send in near] == [False, True, False]


def test_tensor_parallelism_beyond_a_node_is_marked() -> None:
    assert not Parallelism(tp=8).collectives(DENSE, 1, 8192)[0].crosses_nodes
    assert Parallelism(tp=16).collectives(DENSE, 1, 8192)[0].crosses_nodes
    assert Parallelism(tp=8).collectives(DENSE, 1, 8192, gpus_per_node=4)[0].crosses_nodes
    assert (Parallelism(tp=16).nodes(8), Parallelism(tp=6).nodes(4)) == (2, 2)


@given(tp=DEGREES, dp=DEGREES, share=DEGREES, tokens=st.integers(0, 10**6), more=st.integers(1, 99))
def test_messages_grow_with_tokens_and_nobody_talks_alone(
    tp: int, dp: int, share: int, tokens: int, more: int
) -> None:
    ep = min(share, tp * dp)
    cut = Parallelism(tp=tp, dp=dp, ep=ep)
    for layer in (DENSE, MOE):
        few = cut.collectives(layer, tokens, 4096)
        many = cut.collectives(layer, tokens + more, 4096)
        assert [c.kind for c in few] == [c.kind for c in many]
        for one, other in zip(few, many, strict=True):
            assert 0 <= one.message_bytes < other.message_bytes
            assert one.wire_bytes <= 2 * one.message_bytes
            assert 2 <= one.gpus <= cut.gpus
