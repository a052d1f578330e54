"""Recorded and simulated deployments: costs, what can be measured, and the split."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from lengthwise.calibration.exploration.deployment import (
    SETUP_S,
    STEPS,
    WAVES,
    Deployment,
    named,
)
from lengthwise.calibration.exploration.law import Prior, fit
from lengthwise.calibration.exploration.learned import shipped
from lengthwise.calibration.exploration.points import Points
from lengthwise.calibration.exploration.recorded import from_table, learning, recorded
from lengthwise.calibration.exploration.simulated import simulate
from lengthwise.errors import InputError


def table() -> pd.DataFrame:
    n = np.array([64, 128, 256, 512, 1024, 2048, 4096])
    prefill = pd.DataFrame({"phase": "prefill", "isl": n, "latency_ms": 10.0 + n / 10})
    decode = pd.DataFrame({"phase": "decode", "context_len": n, "latency_ms": 20.0 + n / 1000})
    both = pd.concat([prefill, decode])
    return both.assign(batch_size=1, model="m", hardware="h")


def test_seconds_of_runs_hold_setup_waves_and_filling() -> None:
    (here,) = from_table(table())
    points = [here.points.describe(i) for i in range(len(here.points))]
    p = points.index({"phase": "prefill", "isl": 1024, "batch_size": 1})
    d = points.index({"phase": "decode", "context_len": 1024, "batch_size": 1})
    assert here.seconds[p] == pytest.approx(SETUP_S + WAVES * 0.1124)
    assert here.seconds[d] == pytest.approx(SETUP_S + 0.1124 + STEPS * 0.021024, rel=1e-6)
    assert here.run_s(d, 0.042) == pytest.approx(SETUP_S + 0.1124 + STEPS * 0.042)


def test_only_lengths_up_to_a_quarter_can_be_measured() -> None:
    (here,) = from_table(table())
    assert here.points.length[here.measurable].max() == 1024
    (all_of_it,) = from_table(table(), reach=1.0)
    assert all_of_it.measurable.all()


def test_warm_ups_caches_and_other_phases_are_left_out() -> None:
    rows = table()
    bad = rows.head(3).assign(latency_ms=1e6)
    mixed = pd.concat([
        rows.assign(warmup=False, cached_tokens=0), bad.assign(warmup=True, cached_tokens=0),
        bad.assign(warmup=False, cached_tokens=32), bad.assign(phase="mixed", warmup=False),
    ])  # fmt: skip
    (here,) = from_table(mixed)
    assert np.exp(here.truth).max() < 1.0


def test_repeats_are_readings_of_one_point() -> None:
    twice = pd.concat([table().assign(repeat=r, latency_ms=table()["latency_ms"] * (1 + r / 10))
                       for r in range(3)])  # fmt: skip
    (here,) = from_table(twice)
    assert {len(r) for r in here.readings} == {3}


def test_both_phases_count_the_same_in_the_error() -> None:
    points = Points.of(["prefill", "prefill", "prefill", "decode"], [64.0, 128.0, 256.0, 64.0])
    here = Deployment("d", points, tuple(np.ones(1) for _ in range(4)), np.zeros(4))
    assert here.error(np.array([0.0, 0.0, 0.0, 0.4])) == pytest.approx(0.2)


def test_a_point_without_readings_is_refused() -> None:
    with pytest.raises(InputError, match="needs a reading"):
        Deployment("d", Points.of("prefill", [64.0]), (np.array([]),), np.zeros(1))


def test_an_unknown_name_lists_the_known() -> None:
    with pytest.raises(InputError, match="simulated 1"):
        named([simulate(1)], "simulated 2")


def test_simulated_deployments_repeat_and_are_not_of_the_law() -> None:
    one, again, other = simulate(3), simulate(3), simulate(4)
    assert (one.truth == again.truth).all()
    assert one.truth != pytest.approx(other.truth)
    noise_free = [h.error(fit(Prior.vague(), h.points, h.truth).predict(h.points))
                  for h in (simulate(seed) for seed in range(8))]  # fmt: skip
    assert np.median(noise_free) > 0.015


def test_kin_stand_on_one_side_of_the_split(needs_data: Path) -> None:
    side: dict[str, set[bool]] = {}
    deployments = recorded()
    for here in deployments:
        side.setdefault("|".join(here.name.split("|")[:2]), set()).add(learning(here.name))
    assert all(len(found) == 1 for found in side.values())
    apart = [learning(here.name) for here in deployments]
    assert min(sum(apart), len(apart) - sum(apart)) >= 10


def test_nothing_that_is_compared_was_learnt_on() -> None:
    made = shipped()["provenance"]
    assert all(learning(name) for name in made["recorded"])
    assert made["simulated_seeds"][1] < 1000
