"""The protocol of the field on a small made-up corpus whose truth is known."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import field_clean
import numpy as np
import pandas as pd
import pytest
from field import KINDS, OWN, corpus, judge, law_for, run
from field_alone import Alone
from field_protocol import Case, Curve, Score, cases_of, curves_of, score, split
from field_summary import check, intervals, summary, weighted_quantile
from hypothesis import given
from hypothesis import strategies as st

from lengthwise.calibration.lawset import LawSet
from lengthwise.errors import InputError

FIELD = Path(__file__).parents[2] / "benchmarks" / "field.py"
LINES = ("linear", "quadratic", "power")


def prompts(name: str = "a", *, points: int = 12, curved: float = 0.0) -> pd.DataFrame:
    """Three repeats of prompts whose median time is known, the others far off."""
    isl = 512 * np.arange(1, points + 1)
    exact = 5.0 + 0.1 * isl + curved * isl**2.0
    table = pd.DataFrame({
        "phase": "prefill", "isl": np.tile(isl, 3), "model": "m", "hardware": "h",
        "engine_version": name, "curve_id": name, "kind": "prompt", "setup": "h|m",
        "latency_ms": np.concatenate([exact, 3 * exact, 0.2 * exact]),
    })  # fmt: skip
    return table.assign(x_len=table["isl"].astype(float))


def one(name: str = "a", **options: float) -> Curve:
    """Make the only curve of a table of prompts."""
    (curve,) = curves_of("made", prompts(name, **options))
    return curve


def test_repeats_are_their_median() -> None:
    curve = one()
    assert curve.x.tolist() == (512.0 * np.arange(1, 13)).tolist()
    np.testing.assert_allclose(curve.table["latency_ms"], 5 + 0.1 * curve.x)
    assert not {"curve_id", "setup", "x_len"} & set(curve.table)


def test_training_ends_where_the_factor_says() -> None:
    cases = {case.test: case for case in cases_of(one())}
    assert list(cases) == ["all_2", "all_4", "drawn_3"]
    assert cases["all_4"].train.tolist() == [0, 1, 2]
    assert cases["all_2"].train.tolist() == [0, 1, 2, 3, 4, 5]
    assert cases["all_4"].asked.tolist() == list(range(3, 12))


def test_a_curve_without_three_short_lengths_is_left_out() -> None:
    assert [case.test for case in cases_of(one(points=11))] == ["all_2"]
    assert list(cases_of(one(points=4))) == []


@given(
    x=st.lists(st.integers(1, 100_000), min_size=2, max_size=30, unique=True),
    factor=st.floats(1.0, 16),
)
def test_no_length_is_trained_on_and_asked_for(x: list[int], factor: float) -> None:
    lengths = np.sort(np.array(x, dtype=float))
    short, asked = split(lengths, factor)
    assert sorted([*short, *asked]) == list(range(len(x)))
    assert (lengths[short] <= lengths.max() / factor).all()
    assert (lengths[asked] > lengths.max() / factor).all()


@given(name=st.text(min_size=1, max_size=8))
def test_draws_depend_on_the_curve_only_and_keep_the_longest(name: str) -> None:
    curve = replace(one(points=48), name=name)
    cases = {case.test: case for case in cases_of(curve)}
    for test, again in ((case.test, case) for case in cases_of(curve)):
        np.testing.assert_array_equal(cases[test].train, again.train)
    for m in (3, 4, 6):
        train = cases[f"drawn_{m}"].train
        assert len(train) == m
        assert train[-1] == 11
        assert (np.diff(train) > 0).all()
    assert cases["spoilt"].spoilt in range(4)
    assert 1.5 <= cases["spoilt"].by <= 3.0


def test_an_exact_law_has_no_error_and_a_line_on_a_bend_has_one() -> None:
    line = {s.formulation: s for s in judge(one(), LINES) if s.test == "all_4"}
    assert line["linear"].mape == pytest.approx(0, abs=1e-6)
    bent = {s.formulation: s for s in judge(one(curved=1e-4), LINES) if s.test == "all_4"}
    assert bent["quadratic"].mape < 1e-3 < 5 < bent["linear"].mape
    np.testing.assert_allclose(bent["linear"].doublings[[0, -1]], [np.log2(4 / 3), 2.0])


def test_the_spoilt_time_is_wrong_and_the_asked_ones_are_not() -> None:
    curve = one(points=48)
    (case,) = (c for c in cases_of(curve) if c.test == "spoilt")
    before = curve.table.copy()
    naming = score(curve, case, "linear", Alone("linear"), lambda law: (case.spoilt or 0,))
    clean = score(curve, replace(case, spoilt=None), "linear", Alone("linear"), lambda law: ())
    assert clean.mape < 1e-6 < 1 < naming.mape
    pd.testing.assert_frame_equal(curve.table, before)
    assert summary([naming])["spoilt"]["prompt"]["sources"]["made"]["formulations"]["linear"][
        "found_percent"
    ] == 100.0  # fmt: skip


def test_a_formulation_alone_is_that_of_a_set_of_laws() -> None:
    curve = one(curved=1e-4)
    for name in (*LINES, "blend"):
        alone = Alone(name).fit(curve.table).predict(curve.table)
        laws = LawSet(name, intervals=False).fit(curve.table).predict(curve.table)
        np.testing.assert_allclose(alone, laws, rtol=1e-12)
    with pytest.raises(InputError, match="no intervals"):
        Alone("linear").predict_interval(curve.table, 0.9)


def test_a_law_with_intervals_is_judged_by_them() -> None:
    curve = one(points=16)
    case = Case("all_4", np.arange(4), np.arange(4, 16))
    judged = score(curve, case, "linear", LawSet("linear"), lambda law: ())
    assert judged.covered.tolist() == [1.0] * 12
    np.testing.assert_allclose(judged.interval, judged.width, rtol=1e-6)
    by = intervals([judged])["all_4"]["prompt"]["linear"]
    assert list(by) == ["all", "sources", "1", "2"]
    assert by["all"]["coverage_percent"] == 100.0
    assert by["1"]["points"] + by["2"]["points"] == by["all"]["points"] == 12


def test_a_fit_that_fails_counts_as_the_worst() -> None:
    curve = one()
    case = Case("all_4", np.arange(2), np.arange(3, 12))
    failed = score(curve, case, "quadratic", Alone("quadratic"), lambda law: ())
    figures = summary([failed])["all_4"]["prompt"]["sources"]["made"]["formulations"]["quadratic"]
    assert "at least 3 points" in failed.failed
    assert figures["median"] is None
    assert figures["failed"] == 1


@given(st.lists(st.tuples(st.floats(0, 100), st.integers(1, 5)), min_size=1, max_size=20))
def test_a_weight_of_k_is_k_copies(pairs: list[tuple[float, int]]) -> None:
    values, weight = (np.array(column, dtype=float) for column in zip(*pairs, strict=True))
    copies = np.sort(np.repeat(values, weight.astype(int)))
    for share in (0.5, 0.9):
        want = copies[max(int(np.ceil(share * len(copies) - 1e-9)) - 1, 0)]
        assert weighted_quantile(values, weight, share) == want


def made_scores(errors: dict[str, dict[str, list[float]]]) -> list[Score]:
    """Turn ``{source: {formulation: errors}}`` into scores, two curves to a set-up."""
    found = []
    for source, by in errors.items():
        for name, values in by.items():
            for i, value in enumerate(values):
                curve = replace(one(), source=source, name=str(i), setup=str(max(i, 1)))
                found.append(Score(curve, "all_4", name, value))
    return found


def test_ratios_are_to_the_best_simple_formula_of_each_source_and_of_the_average() -> None:
    table = summary(made_scores({
        "a": {OWN: [2.0] * 5, "linear": [4.0] * 5, "power": [10.0] * 5},
        "b": {OWN: [3.0] * 5, "linear": [9.0] * 5, "power": [1.0] * 5},
        "small": {OWN: [9.0], "linear": [1.0], "power": [1.0]},
    }))  # fmt: skip
    found = check(table, OWN, ("linear", "power"))["all_4"]["prompt"]
    assert set(found["sources"]) == {"a", "b"}
    assert found["sources"]["a"]["median"] == {"best": "linear", "ratio": 0.5}
    assert found["sources"]["b"]["p90"] == {"best": "power", "ratio": 3.0}
    assert found["average"]["median"] == {"best": "power", "ratio": round(4.67 / 4.0, 3)}


def test_a_set_up_counts_once() -> None:
    by = summary(made_scores({"a": {"linear": [1.0, 1.0, 5.0, 5.0, 5.0]}}))["all_4"]["prompt"]
    figures = by["sources"]["a"]["formulations"]["linear"]
    assert (figures["median"], figures["setup_median"]) == (5.0, 5.0)
    by = summary(made_scores({"a": {"linear": [1.0, 1.0, 5.0]}}))["all_4"]["prompt"]
    figures = by["sources"]["a"]["formulations"]["linear"]
    assert (figures["median"], figures["setup_median"], figures["setup_p90"]) == (1.0, 1.0, 5.0)


def test_processes_do_not_change_the_figures() -> None:
    curves = [one(str(i), points=12 + i) for i in range(3)]
    assert run(curves, LINES, 1) == run(curves, LINES, 2)


def test_clean_tables_are_those_of_their_shape() -> None:
    for shape in field_clean.SHAPES:
        for table, asked, truth_ms in field_clean.tables(shape, 5):
            assert asked == 4 * table["isl"].max()
            assert truth_ms > table["latency_ms"].max()
    worst = max(
        field_clean.error_percent(Alone("linear"), *t) for t in field_clean.tables("linear", 50)
    )
    assert worst < 2
    assert field_clean.tables("overhead", 3)[2][2] == field_clean.tables("overhead", 3)[2][2]


@pytest.mark.data
def test_every_source_has_curves_of_its_kinds(needs_data: Path) -> None:
    curves = list(corpus(("minference", "turboquant_plus"), KINDS))
    assert len(curves) == 16
    assert {c.kind for c in curves} == set(KINDS)
    assert isinstance(law_for("linear", "minference"), Alone)
    assert isinstance(law_for(OWN, "minference"), LawSet)


@pytest.mark.data
def test_a_selection_is_printed_and_not_written(needs_data: Path) -> None:
    before = sorted((FIELD.parent / "results").glob("field*"))
    asked = ["--only", "turboquant_plus", "--kinds", "decode", "--formulations", "linear", "blend"]
    done = subprocess.run(
        [sys.executable, str(FIELD), *asked], capture_output=True, text=True, check=True
    )
    assert "turboquant_plus" in done.stdout
    assert "3.15 / 3.15" in done.stdout
    assert sorted((FIELD.parent / "results").glob("field*")) == before
