"""Techniques as knobs: neutral at their defaults, monotone, bounded."""

import math
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lengthwise.data.hardware_catalog import find_hardware
from lengthwise.domain.model import find_model
from lengthwise.domain.parallelism import Parallelism
from lengthwise.errors import InputError
from lengthwise.formulations.step.batch import StepBatch
from lengthwise.formulations.step.counts import counts
from lengthwise.formulations.step.knobs import (
    Request,
    apply_knobs,
    knobs,
    parse_knobs,
    request_times,
)
from lengthwise.formulations.step.knobs.registry import find_knob
from lengthwise.formulations.step.step_model import StepModel
from lengthwise.prediction.step_law import StepLaw


def deployment(model: str, hardware: str = "h100_sxm", **options: Any) -> StepModel:
    spec = find_model(model)
    assert spec is not None
    layout = Parallelism(**{k: options.pop(k) for k in ("tp", "pp", "ep", "dp") if k in options})
    return StepModel.of(spec, find_hardware(hardware), layout, **options)


LLAMA = deployment("llama3.1-8b", precision="bf16")
PLAIN = Request(LLAMA, isl=8192, osl=512, concurrency=16)
REQUESTS = {
    "dense": PLAIN,
    "alone": Request(LLAMA, isl=300, osl=1),
    "experts": Request(deployment("gpt-oss-20b"), isl=2000, osl=64, concurrency=8),
    "latent": Request(deployment("deepseek-r1", "h200_sxm", tp=8), isl=3000, osl=64, concurrency=4),
}  # fmt: skip


def figures(request: Request) -> tuple[float, float, float]:
    times = request_times(request)
    return times.ttft_s, times.tpot_s, times.e2e_s


@pytest.mark.parametrize("name", REQUESTS)
def test_all_knobs_at_their_defaults_change_nothing(name: str) -> None:
    request = REQUESTS[name]
    neutral = {knob.name: knob.default for knob in knobs()}
    assert figures(apply_knobs(request, neutral)) == figures(request)


@pytest.mark.parametrize("name", REQUESTS)
def test_without_techniques_it_is_the_step_law(name: str) -> None:
    request = REQUESTS[name]
    step, times = request.step, request_times(request)
    found = StepLaw().answer({
        "model": [step.model.name], "hardware": [step.hardware.name], "isl": [request.isl],
        "osl": [request.osl], "concurrency": [request.concurrency], "tp": [step.parallelism.tp],
        "engine": ["vllm"], "precision": ["bf16" if step is LLAMA else "auto"],
    }).columns  # fmt: skip
    assert times.ttft_s * 1e3 == pytest.approx(float(found["ttft_ms"][0]), rel=1e-6)
    if request.osl > 1:
        assert times.tpot_s * 1e3 == pytest.approx(float(found["tpot_ms"][0]), rel=1e-6)
        assert times.e2e_s * 1e3 == pytest.approx(float(found["e2e_ms"][0]), rel=1e-6)


@pytest.mark.parametrize("name", REQUESTS)
def test_parts_add_up(name: str) -> None:
    times = request_times(apply_knobs(REQUESTS[name], {
        "speculative_tokens": 2, "lora_rank": 8, "launch_us": 5, "rtt_ms": 20, "offload_kv": 0.1,
        "prefill_density": 0.5, "prefill_index_cost": 0.1,
    }))  # fmt: skip
    assert sum(times.ttft_parts.values()) == pytest.approx(times.ttft_s)
    assert sum(times.tpot_parts.values()) == pytest.approx(times.tpot_s)
    assert all(seconds >= 0 for seconds in {**times.decode.parts, **times.prompt.parts}.values())


