"""Which events belong to one request: tokens of a request share more than two of others do."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

IDS = ("request", "request_id")
BESIDE_IDS = ("source", "precision", "tp", "concurrency")
"""Request numbers start anew with each file and each setting."""

BESIDE_REPEATS = ("isl", "batch_size", "precision", "attention", "beams")


def requests_of(rows: pd.DataFrame) -> tuple[npt.NDArray[np.intp], str]:
    """Give each event the number of its request.

    A column ``request`` or ``request_id`` says it. Without one, events of the same lengths, batch,
    settings and ``repeat`` are one request; without that, a request begins wherever
    ``output_index`` does not rise from one row to the next.

    Parameters
    ----------
    rows
        Events in the order of the table.

    Returns
    -------
    Numbers of shape (n,), from 0, and how they were found.

    Examples
    --------
    >>> requests_of(pd.DataFrame({"output_index": [0, 1, 2, 0, 1]}))
    (array([0, 0, 0, 1, 1]), 'rising output_index in the order of the rows')
    """
    for name in IDS:
        if name in rows and rows[name].notna().all():
            return _number(rows, [name, *BESIDE_IDS]), f"column {name}"
    if "repeat" in rows and rows["repeat"].notna().all():
        return _number(rows, ["repeat", *BESIDE_REPEATS]), "equal lengths, batch and repeat"
    index = rows["output_index"].to_numpy(float)
    starts = np.concatenate([[True], ~(np.diff(index) > 0)])
    return np.cumsum(starts) - 1, "rising output_index in the order of the rows"


def _number(rows: pd.DataFrame, names: list[str]) -> npt.NDArray[np.intp]:
    present = [name for name in names if name in rows]
    numbers: Any = rows.groupby(present, sort=False, dropna=False).ngroup().to_numpy()
    return np.asarray(numbers, dtype=np.intp)
