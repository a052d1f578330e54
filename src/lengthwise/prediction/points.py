"""Points to predict: their phase, their labels, which of them are requests."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from lengthwise.data.kinds import to_numbers, to_text
from lengthwise.data.schema import COLUMNS, DEPLOYMENT, PHASES
from lengthwise.data.table import read_table
from lengthwise.errors import ColumnError, InputError

BoolArray = npt.NDArray[np.bool_]


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
        points = points.assign(phase=_implied_phase(points, phases))
    else:
        _check_phases(points["phase"])
    labels = [name for name in DEPLOYMENT if name in points]
    return points.assign(**{name: _clean(points[name]) for name in labels}) if labels else points


def is_request(points: pd.DataFrame) -> BoolArray:
    """Tell which points are whole requests, shape (n,)."""
    return np.asarray(points["phase"] == "request")


def clean_labels(labels: Mapping[str, Any]) -> dict[str, Any]:
    """Check labels given as keywords, and drop those that are None.

    >>> clean_labels({"hardware": " h100 ", "tp": 2, "model": None})
    {'hardware': 'h100', 'tp': 2.0}
    """
    unknown = [name for name in labels if name not in DEPLOYMENT]
    if unknown:
        raise InputError("labels must be deployment columns", got=", ".join(unknown),
                         remedy=f"use {', '.join(DEPLOYMENT)}")  # fmt: skip
    given = {name: value for name, value in labels.items() if value is not None}
    return {
        name: _clean(pd.Series([value], name=name)).tolist()[0] for name, value in given.items()
    }


def _clean(values: pd.Series) -> pd.Series:
    # As data.table.prepare does, so that tp=2 and tp=2.0 name the same deployment.
    return to_numbers(values) if COLUMNS[str(values.name)].kind == "count" else to_text(values)


def _implied_phase(points: pd.DataFrame, phases: set[str]) -> str:
    if {"isl", "osl"} <= set(points):
        return "request"
    if len(phases) == 1:
        return next(iter(phases))
    raise ColumnError(
        "points must say their phase", got=f"no column 'phase' and a law of {len(phases)} phases",
        remedy=f"add phase, one of {', '.join(sorted(phases))}, or give isl and osl of requests",
    )  # fmt: skip


def _check_phases(values: pd.Series) -> None:
    bad = ~values.isin(PHASES).to_numpy()
    if bad.any():
        row = int(np.argmax(bad))
        raise ColumnError(f"phase must be one of {', '.join(PHASES)}",
                          got=f"{values.iloc[row]!r} in row {row}",
                          remedy="correct it")  # fmt: skip
