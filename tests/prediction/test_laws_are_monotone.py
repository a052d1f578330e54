"""Whatever was measured: a saved law grows with length and batch, and stays finite."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from lengthwise import LatencyLaw

LENGTHS = np.unique(np.round(np.geomspace(1, 1_000_000, 400)))
BATCHES = np.unique(np.round(np.geomspace(1, 1024, 40)))
ROUNDING = 1 + 1e-12


@st.composite
def tables(draw: st.DrawFn, phase: str, column: str) -> pd.DataFrame:
    """Measurements that may be sparse, noisy, unordered or contradictory."""
    n = draw(st.integers(2, 14))
    length = draw(st.lists(st.integers(1, 32768), min_size=n, max_size=n, unique=True))
    batch = draw(st.lists(st.sampled_from([1, 2, 8, 32]), min_size=n, max_size=n))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    power = draw(st.floats(-0.5, 2.5))
    tokens = np.asarray(length, dtype=float) * (np.asarray(batch) if phase == "prefill" else 1)
    time = 0.01 * (tokens / 100 + 1) ** power * np.exp(draw(st.floats(0, 1)) * rng.normal(size=n))
    return pd.DataFrame(
        {"phase": phase, column: length, "batch_size": batch, "latency_ms": np.maximum(time, 1e-6)}
    )


@settings(max_examples=6, deadline=None, phases=[Phase.generate],
          suppress_health_check=[HealthCheck.function_scoped_fixture])  # fmt: skip
@pytest.mark.parametrize(("phase", "column"), [("prefill", "isl"), ("decode", "context_len")])
@given(data=st.data())
def test_a_fitted_and_saved_law_is_monotone(
    phase: str, column: str, data: st.DataObject, tmp_path: Path
) -> None:
    table = data.draw(tables(phase, column))
    LatencyLaw(max_extrapolation=None).fit(table).save(tmp_path / "law.json")
    law = LatencyLaw.load(tmp_path / "law.json")
    lengths = np.union1d(LENGTHS, table[column])
    grid = law.predict_arrays(phase, **{column: lengths[:, None]}, batch_size=BATCHES)
    assert np.isfinite(grid).all()
    assert (grid > 0).all()
    assert (grid[1:] * ROUNDING >= grid[:-1]).all()
    assert (grid[:, 1:] * ROUNDING >= grid[:, :-1]).all()
