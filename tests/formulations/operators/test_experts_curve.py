"""Shipped curves of routed experts keep physical laws at every number of tokens."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lengthwise.data.hardware_catalog import find_hardware
from lengthwise.data.kernel_profiles import load_curves
from lengthwise.formulations.operators import routing
from lengthwise.formulations.operators.ceilings import Ceilings
from lengthwise.formulations.operators.experts import ExpertsCoefficients, ExpertsCurve

SYSTEMS = ("a100_sxm", "b200_sxm", "gb200", "h100_sxm", "h200_sxm", "l40s")
LAYERS = {
    "mixtral": (4096, 14336, 2, 8, 8),
    "mixtral, one expert here": (4096, 14336, 2, 1, 8),
    "many small": (2048, 768, 8, 128, 128),
    "many, shared over 32": (7168, 2048, 8, 8, 256),
    "cut by 16": (4096, 96, 8, 128, 128),
}


def curve_of(system: str, record: dict[str, Any]) -> ExpertsCurve:
    hardware = find_hardware("h100_sxm" if system == "generic" else system)
    coefficients = ExpertsCoefficients.from_dict(record["coefficients"])
    return ExpertsCurve(Ceilings.of(hardware, record["dtype"]), coefficients)


CURVES = {
    f"{s}-{r['engine']}-{r['dtype']}": curve_of(s, r)
    for s in (*SYSTEMS, "generic")
    for r in load_curves("experts", s)
}


@pytest.fixture(params=CURVES, scope="module")
def curve(request: pytest.FixtureRequest) -> ExpertsCurve:
    return CURVES[request.param]


@settings(max_examples=40, deadline=None)
@given(
    name=st.sampled_from(sorted(CURVES)), layer=st.sampled_from(sorted(LAYERS)),
    tokens=st.floats(0.0, 6.0), more=st.floats(1.0, 4.0), skew=st.sampled_from([0.0, 1.01, 1.2]),
)  # fmt: skip
def test_more_tokens_never_take_less_time(
    name: str, layer: str, tokens: float, more: float, skew: float
) -> None:
    few = float(round(10**tokens))
    many = float(np.ceil(few * more))
    found = CURVES[name].seconds([few, many], *LAYERS[layer], skew=skew)
    assert found[1] >= found[0] * (1 - 1e-9)


@pytest.mark.parametrize("layer", LAYERS)
def test_time_never_falls_on_a_dense_line_of_tokens(curve: ExpertsCurve, layer: str) -> None:
    tokens = np.unique(np.round(np.logspace(0, 6, 1500)))
    for skew in (0.0, 1.01, 1.2):
        assert (np.diff(curve.seconds(tokens, *LAYERS[layer], skew=skew)) >= -1e-12).all()


@pytest.mark.parametrize("layer", LAYERS)
def test_never_faster_than_the_roofline(curve: ExpertsCurve, layer: str) -> None:
    tokens = np.unique(np.round(np.logspace(0, 6, 100)))
    hidden, inter, active, here, experts = LAYERS[layer]
    found, top = curve.seconds(tokens, *LAYERS[layer], skew=0.0), curve.ceilings
    routed = tokens * active * here / experts
    weights = np.minimum(routed, here) * 3 * hidden * inter * top.weight_bytes
    assert (found >= 6.0 * routed * hidden * inter / top.peak_flops * (1 - 1e-12)).all()
    assert (found >= weights / top.bandwidth * (1 - 1e-12)).all()
    assert np.isfinite(found).all()


def test_one_more_token_changes_little(curve: ExpertsCurve) -> None:
    tokens = np.arange(64.0, 8200.0)
    for layer in LAYERS.values():
        found = curve.seconds(tokens, *layer)
        assert (found[1:] / found[:-1]).max() < 1.08


def test_gates_cost_time_and_uneven_routing_does(curve: ExpertsCurve) -> None:
    layer = LAYERS["many, shared over 32"]
    assert curve.seconds(4096, *layer, True) > curve.seconds(4096, *layer, False)
    assert curve.seconds(16384, *layer) > curve.seconds(16384, *layer, skew=0.0)


def test_a_curve_survives_json(curve: ExpertsCurve) -> None:
    assert ExpertsCurve.from_dict(curve.to_dict()) == curve


def test_loads_keep_the_number_of_pairs() -> None:
    one = np.ones(4)
    tokens = np.array([1.0, 64.0, 1000.0, 1e6])
    for skew in (0.0, 1.01, 1.2):
        found = routing.loads(tokens, 2 * one, 8 * one, 8 * one, skew)
        assert found.mean(axis=1) * 8 == pytest.approx(tokens * 2)
        assert (found <= tokens[:, None] * (1 + 1e-9)).all()


def test_the_busiest_processor_has_more_than_its_share() -> None:
    one = np.ones(1)
    alone = routing.loads(4096 * one, 8 * one, 256 * one, 256 * one).mean()
    group = routing.loads(4096 * one, 8 * one, 256 * one, 32 * one).mean()
    assert group / alone == pytest.approx(6066 / 4096, rel=0.1)  # mean of drawn loads


@pytest.mark.parametrize(
    ("name", "tokens", "layer", "milliseconds"),
    [
        ("h100_sxm-vllm-bfloat16", 1, (6144, 2048, 8, 256, 256), 0.24),
        ("h100_sxm-vllm-bfloat16", 256, (6144, 2048, 8, 256, 256), 5.78),
        ("h100_sxm-vllm-bfloat16", 16384, (6144, 2048, 8, 256, 256), 24.4),
        ("h100_sxm-trtllm-bfloat16", 16384, (6144, 16384, 2, 8, 8), 26.3),
    ],
)
def test_figures_near_the_measured_ones(
    name: str, tokens: int, layer: tuple[int, ...], milliseconds: float
) -> None:
    assert CURVES[name].seconds(tokens, *layer) * 1e3 == pytest.approx(milliseconds, rel=0.25)
