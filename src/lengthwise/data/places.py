"""Where a row stands: the line of its file, as an editor counts them, or its place in a table."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO

import pandas as pd

from lengthwise.data.opening import open_text
from lengthwise.data.suffixes import Format

_FILE = "lengthwise_file"


def read_from(frame: pd.DataFrame, path: Path, kind: Format, delimiter: str) -> pd.DataFrame:
    """Return the frame with a note of the text file whose rows it holds, in order.

    The note lives in ``frame.attrs``, which pandas hands on; :func:`forget` takes it away.
    """
    if kind != "parquet":
        frame.attrs[_FILE] = (str(path), kind, delimiter)
    return frame


def forget(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the frame without the note of its file, which belongs in no file that is written."""
    frame.attrs.pop(_FILE, None)
    return frame


def place(data: pd.DataFrame | pd.Series, row: int) -> str:
    """Return where a row stands, for an error.

    Parameters
    ----------
    data
        Table or column.
    row
        Position, 0 for the first.

    Examples
    --------
    >>> place(pd.DataFrame({"isl": [512, -1]}), 1)
    'row 1 (counted from 0)'
    """
    line = lines_of(data, [row]).get(row)
    return f"row {row} (counted from 0)" if line is None else f"line {line}"


def lines_of(data: pd.DataFrame | pd.Series, rows: Iterable[int]) -> dict[int, int]:
    """Return the line on which each row begins, 1 for the first; empty where no file is known."""
    if _FILE not in data.attrs:
        return {}
    path, kind, delimiter = data.attrs[_FILE]
    wanted = set(rows)
    last = max(wanted, default=-1)
    found: dict[int, int] = {}
    with open_text(path, newline="") as file:
        starts = _starts_of_lines(file) if kind == "jsonl" else _starts_of_records(file, delimiter)
        for row, line in enumerate(starts):
            if row in wanted:
                found[row] = line
            if row >= last:
                break
    return found


def _starts_of_lines(file: IO[str]) -> Iterator[int]:
    return (number for number, line in enumerate(file, start=1) if line.strip())


def _starts_of_records(file: IO[str], delimiter: str) -> Iterator[int]:
    """Yield the line of each record after the header; a record may span lines inside quotes."""
    csv.field_size_limit(1 << 24)
    reader = csv.reader(file, delimiter=delimiter)
    begin, header = 1, True
    for cells in reader:
        if cells and not header:
            yield begin
        header = header and not cells
        begin = reader.line_num + 1
