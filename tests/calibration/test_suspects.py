"""A law names the points it doubts, and only these; tables with a known truth."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from lengthwise.calibration.lawset import LawSet
from lengthwise.calibration.phase_law import PhaseLaw
from lengthwise.units import FloatArray

NOISE = 0.003


def truth(n: FloatArray) -> FloatArray:
    return 20.0 + 0.1 * n + 1e-6 * n**2


def lengths(points: int, doublings: float) -> FloatArray:
    return np.round(256.0 * 2.0 ** np.linspace(0.0, doublings, points))


def prompts(n: FloatArray, times_ms: FloatArray) -> pd.DataFrame:
    return pd.DataFrame({"phase": "prefill", "isl": n, "latency_ms": times_ms})


def law_of(table: pd.DataFrame) -> PhaseLaw:
    (law,) = LawSet(intervals=False).fit(table).laws_.values()
    return law


def noisy(n: FloatArray, seed: int) -> FloatArray:
    return truth(n) * np.exp(NOISE * np.random.default_rng(seed).standard_normal(len(n)))


@pytest.mark.parametrize(("points", "doublings", "spoilt"), [(4, 3.0, 1), (12, 7.0, 5)])
def test_a_spoilt_point_is_named_with_its_true_time(
    points: int, doublings: float, spoilt: int
) -> None:
    n = lengths(points, doublings)
    times = noisy(n, seed=points)
    times[spoilt] *= 2.5
    law = law_of(prompts(n, times))
    assert law.spoilt == (spoilt,)
    (suspect,) = law.suspects
    assert (suspect.isl, suspect.query_len, suspect.batch_size) == (n[spoilt], n[spoilt], 1.0)
    assert suspect.measured_ms == pytest.approx(times[spoilt])
    assert suspect.expected_ms == pytest.approx(truth(n)[spoilt], rel=0.1)
    assert 0.5 < suspect.probability <= 1.0
    assert suspect.is_slow


def test_a_point_that_was_too_fast_is_named_as_well() -> None:
    n = lengths(8, 6.0)
    times = noisy(n, seed=1)
    times[4] *= 0.4
    (suspect,) = law_of(prompts(n, times)).suspects
    assert (suspect.position, suspect.is_slow) == (4, False)


def test_nothing_is_named_on_clean_tables() -> None:
    shapes = (
        lambda n: 0.1 * n, lambda n: 30.0 + 0.1 * n, lambda n: 0.1 * np.hypot(n, 700.0),
        lambda n: 0.1 * n + 2e-5 * n**2, truth,
    )  # fmt: skip
    named = []
    for seed in range(200):
        rng = np.random.default_rng(seed)
        n = lengths(int(rng.integers(4, 13)), rng.uniform(3.0, 8.0))
        noise = float(rng.choice([0.002, 0.01, 0.03]))
        times = shapes[seed % len(shapes)](n) * np.exp(noise * rng.standard_normal(len(n)))
        if law_of(prompts(n, times)).suspects:
            named.append(seed)
    assert not named


@pytest.mark.parametrize("points", [50, 320])
def test_positions_are_those_of_all_points_when_the_fit_saw_some(points: int) -> None:
    """Members of large groups are fitted to thinned points, whose order is another one."""
    n = np.unique(np.round(np.geomspace(64.0, 65536.0, points)))
    times = noisy(n, seed=2)
    at = int(np.searchsorted(n, 3000.0))
    times[at] *= 4.0
    (suspect,) = law_of(prompts(n, times)).suspects
    assert suspect.position == at
    assert suspect.measured_ms == pytest.approx(times[at])


def test_positions_follow_the_length_whatever_the_order_of_rows() -> None:
    """Chunks of a prompt: a table is ordered by isl, points are counted by their context."""
    context = 512.0 * np.arange(1, 9)
    times = 40.0 + 0.002 * context
    times[2] *= 3.0
    rows = pd.DataFrame({
        "phase": "prefill", "isl": context[-1], "context_len": context, "query_len": 512.0,
        "latency_ms": times,
    })  # fmt: skip
    (suspect,) = law_of(rows.sample(frac=1.0, random_state=0)).suspects
    assert (suspect.position, suspect.context_len, suspect.query_len) == (2, 1536.0, 512.0)


def test_batches_of_decode_steps_are_named_by_batch() -> None:
    context, batch = (g.ravel() for g in np.meshgrid([1e3, 2e3, 4e3, 8e3], [1.0, 4.0]))
    times = 8.0 + 1e-4 * context * batch + 0.1 * batch
    times[6] *= 2.5
    rows = pd.DataFrame(
        {"phase": "decode", "context_len": context, "batch_size": batch, "latency_ms": times}
    )
    (suspect,) = law_of(rows).suspects
    assert (suspect.isl, suspect.context_len, suspect.batch_size) == (None, 4e3, 4.0)
    by_length = np.argsort(context, kind="stable")
    assert context[by_length[suspect.position]] == 4e3
