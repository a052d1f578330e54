"""The law of lengths says what it said: to six digits, at every length, with its intervals."""

from __future__ import annotations

import pytest
from length_cases import CASES, Case
from lengths import differences, golden, numbers_of


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_law_says_what_it_said(case: Case) -> None:
    """After a change that is meant: ``python tests/golden/lengths.py --write``."""
    found = list(differences(golden()[case.name], numbers_of(case), case.name))
    assert not found, "\n".join(found[:20])


def test_every_case_has_golden_numbers() -> None:
    assert set(golden()) == {case.name for case in CASES}


def test_differences_are_found_at_any_depth() -> None:
    want = {"a": [1.0, {"b": 2.0}], "c": "floor", "d": []}
    assert not list(differences(want, {"a": [1.0, {"b": 2.0 + 1e-7}], "c": "floor", "d": []}))
    got = {"a": [1.0, {"b": 2.0 + 1e-5}], "c": "off", "d": [1.0]}
    assert [line.split(":")[0] for line in differences(want, got)] == ["/a[1]/b", "/c", "/d"]
