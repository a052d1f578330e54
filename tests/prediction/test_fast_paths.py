"""The scalar and the block path give what the table path gives."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lengthwise import InputError, LatencyLaw, LengthwiseError, RefusedError

FAST = settings(max_examples=25, deadline=None)

KINDS = [
    {"e1": e1, "e2": e2, "e3": e3}
    for e1, e2, e3 in [
        ("quadratic", "floor", "off"), ("power", "hill", "off"), ("nlogn", "tile", "residual"),
        ("quadratic", "spline", "isotonic"), ("off", "tilt", "residual"), ("power", "off", "off"),
    ]
]  # fmt: skip

Pair = tuple[LatencyLaw, dict[str, Callable[..., float]]]


def compiled(law: LatencyLaw) -> Pair:
    return law, {phase: law.at(phase=phase) for phase in ("prefill", "decode", "request")}


@pytest.fixture(scope="module", params=KINDS, ids=lambda kinds: "-".join(kinds.values()))
def own(request: pytest.FixtureRequest, table: pd.DataFrame) -> Pair:
    return compiled(LatencyLaw(**request.param, max_extrapolation=None).fit(table))


@FAST
@given(
    isl=st.integers(1, 1_000_000), batch=st.integers(1, 512), cached=st.floats(0, 0.99),
    osl=st.integers(1, 60),
)  # fmt: skip
def test_scalar_and_table_agree(own: Pair, isl: int, batch: int, cached: float, osl: int) -> None:
    law, at = own
    prefix = math.floor(cached * isl)
    point = {"isl": [isl], "batch_size": [batch], "cached_tokens": [prefix]}
    prefill = law.predict(pd.DataFrame({"phase": "prefill", **point}))[0]
    assert at["prefill"](isl, batch, prefix) == pytest.approx(prefill, rel=1e-12)
    decode = pd.DataFrame({"phase": "decode", "context_len": [isl], "batch_size": [batch]})
    assert at["decode"](isl, batch) == pytest.approx(law.predict(decode)[0], rel=1e-12)
    whole = law.predict(pd.DataFrame({**point, "osl": [osl]}))[0]
    assert at["request"](isl, osl, batch, prefix) == pytest.approx(whole, rel=1e-10)


@pytest.mark.parametrize("name", ["linear", "distserve", "splitwise-interp", "bayesian-ridge"])
def test_a_baseline_compiles_too(name: str, table: pd.DataFrame) -> None:
    law, at = compiled(LatencyLaw(name).fit(table))
    points = pd.DataFrame({"phase": "prefill", "isl": [300], "batch_size": [3]})
    assert at["prefill"](300, 3) == pytest.approx(law.predict(points)[0], rel=1e-12)


def test_blocks_and_tables_agree(own: Pair) -> None:
    law, _ = own
    rng = np.random.default_rng(0)
    n = 40_000  # more than two blocks
    isl = rng.integers(1, 100_000, n).astype(float)
    batch, cached = rng.integers(1, 64, n).astype(float), np.floor(isl * rng.uniform(0, 0.99, n))
    point = {"isl": isl, "batch_size": batch, "cached_tokens": cached}
    table = law.predict(pd.DataFrame({"phase": "prefill", **point}))
    blocks = law.predict_arrays("prefill", **point)
    np.testing.assert_allclose(blocks, table, rtol=1e-12)
    steps = pd.DataFrame({"phase": "decode", "context_len": isl, "batch_size": 4.0})
    blocks = law.predict_arrays("decode", context_len=isl, batch_size=4)
    np.testing.assert_allclose(blocks, law.predict(steps), rtol=1e-12)


def test_arrays_broadcast_and_keep_their_shape(law: LatencyLaw) -> None:
    grid = law.predict_arrays("prefill", isl=np.array([[64], [128]]), batch_size=[1, 2, 4])
    assert grid.shape == (2, 3)
    assert grid[1, 2] == pytest.approx(law.at(phase="prefill")(128, 4), rel=1e-12)
    assert law.predict_arrays("decode", context_len=100).shape == ()
    assert law.predict_arrays("decode", context_len=[]).shape == (0,)


@pytest.mark.parametrize(
    "arguments",
    [(0,), (-5,), (math.nan,), (math.inf,), (100, 0), (100, math.nan), (100, 1, 100), (100, 1, -1),
     (100, math.inf), (100, 1, math.nan)],
)  # fmt: skip
def test_the_scalar_refuses_nonsense(law: LatencyLaw, arguments: tuple[float, ...]) -> None:
    with pytest.raises(InputError, match="must hold"):
        law.at(phase="prefill")(*arguments)


def test_the_scalar_refuses_what_is_out_of_reach(law: LatencyLaw) -> None:
    at = law.at(phase="decode")
    assert at(8192 * 8) > 0
    with pytest.raises(LengthwiseError, match="context_len"):
        at(8192 * 8 + 1)
    with pytest.raises(LengthwiseError, match="osl"):
        law.at(phase="request")(100, 0)


@pytest.mark.parametrize(
    "arguments",
    [{"isl": [1.0, math.nan]}, {"isl": [0.0]}, {"isl": [5.0], "batch_size": -1},
     {"isl": [5.0], "cached_tokens": [5.0]}, {"context_len": [5.0]},
     {"isl": [math.inf], "batch_size": 1}],
)  # fmt: skip
def test_arrays_refuse_nonsense(law: LatencyLaw, arguments: dict[str, object]) -> None:
    with pytest.raises((InputError, RefusedError)):
        law.predict_arrays("prefill", **arguments)


def test_only_step_phases_and_requests_compile(law: LatencyLaw) -> None:
    with pytest.raises(InputError, match="prefill or decode"):
        law.at(phase="mixed")
