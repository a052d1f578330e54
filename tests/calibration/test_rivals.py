"""A simple formula that predicts the long end better is named; one that does not is not."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from lengthwise.calibration.folds import length_folds
from lengthwise.calibration.groups import Group, groups_of
from lengthwise.calibration.lawset import LawSet
from lengthwise.calibration.phase_law import PhaseLaw
from lengthwise.calibration.rivals import FEWEST, LEAD, LEAD_PERCENT, SIMPLE
from lengthwise.data.table import load
from lengthwise.formulations import registry
from lengthwise.units import FloatArray

LENGTHS = np.array([256.0, 1024.0, 2048.0, 4096.0, 8192.0, 16384.0])


def law_of(n: FloatArray, times_ms: FloatArray) -> PhaseLaw:
    table = pd.DataFrame({"phase": "prefill", "isl": n, "latency_ms": times_ms})
    (law,) = LawSet().fit(table).laws_.values()
    return law


def quadratic(n: FloatArray) -> FloatArray:
    return 100.0 + 0.001 * n + 5e-5 * n**2


def group_of(n: FloatArray, times_ms: FloatArray) -> Group:
    (group,) = groups_of(load(pd.DataFrame({"phase": "prefill", "isl": n, "latency_ms": times_ms})))
    return group


def errors(n: FloatArray, times_ms: FloatArray) -> dict[str, float]:
    """Mean |log error| of the simple formulas on the long end, percent, fold by fold."""
    group = group_of(n, times_ms)
    found = {}
    for name in SIMPLE:
        each = []
        for fold in length_folds(group.work):
            law = registry.make(name)
            law.fit_work(group.work.take(fold.train), group.y_s[fold.train])
            said = law.predict_work(group.work.take(fold.test))
            each += np.abs(np.log(said) - np.log(group.y_s[fold.test])).tolist()
        found[name] = 100.0 * float(np.mean(each))
    return found


def test_where_the_quadratic_wins_it_is_named_with_both_errors() -> None:
    times = quadratic(LENGTHS)
    rival = law_of(LENGTHS, times).rival
    assert rival is not None
    assert rival.name in ("quadratic", "quadratic-plain")
    known = errors(LENGTHS, times)
    assert rival.error_percent == pytest.approx(min(known.values()), abs=1e-9)
    assert rival.error_percent <= LEAD * rival.ours_percent
    assert rival.error_percent <= rival.ours_percent - LEAD_PERCENT
    assert rival.folds == len(length_folds(group_of(LENGTHS, times).work))


def test_a_rival_changes_nothing_of_the_law() -> None:
    table = pd.DataFrame({"phase": "prefill", "isl": LENGTHS, "latency_ms": quadratic(LENGTHS)})
    asked = table.assign(isl=4.0 * LENGTHS)
    judged, plain = (LawSet(intervals=flag).fit(table) for flag in (True, False))
    np.testing.assert_array_equal(judged.predict(asked), plain.predict(asked))


def test_the_law_has_no_rival_where_it_predicts_its_long_end() -> None:
    """A floor, where time does not grow at first, is what simple formulas lack."""
    n = np.asarray(2.0 ** np.arange(6, 15), dtype=float)
    assert law_of(n, 0.1 * np.hypot(n, 900.0)).rival is None


@pytest.mark.parametrize("points", [2, 3, 4])
def test_one_held_out_point_says_nothing(points: int) -> None:
    n = LENGTHS[:points]
    tests = [fold.test for fold in length_folds(group_of(n, n).work)]
    assert max((len(t) for t in tests), default=0) < FEWEST
    assert law_of(n, quadratic(n)).rival is None
