"""Read CSV and TSV in batches, strictly: every line has as many cells as there are names."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING

import pandas as pd
import pyarrow as pa
import pyarrow.compute as compute

from lengthwise.data import limits
from lengthwise.data.kinds import is_number
from lengthwise.data.opening import open_file, open_text
from lengthwise.data.schema import COLUMNS
from lengthwise.data.spreadsheet import is_on, unquoted
from lengthwise.errors import FileFormatError

if TYPE_CHECKING:
    import pyarrow.csv as pc

_BLOCK_BYTES = 4 << 20
_NULLS = ["", "NA", "N/A", "n/a", "NaN", "nan", "null", "NULL", "None", "#N/A"]


def iter_delimited(path: Path, rows: int, delimiter: str) -> Iterator[pd.DataFrame]:
    """Yield pieces of at most ``rows`` rows of a delimited text file."""
    names, lines = _header(path, delimiter)
    held: list[pd.DataFrame] = []
    count, multiline = 0, False
    try:
        with open_file(path) as file, _open(file, names, lines, delimiter) as reader:
            for batch in reader:
                piece = _plain(batch, path)
                multiline = multiline or _has_newline(batch)
                held.append(piece)
                count += len(piece)
                while count >= rows:
                    joined = pd.concat(held, ignore_index=True)
                    yield _inferred(joined.iloc[:rows])
                    held, count = [joined.iloc[rows:]], count - rows
    except (pa.ArrowException, OSError, EOFError) as error:
        raise _uneven(path, delimiter, error) or _explained(path, error) from error
    if multiline:
        _check_quotes(path)
    if count:
        yield _inferred(pd.concat(held, ignore_index=True))


def _open(
    file: IO[bytes], names: list[str], lines: int, delimiter: str
) -> pc.CSVStreamingReader:  # fmt: skip
    import pyarrow.csv as pc  # here: points without a file should not wait for it

    # Everything is read as text first: a type inferred from the first block can be wrong later.
    return pc.open_csv(
        file,
        read_options=pc.ReadOptions(
            column_names=names, skip_rows=lines, block_size=_BLOCK_BYTES, use_threads=False
        ),
        parse_options=pc.ParseOptions(delimiter=delimiter, newlines_in_values=True),
        convert_options=pc.ConvertOptions(
            column_types={name: pa.string() for name in names}, null_values=_NULLS,
            strings_can_be_null=True,
        ),
    )  # fmt: skip


def _header(path: Path, delimiter: str) -> tuple[list[str], int]:
    """Read and check the column names; also give the number of lines they take."""
    with open_text(path, newline="") as file:
        reader = csv.reader(file, delimiter=delimiter)
        try:
            names = [name.strip() for name in next(row for row in reader if row)]
        except (csv.Error, UnicodeDecodeError, EOFError, OSError) as error:
            raise _explained(path, error) from error
        lines = reader.line_num
    names = [unquoted(name) for name in names] if is_on() else names
    _check_names(path, names)
    return [name or f"Unnamed: {i}" for i, name in enumerate(names)], lines


def _check_names(path: Path, names: list[str]) -> None:
    if len(names) > limits.COLUMNS.value:
        limits.COLUMNS.refuse(path, f"{len(names):,}", "keep the columns of measurements")
    if len(names) == 1 and re.search(r"[;|]|\S +\S+ +\S", names[0]):
        raise FileFormatError(
            "columns must be separated by commas or tabs", got=f"one column {names[0]!r} in {path}",
            remedy="save it with commas (and points, not commas, in numbers)",
        )  # fmt: skip
    twice = sorted({name for name in names if name and names.count(name) > 1})
    if twice:
        raise FileFormatError(
            "column names must be unique", got=f"{', '.join(twice)} twice in {path}",
            remedy="rename or delete one of them",
        )  # fmt: skip
    if names and all(is_number(name) for name in names):
        raise FileFormatError(
            "the first line must hold the column names", got=f"{','.join(names[:4])} in {path}",
            remedy="put a line of column names on top, for example phase,isl,latency_ms",
        )  # fmt: skip


def _plain(batch: pa.RecordBatch, path: Path) -> pd.DataFrame:
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        longest = compute.max(compute.binary_length(column)).as_py() or 0
        if longest > limits.CELL.value * 1024:
            limits.CELL.refuse(path, f"{longest:,} bytes in column {name!r:.60}",
                               "drop columns of prompts and answers before importing",
                               )  # fmt: skip
    return pd.DataFrame(_unquoted(batch).to_pandas())


def _unquoted(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Take away the quotes that keep cells from being formulas in a spreadsheet."""
    if not is_on():
        return batch
    for i, column in enumerate(batch.columns):
        if compute.any(compute.starts_with(column, "'")).as_py():
            values = pa.array([unquoted(cell) for cell in column.to_pylist()], pa.string())
            batch = batch.set_column(i, batch.schema.names[i], values)
    return batch


def _has_newline(batch: pa.RecordBatch) -> bool:
    return any(
        compute.any(compute.match_substring(column, "\n")).as_py() for column in batch.columns
    )


def _check_quotes(path: Path) -> None:
    """Refuse an odd number of quotes: one that is never closed swallows rows without a word."""
    with open_file(path) as file:
        quotes = sum(block.count(b'"') for block in iter(lambda: file.read(1 << 20), b""))
    if quotes % 2:
        raise FileFormatError(
            "every double quote must be closed", got=f"{quotes} of them in {path}",
            remedy="close the quote, or write a quote inside a cell twice",
        )  # fmt: skip


def _inferred(frame: pd.DataFrame) -> pd.DataFrame:
    """Make columns of numbers numeric, except text columns: version 0.10 is not 0.1."""
    out = {name: _number_or_text(name, frame[name]) for name in frame}
    return pd.DataFrame(out).reset_index(drop=True)


def _number_or_text(name: object, values: pd.Series) -> pd.Series:
    column = COLUMNS.get(str(name))
    if column is not None and column.kind in ("text", "flag"):
        return values
    try:
        return pd.to_numeric(values)
    except (ValueError, TypeError):
        return values


def _uneven(path: Path, delimiter: str, error: Exception) -> FileFormatError | None:
    """Return the error for a line with another number of cells, if that is what is wrong."""
    if "Expected" not in str(error):
        return None
    with open_text(path, newline="") as file:
        reader = csv.reader(file, delimiter=delimiter)
        names = next(row for row in reader if row)
        begin = reader.line_num + 1
        for cells in reader:
            if cells and len(cells) != len(names):
                break
            begin = reader.line_num + 1
    return FileFormatError(
        "every line must have as many cells as there are column names",
        got=f"{len(cells)} cells in line {begin} of {path} and {len(names)} names",
        remedy="mend this line; put text with commas in double quotes",
    )


def _explained(path: Path, error: Exception) -> FileFormatError:
    text = (str(error).strip().splitlines() or [type(error).__name__])[0]
    if isinstance(error, UnicodeDecodeError) or "UTF8" in text or "utf-8" in text:
        return FileFormatError(
            "text must be UTF-8", got=f"other bytes in {path}",
            remedy=f"convert it, for example: iconv -f latin1 -t utf-8 {path.name}",
        )  # fmt: skip
    if "straddl" in text or "field larger" in text:
        return FileFormatError(
            f"a row must be under {_BLOCK_BYTES:,} bytes", got=f"a longer one in {path}",
            remedy="drop columns of prompts and answers; an unclosed quote does this too",
        )  # fmt: skip
    return FileFormatError(
        f"{path} must be readable to its end", got=text[:200],
        remedy="the file is damaged or cut off: copy or write it again",
    )  # fmt: skip
