"""Comparisons find which side is faster where."""

import numpy as np
import pandas as pd
import pytest

from lengthwise.errors import NothingUsableError
from lengthwise.reporting.comparison import compare, crossings, stretches
from lengthwise.reporting.sources import Source

N = 2.0 ** np.arange(6, 14)


def source(time_ms: np.ndarray, model: str = "m", phase: str = "prefill") -> Source:
    length = {"isl": N} if phase == "prefill" else {"context_len": N}
    rows = {"phase": phase, "model": model, "latency_ms": time_ms, **length}
    return Source(f"{model}.csv", "0" * 64, table=pd.DataFrame(rows))


def test_a_crossing_is_found() -> None:
    flat, steep = source(50 + 0.01 * N, "flat"), source(5 + 0.055 * N, "steep")
    (pair,) = compare(flat, steep, "linear").pairs
    assert pair.crossings == (pytest.approx(1000, rel=0.01),)
    assert [s.faster for s in pair.stretches] == ["second", "equal", "first"]
    assert pair.errors["first on the data of the first"] < 1e-6
    assert pair.errors["first on the data of the second"] > 50
    assert {d.name for d in pair.differences} == {"coef[0]", "coef[1]"}
    assert pair.chart.ends["flat"][0] < pair.chart.ends["steep"][0]


def test_a_thing_equals_itself() -> None:
    same = source(5 + 0.05 * N + 1e-6 * N**2)
    (pair,) = compare(same, same).pairs
    assert [s.faster for s in pair.stretches] == ["equal"]
    assert not any(d.clear for d in pair.differences)


def test_faster_hardware_differs_clearly() -> None:
    slow = source(5 + 0.05 * N + 1e-6 * N**2)
    fast = source(np.asarray(slow.table["latency_ms"]) / 3 if slow.table is not None else N)
    (pair,) = compare(slow, fast).pairs
    assert next(d for d in pair.differences if d.name == "alpha_1").clear
    assert pair.ratio.mean() == pytest.approx(1 / 3, rel=0.02)


def test_nothing_in_common_is_refused() -> None:
    with pytest.raises(NothingUsableError, match="must share a deployment"):
        compare(source(5 + N, phase="prefill"), source(5 + N, phase="decode"))


def test_parts() -> None:
    assert crossings(np.array([1.0, 2.0, 4.0]), np.array([2.0, 3.0, 4.0])) == []
    assert len(stretches(np.array([1.0, 2.0]), np.array([1.0, 1.0]))) == 1
