"""Checks of what a law predicts."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from sklearn.base import clone

from lengthwise.errors import InputError
from lengthwise.formulations.base import Formulation
from lengthwise.testing import samples
from lengthwise.testing.case import Case, assert_close, row
from lengthwise.units import FloatArray

_WIDE = np.array([1, 2, 7, 33, 100, 129, 1000, 5000, 8192, 30_000, 131_072, 1_000_000])
_WIDE_BATCHES = np.array([1, 2, 3, 16, 95, 256])
_DENSE = np.unique(np.geomspace(1, 1_000_000, 400).round())


def finite_and_positive(case: Case) -> None:
    """Predict times from 1 token to 1 million tokens and batch 1 to 256."""
    X = case.points(_WIDE, _WIDE_BATCHES)
    _assert_times(case.fitted, case, _WIDE, _WIDE_BATCHES)
    assert case.fitted.predict(X).shape == (len(X),), "predict must return shape (n,)"


def tiny_and_huge(case: Case) -> None:
    """Predict times at one token and at ten million tokens."""
    _assert_times(case.fitted, case, [1, 10_000_000], [1, 256])


def learns(case: Case) -> None:
    """Follow the length: at least half of the rise of a sweep, on a log scale."""
    X = case.points(samples.LENGTHS, samples.BATCHES[case.phase][1])
    y = samples.times(X)
    predicted = case.fit(X, y).predict(X)
    rise, wanted = np.log(predicted[-1] / predicted[0]), np.log(y[-1] / y[0])
    assert rise > 0.5 * wanted, (
        f"from {samples.LENGTHS[0]} to {samples.LENGTHS[-1]} tokens times rise by a factor "
        f"{np.exp(wanted):.3g}, predictions by {np.exp(rise):.3g}"
    )


def deterministic(case: Case) -> None:
    """Give the same law for the same data."""
    X = case.points(_WIDE, _WIDE_BATCHES)
    again = case.fit(case.table, case.times_s).predict(X)
    assert np.array_equal(again, case.fitted.predict(X)), (
        "two fits of the same data differ: set random_state, avoid unordered sums"
    )


def order_of_rows(case: Case) -> None:
    """Give the same law for shuffled rows."""
    order = np.random.default_rng(1).permutation(len(case.table))
    shuffled = case.fit(case.table.iloc[order], case.times_s[order])
    assert_close(shuffled.predict(case.table), case.fitted.predict(case.table), case.table,
                 "fit depends on the order of the rows")  # fmt: skip


def unit_of_time(case: Case) -> None:
    """Predict a thousand times longer after a fit to times a thousand times longer."""
    scaled = case.fit(case.table, 1000.0 * case.times_s).predict(case.table)
    assert_close(scaled / 1000.0, case.fitted.predict(case.table), case.table,
                 "fit depends on the unit of time")  # fmt: skip


def monotone(case: Case) -> None:
    """Never predict a longer or a larger step to be faster, where the class claims so."""
    if not case.formulation.monotone:
        return
    for batch in (1, 8, 64):
        if case.phase != "mixed" or batch > 1:
            _assert_rising(case.fitted, case, _DENSE, [batch], "length")
    for length in (16, 1000, 50_000):
        _assert_rising(case.fitted, case, [length], np.arange(1, 257), "batch")


def between_neighbours(case: Case) -> None:
    """Stay within 5 % of the interval of neighbours where affine data are reproduced exactly.

    Laws for which affine data are not in the family (a power law, a shrunken line) are not held to
    this.
    """
    lengths, batch = 256.0 * np.arange(1, 17), samples.BATCHES[case.phase][1]
    X = case.points(lengths, batch)
    y = samples.times(X, affine=True)
    law = case.fit(X, y)
    if np.max(np.abs(law.predict(X) / y - 1.0)) > 1e-6:
        return
    middle = law.predict(case.points(lengths[:-1] + 128.0, batch))
    inside = (middle >= 0.95 * y[:-1]) & (middle <= 1.05 * y[1:])
    assert inside.all(), (
        f"at {lengths[int(np.argmin(inside))] + 128:.0f} tokens the law leaves the interval of its "
        "neighbours by more than 5 % although it reproduces both"
    )


def duplicated_points(case: Case) -> None:
    """Accept repeats of every point and change little."""
    twice = np.repeat(np.arange(len(case.table)), 2)
    law = case.fit(case.table.iloc[twice], case.times_s[twice])
    change = np.abs(np.log(law.predict(case.table) / case.fitted.predict(case.table)))
    assert np.median(change) < 0.1, (
        "measuring every point twice moves predictions by a factor "
        f"{np.exp(np.median(change)):.3g} in the median"
    )


def constant_batch(case: Case) -> None:
    """Manage with data at one batch size."""
    batch = samples.BATCHES[case.phase][1]
    X = case.points(samples.LENGTHS, batch)
    law = case.fit(X, samples.times(X, noise=0.02))
    _assert_times(law, case, _WIDE, [1, batch, 256])


def single_length(case: Case) -> None:
    """Predict the time of one distinct point there, or refuse it with InputError."""
    X = case.points([512] * 5, 4)
    y = samples.times(X, noise=0.02)
    try:
        law = case.fit(X, y)
    except InputError:
        return
    ratio = law.predict(X) / np.median(y)
    assert np.all((ratio > 0.8) & (ratio < 1.25)), (
        f"fitted to one length only, and off by a factor {ratio.max():.3g} at that length: "
        "fit it or refuse with InputError"
    )
    _assert_times(law, case, [1, 512, 1_000_000], [1, 4, 256])


def few_points(case: Case) -> None:
    """Give a usable law, or InputError, for the fewest points the class says it needs."""
    X = case.points(samples.LENGTHS, samples.BATCHES[case.phase][0]).head(
        max(case.formulation.min_points, 1)
    )
    try:
        law = case.fit(X, samples.times(X))
    except InputError:
        return
    _assert_times(law, case, [1, 100, 1_000_000], [1, 256])


def fitted_state(case: Case) -> None:
    """Clone a fitted law to an unfitted one that learns the same law again."""
    fresh = clone(case.fitted)
    known = getattr(fresh, "n_points_", None)
    assert known is None, f"clone keeps fitted state (n_points_={known})"
    again = case.fit(case.table, case.times_s).predict(case.table)
    assert np.array_equal(again, case.fitted.predict(case.table)), "a clone learns another law"


def _assert_times(
    law: Formulation, case: Case, lengths: npt.ArrayLike, batches: npt.ArrayLike
) -> None:
    X = case.points(lengths, batches)
    time_s = law.predict(X)
    good = np.isfinite(time_s) & (time_s > 0)
    worst = int(np.argmin(good))
    assert good.all(), f"predicts {time_s[worst]} s at {row(X, worst)}"


def _assert_rising(
    law: Formulation, case: Case, lengths: npt.ArrayLike, batches: npt.ArrayLike, axis: str
) -> None:
    X = case.points(lengths, batches)
    time_s: FloatArray = law.predict(X)
    drop = np.diff(time_s) < -1e-9 * time_s[:-1]
    first = int(np.argmax(drop))
    assert not drop.any(), (
        f"claims to be monotone, but falls along {axis} from {time_s[first]:.6g} s at "
        f"{row(X, first)} to {time_s[first + 1]:.6g} s at {row(X, first + 1)}"
    )
