"""Columns of a file that hold the load under another name, and how the load of each row is known.

A table of requests that says ``conc`` must not be read as batch 1. Of several look-alikes a number
that was counted comes before one that was set, and a limit says nothing beside a rate.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

from lengthwise.data.lookalikes import LIMITS, MEASURED_LOADS, lookalikes, plain_name
from lengthwise.data.schema import LOAD

SAYS = ("batch_size", *LOAD)
"""Columns any of which says how many requests or sequences ran."""


def load_columns(frame: pd.DataFrame) -> dict[str, str]:
    """Return the column that stands for each absent column of the load, where one does.

    Parameters
    ----------
    frame
        Rows as they are in a file, phases included.

    Examples
    --------
    >>> rows = {"phase": "request", "conc": [4, 32], "ttft_ms": 9.0}
    >>> load_columns(pd.DataFrame(rows)), load_columns(pd.DataFrame(rows).assign(batch_size=1))
    ({'concurrency': 'conc'}, {})
    """
    if "phase" not in frame or any(name in frame for name in SAYS):
        return {}
    if not (frame["phase"].astype(str).str.strip().str.lower() == "request").any():
        return {}
    found: dict[str, list[str]] = {name: [] for name in LOAD}
    for name, target, _ in lookalikes(frame.columns, LOAD):
        if _is_load(frame[name], 1.0 if target == "concurrency" else 0.0):
            found[target].append(name)
    counted = sorted(found["concurrency"], key=_rank)
    if found["request_rate"]:
        counted = [name for name in counted if plain_name(name) not in LIMITS]
    chosen = {"concurrency": counted[:1], "request_rate": found["request_rate"][:1]}
    return {target: names[0] for target, names in chosen.items() if names}


def with_load(frame: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """Return the frame with the columns of its load, and what was read as them, in words.

    >>> rows = pd.DataFrame({"phase": "request", "vus": [2, 8], "e2e_ms": 9.0})
    >>> with_load(rows)[0]["concurrency"].tolist()
    [2.0, 8.0]
    """
    chosen = load_columns(frame)
    notes = []
    for target, name in chosen.items():
        values = pd.to_numeric(frame[name], errors="coerce").astype(float)
        frame = frame.assign(**{target: values.where(np.isfinite(values))})
        mapping = f"{target}={name}" if name.isidentifier() else f'"{target}=`{name}`"'
        notes.append(f"{name} is read as {target} (--map {mapping}); if it is not, "
                     "say what ran at once with --set batch_size=N")  # fmt: skip
    how = _how(chosen.get("concurrency"))
    if how and "load_from" not in frame:
        known = frame["concurrency"].notna()
        frame = frame.assign(load_from=pd.Series(how, frame.index).where(known, None))
    return frame, notes


def with_load_from(table: pd.DataFrame, before: pd.DataFrame) -> pd.DataFrame:
    """Return a prepared table that says where its loads are only a rate, or assumed.

    Parameters
    ----------
    table
        Prepared table, n rows.
    before
        The frame it was prepared from, n rows.
    """
    request = (table["phase"] == "request").to_numpy()
    said = _known(before, SAYS)
    rate_only = request & _known(table, ("request_rate",)) & ~_known(table, SAYS[:2])
    how = np.where(request & ~said, "assumed", np.where(rate_only, "rate", "")).astype(object)
    old = table["load_from"] if "load_from" in table else pd.Series(None, table.index, object)
    filled = old.where(old.notna(), pd.Series(how, table.index).replace("", None))
    return table.assign(load_from=filled) if filled.notna().any() else table


def _known(frame: pd.DataFrame, names: tuple[str, ...]) -> npt.NDArray[np.bool_]:
    known = np.zeros(len(frame), dtype=bool)
    for name in names:
        if name in frame:
            known |= frame[name].notna().to_numpy()
    return known


def _is_load(values: pd.Series, least: float) -> bool:
    """Tell whether a column holds numbers of at least ``least``, and one that matters."""
    numbers = pd.to_numeric(values, errors="coerce")
    if pd.api.types.is_bool_dtype(values) or numbers.isna().gt(values.isna()).any():
        return False
    known = numbers[np.isfinite(numbers.astype(float))]
    return len(known) > 0 and bool((known >= least).all() and (known > least).any())


def _rank(name: str) -> int:
    plain = plain_name(name)
    return 0 if plain in MEASURED_LOADS else 2 if plain in LIMITS else 1


def _how(name: str | None) -> str | None:
    plain = plain_name(name or "")
    return "measured" if plain in MEASURED_LOADS else "cap" if plain in LIMITS else None
