"""Priors from the step law: what they say, when there are none, what a law makes of them."""

from __future__ import annotations

import math
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lengthwise import LatencyLaw
from lengthwise.calibration.groups import Group, groups_of
from lengthwise.calibration.lawset import LawSet
from lengthwise.calibration.named_step import processor_of, step_of, step_seconds
from lengthwise.calibration.shape import SDS, SLOWER, coefficients, shape_priors
from lengthwise.units import FloatArray

KNOWN = {"model": "llama3.1-8b", "hardware": "h100_sxm", "engine": "vllm", "precision": "bf16"}


def decodes(context: object, batch: object = 1.0, **labels: object) -> pd.DataFrame:
    """Decode steps without times, of a deployment that is known unless labels say otherwise."""
    rows = {"phase": "decode", "context_len": context, "batch_size": batch, "latency_ms": 1.0}
    columns = {**KNOWN, **labels}
    return pd.DataFrame(rows | {k: v for k, v in columns.items() if v is not None})


def prompts(isl: object, **labels: object) -> pd.DataFrame:
    """Whole prompts without times."""
    columns = {**KNOWN, **labels}
    rows = {"phase": "prefill", "isl": isl, "batch_size": 1.0, "latency_ms": 1.0}
    return pd.DataFrame(rows | {k: v for k, v in columns.items() if v is not None})


def one(table: pd.DataFrame) -> Group:
    (group,) = groups_of(table)
    return group


def step_ms(table: pd.DataFrame) -> FloatArray:
    """Times of rows, in their order, by the step law, milliseconds."""
    found = []
    for i in range(len(table)):
        group = one(table.iloc[[i]])
        step = step_of(group)
        assert step is not None
        found.append(1e3 * float(step_seconds(step, group.work)[0]))
    return np.array(found)


@given(
    model=st.sampled_from(["llama3.1-8b", "llama2-70b", "qwen2.5-7b", "mistral-7b"]),
    hardware=st.sampled_from(["A100 80GB", "H100", "RTX 4080", "Apple M2 Ultra"]),
    longest=st.sampled_from([2048.0, 8192.0]),
    tp=st.sampled_from([1, 2]),
)
@settings(max_examples=20, deadline=None)
def test_the_prior_of_a_known_pair_has_the_ratios_of_the_step_law(
    model: str, hardware: str, longest: float, tp: int
) -> None:
    table = decodes(np.array([longest / 4, longest]), model=model, hardware=hardware, tp=tp)
    priors = shape_priors(one(table))
    assert priors is not None
    kv, n0 = math.exp(priors["KV"][0]), math.exp(priors["ln_n0_tokens"][0])
    ends = step_ms(decodes(np.array([longest, 8 * longest]), model=model, hardware=hardware, tp=tp))
    ratio = (math.hypot(1.0, n0) + 8 * longest * kv) / (math.hypot(1.0, n0) + longest * kv)
    assert ratio == pytest.approx(ends[1] / ends[0], rel=0.1)
    batch = np.array([1.0, 32.0])
    batches = step_ms(decodes(longest, batch, model=model, hardware=hardware, tp=tp))
    ratio = (math.hypot(32.0, n0) + 32 * longest * kv) / (math.hypot(1.0, n0) + longest * kv)
    assert ratio == pytest.approx(batches[1] / batches[0], rel=0.2)


def test_the_level_is_the_step_laws_times_what_engines_take_longer() -> None:
    group = one(decodes([1024.0, 4096.0]))
    step, priors = step_of(group), shape_priors(group)
    assert step is not None
    assert priors is not None
    means = coefficients(step, group.work)
    assert priors["ln_a1"] == (means["ln_a1"] + SLOWER, SDS["decode"]["ln_a1"])
    assert priors["KV"][0] == means["KV"]


@pytest.mark.parametrize(
    "labels",
    [
        {"hardware": "abacus"}, {"hardware": None}, {"hardware": "EPYC 9355 + RTX 5090 (hybrid)"},
        {"hardware": "RTX 4090 (hybrid)"}, {"hardware": "2x RTX 4090"}, {"model": "unheard-of-9b"},
        {"model": None}, {"engine": "llama.cpp", "precision": None},
        {"engine": "transformers MInference"}, {"model": "deepseek-v3.2"},
    ],
    ids=str,
)  # fmt: skip
def test_what_is_not_known_changes_nothing(labels: dict[str, object]) -> None:
    assert shape_priors(one(decodes([1024.0, 4096.0], **labels))) is None


