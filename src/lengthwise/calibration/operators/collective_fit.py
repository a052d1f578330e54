"""Fit collectives to tables of measured messages.

A table has one row per measured message: ``num_gpus``, ``message_bytes`` and ``seconds``. Libraries
give the size in elements: the reader multiplies by the bytes of one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pandas as pd

from lengthwise.calibration.operators.nonnegative import fit_parts, fit_terms
from lengthwise.formulations.operators.collective import (
    COLLECTIVE_TERMS,
    SWITCHED,
    CollectiveCurve,
    Links,
)
from lengthwise.formulations.operators.terms import Array


def fit_collective(frame: pd.DataFrame, links: Links, kind: str) -> CollectiveCurve:
    """Fit one kind of collective, a cell for each number of processors.

    Examples
    --------
    >>> import numpy as np
    >>> true = CollectiveCurve(
    ...     "all_reduce", Links(450e9, 50e9, 8), {8: {"launch": 1e-5, "bytes": 1.2}})
    >>> table = pd.DataFrame({"num_gpus": 8, "message_bytes": 2.0 ** np.arange(8, 30)})
    >>> table["seconds"] = collective_seconds(true, table)
    >>> fitted = fit_collective(table, true.links, "all_reduce")
    >>> bool(np.allclose(collective_seconds(fitted, table), table["seconds"], rtol=0.01))
    True
    """
    cells = {}
    for gpus, rows in frame.groupby("num_gpus"):
        number = int(str(gpus))
        wire = rows["message_bytes"].to_numpy(dtype=float) * (number - 1) / number
        terms = {name: _over(term, links.inside) for name, term in COLLECTIVE_TERMS.items()}
        cells[number] = fit_terms(terms, wire, rows["seconds"].to_numpy(dtype=float))
    return CollectiveCurve(kind, links, cells)


def pooled_collective(tables: Sequence[tuple[pd.DataFrame, Links]], kind: str) -> CollectiveCurve:
    """Fit one curve to tables of several systems: switched links apart from unswitched ones."""
    groups: dict[bool, dict[int, list[tuple[tuple[Array, float], Array]]]] = {True: {}, False: {}}
    for frame, links in tables:
        for gpus, rows in frame.groupby("num_gpus"):
            number = int(str(gpus))
            wire = rows["message_bytes"].to_numpy(dtype=float) * (number - 1) / number
            part = ((wire, links.inside), rows["seconds"].to_numpy(dtype=float))
            groups[links.inside >= SWITCHED].setdefault(number, []).append(part)
    terms = {name: _paired(term) for name, term in COLLECTIVE_TERMS.items()}
    fast, slow = (
        {n: fit_parts(terms, parts) for n, parts in sorted(groups[switched].items())}
        for switched in (True, False)
    )
    return CollectiveCurve(kind, tables[0][1], fast, slow)


def _paired(term: Callable[[Array, float], Array]) -> Callable[[tuple[Array, float]], Array]:
    return lambda sizes: term(*sizes)


def collective_seconds(curve: CollectiveCurve, frame: pd.DataFrame) -> Array:
    """Predict the messages of a table, seconds."""
    return curve.seconds(
        frame["message_bytes"].to_numpy(dtype=float), frame["num_gpus"].to_numpy(dtype=int)
    )


def _over(term: Callable[[Array, float], Array], link: float) -> Callable[[Array], Array]:
    return lambda wire: term(wire, link)


def fastest(*tables: pd.DataFrame) -> pd.DataFrame:
    """Keep, of several libraries, the faster at each size: an engine chooses it.

    >>> a = pd.DataFrame({"num_gpus": [2], "message_bytes": [8.0], "seconds": [3.0]})
    >>> fastest(a, a.assign(seconds=1.0))["seconds"].tolist()
    [1.0]
    """
    both = pd.concat(tables, ignore_index=True)
    order = both.sort_values(["num_gpus", "message_bytes", "seconds"])
    return order.drop_duplicates(["num_gpus", "message_bytes"]).reset_index(drop=True)
