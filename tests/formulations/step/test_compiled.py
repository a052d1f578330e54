"""Compiled steps agree with the step model, rise with every size, and have no jumps."""

from __future__ import annotations

import math
from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lengthwise.data.hardware_catalog import load_hardware
from lengthwise.data.model_files import load_model
from lengthwise.domain.layers import Attention, LatentAttention
from lengthwise.domain.parallelism import Parallelism
from lengthwise.errors import InputError
from lengthwise.formulations.step.batch import StepBatch
from lengthwise.formulations.step.compiled import CompiledStep, StepSums
from lengthwise.formulations.step.compiled_axis import Axis
from lengthwise.formulations.step.groups import GROUPS
from lengthwise.formulations.step.serving import Interference
from lengthwise.formulations.step.step_model import StepModel

DEPLOYMENTS = {
    "dense": ("llama3.1-8b", "h100", Parallelism()),
    "cut": ("llama3.1-70b", "h100", Parallelism(tp=4)),
    "latent": ("deepseek-r1", "h200", Parallelism(tp=8, ep=8)),
    "windows": ("gpt-oss-120b", "b200", Parallelism()),
    "hybrid": ("qwen3.5-397b-a17b", "b200", Parallelism(tp=8)),
    "copies": ("deepseek-v3", "h200", Parallelism(tp=2, dp=4, ep=8)),
}
TOLERANCE = 0.01


@cache
def model_of(name: str) -> StepModel:
    model, hardware, layout = DEPLOYMENTS[name]
    return StepModel.of(load_model(model), load_hardware(hardware), layout)


@cache
def compiled(name: str) -> CompiledStep:
    return CompiledStep.of(model_of(name))


def logs(low: float, high: float) -> st.SearchStrategy[float]:
    return st.floats(math.log(low), math.log(high)).map(math.exp)


def counts(low: float, high: float) -> st.SearchStrategy[float]:
    return logs(low, high).map(lambda x: float(round(x)))


names = st.sampled_from(sorted(DEPLOYMENTS))
decodes = st.one_of(st.just(0.0), counts(1, 4096))
contexts = counts(1, 1_200_000)
queries = st.one_of(st.just(0.0), counts(1, 1_000_000))
prefixes = st.one_of(st.just(0.0), counts(1, 1_000_000))
chunks = counts(1, 64)
step = st.tuples(decodes, contexts, queries, chunks, prefixes)


def sums(size: tuple[float, ...]) -> tuple[Any, ...]:
    n, context, query, count, prefix = size
    return n, n * context, count * query, count, None, count * query * prefix


def grown(size: tuple[float, ...], which: int, factor: float) -> tuple[float, ...]:
    """One of the five sizes, larger."""
    return tuple(x * factor if i == which else x for i, x in enumerate(size))


@given(names, step)
@settings(max_examples=400, deadline=None)
def test_within_one_percent_of_the_step_model(name: str, size: tuple[float, ...]) -> None:
    n, context, query, count, prefix = size
    if n + query == 0:
        return
    batch = StepBatch.of(decodes=n, context_len=context, chunks=count if query else 0.0,
                         query_len=query, chunk_context=query + prefix)  # fmt: skip
    exact = float(model_of(name).seconds(batch)[0])
    assert compiled(name).step(*sums(size)) == pytest.approx(exact, rel=TOLERANCE)
    assert compiled(name).steps_of(batch)[0] == pytest.approx(exact, rel=TOLERANCE)


@pytest.mark.parametrize("name", DEPLOYMENTS)
def test_median_error_is_far_below(name: str) -> None:
    rng = np.random.default_rng(0)
    n, context, query, prefix = (
        np.exp(rng.uniform(0.0, math.log(top), 2000)).round() for top in (4096, 1e6, 1e5, 1e6)
    )
    batch = StepBatch.of(decodes=n, context_len=context, chunks=rng.integers(0, 5, 2000),
                         query_len=query, chunk_context=query + prefix)  # fmt: skip
    miss = np.abs(compiled(name).steps_of(batch) / model_of(name).seconds(batch) - 1.0)
    assert np.median(miss) < 5e-4
    assert np.quantile(miss, 0.99) < 5e-3


@given(names, step, st.integers(0, 4), logs(1.0001, 50))
@settings(max_examples=400, deadline=None)
def test_rises_with_every_size(
    name: str, size: tuple[float, ...], which: int, factor: float
) -> None:
    fast = compiled(name)
    before, after = fast.step(*sums(size)), fast.step(*sums(grown(size, which, factor)))
    assert after >= before * (1 - 1e-12)


