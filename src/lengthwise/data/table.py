"""The measurement table: from a file or a DataFrame to rows that obey the hard rules.

A hard rule is one whose breach makes a row meaningless (a prompt of 12.5 tokens, a missing phase);
it is refused with the value, the row and the remedy. What merely looks wrong is kept and flagged
(:mod:`lengthwise.data.checks`); so are failed measurements, whose time is missing.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from lengthwise.data.files import format_of, iter_tables, read_noted, read_table, write_table
from lengthwise.data.kinds import to_flag, to_numbers, to_text
from lengthwise.data.load_columns import SAYS
from lengthwise.data.missing import check_columns
from lengthwise.data.places import forget, place
from lengthwise.data.rules import check_rows
from lengthwise.data.schema import COLUMNS, PHASES
from lengthwise.data.settings import with_settings
from lengthwise.data.suffixes import Format
from lengthwise.errors import (
    ColumnError,
    FileFormatError,
    InputError,
    LengthwiseError,
    NothingUsableError,
)

__all__ = ["Format", "format_of", "iter_tables", "load", "prepare", "read_table", "write_table"]


def load(source: str | Path | pd.DataFrame) -> pd.DataFrame:
    """Give a valid measurement table from a path or a DataFrame.

    Examples
    --------
    >>> load(pd.DataFrame({"phase": ["prefill"], "isl": [512], "latency_ms": [20]})).shape
    (1, 4)
    """
    if isinstance(source, pd.DataFrame):
        return prepare(source)
    if isinstance(source, (str, Path)):
        try:
            return forget(prepare(read_noted(source)))
        except (FileFormatError, ColumnError) as error:
            raise _result_file(Path(source)) or error from None
    raise InputError(
        "a table is a path or a pandas DataFrame", got=type(source).__name__,
        remedy="convert it, for example with pandas.DataFrame(rows)",
    )  # fmt: skip


def _result_file(path: Path) -> FileFormatError | None:
    """Return the error for the result file of a tool where a table is read; None for others."""
    from lengthwise.data.finding import PLAIN, kind_of  # the readers are not needed for a table
    from lengthwise.data.formats import registry

    try:
        kind = kind_of(path)
    except LengthwiseError:
        return None
    if kind == PLAIN:
        return None
    return FileFormatError(
        "a measurement table is needed here",
        got=f"{path}, a result file of {registry.get(kind).TITLE}",
        remedy=f"lengthwise import {path.name} -o table.parquet makes the table",
    )  # fmt: skip


def prepare(frame: pd.DataFrame) -> pd.DataFrame:
    """Make a valid measurement table; the input is not changed.

    Numbers become float64, ``warmup`` bool, text str; ``batch_size`` is 1 where nothing says how
    many sequences ran, and ``settings`` tells apart what varies within a deployment (see
    :mod:`lengthwise.data.settings`). Unknown columns are kept untouched. Rows are numbered from 0.

    Raises
    ------
    ColumnError
        If a hard rule is broken; the message names rule, value, row and remedy.
    NothingUsableError
        If there are no rows.

    Examples
    --------
    >>> rows = pd.DataFrame({"phase": "decode", "context_len": [64, 128], "latency_ms": ["5", "6"]})
    >>> prepare(rows)["latency_ms"].sum(), prepare(rows)["batch_size"].tolist()
    (np.float64(11.0), [1.0, 1.0])
    """
    frame = _columns_from_index(frame)
    _check_names(frame)
    if frame.empty:
        raise NothingUsableError("a measurement table needs at least one row", got="0 rows")
    if "phase" in frame:
        frame["phase"] = _phases(frame["phase"])
    check_columns(frame)
    for name in frame.columns.intersection(list(COLUMNS)):
        kind = COLUMNS[name].kind
        convert = {"text": to_text, "flag": to_flag}.get(kind, to_numbers)
        frame[name] = convert(frame[name])
    frame = _without_limits(_with_batch_size(frame))
    check_rows(frame)
    return with_settings(frame)


def _columns_from_index(frame: pd.DataFrame) -> pd.DataFrame:
    """Copy with rows numbered from 0; levels of a grouped index that are columns come back."""
    levels = [name for name in frame.index.names if name in COLUMNS and name not in frame]
    if levels:
        frame = frame.reset_index(level=levels)
    return frame.reset_index(drop=True)


def _check_names(frame: pd.DataFrame) -> None:
    strange = [name for name in frame.columns if not isinstance(name, str)]
    if strange:
        raise ColumnError(
            "column names must be text", got=repr(strange[0]),
            remedy="name the columns, for example frame.columns = ['phase', 'isl', 'latency_ms']",
        )  # fmt: skip
    twice = frame.columns[frame.columns.duplicated()]
    if len(twice):
        raise ColumnError(
            "column names must be unique", got=f"{twice[0]!r} twice", remedy="rename or drop one"
        )


def _phases(values: pd.Series) -> pd.Series:
    phase = to_text(values).str.lower()
    bad = ~phase.isin(PHASES).to_numpy()
    if bad.any():
        row = int(np.argmax(bad))
        raise ColumnError(
            f"phase must be one of {', '.join(PHASES)}",
            got=f"{values.iloc[row]!r} in {place(values, row)}",
            remedy="correct it, or set it for the whole file with --map \"phase='prefill'\"",
        )  # fmt: skip
    return phase


def _with_batch_size(frame: pd.DataFrame) -> pd.DataFrame:
    known = np.zeros(len(frame), dtype=bool)
    for name in SAYS:
        if name in frame:
            known |= frame[name].notna().to_numpy()
    if known.all():
        return frame
    batch = frame["batch_size"] if "batch_size" in frame else np.full(len(frame), np.nan)
    return frame.assign(batch_size=np.where(known, batch, 1.0))


def _without_limits(frame: pd.DataFrame) -> pd.DataFrame:
    """Empty the cells of a rate without a limit, which tools write as ``inf``: it is no rate."""
    if "request_rate" not in frame or not np.isposinf(frame["request_rate"]).any():
        return frame
    return frame.assign(request_rate=frame["request_rate"].replace(np.inf, np.nan))
