"""The default law on tables of any kind: physics, units, files, batches."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lengthwise.calibration.lawset import LawSet
from lengthwise.domain.work import Work
from lengthwise.formulations.hachiya_patias import HachiyaPatias
from lengthwise.formulations.hachiya_patias.blend import Blend
from lengthwise.prediction.latency_law import LatencyLaw
from lengthwise.testing import samples
from lengthwise.units import FloatArray

LENGTHS = np.array([64.0, 200.0, 640.0, 2000.0, 6400.0])
GRID = np.unique(np.geomspace(1, 1e6, 400).round())


def table(phase: str, noise: FloatArray, batch: FloatArray | float = 1.0) -> pd.DataFrame:
    """Make a table of five lengths; the noise is in ln t."""
    n, b = np.broadcast_arrays(LENGTHS, batch)
    if phase == "prefill":
        tokens = n * b
        times = 0.05 * np.hypot(tokens, 300.0) + 2e-6 * n * tokens
        return pd.DataFrame({"phase": phase, "isl": n, "batch_size": b,
                             "latency_ms": times * np.exp(noise)})  # fmt: skip
    times = 8.0 + 0.05 * b + 1e-4 * n * b
    return pd.DataFrame({"phase": phase, "context_len": n, "batch_size": b,
                         "latency_ms": times * np.exp(noise)})  # fmt: skip


def law_of(frame: pd.DataFrame) -> HachiyaPatias:
    (law,) = LawSet(intervals=False).fit(frame).laws_.values()
    assert isinstance(law.law, HachiyaPatias)
    return law.law


def steps(phase: str, length: FloatArray, batch: FloatArray | float = 1.0) -> Work:
    query = length if phase == "prefill" else 1.0
    return Work.of(phase, query_len=query, context_len=length, batch_size=batch)


noises = st.lists(st.floats(-0.4, 0.4), min_size=5, max_size=5).map(np.array)
phases = st.sampled_from(["prefill", "decode"])


@settings(max_examples=30, deadline=None)
@given(phase=phases, noise=noises, batch=st.sampled_from([1.0, 4.0]))
def test_times_are_positive_finite_and_never_fall(
    phase: str, noise: FloatArray, batch: float
) -> None:
    law = law_of(table(phase, noise, batch))
    along_length = law.predict_work(steps(phase, GRID, batch))
    along_batch = law.predict_work(steps(phase, np.array([512.0]), np.arange(1.0, 257.0)))
    for time in (along_length, along_batch):
        assert np.isfinite(time).all()
        assert (time > 0).all()
        assert (np.diff(time) >= -1e-9 * time[1:]).all()


@settings(max_examples=15, deadline=None)
@given(phase=phases, noise=noises, scale=st.sampled_from([1e-3, 1e3]))
def test_times_in_other_units_give_predictions_in_these(
    phase: str, noise: FloatArray, scale: float
) -> None:
    frame = table(phase, 0.1 * noise)
    one = law_of(frame)
    other = law_of(frame.assign(latency_ms=scale * frame["latency_ms"]))
    at = steps(phase, GRID)
    np.testing.assert_allclose(other.predict_work(at), scale * one.predict_work(at), rtol=1e-6)


@pytest.mark.parametrize("phase", ["prefill", "decode"])
def test_a_law_of_blended_floors_comes_back_from_its_file(phase: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(4)
    batch = np.tile([1.0, 2.0, 8.0, 32.0], (5, 1)).T
    frame = pd.concat([table(phase, 0.05 * rng.standard_normal(5), b) for b in batch])
    law = LatencyLaw().fit(frame)
    (fitted,) = law.law_set_.laws_.values()
    assert isinstance(fitted.law, HachiyaPatias)
    assert isinstance(fitted.law.scaling_, Blend)
    law.save(tmp_path / "law.json")
    again = LatencyLaw.load(tmp_path / "law.json")
    (other,) = again.law_set_.laws_.values()
    assert isinstance(other.law, HachiyaPatias)
    assert other.law.scaling_ == fitted.law.scaling_
    length = "isl" if phase == "prefill" else "context_len"
    points = pd.DataFrame({"phase": phase, length: np.geomspace(1, 5e4, 50).round()})
    points = pd.concat([points.assign(batch_size=b) for b in (1.0, 3.0, 32.0)], ignore_index=True)
    np.testing.assert_allclose(again.predict(points), law.predict(points), rtol=1e-12)
    for level in (0.5, 0.9):
        np.testing.assert_allclose(
            again.predict_interval(points, level), law.predict_interval(points, level), rtol=1e-9
        )


@pytest.mark.parametrize("phase", ["prefill", "decode", "mixed"])
def test_batches_of_every_phase_are_followed_and_extrapolated(phase: str) -> None:
    lengths, batches = [128, 512, 2048, 8192], [1, 4, 16]
    known = samples.points(phase, np.tile(lengths, 3), np.repeat(batches, 4))
    noise = np.exp(0.005 * np.random.default_rng(6).standard_normal(len(known)))
    frame = known.assign(latency_ms=1e3 * samples.times(known) * noise)
    laws = LawSet(intervals=False).fit(frame)
    np.testing.assert_allclose(laws.predict(known), 1e3 * samples.times(known), rtol=0.03)
    beyond = samples.points(phase, [16_384, 32_768, 4096], [4, 16, 32])
    np.testing.assert_allclose(laws.predict(beyond), 1e3 * samples.times(beyond), rtol=0.15)
    along = laws.predict(samples.points(phase, GRID[GRID >= 128], 4))
    assert (np.diff(along) >= -1e-9 * along[1:]).all()
