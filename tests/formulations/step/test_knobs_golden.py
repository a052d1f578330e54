"""Examples worked out by hand, with Llama 3.1 8B on an H100.

32 layers of width 4096, 32 heads and 8 key-value heads of 128, feed-forward 14336, vocabulary
128256: 6,979,321,856 weights in the blocks and 525,336,576 in the output table.
"""

import numpy as np
import pytest

from lengthwise.data.hardware_catalog import find_hardware
from lengthwise.domain.model import find_model
from lengthwise.formulations.step.batch import StepBatch
from lengthwise.formulations.step.counts import counts, pairs
from lengthwise.formulations.step.knobs import Request, apply_knobs, request_times
from lengthwise.formulations.step.knobs.speculation import expected_tokens
from lengthwise.formulations.step.step_model import StepModel

SPEC = find_model("llama3.1-8b")
assert SPEC is not None
H100 = find_hardware("h100_sxm")
STEP = StepModel.of(SPEC, H100, precision="bf16")
BLOCKS, TABLE = 6_979_321_856, 525_336_576
LAYERS, HEADS, WIDTH = 32, 32, 128
CACHE = 4 * LAYERS * 8 * WIDTH
"""Bytes of cache of one token, 131072."""
ONE = Request(STEP, isl=8192, osl=2)
BANDWIDTH = H100.memory_bandwidth_bytes_per_s


def test_arithmetic_of_a_prompt() -> None:
    found = counts(STEP, StepBatch.of(chunks=1, query_len=8192)).total
    linear = 2 * BLOCKS * 8192 + 2 * TABLE
    quadratic = 4 * LAYERS * HEADS * WIDTH * 8192 * 8193 / 2
    assert float(found.flops[0]) == pytest.approx(linear + quadratic)
    assert float(found.compute_s[0]) == pytest.approx((linear + quadratic) / H100.peak("bf16"))


def test_bytes_of_a_decode_step() -> None:
    found = counts(STEP, StepBatch.of(decodes=4, context_len=1000))
    assert float(found.total.weight_bytes[0]) == 2 * (BLOCKS + TABLE)
    read = 4 * 1000 * CACHE
    through = 4 * LAYERS * HEADS * 2 * WIDTH * 2
    assert float(found.groups["attention_decode"].moved_bytes[0]) == read + through


def test_pairs_in_a_window() -> None:
    brute = sum(min(position, 512) for position in range(1001, 3001))
    assert float(pairs(np.array([2000.0]), np.array([3000.0]), 512.0)[0]) == brute


def test_expected_tokens() -> None:
    assert expected_tokens(3, 0.7) == pytest.approx((1 - 0.7**4) / (1 - 0.7))
    assert expected_tokens(5, 1.0) == 6


def test_speculation_without_cost_divides_the_checking_step() -> None:
    times = request_times(apply_knobs(ONE, {"speculative_tokens": 1, "acceptance": 1.0,
                                            "draft_cost": 0.0}))  # fmt: skip
    two = STEP.groups(StepBatch.of(decodes=2, context_len=8193)).seconds
    one = STEP.groups(StepBatch.of(decodes=1, context_len=8193)).seconds
    shared = ("attention_decode", "host_sequences")
    busy = sum(float((one if name in shared else two)[name][0]) for name in two)
    step = launched(busy)
    assert times.tokens_per_step == 2
    assert times.tpot_s == pytest.approx(step / 2)


def launched(busy: float) -> float:
    """Smooth maximum with the host's launches, 8 us a layer."""
    return float((busy**4 + (LAYERS * ONE.interference.launch_s) ** 4) ** 0.25)


def test_half_a_prompt_in_the_cache() -> None:
    half = apply_knobs(ONE, {"prefix_hit_rate": 0.5})
    chunk = STEP.seconds(StepBatch.of(chunks=1, query_len=4096, chunk_context=8192))
    assert half.found_tokens == 4096
    assert request_times(half).prompt.seconds == pytest.approx(launched(float(chunk[0])))


def test_prompt_compression() -> None:
    times = request_times(apply_knobs(ONE, {"prompt_kept": 0.25, "compressor_ms": 10}))
    whole = STEP.seconds(StepBatch.of(chunks=1, query_len=2048))
    assert times.prompt.seconds == pytest.approx(launched(float(whole[0])))
    assert times.ttft_parts["compressor"] == pytest.approx(8.192 * 10e-3)


def test_chunks() -> None:
    times = request_times(apply_knobs(ONE, {"prefill_chunk": 2048}))
    mean = STEP.seconds(StepBatch.of(chunks=1, query_len=2048, chunk_context=5120))
    assert times.prompt.steps == 4
    assert times.prompt.seconds == pytest.approx(4 * launched(float(mean[0])))


