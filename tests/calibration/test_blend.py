"""E2 as a blend of floors, and the short ends of the members that it is made of."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lengthwise.formulations.hachiya_patias.blend import Blend
from lengthwise.formulations.hachiya_patias.scaling import Floor
from lengthwise.formulations.hachiya_patias.structures import effective_tokens

GRID = np.geomspace(1.0, 1e6, 200)


@st.composite
def blends(draw: st.DrawFn) -> Blend:
    """Draw one to three floors whose weights sum to at most 1."""
    n = draw(st.integers(1, 3))
    parts = [draw(st.floats(0.01, 1.0)) for _ in range(n + 1)]
    return Blend(
        tuple(p / sum(parts) for p in parts[:n]),
        tuple(draw(st.sampled_from([2, 4, 8])) for _ in range(n)),
        tuple(draw(st.floats(1.0, 5e3)) for _ in range(n)),
    )


@given(blend=blends(), factor=st.floats(-3.0, 3.0))
def test_one_step_many_steps_and_gradients_agree(blend: Blend, factor: float) -> None:
    psi = np.array([factor])
    values = blend.values(GRID, psi)
    tokens, slope = blend.tokens(GRID, psi)
    np.testing.assert_allclose(tokens, values, rtol=1e-13)
    np.testing.assert_allclose([blend.scalar(t, [factor]) for t in GRID], values, rtol=1e-13)
    step = 1e-5
    ahead, back = (np.log(blend.values(GRID, psi + d)) for d in (step, -step))
    np.testing.assert_allclose(slope[:, 0], (ahead - back) / (2 * step), atol=1e-6)


@given(blend=blends(), factor=st.floats(-3.0, 3.0))
def test_more_tokens_never_count_for_less_and_many_count_as_they_are(
    blend: Blend, factor: float
) -> None:
    psi = np.array([factor])
    values = blend.values(GRID, psi)
    assert (np.diff(values) > 0).all()
    assert (values >= GRID * (1 - 1e-12)).all()
    far = np.array([1e4 * max(blend.tokens_each) * math.exp(factor)])
    assert blend.values(far, psi)[0] == pytest.approx(far[0], rel=1e-6)
    nearly_none = blend.values(np.array([1e-6]), psi)[0]
    floors = sum(v * n for v, n in zip(blend.shares, blend.tokens_each, strict=True))
    assert nearly_none == pytest.approx(floors * math.exp(factor), rel=1e-2)


@given(k=st.sampled_from([1, 2, 4]), n0=st.floats(1.0, 1e5))
def test_members_and_laws_have_the_same_floors(k: int, n0: float) -> None:
    value, slope = effective_tokens(GRID, np.array([n0]), np.array([float(k)]))
    tokens, gradient = Floor(k).tokens(GRID, np.array([math.log(n0)]))
    np.testing.assert_allclose(value, tokens, rtol=1e-12)
    np.testing.assert_allclose(slope, gradient[:, 0], rtol=1e-9, atol=1e-12)
    blended = Blend((1.0,), (k,), (n0,)).values(GRID, np.zeros(1))
    np.testing.assert_allclose(blended, tokens, rtol=1e-12)


def test_members_without_a_floor_count_tokens_as_they_are() -> None:
    value, slope = effective_tokens(GRID, np.array([400.0]), np.array([0.0]))
    np.testing.assert_array_equal(value, GRID)
    assert not slope.any()