LONGER = [
    ("ttft_s", "prefill_density", [0.01, 0.1, 0.5, 1.0], {}),
    ("ttft_s", "prefill_index_cost", [0.0, 0.1, 0.5], {"prefill_density": 0.1}),
    ("ttft_s", "sliding_window", [256, 1024, 4096, 65536], {}),
    ("tpot_s", "sliding_window", [256, 1024, 4096, 65536], {}),
    ("tpot_s", "kv_bits", [2, 3, 4, 8, 16], {}),
    ("tpot_s", "dequantise_overhead", [0.0, 0.2, 0.9], {"weight_bits": 4}),
    ("tpot_s", "kv_kept", [0.05, 0.3, 1.0], {}),
    ("tpot_s", "kv_read", [0.05, 0.3, 1.0], {}),
    ("tpot_s", "kv_selection_cost", [0.0, 0.1, 0.5], {"kv_read": 0.1}),
    ("ttft_s", "prompt_kept", [0.1, 0.5, 1.0], {}),
    ("ttft_s", "compressor_ms", [0.0, 20.0, 100.0], {"prompt_kept": 0.5}),
    ("tpot_s", "draft_cost", [0.0, 0.1, 0.5], {"speculative_tokens": 3}),
    ("tpot_s", "early_exit", [0.25, 0.5, 1.0], {}),
    ("ttft_s", "active_layers", [0.25, 0.5, 1.0], {}),
    ("tpot_s", "active_layers", [0.25, 0.5, 1.0], {}),
    ("ttft_s", "offload_weights", [0.0, 0.3, 1.0], {"offload_tier": "disk"}),
    ("tpot_s", "offload_weights", [0.0, 0.1, 0.5, 1.0], {}),
    ("tpot_s", "offload_kv", [0.0, 0.1, 0.5, 0.9], {}),
    ("tpot_s", "lora_rank", [0, 8, 64, 256], {}),
    ("tpot_s", "lora_adapters", [1, 4, 16], {"lora_rank": 64}),
    ("tpot_s", "beams", [1, 2, 4], {}),
    ("tpot_s", "launch_us", [0, 20, 100], {}),
    ("tpot_s", "kernels_per_layer", [5, 12, 50], {"launch_us": 50}),
    ("ttft_s", "rtt_ms", [0, 20, 200], {}),
    ("tpot_s", "token_round_trips", [0, 1, 3], {"rtt_ms": 10}),
    ("tpot_s", "token_bytes", [0, 1e3, 1e6], {"network_mbps": 1}),
]
SHORTER = [
    ("ttft_s", "prefix_hit_rate", [0.0, 0.3, 0.7, 1.0], {}),
    ("tpot_s", "acceptance", [0.0, 0.3, 0.7, 1.0], {"speculative_tokens": 4}),
    ("ttft_s", "pruned", [0.0, 0.2, 0.5], {}),
    ("tpot_s", "pruned", [0.0, 0.2, 0.5], {}),
    ("tpot_s", "offload_bandwidth", [1, 10, 100], {"offload_weights": 0.5}),
    ("ttft_s", "power_cap", [0.4, 0.6, 1.0], {}),
    ("tpot_s", "power_cap", [0.4, 0.6, 1.0], {}),
    ("ttft_s", "kv_transfer_bandwidth", [1, 10, 100], {"disaggregated": True}),
    ("ttft_s", "network_mbps", [1, 10, 1000], {}),
    ("pause_s", "prefill_chunk", [8192, 2048, 256], {}),
]
ORDERED = [(*case, False) for case in LONGER] + [(*case, True) for case in SHORTER]


@pytest.mark.parametrize(
    ("figure", "name", "values", "beside", "falls"), ORDERED,
    ids=[f"{name}-{figure}" for figure, name, *_ in ORDERED],
)  # fmt: skip
def test_times_move_in_the_right_direction(
    figure: str, name: str, values: list[Any], beside: dict[str, Any], falls: bool
) -> None:
    found = [
        getattr(request_times(apply_knobs(PLAIN, {**beside, name: value})), figure)
        for value in values
    ]
    rising = found[::-1] if falls else found
    assert all(a <= b * (1 + 1e-9) for a, b in pairwise(rising)), found
    assert rising[-1] > rising[0]


@pytest.mark.parametrize(
    ("knob", "figure"),
    [
        ({"activation_bits": 8}, "ttft_s"), ({"activation_bits": 8}, "tpot_s"),
        ({"weight_bits": 4}, "tpot_s"), ({"weight_bits": 4, "activation_bits": 8}, "tpot_s"),
        ({"disaggregated": True}, "tpot_s"), ({"mixed_steps": True}, "tpot_s"),
        ({"mtp_tokens": 1, "acceptance": 0.85}, "tpot_s"),
        ({"prefill_chunk": 512, "mixed_steps": True}, "pause_s"),
    ],
)  # fmt: skip
def test_techniques_that_help(knob: dict[str, Any], figure: str) -> None:
    helped = request_times(apply_knobs(PLAIN, knob))
    assert getattr(helped, figure) < getattr(request_times(PLAIN), figure)


@pytest.mark.parametrize(
    ("knob", "figure"),
    [
        ({"attention": "eager"}, "ttft_s"), ({"attention": "eager"}, "tpot_s"),
        ({"offload_weights": 0.5, "offload_overlap": False}, "tpot_s"),
        ({"mixed_steps": True}, "ttft_s"), ({"prefill_chunk": 256}, "ttft_s"),
        ({"speculative_tokens": 8, "acceptance": 0.0}, "tpot_s"),
    ],
)  # fmt: skip
def test_techniques_that_cost(knob: dict[str, Any], figure: str) -> None:
    hurt = request_times(apply_knobs(PLAIN, knob))
    assert getattr(hurt, figure) > getattr(request_times(PLAIN), figure)


@pytest.mark.parametrize("knob", [{"kv_kept": 0.25}, {"kv_bits": 4}, {"offload_kv": 0.5},
                                  {"weight_bits": 4}, {"pruned": 0.3}, {"offload_weights": 0.5},
                                  {"sliding_window": 1024}])  # fmt: skip
