"""Checks of how a formulation is called and what it refuses."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import clone

from lengthwise.errors import ColumnError, InputError, LengthwiseError
from lengthwise.testing import samples
from lengthwise.testing.case import NEEDED, Case, assert_close

_BAD: dict[str, Any] = {
    "NaN": np.nan, "infinite": np.inf, "negative": -128.0, "zero": 0.0, "text": "long",
}  # fmt: skip


def described(case: Case) -> None:
    """Give name, equation and citation."""
    for attribute in ("name", "equation", "citation"):
        value = getattr(case.formulation, attribute, "")
        assert isinstance(value, str), f"the class attribute {attribute} must be text"
        assert value, f"the class attribute {attribute} must say something"
    assert case.formulation.min_points >= 1, "min_points must be at least 1"


def parameters(case: Case) -> None:
    """Keep parameters through get_params, set_params and clone."""
    params = case.formulation.get_params()
    copy = clone(case.formulation)
    assert copy.get_params() == params, f"clone changes the parameters {params}"
    assert copy.set_params(**params) is copy, "set_params must return the formulation"
    assert copy.get_params() == params, f"set_params changes the parameters {params}"
    assert type(case.formulation)(**params).get_params() == params, "__init__ alters a parameter"


def returns_itself(case: Case) -> None:
    """Return the formulation from fit and leave its parameters alone."""
    law = clone(case.formulation)
    before = law.get_params()
    assert law.fit(case.table, case.times_s) is law, "fit must return the formulation"
    assert law.get_params() == before, "fit changes a parameter"


def inputs_unchanged(case: Case) -> None:
    """Write to nothing that fit and predict are given."""
    X, y, weight = (
        case.table.copy(deep=True),
        case.times_s.copy(),
        np.linspace(1, 2, len(case.times_s)),
    )
    case.fit(X, y, weight).predict(X)
    pd.testing.assert_frame_equal(X, case.table, obj="X after fit and predict")
    assert np.array_equal(y, case.times_s), "fit changes y"
    assert np.array_equal(weight, np.linspace(1, 2, len(y))), "fit changes sample_weight"


def types_and_index(case: Case) -> None:
    """Give the same law for integers or floats, any index and any order of columns."""
    want = case.fitted.predict(case.table)
    numbers = case.table.drop(columns="phase")
    odd = numbers.astype(float).assign(phase=case.phase, note="kept")[::1]
    odd.index = pd.Index([f"row {i % 3}" for i in range(len(odd))])
    odd = odd[sorted(odd.columns)]
    assert_close(case.fitted.predict(odd), want, case.table, "predict depends on dtype or index")
    refit = case.fit(odd, pd.Series(case.times_s, index=odd.index[::-1])).predict(case.table)
    assert_close(refit, want, case.table, "fit depends on dtype or index")
    assert_close(case.fit(case.table, case.times_s.tolist()).predict(case.table), want, case.table,
                 "fit depends on the type of y")  # fmt: skip


def weights(case: Case) -> None:
    """Change nothing for weights of one, and leave out rows of weight zero."""
    X, y = case.table, case.times_s
    want = case.fitted.predict(X)
    assert_close(case.fit(X, y, np.ones(len(y))).predict(X), want, X,
                 "weights of one change the law")  # fmt: skip
    spoiled = pd.concat([X, X.head(1)], ignore_index=True)
    weight = np.append(np.ones(len(y)), 0.0)
    law = case.fit(spoiled, np.append(y, 1e3 * y.max()), weight)
    assert_close(law.predict(X), want, X, "a row of weight zero changes the law")


def refuses_columns(case: Case) -> None:
    """Name a needed column that is missing or holds a bad value."""
    for column in NEEDED[case.phase]:
        bad = {"missing": case.table.drop(columns=column)}
        for what, value in _BAD.items():
            values: list[Any] = case.table[column].tolist()
            values[2] = value
            bad[what] = case.table.assign(**{column: pd.Series(values, dtype=object)})
        for what, X in bad.items():
            _assert_refused(
                partial(case.fit, X, case.times_s), ColumnError, column, f"fit, {column} {what}"
            )
            _assert_refused(partial(case.fitted.predict, X), ColumnError, column,
                            f"predict, {column} {what}")  # fmt: skip
    for value in (-1.0, np.inf):
        X = case.table.assign(batch_size=value)
        _assert_refused(
            partial(case.fit, X, case.times_s), ColumnError, "batch_size", f"fit, {value}"
        )


def refuses_times(case: Case) -> None:
    """Refuse times that are not positive and finite numbers, one per point."""
    for value in (0.0, -1.0, np.nan, np.inf):
        y = case.times_s.copy()
        y[3] = value
        _assert_refused(partial(case.fit, case.table, y), ColumnError, "time", f"fit, y = {value}")
    text = ["fast"] * len(case.times_s)
    _assert_refused(partial(case.fit, case.table, text), ColumnError, "time", "fit, y is text")
    _assert_refused(
        partial(case.fit, case.table, case.times_s[:-1]), InputError, "length", "fit, short y"
    )


def refuses_weights(case: Case) -> None:
    """Refuse weights that are negative, not finite, all zero, or not one per point."""
    n = len(case.times_s)
    bad = [np.full(n, -1.0), np.full(n, np.nan), np.zeros(n), np.ones(n - 1)]
    for weight in bad:
        _assert_refused(partial(case.fit, case.table, case.times_s, weight), InputError,
                        "sample_weight", f"fit, weights {weight[:2]}")  # fmt: skip


def refuses_tables(case: Case) -> None:
    """Refuse no rows, too few rows, no phase, two phases, and a phase that is no step."""
    X, y = case.table, case.times_s
    few = case.formulation.min_points - 1
    if few:
        _assert_refused(partial(case.fit, X.head(few), y[:few]), InputError,
                        str(case.formulation.min_points), "fit, too few points")  # fmt: skip
    mixture = X.assign(phase=[*["prefill"] * 4, *["decode"] * (len(X) - 4)])
    bad = {
        "no rows": X.head(0), "no phase": X.drop(columns="phase"), "two phases": mixture,
        "phase request": X.assign(phase="request"),
    }  # fmt: skip
    for what, table in bad.items():
        _assert_refused(partial(case.fit, table, y[: len(table)]), InputError, "", f"fit, {what}")
        _assert_refused(partial(case.fitted.predict, table), InputError, "", f"predict, {what}")


def refuses_out_of_turn(case: Case) -> None:
    """Refuse to predict before a fit, and a phase other than the one fitted."""
    _assert_refused(partial(clone(case.formulation).predict, case.table), InputError, "fit",
                    "predict before fit")  # fmt: skip
    other = "decode" if case.phase != "decode" else "prefill"
    X = samples.points(other, samples.LENGTHS, 1)
    _assert_refused(partial(case.fitted.predict, X), InputError, "phase", f"predict of {other}")


def _assert_refused(
    call: Callable[[], object], kind: type[LengthwiseError], word: str, what: str
) -> None:
    raised: Exception | None = None
    try:
        call()
    except Exception as error:
        raised = error
    assert raised is not None, f"{what}: must raise {kind.__name__}, but was accepted"
    assert isinstance(raised, kind), (
        f"{what}: must raise {kind.__name__}, but raised {type(raised).__name__}: {raised}"
    )
    assert word in str(raised), f"{what}: the message must name {word!r}, but says: {raised}"
    assert raised.remedy, f"{what}: the message gives no remedy: {raised}"