@given(names, step, st.integers(0, 4))
@settings(max_examples=400, deadline=None)
def test_no_jumps(name: str, size: tuple[float, ...], which: int) -> None:
    if size[0] + size[2] == 0:
        return
    fast = compiled(name)
    before, after = fast.step(*sums(size)), fast.step(*sums(grown(size, which, 1 + 1e-7)))
    assert after == pytest.approx(before, rel=1e-5)


@given(names, st.lists(step, min_size=1, max_size=20))
@settings(max_examples=150, deadline=None)
def test_arrays_and_numbers_agree(name: str, sizes: list[tuple[float, ...]]) -> None:
    fast = compiled(name)
    columns = [np.array(c) for c in zip(*(sums(s) for s in sizes), strict=True)]
    single = [fast.step(*sums(s)) for s in sizes]
    n, kv, tokens, count, _, pairs = columns
    found = fast.steps(n, kv, tokens, count, prefix_pairs=pairs)
    assert found == pytest.approx(single, rel=1e-9)
    square = np.where(tokens > 0, tokens**2 / count, 1.0)
    assert fast.steps(n, kv, tokens, count, square, pairs) == pytest.approx(single, rel=1e-9)


@pytest.mark.parametrize("name", DEPLOYMENTS)
def test_never_below_the_roofline_even_beyond_the_tables(name: str) -> None:
    """Weights or arithmetic, and the cache, of a whole step on perfect processors."""
    step_model, fast = model_of(name), compiled(name)
    hardware, layout, model = step_model.hardware, step_model.parallelism, step_model.model
    flops, bandwidth = layout.tp * layout.dp * np.array(
        [max(hardware.peak(p) for p in ("bf16", "fp8", "fp4")),
         hardware.memory_bandwidth_bytes_per_s])  # fmt: skip
    for tokens in np.geomspace(1, 3e8, 60):
        assert fast.step(prompt_tokens=tokens) >= 2 * model.parameters * tokens / flops
        pairs = model.flops_per_pair * tokens * tokens / 2
        if not any(_cut_short(layer.mixer) for layer in model.blocks):
            assert fast.step(prompt_tokens=tokens) >= pairs / flops
        for context in np.geomspace(1, 3e7, 20):
            least = tokens * model.kv_bytes(context, step_model.formats.kv_bits) / bandwidth
            shared = 1 if not _latent(model) else layout.tp
            assert fast.step(tokens, tokens * context) >= least / max(shared, 1) * (1 - TOLERANCE)


def _cut_short(mixer: Any) -> bool:
    return isinstance(mixer, Attention) and (mixer.window or mixer.selected) is not None


def _latent(model: Any) -> bool:
    return any(isinstance(layer.mixer, LatentAttention) for layer in model.blocks)


@pytest.mark.parametrize("name", DEPLOYMENTS)
def test_extremes(name: str) -> None:
    fast = compiled(name)
    assert fast.step() == 0.0
    assert fast.steps([0, 0], prompt_tokens=[0, 1]).tolist() == [0.0, fast.step(prompt_tokens=1)]
    one = StepBatch.of(decodes=1, context_len=1)
    assert fast.step(1, 1) == pytest.approx(float(model_of(name).seconds(one)[0]), rel=1e-9)
    million = StepBatch.of(chunks=1, query_len=1e6)
    exact = float(model_of(name).seconds(million)[0])
    assert fast.step(prompt_tokens=1e6) == pytest.approx(exact, rel=TOLERANCE)
    assert math.isfinite(fast.step(1e6, 1e13, 1e7, 1e4, 1e12, 1e13))


def test_uneven_batches_keep_tokens_and_pairs() -> None:
    uneven = StepSums.of([10, 30, 500], [(512, 0), (64, 4096), (8, 100)])
    count = uneven.prompt_tokens**2 / uneven.square_tokens
    query = uneven.square_tokens / uneven.prompt_tokens
    prefix = uneven.prefix_pairs / uneven.prompt_tokens
    assert count * query == pytest.approx(512 + 64 + 8)
    pairs = 512 * 512 / 2 + 64 * (4096 + 32) + 8 * (100 + 4)
    assert count * query * (prefix + query / 2) == pytest.approx(pairs)
    fast = compiled("dense")
    alone = [StepSums.of(chunks=[c]) for c in [(512, 0), (64, 4096), (8, 100)]]
    assert max(fast.step(*one) for one in alone) < fast.step(*uneven)


@given(names, st.lists(st.tuples(counts(1, 5000), prefixes), max_size=6), st.lists(contexts))
@settings(max_examples=200, deadline=None)
def test_listed_sequences(name: str, pieces: list[tuple[float, float]], seen: list[float]) -> None:
    fast = compiled(name)
    found = fast.step_of(seen, pieces)
    assert found >= fast.step(*StepSums.of(seen, pieces)) * (1 - 1e-12)
    assert all(found >= fast.step_of((), [one]) * (1 - 1e-9) for one in pieces)
    if len(set(pieces)) == 1:
        assert found == pytest.approx(fast.step(*StepSums.of(seen, pieces)), rel=1e-9)


