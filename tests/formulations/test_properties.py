"""Properties of the affine laws on random tables."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lengthwise.formulations.base import FLOOR_S, Formulation
from lengthwise.formulations.distserve import DistServe
from lengthwise.formulations.linear import Linear
from lengthwise.formulations.llumnix import Llumnix
from lengthwise.testing import samples

LAWS = [Linear(), DistServe(), DistServe(positive=True), Llumnix()]
MONOTONE = [Linear(), DistServe(positive=True)]

tables = st.builds(
    lambda phase, lengths, batches: samples.points(phase, lengths, batches),
    st.sampled_from(["prefill", "decode", "mixed"]),
    st.lists(st.integers(1, 200_000), min_size=3, max_size=8, unique=True),
    st.lists(st.integers(2, 90), min_size=1, max_size=3, unique=True),
)
seeds = st.integers(0, 2**32 - 1)


def noisy_times(X: pd.DataFrame, seed: int) -> np.ndarray:
    return samples.times(X) * np.exp(np.random.default_rng(seed).normal(0.0, 0.3, len(X)))


@pytest.mark.parametrize("law", LAWS, ids=repr)
@settings(max_examples=40, deadline=None)
@given(X=tables, seed=seeds, unit=st.floats(1e-3, 1e3))
def test_predictions_scale_with_the_unit_of_time(
    law: Formulation, X: pd.DataFrame, seed: int, unit: float
) -> None:
    y = noisy_times(X, seed)
    one, other = law.fit(X, y).predict(X), law.fit(X, unit * y).predict(X)
    inside = one > 1e3 * FLOOR_S
    np.testing.assert_allclose(other[inside], unit * one[inside], rtol=1e-6, atol=1e-7 * unit)


@pytest.mark.parametrize("law", MONOTONE, ids=repr)
@settings(max_examples=40, deadline=None)
@given(X=tables, seed=seeds)
def test_no_longer_step_is_faster(law: Formulation, X: pd.DataFrame, seed: int) -> None:
    law.fit(X, noisy_times(X, seed))
    grid = samples.points(X["phase"].iloc[0], np.geomspace(1, 1e6, 60).round(), 4)
    assert (np.diff(law.predict(grid)) >= 0).all()


@settings(max_examples=40, deadline=None)
@given(lengths=st.lists(st.integers(1, 200_000), min_size=3, max_size=8, unique=True), seed=seeds)
def test_llumnix_rises_where_times_do(lengths: list[int], seed: int) -> None:
    X = samples.points("prefill", np.sort(lengths), 1)
    law = Llumnix().fit(X, np.sort(noisy_times(X, seed)))
    grid = samples.points("prefill", np.geomspace(1, 1e6, 60).round(), 1)
    assert (np.diff(law.predict(grid)) >= -1e-12).all()


@pytest.mark.parametrize("law", LAWS, ids=repr)
@settings(max_examples=40, deadline=None)
@given(X=tables, slope=st.floats(1e-7, 1e-2), base=st.floats(1e-4, 1.0))
def test_affine_times_of_whole_tiles_are_found(
    law: Formulation, X: pd.DataFrame, slope: float, base: float
) -> None:
    X = samples.points("prefill", 8 * X.iloc[:, 2].unique().astype(int), 1)
    y = base + slope * X["isl"].to_numpy()
    np.testing.assert_allclose(law.fit(X, y).predict(X), y, rtol=1e-6)