def test_weights_from_the_host() -> None:
    times = request_times(apply_knobs(ONE, {"offload_weights": 0.2, "offload_overlap": False}))
    moved = 0.2 * 2 * (BLOCKS + TABLE) / H100.host_bytes_per_s
    assert times.decode.parts["transfers"] == pytest.approx(moved)


def test_weights_from_a_disk_hide_behind_work() -> None:
    settings = {"offload_weights": 1.0, "offload_tier": "disk"}
    times = request_times(apply_knobs(ONE, settings))
    assert times.decode.seconds == pytest.approx(2 * (BLOCKS + TABLE) / 7e9)


def test_cache_from_the_host() -> None:
    times = request_times(apply_knobs(ONE, {"offload_kv": 0.5, "offload_overlap": False}))
    through = LAYERS * HEADS * 2 * WIDTH * 2
    moved = 0.5 * (8193 * CACHE + through) / H100.host_bytes_per_s
    assert times.decode.parts["transfers"] == pytest.approx(moved)


def test_adapters() -> None:
    times = request_times(apply_knobs(ONE, {"lora_rank": 16}))
    sides = (6144 + 4096) + (4096 + 4096) + (28672 + 4096) + (4096 + 14336)
    moved = LAYERS * 2 * 16 * sides / (0.8 * BANDWIDTH)
    work = LAYERS * 2 * 16 * sides / (0.3 * H100.peak("bf16"))
    launches = LAYERS * 4 * 2 * 2e-6
    expected = (moved**4 + work**4) ** 0.25 + launches
    assert times.decode.parts["adapters"] == pytest.approx(expected)


def test_cache_sent_to_other_processors() -> None:
    times = request_times(apply_knobs(ONE, {"disaggregated": True, "kv_transfer_bandwidth": 50}))
    assert times.ttft_parts["cache sent over"] == pytest.approx(8192 * CACHE / 50e9)


def test_network() -> None:
    times = request_times(apply_knobs(ONE, {"rtt_ms": 40, "network_mbps": 8}))
    assert times.ttft_parts["network"] == pytest.approx(0.040 + (8192 * 4 + 250) / 1e6)
    assert times.tpot_parts["network"] == 0  # 250 bytes pass in 0.25 ms, behind the next token


def test_split_over_the_network() -> None:
    times = request_times(apply_knobs(ONE, {"rtt_ms": 40, "token_round_trips": 2}))
    assert times.tpot_parts["network"] == pytest.approx(0.080)


def test_the_host_launches_too_slowly() -> None:
    times = request_times(apply_knobs(ONE, {"launch_us": 100, "kernels_per_layer": 10}))
    busy = times.decode.seconds - times.decode.parts["launches"]
    host = LAYERS * 10 * 100e-6
    assert host > busy
    assert times.decode.seconds == pytest.approx((busy**4 + host**4) ** 0.25)


def test_score_matrix_of_a_decode_step() -> None:
    times = request_times(apply_knobs(ONE, {"attention": "eager"}))
    moved = 4 * 2 * LAYERS * HEADS * 8193
    assert times.decode.parts["scores"] == pytest.approx(moved / (0.8 * BANDWIDTH))


def test_layers_left_out() -> None:
    whole, half = request_times(ONE), request_times(apply_knobs(ONE, {"early_exit": 0.5}))
    before, after = whole.decode.parts, half.decode.parts
    assert after["feed_forward"] == pytest.approx(before["feed_forward"] / 2)
    assert after["logits"] == before["logits"]
    assert half.prompt.parts == whole.prompt.parts


def test_power() -> None:
    whole = request_times(ONE)
    capped = request_times(apply_knobs(ONE, {"power_cap": 0.65}))  # clock 0.5 ^ (1/3)
    slower = capped.prompt.parts["feed_forward"] / whole.prompt.parts["feed_forward"]
    assert slower == pytest.approx(2 ** (1 / 3), rel=0.02)  # nearly all arithmetic
    read = capped.decode.parts["attention_decode"] / whole.decode.parts["attention_decode"]
    assert read == pytest.approx(1.0, abs=1e-3)


def test_pruned_matrices() -> None:
    times = request_times(apply_knobs(ONE, {"pruned": 0.5}))
    left = 2 * (BLOCKS / 2 + TABLE)
    assert float(times.decode.counts.total.weight_bytes[0]) == pytest.approx(left, rel=1e-6)


def test_a_window_limits_the_cache() -> None:
    times = request_times(apply_knobs(ONE, {"sliding_window": 1024}))
    through = LAYERS * HEADS * 2 * WIDTH * 2
    read = float(times.decode.counts.groups["attention_decode"].moved_bytes[0])
    assert read == 1024 * CACHE + through
