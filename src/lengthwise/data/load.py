"""The load a row was measured under: what clients kept in flight, which is not a batch.

``batch_size`` counts the sequences of a step, ``concurrency`` the requests a client keeps in flight
and ``request_rate`` the ones it offers per second. With more than one request in flight, a first
token waits for the steps and prompts of others, and a step holds whatever the engine had at hand:
times of such rows belong to their load. A row that states its batch, and a single request at a time
(concurrency 1), is under no load.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import numpy.typing as npt
import pandas as pd

from lengthwise.data.schema import LOAD

BoolArray = npt.NDArray[np.bool_]
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
        loaded = (loaded & ~(flight <= 1.0)) | (flight > 1.0)
    if "batch_size" in frame:
        loaded &= frame["batch_size"].isna().to_numpy()
    return loaded


def only_loads(frame: pd.DataFrame) -> pd.DataFrame:
    """Give the frame with load columns that hold the loads alone, or without such columns.

    >>> only_loads(pd.DataFrame({"isl": [9, 9], "concurrency": [1, 8]}))["concurrency"].tolist()
    [nan, 8.0]
    """
    present = [name for name in LOAD if name in frame]
    if not present:
        return frame
    loaded = is_loaded(frame)
    if not loaded.any():
        return frame.drop(columns=present)
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
