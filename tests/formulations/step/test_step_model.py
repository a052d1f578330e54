"""Time of a step: rising with work, above what the hardware allows, and made of its parts."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lengthwise.data.hardware_catalog import find_hardware
from lengthwise.domain.layers import Attention, Experts, FeedForward, Layer
from lengthwise.domain.model import find_model
from lengthwise.domain.parallelism import Parallelism
from lengthwise.errors import InputError
from lengthwise.formulations.step.batch import StepBatch
from lengthwise.formulations.step.floor import roofline
from lengthwise.formulations.step.formats import PRECISIONS, Formats
from lengthwise.formulations.step.groups import GROUPS, HOST, GroupTimes
from lengthwise.formulations.step.step_model import StepModel

DEPLOYMENTS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "dense": ("llama3.1-8b", "h100_sxm", {"precision": "bf16"}),
    "dense, tp 4": ("llama3.1-8b", "h100_sxm", {"precision": "bf16", "tp": 4}),
    "dense, two stages": ("llama3.1-70b", "h100_sxm", {"precision": "fp8", "tp": 4, "pp": 2}),
    "latent": ("deepseek-r1", "h200_sxm", {"precision": "fp8", "tp": 8, "ep": 8}),
    "latent, data parallel": ("deepseek-r1", "h200_sxm", {"precision": "fp8", "dp": 8, "ep": 8}),
    "windows": ("gpt-oss-120b", "b200_sxm", {}),
    "recurrent": ("qwen3.5-397b-a17b", "b200_sxm", {"tp": 8}),
    "no tables": ("llama3.1-8b", "rtx_4090", {"precision": "bf16"}),
    "apple": ("llama3.1-8b", "m2_ultra", {"precision": "bf16"}),
}  # fmt: skip

names = st.sampled_from(list(DEPLOYMENTS))
sizes = st.floats(0.0, 1.0)
growth = st.floats(1.0, 8.0)
EXACT = 1.0 - 1e-9
"""What rounding may take away of a time that must not fall."""


@cache
def deployment(name: str) -> StepModel:
    model, hardware, options = DEPLOYMENTS[name]
    return build(model, hardware, **options)


@cache
def build(model: str, hardware: str, **options: Any) -> StepModel:
    spec = find_model(model)
    assert spec is not None
    layout = Parallelism(**{k: options.pop(k) for k in ("tp", "pp", "ep", "dp") if k in options})
    return StepModel.of(spec, find_hardware(hardware), layout, **options)


def whole(share: float, most: float) -> float:
    """A whole number between 1 and ``most``, even on a logarithmic axis."""
    return float(round(most**share))


def ladder(share: float, factor: float, most: float) -> np.ndarray:
    """Six whole numbers up to ``most`` or a little more, each larger than the one before."""
    rungs = [whole(share, most)]
    for _ in range(5):
        rungs.append(max(rungs[-1] + 1.0, min(round(rungs[-1] * factor), most)))
    return np.array(rungs)


def rising(name: str, **batch: Any) -> None:
    times = deployment(name).seconds(StepBatch.of(**batch))
    assert (times[1:] >= times[:-1] * EXACT).all()


@settings(max_examples=40, deadline=None)
@given(name=names, length=sizes, factor=growth, chunks=sizes)
def test_more_prompt_tokens_take_no_less_time(
    name: str, length: float, factor: float, chunks: float
) -> None:
    rising(name, chunks=whole(chunks, 64), query_len=ladder(length, factor, 1e6))


@settings(max_examples=40, deadline=None)
@given(name=names, context=sizes, factor=growth, sequences=sizes)
def test_a_longer_context_takes_no_less_time(
    name: str, context: float, factor: float, sequences: float
) -> None:
    rising(name, decodes=whole(sequences, 512), context_len=ladder(context, factor, 1e6))


@settings(max_examples=40, deadline=None)
@given(name=names, context=sizes, factor=growth, sequences=sizes)
def test_more_decoding_sequences_take_no_less_time(
    name: str, context: float, factor: float, sequences: float
) -> None:
    rising(name, decodes=ladder(sequences, factor, 512), context_len=whole(context, 3e5))


@settings(max_examples=40, deadline=None)
@given(name=names, length=sizes, factor=growth, sequences=sizes)
def test_more_prompts_take_no_less_time(
    name: str, length: float, factor: float, sequences: float
) -> None:
    rising(name, chunks=ladder(sequences, factor, 64), query_len=whole(length, 1e5))


@settings(max_examples=40, deadline=None)
@given(name=names, length=sizes, context=sizes, sequences=sizes, factor=growth)
def test_sequences_beside_a_prompt_take_no_less_time(
    name: str, length: float, context: float, sequences: float, factor: float
) -> None:
    rising(name, chunks=1, query_len=whole(length, 8192), context_len=whole(context, 1e5),
           decodes=np.r_[0.0, ladder(sequences, factor, 256)])  # fmt: skip


@settings(max_examples=40, deadline=None)
@given(name=names, length=sizes, share=st.floats(0.0, 1.0), more=st.floats(0.0, 1.0))
def test_a_cached_prefix_is_never_slower_than_computing_it(
    name: str, length: float, share: float, more: float
) -> None:
    isl = whole(length, 3e5) + 1.0
    cached = min(np.floor(isl * max(share, more)), isl - 1.0)
    less = np.floor(cached * np.array([1.0, 0.9, 0.5, min(share, more) * 0.5, 0.0]))
    rising(name, chunks=1, query_len=isl - less, chunk_context=isl)


@settings(max_examples=40, deadline=None)
@given(name=names, chunks=st.integers(0, 8), length=sizes, cached=sizes, decodes=sizes,
       context=sizes)  # fmt: skip
def test_no_step_is_faster_than_the_hardware(
    name: str, chunks: int, length: float, cached: float, decodes: float, context: float
) -> None:
    query = whole(length, 1e5)
    batch = StepBatch.of(chunks=chunks, query_len=query, chunk_context=query + whole(cached, 1e5),
                         decodes=whole(decodes, 512), context_len=whole(context, 1e6))  # fmt: skip
    step = deployment(name)
    compute, memory = roofline(step, batch)
    assert step.seconds(batch)[0] >= max(compute[0], memory[0]) > 0


@pytest.mark.parametrize("name", DEPLOYMENTS)
def test_the_smallest_and_the_largest_step_are_sane(name: str) -> None:
    step = deployment(name)
    one = step.seconds(StepBatch.of(decodes=1, context_len=1))[0]
    far = step.seconds(StepBatch.of(decodes=1, context_len=1e6))[0]
    prompt = step.seconds(StepBatch.of(chunks=1, query_len=[1, 1e6]))
    assert 1e-3 < one < 0.2
    assert one < far < 20 * one
    assert prompt[0] == pytest.approx(one, rel=0.6)
    assert 10 < prompt[1] < 10 * 3600


@pytest.mark.parametrize("name", DEPLOYMENTS)
def test_long_prompts_grow_between_linear_and_quadratic(name: str) -> None:
    times = deployment(name).seconds(StepBatch.of(chunks=1, query_len=[2e5, 4e5, 8e5]))
    ratios = times[1:] / times[:-1]
    assert (ratios > 1.8).all()
    assert (ratios < 4.1).all()


@pytest.mark.parametrize(
    ("model", "hardware", "precision"),
    [("llama3.1-8b", "h100_sxm", "bf16"), ("llama3.1-70b", "h200_sxm", "fp8"),
     ("deepseek-r1", "b200_sxm", "fp8"), ("gpt-oss-120b", "b200_sxm", "auto"),
     ("llama3.1-8b", "a100_sxm", "bf16"), ("llama3.1-8b", "rtx_4090", "bf16")],
)  # fmt: skip
def test_two_processors_shorten_big_prompts(model: str, hardware: str, precision: str) -> None:
    batch = StepBatch.of(chunks=1, query_len=[8192, 65536])
    one, two = (build(model, hardware, tp=tp, precision=precision).seconds(batch) for tp in (1, 2))
    assert (two < one).all()
    assert (two > one / 2 * EXACT).all()


def test_all_the_memory_of_more_processors_shortens_decoding() -> None:
    batch = StepBatch.of(decodes=[1, 32], context_len=8192)
    one, four = (build("llama3.1-70b", "h100_sxm", tp=t, precision="fp8") for t in (1, 4))
    assert (four.seconds(batch) < one.seconds(batch) / 1.5).all()


@settings(max_examples=40, deadline=None)
@given(name=names, chunks=st.integers(0, 4), length=sizes, decodes=st.integers(0, 256),
       context=sizes)  # fmt: skip
def test_groups_are_whole_and_never_negative(
    name: str, chunks: int, length: float, decodes: int, context: float
) -> None:
    batch = StepBatch.of(chunks=chunks, query_len=whole(length, 1e5), decodes=decodes,
                         context_len=whole(context, 1e6))  # fmt: skip
    groups = deployment(name).groups(batch)
    assert tuple(groups.seconds) == GROUPS
    assert all((part >= 0).all() for part in groups.seconds.values())
    total = sum(float(part[0]) for part in groups.seconds.values())
    assert deployment(name).seconds(batch)[0] == pytest.approx(total, rel=1e-12)


def test_groups_follow_what_the_step_holds() -> None:
    step = deployment("windows")
    prompt, decode, idle = (
        step.groups(
            StepBatch.of(
                chunks=[1, 0, 0], query_len=[512, 0, 0], decodes=[0, 1, 0], context_len=1024
            )
        ).seconds,
        1,
        2,
    )
    assert prompt["attention_prefill"][0] > 0 == prompt["attention_decode"][0]
    assert prompt["attention_decode"][decode] > 0 == prompt["attention_prefill"][decode]
    kernels = [name for name in GROUPS if name not in HOST]
    assert sum(prompt[name][idle] for name in kernels) == 0


@pytest.mark.parametrize(
    ("name", "used", "unused"),
    [("dense", "feed_forward", ("experts", "recurrence", "collectives")),
     ("dense, tp 4", "collectives", ("experts", "recurrence")),
     ("latent", "experts", ("recurrence",)), ("recurrent", "recurrence", ())],
)  # fmt: skip
def test_groups_follow_the_model_and_its_layout(
    name: str, used: str, unused: tuple[str, ...]
) -> None:
    groups = deployment(name).groups(StepBatch.of(decodes=8, context_len=1024)).seconds
    assert groups[used][0] > 0
    assert [groups[part][0] for part in unused] == [0.0] * len(unused)


def test_a_window_bounds_the_price_of_context() -> None:
    step = deployment("windows")
    blocks = [
        replace(block, mixer=replace(block.mixer, window=None)) if windowed(block) else block
        for block in step.model.blocks
    ]
    open_ended = replace(step, model=replace(step.model, blocks=tuple(blocks)))
    share = sum(b.count for b in step.model.blocks if windowed(b)) / step.model.layer_count
    batch = StepBatch.of(decodes=64, context_len=1e6)
    short, long = (
        float(s.groups(batch).seconds["attention_decode"][0]) for s in (step, open_ended)
    )
    assert short / long == pytest.approx(1.0 - share, rel=0.05)


def windowed(block: Layer) -> bool:
    return isinstance(block.mixer, Attention) and block.mixer.window is not None


def test_scaling_groups_scales_only_those() -> None:
    times = GroupTimes({"logits": np.array([2.0]), "host_step": np.array([1.0])})
    assert times.scaled({"logits": 3.0}).total.tolist() == [7.0]


@settings(max_examples=40, deadline=None)
@given(deployed=st.sampled_from([("llama3.1-8b", "h100_sxm", 1), ("llama3.1-70b", "b200_sxm", 1),
                                 ("qwen3-32b", "h200_sxm", 2)]),
       decodes=st.integers(1, 16), context=sizes)  # fmt: skip
def test_half_the_bytes_never_decode_slower(
    deployed: tuple[str, str, int], decodes: int, context: float
) -> None:
    model, hardware, tp = deployed
    batch = StepBatch.of(decodes=decodes, context_len=whole(context, 1e5))
    wide, narrow = (build(model, hardware, tp=tp, precision=p) for p in ("bf16", "fp8"))
    assert narrow.seconds(batch)[0] <= wide.seconds(batch)[0]


def test_a_decode_bound_by_memory_follows_its_bytes() -> None:
    batch = StepBatch.of(decodes=1, context_len=1024)
    steps = [build("llama3.1-70b", "b200_sxm", precision=p) for p in ("bf16", "fp8", "nvfp4")]
    times = [float(step.seconds(batch)[0]) for step in steps]
    assert times[0] > 1.4 * times[1] > 1.4 * 1.2 * times[2]


def test_a_cache_of_half_the_bits_is_read_faster() -> None:
    batch = StepBatch.of(decodes=64, context_len=65536)
    full, half = (
        build("llama3.1-8b", "h100_sxm", precision="bf16", kv_precision=kv)
        for kv in ("bf16", "fp8")
    )
    assert half.seconds(batch)[0] < full.seconds(batch)[0] / 1.3


B16, W4 = "bfloat16", "w4a16_mxfp4"
GOLDEN = [
    ("llama3.1-8b", "auto", None, (B16, B16, None, None, 16.0)),
    ("llama3.1-8b", "bf16", "fp8", (B16, B16, None, None, 8.0)),
    ("llama3.1-8b", "FP8", None, ("fp8", "fp8", None, None, 8.0)),
    ("llama3.1-8b", "nvfp4", None, ("nvfp4", "nvfp4", None, None, 8.0)),
    ("llama3.1-8b", "int4", None, ("int4_wo", "int4_wo", None, None, 16.0)),
    ("llama3.1-8b", "fp8", "bf16", ("fp8", "fp8", None, None, 16.0)),
    ("deepseek-r1", "fp8", None, ("fp8_block",) * 4 + (8.0,)),
    ("deepseek-r1", "fp4", None, (B16, "nvfp4", B16, "nvfp4", 8.0)),
    ("gpt-oss-120b", "auto", None, (B16, None, None, W4, 16.0)),
    ("gpt-oss-120b", "mxfp4", None, (B16, None, None, W4, 16.0)),
    ("gpt-oss-120b", "bf16", None, (B16, None, None, B16, 16.0)),
]  # fmt: skip


@pytest.mark.parametrize(("model", "precision", "cache", "parts"), GOLDEN)
def test_what_a_precision_means_for_each_part(
    model: str, precision: str, cache: str | None, parts: tuple[Any, ...]
) -> None:
    spec = find_model(model)
    assert spec is not None
    found = Formats.of(spec, precision, cache)
    feeds = [block.ffn for block in spec.blocks]
    has = {
        "attention": True, "dense": any(isinstance(x, FeedForward) for x in feeds),
        "shared": any(isinstance(x, Experts) and x.shared_inner for x in feeds),
        "experts": any(isinstance(x, Experts) for x in feeds), "kv_bits": True,
    }  # fmt: skip
    assert tuple(getattr(found, k) if there else None for k, there in has.items()) == parts


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("hardware", ["h100_sxm", "a100_sxm", "b200_sxm", "rtx_4090", "m2_ultra"])
def test_every_precision_is_answered_everywhere(precision: str, hardware: str) -> None:
    for model in ("llama3.1-8b", "deepseek-r1", "gpt-oss-120b"):
        step = build(model, hardware, precision=precision)
        times = step.seconds(StepBatch.of(chunks=[0, 1], query_len=512, decodes=1, context_len=99))
        assert (np.isfinite(times) & (times > 0)).all()


@pytest.mark.parametrize(("precision", "cache"), [("fp7", None), ("", None), ("bf16", "fp7")])
def test_an_unknown_precision_is_refused(precision: str, cache: str | None) -> None:
    spec = find_model("llama3.1-8b")
    assert spec is not None
    with pytest.raises(InputError, match=r"must be one of .*bf16"):
        Formats.of(spec, precision, cache)


@pytest.mark.parametrize("value", [-1.0, float("nan"), float("inf")])
@pytest.mark.parametrize("name", ["chunks", "query_len", "decodes", "context_len"])
def test_a_step_of_no_size_is_refused(name: str, value: float) -> None:
    with pytest.raises(InputError, match="finite and at least 0"):
        StepBatch.of(**{name: value})


def test_a_missing_curve_is_said() -> None:
    step = build("llama3.1-8b", "m2_ultra", precision="fp8")
    step.seconds(StepBatch.of(chunks=1, query_len=512, decodes=1, context_len=512))
    assert any("none was measured on m2_ultra" in text for text in step.profile.remarks.values())
    measured = build("llama3.1-8b", "h100_sxm", precision="bf16")
    measured.seconds(StepBatch.of(decodes=1, context_len=512))
    assert not any("none was measured" in text for text in measured.profile.remarks.values())