def test_a_smaller_footprint_makes_room(knob: dict[str, Any]) -> None:
    assert request_times(apply_knobs(PLAIN, knob)).capacity > request_times(PLAIN).capacity


def test_selection_keeps_everything_in_memory() -> None:
    assert request_times(PLAIN.having(read=0.1)).capacity == request_times(PLAIN).capacity


@pytest.mark.parametrize("knob", knobs(), ids=lambda knob: knob.name)
def test_every_knob_is_described_and_bounded(knob: Any) -> None:
    assert knob.changes.endswith(".")
    assert knob.sources
    if knob.kind == "text":
        return
    wrong = {"switch": "perhaps", "choice": "seven"}.get(knob.kind)
    for value in [wrong] if wrong else [knob.least - 1, knob.most * 2 + 1, "much", math.nan]:
        with pytest.raises(InputError, match=knob.option):
            parse_knobs({knob.name: value})
    if not wrong:
        assert parse_knobs({knob.name: str(knob.most)})[knob.name] == knob.most


@pytest.mark.parametrize("request_", REQUESTS.values(), ids=REQUESTS.keys())
@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_no_setting_breaks_the_times(request_: Request, data: st.DataObject) -> None:
    share = st.floats(0.05, 1.0)
    drawn = data.draw(st.fixed_dictionaries({}, optional={
        "prefill_density": share, "kv_kept": share, "kv_read": share, "prefix_hit_rate": share,
        "prompt_kept": share, "early_exit": share, "active_layers": share,
        "pruned": st.floats(0, 0.9), "offload_weights": share, "offload_kv": st.floats(0, 0.9),
        "kv_bits": st.sampled_from([16, 8, 4, 2]), "speculative_tokens": st.integers(0, 8),
        "acceptance": share, "lora_rank": st.integers(0, 64), "power_cap": st.floats(0.4, 1),
        "disaggregated": st.booleans(), "mixed_steps": st.booleans(),
        "prefill_chunk": st.integers(64, 8192), "beams": st.integers(1, 4),
        "attention": st.sampled_from(["flash", "eager"]), "launch_us": st.floats(0, 100),
    }))  # fmt: skip
    times = request_times(apply_knobs(request_, drawn))
    for value in (times.ttft_s, times.tpot_s, times.e2e_s, times.pause_s):
        assert 0 < value < 1e6
    assert times.capacity >= 0
    for work in (times.decode, times.prompt):
        assert float(work.counts.floor_s[0]) > 0


@pytest.mark.parametrize("name", REQUESTS)
def test_no_step_is_faster_than_the_processor_allows(name: str) -> None:
    times = request_times(REQUESTS[name])
    for work in (times.decode, times.prompt):
        assert work.seconds >= work.steps * float(work.counts.floor_s[0])


def test_what_does_not_go_together_is_refused() -> None:
    with pytest.raises(InputError, match="both speculative_tokens and mtp_tokens"):
        apply_knobs(PLAIN, {"speculative_tokens": 2, "mtp_tokens": 1})
    with pytest.raises(InputError, match="latent attention"):
        request_times(apply_knobs(REQUESTS["latent"], {"sliding_window": 512}))
    with pytest.raises(InputError, match="not wider"):
        request_times(apply_knobs(PLAIN, {"weight_bits": 16, "activation_bits": 8}))
    with pytest.raises(InputError, match="did you mean kv_bits"):
        find_knob("--kv-bit")
    with pytest.raises(InputError, match="cached_tokens"):
        Request(LLAMA, isl=100, osl=1, cached_tokens=100)


def test_the_order_of_settings_does_not_matter() -> None:
    one = {"offload_tier": "disk", "offload_bandwidth": 3, "offload_weights": 0.2, "kv_bits": 8}
    backwards = dict(reversed(one.items()))
    assert figures(apply_knobs(PLAIN, one)) == figures(apply_knobs(PLAIN, backwards))


def test_calibration_factors_scale_their_group() -> None:
    slow = Request(LLAMA, isl=8192, osl=512, factors={"feed_forward": 2.0})
    plain = Request(LLAMA, isl=8192, osl=512)
    double, single = request_times(slow).prompt.parts, request_times(plain).prompt.parts
    assert double["feed_forward"] == pytest.approx(2 * single["feed_forward"])
    assert double["projections"] == single["projections"]


@pytest.mark.parametrize("tp", [1, 2, 8])
def test_cutting_a_model_cuts_its_work(tp: int) -> None:
    batch = StepBatch.of(chunks=1, query_len=4096)
    whole = counts(LLAMA, batch)
    part = counts(deployment("llama3.1-8b", precision="bf16", tp=tp), batch)
    assert float(part.total.flops[0]) == pytest.approx(float(whole.total.flops[0]) / tp, rel=1e-6)
    assert (float(part.sent_bytes[0]) > 0) == (tp > 1)