@given(names, st.lists(st.tuples(counts(1, 5000), prefixes), min_size=1, max_size=6))
@settings(max_examples=200, deadline=None)
def test_a_list_is_not_faster_than_reading_its_prefixes(
    name: str, pieces: list[tuple[float, float]]
) -> None:
    fast = compiled(name)
    sums_ = StepSums.of(chunks=pieces)
    mean = sum(p for _, p in pieces) / len(pieces)
    least = StepSums.of(chunks=[(1, mean)] * len(pieces))
    assert fast.step(*sums_) >= fast.step(*least) * (1 - 1e-9)
    assert fast.steps(*sums_)[0] == pytest.approx(fast.step(*sums_), rel=1e-9)


def test_equal_sequences_are_exact() -> None:
    fast = compiled("windows")
    listed = fast.step(*StepSums.of([700] * 9, [(256, 1024)] * 3))
    assert listed == pytest.approx(fast.step(9, 6300, 768, 3, None, 768 * 1024), rel=1e-12)


def test_factors_scale_their_groups() -> None:
    batch = StepBatch.of(decodes=32, context_len=9000, chunks=1, query_len=1024)
    factors = {group: 1.0 + 0.1 * i for i, group in enumerate(GROUPS)}
    for name in DEPLOYMENTS:
        fast = compiled(name).with_factors(factors, correction=1.3)
        exact = 1.3 * float(model_of(name).groups(batch).scaled(factors).total[0])
        assert fast.steps_of(batch)[0] == pytest.approx(exact, rel=TOLERANCE)


def test_request_under_load() -> None:
    fast = compiled("dense")
    alone = fast.request(2048, 256, interference=Interference(overhead_s=0.0, wait=0.0))
    prompt, token = fast.step(prompt_tokens=2048), fast.step(1, 2048 + 128)
    assert alone == pytest.approx((prompt, token))
    loads = [fast.request(2048, 256, c) for c in (1, 4, 16, 64, 256, 1024)]
    assert all(a[0] < b[0] and a[1] <= b[1] for a, b in pairwise(loads))
    assert fast.request(8192, 64, 8, cached_tokens=8000)[0] < fast.request(8192, 64, 8)[0]
    quiet = Interference(overhead_s=0.0, wait=0.0)
    chunked = fast.request(8192, 16, interference=quiet, step_tokens=4096)[0]
    middle = fast.step(prompt_tokens=4096, prefix_pairs=4096 * 2048)
    assert chunked == pytest.approx(2 * middle)


@pytest.mark.parametrize(
    "bad",
    [(math.nan,), (-1.0,), (1.0, math.inf), (1.0, -5.0), (0.0, 0.0, math.nan),
     (0.0, 0.0, 5.0, -1.0), (0.0, 0.0, 5.0, 1.0, math.nan), (0.0, 0.0, 5.0, 1.0, 0.0),
     (0.0, 0.0, 5.0, 1.0, 25.0, math.inf), (0.0, 0.0, 5.0, 1.0, 25.0, 0.0, -1.0)],
)  # fmt: skip
def test_bad_sizes_are_refused(bad: tuple[float, ...]) -> None:
    with pytest.raises(InputError, match="sizes of a step"):
        compiled("dense").step(*bad)
    with pytest.raises(InputError, match="sizes of a step"):
        compiled("dense").steps(*([x, x] for x in bad))


@pytest.mark.parametrize("bad", [(0, 10), (10, 0), (10, 10, 0), (10, 10, 1, 10), (math.nan, 1)])
def test_bad_requests_are_refused(bad: tuple[float, ...]) -> None:
    with pytest.raises(InputError):
        compiled("dense").request(*bad)


@pytest.mark.parametrize("factors", [{"experts": -1.0}, {"experts": math.nan}])
def test_bad_factors_are_refused(factors: dict[str, float]) -> None:
    with pytest.raises(InputError, match="factors"):
        compiled("dense").with_factors(factors)


@given(st.floats(1.0, 1e7), st.integers(-3, 3), st.integers(0, 10))
def test_axis_finds_the_node_below(size: float, first: int, bits: int) -> None:
    axis = Axis(first, 20, bits)
    node, part, beyond = axis.place(size)
    nodes = axis.nodes
    found = (nodes[node] + part * (nodes[node + 1] - nodes[node])) * beyond
    assert found == pytest.approx(max(size, nodes[0]), rel=1e-12)
    many = axis.places(np.array([size]))
    assert (many[0][0], many[1][0]) == (node, part)
    assert np.ravel(many[2])[0] == beyond
