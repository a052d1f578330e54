"""Shipped curves of matrix products keep physical laws at every size."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lengthwise.data.hardware_catalog import find_hardware
from lengthwise.data.kernel_profiles import load_curves
from lengthwise.formulations.operators.ceilings import Ceilings
from lengthwise.formulations.operators.gemm import GemmCoefficients, GemmCurve

SYSTEMS = ("a100_sxm", "b200_sxm", "gb200", "h100_sxm", "h200_sxm", "l40s")


def curve_of(system: str, record: dict[str, Any]) -> GemmCurve:
    hardware = find_hardware("h100_sxm" if system == "generic" else system)
    coefficients = GemmCoefficients.from_dict(record["coefficients"])
    return GemmCurve(Ceilings.of(hardware, record["dtype"]), coefficients)


CURVES = {
    f"{s}-{r['engine']}-{r['dtype']}": curve_of(s, r)
    for s in (*SYSTEMS, "generic")
    for r in load_curves("gemm", s)
}
SIZE = st.floats(0.0, 1.0)


@pytest.fixture(params=CURVES, scope="module")
def curve(request: pytest.FixtureRequest) -> GemmCurve:
    return CURVES[request.param]


def tokens(share: float) -> float:
    return float(round(10 ** (6 * share)))


def width(share: float) -> float:
    return float(round(32 * 4096**share))


@settings(max_examples=25, deadline=None)
@given(name=st.sampled_from(sorted(CURVES)), m=SIZE, n=SIZE, k=SIZE, more=st.floats(1.0, 4.0),
       aligned=st.booleans())  # fmt: skip
def test_more_of_anything_never_takes_less_time(
    name: str, m: float, n: float, k: float, more: float, aligned: bool
) -> None:
    curve, sizes = CURVES[name], np.array([tokens(m), width(n), width(k)])
    base = curve.seconds(*sizes, aligned=aligned)
    for axis in range(3):
        larger = sizes.copy()
        larger[axis] = np.ceil(larger[axis] * more)
        assert curve.seconds(*larger, aligned=aligned) >= base * (1 - 1e-9)


def test_time_never_falls_on_a_dense_line_of_tokens(curve: GemmCurve) -> None:
    m = np.unique(np.round(np.logspace(0, 6, 2000)))
    for n, k in ((4096.0, 4096.0), (128.0, 8192.0), (28672.0, 512.0), (57344.0, 8192.0)):
        for aligned in (True, False):
            assert (np.diff(curve.seconds(m, n, k, aligned=aligned)) >= -1e-15).all()


def test_time_never_falls_on_a_dense_line_of_widths(curve: GemmCurve) -> None:
    width = np.arange(64.0, 20000.0, 32.0)
    for m in (1.0, 48.0, 300.0, 4096.0):
        assert (np.diff(curve.seconds(m, width, 4096.0)) >= -1e-15).all()
        assert (np.diff(curve.seconds(m, 4096.0, width)) >= -1e-15).all()


def test_never_faster_than_the_roofline(curve: GemmCurve) -> None:
    m = np.round(np.logspace(0, 6, 200))[:, None, None]
    n = np.array([32.0, 512.0, 4096.0, 28672.0, 200000.0])[:, None]
    k = np.array([32.0, 1000.0, 8192.0, 65536.0])
    found, top = curve.seconds(m, n, k), curve.ceilings
    read = top.weight_bytes * n * k + top.input_bytes * m * k + 2 * m * n
    assert (found >= 2 * m * n * k / top.peak_flops * (1 - 1e-12)).all()
    assert (found >= read / top.bandwidth * (1 - 1e-12)).all()
    assert np.isfinite(found).all()


def test_one_more_token_changes_little(curve: GemmCurve) -> None:
    m = np.arange(64.0, 4200.0)
    found = curve.seconds(m, 4096.0, 7168.0)
    assert (found[1:] / found[:-1]).max() < 1.08


def test_a_curve_survives_json(curve: GemmCurve) -> None:
    again = GemmCurve.from_dict(curve.to_dict())
    assert again == curve


@pytest.mark.parametrize(
    ("name", "m", "n", "k", "microseconds"),
    [
        ("h100_sxm-trtllm-bfloat16", 1, 4096, 4096, 16.6),
        ("h100_sxm-trtllm-bfloat16", 4096, 4096, 4096, 174.0),
        ("h100_sxm-vllm-fp8", 4096, 4096, 4096, 154.0),
        ("b200_sxm-trtllm-fp8", 1024, 16384, 16384, 200.0),
    ],
)
def test_figures_near_the_measured_ones(
    name: str, m: int, n: int, k: int, microseconds: float
) -> None:
    assert CURVES[name].seconds(m, n, k) * 1e6 == pytest.approx(microseconds, rel=0.2)
