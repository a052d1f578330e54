"""The bootstrap finds the spread it should, and is the same every time."""

from __future__ import annotations

import numpy as np
import pytest

from lengthwise.errors import InputError
from lengthwise.evaluation.bootstrap import median_over_groups, resampled_means


def test_interval_of_one_group_has_the_width_of_the_standard_error() -> None:
    values = np.random.default_rng(1).normal(10.0, 2.0, size=400)
    ci = median_over_groups([values], draws=4000)
    expected = 2 * 1.96 * values.std() / np.sqrt(400)
    assert ci.hi - ci.lo == pytest.approx(expected, rel=0.1)
    assert values.mean() in ci


def test_the_same_seed_gives_the_same_interval() -> None:
    values = np.random.default_rng(0).lognormal(size=(3, 9))
    assert median_over_groups(values, seed=3) == median_over_groups(values, seed=3)
    assert median_over_groups(values, seed=3) != median_over_groups(values, seed=4)


def test_groups_without_spread_inside_still_differ_among_themselves() -> None:
    ci = median_over_groups([[1.0], [2.0], [9.0]])
    assert ci.estimate == 2.0
    assert (ci.lo, ci.hi) == (1.0, 9.0)


def test_resampling_is_paired_over_equal_shapes() -> None:
    values = [np.arange(7.0), np.arange(5.0)]
    shifted = [v + 10.0 for v in values]
    gap = resampled_means(shifted, draws=50, seed=0) - resampled_means(values, draws=50, seed=0)
    assert gap == pytest.approx(np.full((50, 2), 10.0))


def test_empty_groups_and_bad_levels_are_refused() -> None:
    with pytest.raises(InputError, match="at least one value"):
        median_over_groups([[1.0], []])
    with pytest.raises(InputError, match="level must lie"):
        median_over_groups([[1.0]], level=95)
