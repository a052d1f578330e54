"""Fits find the curve that made a table, and keep physical laws where they were not shown rows."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from lengthwise.calibration.operators import experts_fit, gemm_fit
from lengthwise.calibration.operators.grid_fit import Block, fit_grids, made_rising
from lengthwise.data.hardware_catalog import find_hardware
from lengthwise.formulations.operators.ceilings import Ceilings
from lengthwise.formulations.operators.experts import ExpertsCoefficients, ExpertsCurve
from lengthwise.formulations.operators.gemm import GemmCoefficients, GemmCurve
from lengthwise.formulations.operators.log_grid import LogGrid

CARD = find_hardware("h100_sxm")
TOP = Ceilings.of(CARD, "bfloat16")
TRUTH = GemmCurve(
    TOP, GemmCoefficients(3e-6, 0.75, 3.0, 1e-6, 0.8, 2.5, 5e-7, 0.4, 2e-6, 0, 0, 1, 1)
)
EXPERTS = ExpertsCurve(
    TOP, ExpertsCoefficients(2e-5, 0.7, 2.5, 1e-6, 0.9, 2.0, 0.4, 2e-8, 0.1, 1e-8)
)


def products(largest: int = 8192) -> pd.DataFrame:
    m = [1, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192]
    n = [256, 1024, 4096, 8192, 16384]
    frame = pd.DataFrame(
        [(a, b, c) for a in m if a <= largest for b in n for c in n], columns=["m", "n", "k"]
    )
    noise = np.random.default_rng(0).normal(0, 0.02, len(frame))
    exact = TRUTH.seconds(frame["m"], frame["n"], frame["k"])
    return frame.assign(seconds=exact * np.exp(noise))


@pytest.fixture(scope="module")
def fitted() -> GemmCurve:
    return gemm_fit.fit(products(), CARD, "bfloat16")


def test_a_fit_comes_close_at_sizes_it_did_not_see(fitted: GemmCurve) -> None:
    m = np.array([24.0, 700.0, 3000.0, 6000.0])[:, None, None]
    n, k = np.array([512.0, 6144.0])[:, None], np.array([2048.0, 14336.0])
    error = np.abs(fitted.seconds(m, n, k) / TRUTH.seconds(m, n, k) - 1)
    assert np.median(error) < 0.05
    assert error.max() < 0.25


def test_a_fit_extrapolates_to_eight_times_the_rows() -> None:
    curve = gemm_fit.fit(products(1024), CARD, "bfloat16")
    n, k = np.array([1024.0, 8192.0])[:, None], np.array([4096.0, 16384.0])
    error = np.abs(curve.seconds(8192.0, n, k) / TRUTH.seconds(8192.0, n, k) - 1)
    assert error.max() < 0.15


def test_rows_read_from_the_cache_do_not_lift_a_curve_above_the_memory(fitted: GemmCurve) -> None:
    table = products()
    small = (table["n"] * table["k"] < 5e6) & (table["m"] < 64)
    table.loc[small, "seconds"] = 0.4 * TRUTH.floor(table["m"], table["n"], table["k"])[small]
    curve = gemm_fit.fit(table, CARD, "bfloat16")
    assert (curve.seconds(1, 1024, [1024, 4096]) >= curve.floor(1, 1024, [1024, 4096])).all()
    assert curve.seconds(4096, 8192, 8192) == pytest.approx(
        fitted.seconds(4096, 8192, 8192), rel=0.1
    )


def test_noise_does_not_make_a_fit_fall(fitted: GemmCurve) -> None:
    m = np.unique(np.round(np.logspace(0, 6, 800)))
    for n, k in ((256.0, 16384.0), (3000.0, 3000.0), (50000.0, 128.0)):
        assert (np.diff(fitted.seconds(m, n, k)) >= -1e-15).all()


def test_fits_are_repeatable(fitted: GemmCurve) -> None:
    assert gemm_fit.fit(products(), CARD, "bfloat16") == fitted


def test_experts_fit_comes_close_at_a_model_it_did_not_see() -> None:
    layers = [
        (4096, 14336, 2, 8, 8),
        (2048, 768, 8, 128, 128),
        (6144, 2560, 8, 160, 160),
        (4096, 1536, 8, 32, 128),
        (5120, 8192, 1, 16, 16),
        (7168, 512, 8, 256, 256),
    ]
    tokens = (1, 4, 16, 64, 256, 1024, 4096, 16384)
    frame = pd.DataFrame(
        [(t, *layer, True, skew) for t in tokens for layer in layers for skew in (0.0, 1.01)],
        columns=[*experts_fit.SIZES, "skew"],
    ).astype(float)  # fmt: skip
    frame["seconds"] = experts_fit.predict(EXPERTS, frame)
    curve = experts_fit.fit(frame, CARD, "bfloat16")
    unseen = (np.array([2.0, 100.0, 2000.0]), 3072, 1024, 8, 64, 64)
    assert curve.seconds(*unseen) == pytest.approx(EXPERTS.seconds(*unseen), rel=0.2)


def test_a_grid_is_found_from_its_own_values_and_kept_from_falling() -> None:
    axes = ((1.0, 10.0, 100.0),)
    x = np.logspace(0, 2, 200)
    truth = LogGrid(axes, (0.0, 0.5, -0.3))
    block = Block(LogGrid(axes, (0.0, 0.0, 0.0)), (x,))
    seconds = x * np.exp(truth.at(x))
    found = fit_grids(
        lambda v: (x * np.exp(v[0]), [np.ones_like(x)]), [block], seconds, np.ones_like(x)
    )
    assert found[0].values == pytest.approx(truth.values, abs=0.02)
    steep = made_rising(LogGrid(axes, (0.0, -9.0, -9.0)))
    assert (np.diff(x * np.exp(steep.at(x))) >= 0).all()