def test_requests_under_load_have_no_prior() -> None:
    rows = {"phase": ["request"] * 2, "isl": [512, 2048], "osl": 64, "ttft_ms": 90.0}
    group = one(pd.DataFrame({**rows, **KNOWN, "concurrency": 8.0}))
    assert group.load
    assert shape_priors(group) is None


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("a100-80gb", "a100_sxm"), ("A100 80GB", "a100_sxm"), ("H100", "h100_sxm"),
        ("RTX 4080", "rtx_4080"), ("Apple M2 Ultra", "m2_ultra"), ("GB10 (DGX Spark)", "dgx_spark"),
        ("jetson-agx-orin", "jetson_agx_orin"), ("Apple M4 Metal", "m4"),
    ],
)  # fmt: skip
def test_processors_are_found_by_the_names_of_tables(name: str, found: str) -> None:
    processor = processor_of(name)
    assert processor is not None
    assert processor.name == found


def test_one_decode_step_of_a_known_model_scales_the_step_law() -> None:
    asked = decodes(np.array([512.0, 4096.0, 16384.0, 2048.0]), np.array([1.0, 1.0, 1.0, 16.0]))
    factor = 1.6
    point = decodes([2048.0]).assign(latency_ms=factor * step_ms(decodes([2048.0])))
    predicted = LatencyLaw().fit(point).predict(asked)
    error = np.abs(np.log(predicted / (factor * step_ms(asked))))
    assert error[:3].max() < math.log(1.1)
    assert error[3] < math.log(2.0)
    alone = LawSet(shape=False).fit(point).predict(asked)
    assert error[3] < 0.3 * abs(math.log(alone[3] / (factor * step_ms(asked)[3])))


def test_one_prompt_of_a_known_model_scales_the_step_law() -> None:
    asked = prompts(np.array([1024.0, 4096.0, 16384.0]))
    point = prompts([2048.0]).assign(latency_ms=1.5 * step_ms(prompts([2048.0])))
    law = LatencyLaw().fit(point)
    predicted = law.predict(asked)
    assert np.abs(np.log(predicted / (1.5 * step_ms(asked)))).max() < math.log(1.5)


@given(points=st.integers(1, 2), known=st.booleans())
@settings(max_examples=8, deadline=None)
def test_intervals_of_one_or_two_points_are_wide_and_hold_the_step_law(
    points: int, known: bool
) -> None:
    labels = {} if known else {"model": None, "hardware": None, "engine": None, "precision": None}
    measured = prompts(np.array([1024.0, 2048.0])[:points])
    asked = prompts(np.array([4096.0, 8192.0]))
    times = step_ms(measured)
    hidden = prompts(np.array([1024.0, 2048.0])[:points], **labels).assign(latency_ms=times)
    law = LatencyLaw().fit(hidden)
    hidden_asked = prompts(np.array([4096.0, 8192.0]), **labels)
    low, high = law.predict_interval(hidden_asked, level=0.9 if known else 0.99).T
    assert (low < step_ms(asked)).all()
    assert (step_ms(asked) < high).all()
    assert (high > 1.1 * low).all()


def test_measured_times_outweigh_the_prior() -> None:
    """A decode whose cache costs a tenth of what the step law says, at eight contexts."""
    context = 512.0 * 2.0 ** np.arange(8)
    table = decodes(context).assign(latency_ms=10.0 + 1e-5 * context)
    asked = decodes(np.array([2e5]))
    assert LawSet().fit(table).predict(asked)[0] == pytest.approx(12.0, rel=0.03)


def test_relatives_outweigh_the_prior() -> None:
    context = 512.0 * 2.0 ** np.arange(6)
    many = decodes(context, tp=1.0).assign(latency_ms=10.0 + 1e-4 * context)
    few = decodes(context[:1], tp=2.0).assign(latency_ms=6.0)
    asked = decodes(context, tp=2.0)
    both = pd.concat([many, few], ignore_index=True)
    with_shape, without = (LawSet(shape=s, intervals=False).fit(both) for s in (True, False))
    np.testing.assert_allclose(with_shape.predict(asked), without.predict(asked), rtol=1e-6)


def test_a_law_file_of_one_point_answers_alike_and_without_the_step_law(tmp_path: Path) -> None:
    point = decodes([2048.0]).assign(latency_ms=9.0)
    law, file = LatencyLaw().fit(point), tmp_path / "law.json"
    law.save(file)
    asked = decodes(np.array([512.0, 2048.0, 8192.0]))
    again = LatencyLaw.load(file)
    np.testing.assert_array_equal(again.predict(asked), law.predict(asked))
    code = (
        "import sys\nfrom lengthwise.interfaces.cli.main import run\n"
        f"try:\n    run(['predict', {str(file)!r}, '--phase', 'decode', '--context-len', '4096'])\n"
        "except SystemExit as stopped:\n    assert not stopped.code\n"
        "assert 'lengthwise.formulations.step.step_model' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert " ms " in done.stdout


def test_a_fit_stays_quick() -> None:
    context = 256.0 * np.arange(1, 13)
    table = decodes(context).assign(latency_ms=9.0 + 1e-4 * context)
    started = time.process_time()
    LawSet().fit(table)
    assert time.process_time() - started < 1.5
