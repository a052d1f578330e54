"""The online law: physical, honest about what it does not know, safe to load, fast."""

import json
import subprocess
import sys
import time

import numpy as np
import pytest

from lengthwise.errors import ArtifactError, InputError
from lengthwise.formulations.online.law import OnlineLaw
from lengthwise.formulations.online.rows import NUMBERS, RouterRows, joined
from lengthwise.formulations.online.terms import TARGETS

LOADS = ("waiting", "running", "kv_share", "prefill_in_flight")


def grid(n: int = 64, seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {
        "input_tokens": rng.integers(1, 9000, n).astype(float),
        "cached_share": rng.random(n), "kv_share": rng.random(n),
        "waiting": rng.integers(0, 5, n).astype(float),
        "running": rng.integers(0, 60, n).astype(float),
        "prefill_in_flight": rng.integers(0, 20000, n).astype(float),
    }  # fmt: skip


def test_a_cold_law_is_no_constant_and_not_ready() -> None:
    law = OnlineLaw.cold()
    answer = law.predict(RouterRows.of(grid()))
    for target in TARGETS:
        value = getattr(answer, f"{target}_s")
        assert (value > 0).all()
        assert value.max() > 1.5 * value.min()
        assert not law.ready[target]
        assert law.learnt[target] == 0
        assert law.error[target] is None
    assert not answer.in_domain.any()


@pytest.mark.parametrize("column", ["input_tokens", *LOADS])
@pytest.mark.parametrize("ask", ["mean", "quantile"])
def test_no_answer_falls_when_prompt_or_load_grow(column: str, ask: str) -> None:
    law, low = OnlineLaw.cold(), grid()
    high = low | {column: np.minimum(low[column] * 1.5 + 0.1, 1.0 if column == "kv_share" else 1e9)}
    few, many = (
        law.predict(RouterRows.of(c)) if ask == "mean" else law.quantile(RouterRows.of(c), 0.9)
        for c in (low, high)
    )
    for target in TARGETS:
        assert (getattr(many, f"{target}_s") >= getattr(few, f"{target}_s") * (1 - 1e-9)).all()


def test_quantiles_rise_with_the_level_and_span_the_interval() -> None:
    law, rows = OnlineLaw.cold(), RouterRows.of(grid())
    levels = (0.0005, 0.05, 0.5, 0.77, 0.95, 0.9999)
    for target in TARGETS:
        values = np.array([getattr(law.quantile(rows, a), f"{target}_s") for a in levels])
        assert (np.diff(values, axis=0) > 0).all()
        interval = law.predict(rows, level=0.9)
        np.testing.assert_allclose(getattr(interval, f"{target}_lo_s"), values[1])
        np.testing.assert_allclose(getattr(interval, f"{target}_hi_s"), values[4])


def test_answers_are_finite_for_any_row_that_is_accepted() -> None:
    largest = {name: [1.0 if name.endswith("share") else 1e12] for name in NUMBERS}
    for columns in (largest, {name: [0.0] for name in NUMBERS}):
        answer = OnlineLaw.cold().predict(RouterRows.of(columns))
        for target in TARGETS:
            for part in ("s", "lo_s", "hi_s"):
                value = getattr(answer, f"{target}_{part}")
                assert np.isfinite(value).all()
                assert (value > 0).all()


def test_a_law_survives_json_bit_for_bit() -> None:
    law, rows = OnlineLaw.cold(), RouterRows.of(grid())
    again = OnlineLaw.from_dict(json.loads(json.dumps(law.to_dict(), allow_nan=False)))
    np.testing.assert_array_equal(again.predict(rows).ttft_hi_s, law.predict(rows).ttft_hi_s)
    assert again.to_dict() == law.to_dict()


def damaged(change: str) -> dict:
    data = json.loads(json.dumps(OnlineLaw.cold().to_dict()))
    ttft = data["targets"]["ttft"]
    match change:
        case "schema":
            data["schema_version"] = 99
        case "kind":
            data["kind"] = "step"
        case "missing":
            del data["targets"]["tpot"]
        case "nan":
            ttft["theta"][0][0] = float("nan")
        case "shape":
            ttft["theta"][0].pop()
        case "order":
            ttft["spread"]["quantiles"][0].reverse()
        case "huge":
            ttft["theta"][0][0] = 800.0
        case "negative":
            ttft["offset_variance"][0] = -1.0
        case "narrow":
            ttft["spread"]["widen"] = 0.1
        case "edges":
            data["frame"]["load_edges"].reverse()
        case "text":
            ttft["offset"] = ["x"]
        case "error":
            data["error"]["ttft"] = float("inf")
    return data


@pytest.mark.parametrize(
    "change",
    [
        "schema",
        "kind",
        "missing",
        "nan",
        "shape",
        "order",
        "text",
        "error",
        "huge",
        "negative",
        "narrow",
        "edges",
    ],
)
def test_a_damaged_law_is_refused(change: str) -> None:
    with pytest.raises(ArtifactError, match="Remedy"):
        OnlineLaw.from_dict(damaged(change))


@pytest.mark.parametrize("data", [None, [], "law", {}, {"kind": "online", "schema_version": 1}])
def test_what_is_no_law_is_refused(data: object) -> None:
    with pytest.raises(ArtifactError):
        OnlineLaw.from_dict(data)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({"input_tokens": [1, -1]}, "input_tokens must lie between 0"),
        ({"input_tokens": [1.0, np.inf]}, "input_tokens"),
        ({"input_tokens": [1.0, np.nan]}, "input_tokens"),
        ({"input_tokens": [1], "cached_share": [1.5]}, "cached_share must lie between 0 and 1"),
        ({"input_tokens": [1], "running": [1, 2]}, "one length"),
        ({"input_tokens": [1], "pod": ["a", "b"]}, "one length"),
        ({"input_tokens": ["x"]}, "must be numbers"),
        ({}, "at least one column"),
    ],
)
def test_bad_rows_are_refused_in_words(columns: dict, words: str) -> None:
    with pytest.raises(InputError, match=words):
        RouterRows.of(columns)


def test_missing_columns_are_zero_and_none_is_no_label() -> None:
    rows = RouterRows.of({"input_tokens": [5, 6], "pod": [None, "a"]})
    assert rows.running.tolist() == [0.0, 0.0]
    assert list(rows.pod) == ["", "a"]
    assert len(joined([rows, rows.take([0])])) == 3


@pytest.mark.parametrize("level", [0.0, 1.0, 90.0, float("nan")])
def test_levels_lie_inside_zero_and_one(level: float) -> None:
    rows = RouterRows.of({"input_tokens": [5]})
    with pytest.raises(InputError, match="level"):
        OnlineLaw.cold().predict(rows, level=level)
    with pytest.raises(InputError, match="alpha"):
        OnlineLaw.cold().quantile(rows, level)


def test_workers_import_numpy_and_nothing_heavier() -> None:
    code = (
        "import sys, lengthwise.formulations.online.law\n"
        "print([m for m in ('scipy', 'pandas', 'sklearn', 'pyarrow', 'river') if m in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"


def test_a_hundred_rows_take_far_less_than_a_router_waits() -> None:
    law, rows = OnlineLaw.cold(), RouterRows.of(grid(100))
    law.predict(rows)
    start = time.process_time()
    for _ in range(50):
        law.predict(rows)
    assert (time.process_time() - start) / 50 < 0.005
