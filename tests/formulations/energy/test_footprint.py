"""FLOP and bytes of steps, and the steady state of a server."""

import pytest

from lengthwise.data.hardware_catalog import find_hardware
from lengthwise.domain.model import find_model
from lengthwise.domain.parallelism import Parallelism
from lengthwise.formulations.energy.footprint import footprint
from lengthwise.formulations.energy.steady import steady_steps
from lengthwise.formulations.step.batch import StepBatch
from lengthwise.formulations.step.step_model import StepModel


def model_on(
    name: str,
    hardware: str = "h100_sxm",
    layout: Parallelism | None = None,
    precision: str = "bf16",
) -> StepModel:
    return StepModel.of(find_model(name), find_hardware(hardware), layout, precision=precision)


def test_a_decode_step_reads_weights_and_cache_once() -> None:
    llama, step = find_model("llama3.1-70b"), model_on("llama3.1-70b", layout=Parallelism(tp=4))
    short, long = footprint(step, StepBatch.of(decodes=8, context_len=[1000, 9000])).moved_bytes
    assert long - short == pytest.approx(8 * llama.kv_bytes(8000))
    assert 0.97 < short / (llama.weight_bytes("bf16") + 8 * llama.kv_bytes(1000)) < 1.0


def test_a_prompt_costs_two_flops_a_weight_and_half_the_square() -> None:
    llama = find_model("llama3.1-8b")
    n = 8192.0
    found = footprint(model_on("llama3.1-8b"), StepBatch.of(chunks=1, query_len=n))
    pairs = n * (n + 1) / 2
    expected = n * llama.flops_per_token + pairs * llama.flops_per_pair
    assert float(found.flops[0]) == pytest.approx(expected, rel=1e-3)


def test_copies_of_the_attention_part_read_their_weights_each() -> None:
    together = model_on("mixtral-8x7b", layout=Parallelism(tp=4))
    apart = model_on("mixtral-8x7b", layout=Parallelism(dp=4, ep=4))
    batch = StepBatch.of(decodes=64, context_len=100)
    assert float(footprint(apart, batch).moved_bytes[0]) > float(
        footprint(together, batch).moved_bytes[0]
    )


def test_more_tokens_reach_more_experts_but_never_more_than_there_are() -> None:
    step, mixtral = model_on("mixtral-8x7b"), find_model("mixtral-8x7b")
    moved = footprint(step, StepBatch.of(decodes=[1, 8, 4096], context_len=1)).moved_bytes
    assert moved[0] < 0.5 * moved[1] < moved[1]
    assert float(moved[2]) < 1.2 * mixtral.weight_bytes("bf16")


def test_the_steady_state_of_one_request_is_its_prompt_and_its_decodes() -> None:
    step = model_on("llama3.1-8b")
    found = steady_steps(step, isl=2000, osl=100, running=1)
    prompt = step.seconds(StepBatch.of(chunks=1, query_len=2000))
    decode = step.seconds(StepBatch.of(decodes=1, context_len=2050))
    assert 100 * found.step_s[0] == pytest.approx(float(prompt[0] + 99 * decode[0]), rel=0.01)


@pytest.mark.parametrize("hardware", ["h100_sxm", "b200_sxm", "a100_sxm"])
@pytest.mark.parametrize("running", [1, 16, 256])
def test_no_more_than_all_of_peak_and_bandwidth_is_used(hardware: str, running: int) -> None:
    found = steady_steps(model_on("llama3.1-8b", hardware), isl=500, osl=500, running=running)
    each = found.gpus * found.step_s
    assert float((found.peak_seconds / each)[0]) <= 1.0
    assert float((found.moved_bytes / (found.bandwidth * each))[0]) <= 1.05
