"""The load a row was measured under: what clients kept in flight, which is not a batch.

``batch_size`` counts the sequences of a step, ``concurrency`` the requests a client keeps in flight
and ``request_rate`` the ones it offers per second. With more than one request in flight, a first
token waits for the steps and prompts of others, and a step holds whatever the engine had at hand:
times of such rows belong to their load. A row that states its batch, and a single request at a time
(concurrency 1), is under no load.

A client that holds N requests in flight states a whole number, and each is a load. Where the
number was computed (``load_from`` is ``measured``, or it is a fraction) it differs from row to row,
and rows are put together: below ``ALONE`` is no load, and the others are of the nearest class

    2, 3, 4, 6, 8, 12, 16, 24, 32, ...        each within a third of what it holds

whatever the rate was: the rate is how often requests came, the number in flight what a step met.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from lengthwise.data.schema import LOAD
from lengthwise.units import FloatArray

BoolArray = npt.NDArray[np.bool_]
ALONE = 1.2
"""Mean number of requests in flight below which a request had the engine to itself."""

Load = dict[str, float]
"""Columns of ``schema.LOAD`` with their values; empty for no load."""


def is_loaded(frame: pd.DataFrame) -> BoolArray:
    """Tell which rows were measured under load, shape (n,).

    Parameters
    ----------
    frame
        Measurement table or points, n rows.

    Examples
    --------
    >>> is_loaded(pd.DataFrame({"concurrency": [1, 8, 8], "batch_size": [None, None, 4]})).tolist()
    [False, True, False]
    """
    loaded = np.zeros(len(frame), dtype=bool)
    if not any(name in frame for name in LOAD):
        return loaded
    if "request_rate" in frame:
        loaded |= frame["request_rate"].notna().to_numpy()
    if "concurrency" in frame:
        flight = pd.to_numeric(frame["concurrency"], errors="coerce").to_numpy(float)
        loaded = (loaded & ~(flight < ALONE)) | (flight >= ALONE)
    if "batch_size" in frame:
        loaded &= frame["batch_size"].isna().to_numpy()
    return loaded


def is_rate_only(frame: pd.DataFrame) -> BoolArray:
    """Tell which rows say how often requests came and not how many were in flight, shape (n,).

    >>> is_rate_only(pd.DataFrame({"request_rate": 2.5, "concurrency": [None, 7.8]})).tolist()
    [True, False]
    """
    if "request_rate" not in frame:
        return np.zeros(len(frame), dtype=bool)
    unknown = frame["request_rate"].notna().to_numpy()
    if "batch_size" in frame:
        unknown = unknown & frame["batch_size"].isna().to_numpy()
    if "concurrency" in frame:
        limit = (frame["load_from"] == "cap").to_numpy() if "load_from" in frame else False
        unknown = unknown & (frame["concurrency"].isna().to_numpy() | limit)
    return np.asarray(unknown, dtype=bool)


def is_computed(frame: pd.DataFrame) -> BoolArray:
    """Tell which rows hold a number in flight that was computed, not stated, shape (n,).

    >>> is_computed(pd.DataFrame({"concurrency": [8, 7.8, None]})).tolist()
    [False, True, False]
    """
    if "concurrency" not in frame:
        return np.zeros(len(frame), dtype=bool)
    flight = pd.to_numeric(frame["concurrency"], errors="coerce").to_numpy(float)
    computed = flight != np.floor(flight)
    if "load_from" in frame:
        computed |= (frame["load_from"] == "measured").to_numpy(dtype=bool)
    return np.asarray(computed & ~np.isnan(flight))


def class_of(in_flight: npt.ArrayLike) -> FloatArray:
    """Return the class of computed numbers in flight, of the same shape; 1 is no load.

    >>> class_of([1.03, 1.3, 2.9, 7.8, 41.0]).tolist()
    [1.0, 2.0, 3.0, 8.0, 48.0]
    """
    flight = np.asarray(in_flight, dtype=float)
    whole = np.maximum(np.round(flight), 2.0)
    base = 2.0 ** np.floor(np.log2(whole))
    classes = np.stack([base, 1.5 * base, 2.0 * base])
    distance = np.abs(np.log(classes / whole))
    nearest = np.take_along_axis(classes, distance.argmin(axis=0)[None], axis=0)[0]
    return np.asarray(np.where(flight < ALONE, 1.0, nearest))


def with_classes(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the frame with computed numbers in flight put into classes, and without their rates.

    >>> rows = {"concurrency": [7.8, 8], "request_rate": [20.0, None]}
    >>> with_classes(pd.DataFrame(rows)).values.tolist()
    [[8.0, nan], [8.0, nan]]
    """
    computed = is_computed(frame)
    if not computed.any():
        return frame
    flight = frame["concurrency"].to_numpy(float)
    known = np.where(computed, flight, 1.0)
    columns: dict[str, Any] = {"concurrency": np.where(computed, class_of(known), flight)}
    if "request_rate" in frame:
        columns["request_rate"] = frame["request_rate"].where(~computed)
    return frame.assign(**columns)


def only_loads(frame: pd.DataFrame) -> pd.DataFrame:
    """Give the frame with load columns that hold the loads alone, or without such columns.

    >>> only_loads(pd.DataFrame({"isl": [9, 9], "concurrency": [1, 7.8]}))["concurrency"].tolist()
    [nan, 8.0]
    """
    present = [name for name in LOAD if name in frame]
    if not present:
        return frame
    loaded = is_loaded(frame)
    if not loaded.any():
        return frame.drop(columns=present)
    frame = with_classes(frame)
    return frame.assign(**{name: frame[name].where(loaded) for name in present})


def load_in(labels: Mapping[str, object]) -> Load:
    """Read the load out of the labels of a law or point.

    >>> load_in({"model": "m", "concurrency": 8.0}), load_in({"model": "m"})
    ({'concurrency': 8.0}, {})
    """
    known = {name: labels.get(name) for name in LOAD}
    return {name: float(str(value)) for name, value in known.items() if value is not None}


def load_text(load: Load) -> str:
    """Name a load.

    >>> load_text({"concurrency": 8.0}), load_text({})
    ('concurrency=8', 'no load')
    """
    return ", ".join(f"{name}={value:g}" for name, value in load.items()) or "no load"


def loads_text(loads: Iterable[Load]) -> str:
    """List distinct loads, smallest first.

    >>> loads_text([{"concurrency": 8.0}, {}, {"concurrency": 2.0}, {"concurrency": 8.0}])
    'no load; concurrency=2; concurrency=8'
    """
    distinct = {tuple(load.items()) for load in loads}
    return "; ".join(load_text(dict(items)) for items in sorted(distinct))
