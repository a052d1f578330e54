"""Points to predict: their phase, their labels, which of them are requests."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from lengthwise.data.kinds import to_numbers, to_text
from lengthwise.data.load import Load, is_loaded, load_in, load_text
from lengthwise.data.schema import COLUMNS, DEPLOYMENT, LOAD, PHASES
from lengthwise.data.table import read_table
from lengthwise.errors import ColumnError, InputError

BoolArray = npt.NDArray[np.bool_]
LABELS = (*DEPLOYMENT, *LOAD)
"""Columns that say which law answers."""


def points_of(source: pd.DataFrame | str | Path, phases: set[str]) -> pd.DataFrame:
    """Give points with a phase and clean labels; other columns stay as they are.

    Parameters
    ----------
    source
        Table of points or its path. Without a column ``phase``, points with ``isl`` and ``osl``
        are requests, and all others are of the law's one phase.
    phases
        Phases the law was fitted to.

    Examples
    --------
    >>> points_of(pd.DataFrame({"isl": [512], "osl": [16]}), {"prefill", "decode"})["phase"].item()
    'request'
    """
    points = read_table(source) if isinstance(source, (str, Path)) else source
    if not isinstance(points, pd.DataFrame):
        raise InputError("points are a pandas DataFrame or a path", got=type(points).__name__,
                         remedy="convert them, as in pandas.DataFrame(rows)")  # fmt: skip
    points = points.reset_index(drop=True)
    if "phase" not in points:
        points = points.assign(phase=implied_phase(points, phases))
    else:
        _check_phases(points["phase"])
    labels = {name: _clean(points[name]) for name in LABELS if name in points}
    for name in LOAD:
        if name in labels:
            _check_load(labels[name])
    return points.assign(**labels) if labels else points


def is_request(points: pd.DataFrame) -> BoolArray:
    """Tell which points are whole requests, shape (n,)."""
    return np.asarray(points["phase"] == "request")


def is_constant(values: pd.Series) -> bool:
    """Tell whether a column holds the same in every row, nothing being a value too.

    >>> is_constant(pd.Series(["h100", "h100"])), is_constant(pd.Series([2.0, None]))
    (True, False)
    """
    if not len(values):
        return True
    if isinstance(values.dtype, pd.CategoricalDtype):
        codes = values.cat.codes.to_numpy()
        return bool(codes.min() == codes.max())
    if values.dtype == object and values.tolist().count(values.iloc[0]) == len(values):
        return True  # one string object in all rows compares by its identity
    missing = values.isna().to_numpy()
    return bool(missing.all() or (not missing.any() and (values == values.iloc[0]).all()))


def clean_labels(labels: Mapping[str, Any]) -> dict[str, Any]:
    """Check labels given as keywords (a load is one), and drop those that are None.

    >>> clean_labels({"hardware": " h100 ", "tp": 2, "model": None})
    {'hardware': 'h100', 'tp': 2.0}
    """
    unknown = [name for name in labels if name not in LABELS]
    if unknown:
        raise InputError("labels must be deployment columns", got=", ".join(unknown),
                         remedy=f"use {', '.join(LABELS)}")  # fmt: skip
    given = {name: value for name, value in labels.items() if value is not None}
    clean = {
        name: _clean(pd.Series([value], name=name)).tolist()[0] for name, value in given.items()
    }
    for name in load_in(clean):
        _check_load(pd.Series([clean[name]], name=name))
    return clean


def with_batch(point: Mapping[str, Any], batch_size: float | None) -> dict[str, Any]:
    """Give a point its batch: 1 where none is given, none under load.

    Raises
    ------
    InputError
        If both a batch and a load are given.

    Examples
    --------
    >>> with_batch({"isl": 512}, None), with_batch({"isl": 512, "concurrency": 8}, None)
    ({'isl': 512, 'batch_size': 1.0}, {'isl': 512, 'concurrency': 8})
    """
    loaded = bool(is_loaded(pd.DataFrame([{**point}]))[0])
    if batch_size is None:
        return dict(point) if loaded else {**point, "batch_size": 1.0}
    if loaded:
        raise batch_under_load(load_in(point), batch_size)
    return {**point, "batch_size": batch_size}


def check_no_batch(load: Load, batch_size: Any) -> None:
    """Refuse batches other than 1, a number or an array, asked of a law of requests under load.

    >>> check_no_batch({"concurrency": 8.0}, [1, 1])
    """
    batch = np.asarray(batch_size, dtype=float)
    if (batch != 1.0).any():
        raise batch_under_load(load, float(batch[batch != 1.0][0]))


def batch_under_load(load: Load, batch_size: float) -> InputError:
    """Make the error for a batch that is asked of a law of requests under load.

    >>> batch_under_load({"concurrency": 8.0}, 4).got
    'concurrency=8 and batch_size=4'
    """
    return InputError(
        "a point has a batch (sequences of a step) or a load (requests in flight), not both",
        got=f"{load_text(load)} and batch_size={batch_size:g}",
        remedy="leave one of them out; under load the engine makes the batches",
    )


def _check_load(values: pd.Series) -> None:
    number = values.to_numpy(dtype=float)
    bad = ~(np.isnan(number) | ((number > 0) & np.isfinite(number)))
    if bad.any():
        row = int(np.argmax(bad))
        raise ColumnError(f"{values.name} must be positive", got=f"{number[row]:g} in row {row}",
                          remedy="leave it out for single requests and batches")  # fmt: skip


def _clean(values: pd.Series) -> pd.Series:
    # As data.table.prepare does, so that tp=2 and tp=2.0 name the same deployment.
    if COLUMNS[str(values.name)].kind in ("count", "rate"):
        return to_numbers(values)
    if not isinstance(values.dtype, (pd.StringDtype, pd.CategoricalDtype)):
        return to_text(values)
    codes, names = pd.factorize(values, use_na_sentinel=False)  # few names, many rows
    text = to_text(pd.Series(names))
    if text.equals(pd.Series(names)):
        return values
    return pd.Series(text.array.take(codes), index=values.index, name=values.name)


def implied_phase(points: pd.DataFrame, phases: set[str]) -> str:
    """Name the phase of points that do not say theirs.

    >>> implied_phase(pd.DataFrame({"context_len": [512]}), {"decode"})
    'decode'
    """
    if {"isl", "osl"} <= set(points):
        return "request"
    if len(phases) == 1:
        return next(iter(phases))
    raise ColumnError(
        "points must say their phase", got=f"no column 'phase' and a law of {len(phases)} phases",
        remedy=f"add phase, one of {', '.join(sorted(phases))}, or give isl and osl of requests",
    )  # fmt: skip


def _check_phases(values: pd.Series) -> None:
    if is_constant(values):
        values = values.iloc[:1]
    bad = ~values.isin(PHASES).to_numpy()
    if bad.any():
        row = int(np.argmax(bad))
        raise ColumnError(f"phase must be one of {', '.join(PHASES)}",
                          got=f"{values.iloc[row]!r} in row {row}",
                          remedy="correct it")  # fmt: skip
