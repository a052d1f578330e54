"""Read and write tables as CSV, TSV, Parquet or JSON lines.

The format is found from the content where the content says it (``PAR1`` opens Parquet, ``{`` opens
JSON lines, gzip has its magic number) and from the suffix otherwise. Files are read in batches, so
that a table larger than memory can be streamed.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import IO, Any

import pandas as pd
import pyarrow as pa

from lengthwise.data import limits
from lengthwise.data.delimited import iter_delimited
from lengthwise.data.law_files import refuse_law
from lengthwise.data.limits import FREE_CELLS
from lengthwise.data.opening import is_packed, open_text, read_head
from lengthwise.data.output import is_stream, opened
from lengthwise.data.parquet import iter_parquet
from lengthwise.data.parsing import parse_json
from lengthwise.data.places import read_from
from lengthwise.data.signatures import binary_guess
from lengthwise.data.spreadsheet import without_formulas
from lengthwise.data.suffixes import SUFFIXES, Format, table_suffix
from lengthwise.data.text_guesses import text_guess
from lengthwise.errors import FileFormatError

_HEAD_BYTES = 1 << 16
_KNOWN = "use .csv, .tsv, .parquet or .jsonl"


def read_table(path: str | Path) -> pd.DataFrame:
    r"""Read a whole table as it is, before any rule of the measurement table is applied.

    Raises
    ------
    FileFormatError
        If the file is missing, empty, damaged, or not what it claims to be.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "t.csv")
    ...     _ = path.write_text("isl,latency_ms\n512,20.5\n")
    ...     read_table(path)["latency_ms"].tolist()
    [20.5]
    """
    parts = list(iter_tables(path))
    return parts[0] if len(parts) == 1 else pd.concat(parts, ignore_index=True)


def read_noted(path: str | Path) -> pd.DataFrame:
    """Read a whole table with a note of its file, by which errors name lines.

    Raises
    ------
    FileFormatError
        As :func:`read_table`.
    """
    path = Path(path)
    kind = format_of(path)
    delimiter = "," if kind in ("parquet", "jsonl") else _delimiter(path, kind)
    return read_from(read_table(path), path, kind, delimiter)


def iter_tables(path: str | Path, rows: int = 1_000_000) -> Iterator[pd.DataFrame]:
    """Read a table in pieces of at most ``rows`` rows, in bounded memory.

    Raises
    ------
    FileFormatError
        As :func:`read_table`, at the piece that is damaged.
    """
    path = Path(path)
    kind = format_of(path)
    read = {"parquet": _iter_parquet, "jsonl": _iter_json_lines}.get(kind)
    pieces = read(path, rows) if read else iter_delimited(path, rows, _delimiter(path, kind))
    found = 0
    for piece in pieces:
        found += len(piece)
        if found > limits.ROWS.value:
            limits.ROWS.refuse(path, "more")
        if len(piece):
            yield piece
    if not found:
        raise FileFormatError(
            "a table needs at least one row", got=f"{path} with column names only",
            remedy="check the tool that wrote it",
        )  # fmt: skip


def format_of(path: str | Path) -> Format:
    """Find the format of a file from its first bytes, else from its suffix."""
    path = Path(path)
    head, packed = _head(path)
    claimed = SUFFIXES.get(table_suffix(path))
    if head.startswith(b"PAR1"):
        return _unpacked(path, packed)
    if claimed == "parquet":
        raise FileFormatError(
            "a Parquet file begins with the bytes PAR1", got=f"{path} beginning {head[:8]!r}",
            remedy="write the file again, or give it the suffix of what it holds",
        )  # fmt: skip
    text = _decoded(path, head).lstrip()
    if not text:
        raise FileFormatError(
            "a table must not be blank", got=f"{path} with white space only",
            remedy="check the tool that wrote it",
        )  # fmt: skip
    if text.startswith("{") or claimed == "jsonl":
        refuse_law(path)
        return "jsonl"
    if text.startswith("["):
        raise FileFormatError(
            "JSON must come as lines, one object per row", got=f"{path} beginning with '['",
            remedy="write it with one object per line (jq -c '.[]' does) and the suffix .jsonl",
        )  # fmt: skip
    guess = text_guess(text)
    if guess is not None:
        raise guess.error(path)
    return claimed or "csv"


def write_table(frame: pd.DataFrame, path: str | Path) -> None:
    """Write a table in the format its suffix names, at once or not at all.

    Numbers come back from every format exactly as they were. A device or a pipe without a suffix,
    and ``-`` for standard output, get CSV.

    Raises
    ------
    FileFormatError
        If the suffix is unknown, or a column cannot be written.
    InputError, OutputError
        As :func:`lengthwise.data.output.opened`.
    """
    path = Path(path)
    kind = written_format(path)
    try:
        with opened(path) as file:
            _WRITERS[kind](frame, file, path.suffix == ".gz")
    except (pa.ArrowException, TypeError) as error:
        raise FileFormatError(
            f"{path} must be writable", got=_first_line(error),
            remedy="check that no column mixes text and numbers",
        ) from error  # fmt: skip


def written_format(path: Path) -> Format:
    """Return the format a table is written in: that of its suffix, CSV where pipes have none.

    Raises
    ------
    FileFormatError
        If the suffix names none.

    Examples
    --------
    >>> written_format(Path("a.tsv.gz")), written_format(Path("-"))
    ('tsv', 'csv')
    """
    kind = SUFFIXES.get(table_suffix(path), "csv" if is_stream(path) else None)
    if kind is None or (kind == "parquet" and path.suffix.lower() == ".gz"):
        raise FileFormatError("the suffix must name a format", got=path.name, remedy=_KNOWN)
    return kind


def _head(path: Path) -> tuple[bytes, bool]:
    """Read the first bytes, unpacked, and whether they were packed."""
    try:
        packed = is_packed(path)
        head = read_head(path, _HEAD_BYTES)
    except FileNotFoundError:
        raise FileFormatError(
            "the file must exist", got=str(path), remedy="check the path"
        ) from None
    except OSError as error:
        raise _damaged(path, error) from error
    if not head:
        raise FileFormatError(
            "a table must not be empty", got=f"{path} with 0 bytes",
            remedy="check the tool that wrote it",
        )  # fmt: skip
    return head, packed


def _unpacked(path: Path, packed: bool) -> Format:
    if packed:
        raise FileFormatError(
            "Parquet packs itself and must not be in gzip", got=str(path), remedy="gunzip it first"
        )
    return "parquet"


def _decoded(path: Path, head: bytes) -> str:
    guess = binary_guess(head, path)
    if guess is not None:
        raise guess.error(path)
    if b"\0" in head:
        raise FileFormatError(
            "a table must be UTF-8 text or Parquet", got=f"{path} beginning {head[:8]!r}",
            remedy=_KNOWN + ", saved as UTF-8",
        )  # fmt: skip
    try:
        return head.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        if error.start >= len(head) - 4 and len(head) == _HEAD_BYTES:
            return head[: error.start].decode("utf-8-sig")  # a character cut by the head's end
        raise FileFormatError(
            "text must be UTF-8", got=f"byte {head[error.start]:#x} at {error.start} in {path}",
            remedy=f"convert it, for example: iconv -f latin1 -t utf-8 {path.name}",
        ) from None  # fmt: skip


def _delimiter(path: Path, kind: Format) -> str:
    head = _decoded(path, _head(path)[0]).lstrip("\n\r").partition("\n")[0]
    return "\t" if kind == "tsv" or ("\t" in head and "," not in head) else ","


def _iter_parquet(path: Path, rows: int) -> Iterator[pd.DataFrame]:
    try:
        yield from iter_parquet(path, rows)
    except (pa.ArrowException, OSError) as error:
        raise _damaged(path, error) from error


def _iter_json_lines(path: Path, rows: int) -> Iterator[pd.DataFrame]:
    records: list[dict[str, Any]] = []
    keys: set[str] = set()
    most, number = limits.LINE.value * 1024, 0
    try:
        with open_text(path) as file:
            while line := file.readline(most + 1):
                number += 1
                if len(line) > most:
                    limits.LINE.refuse(path, f"a longer one, line {number},")
                if line.strip():
                    records.append(_json_row(path, line, number))
                    keys.update(records[-1])
                    if len(keys) > limits.COLUMNS.value:
                        limits.COLUMNS.refuse(path, f"{len(keys):,} up to line {number}")
                if len(records) == rows:
                    yield _frame(records, path)
                    records = []
    except (OSError, UnicodeDecodeError) as error:
        raise _damaged(path, error) from error
    if records:
        yield _frame(records, path)


def _frame(records: list[dict[str, Any]], path: Path) -> pd.DataFrame:
    """Make a table of rows, unless nearly all of its cells would be empty."""
    cells = len(records) * len({key for row in records for key in row})
    if cells > FREE_CELLS and cells > limits.FILL.value * sum(map(len, records)):
        limits.FILL.refuse(path, f"{cells:,} cells, nearly all empty,")
    return pd.DataFrame(records)


def _json_row(path: Path, line: str, number: int) -> dict[str, Any]:
    try:
        row = parse_json(line.strip(), f"line {number} of {path}")
    except json.JSONDecodeError as error:
        raise FileFormatError(
            "each line must be a JSON object", got=f"line {number} of {path}: {error.msg}",
            remedy="mend or delete this line (the last one may be cut off)",
        ) from None  # fmt: skip
    if not isinstance(row, dict):
        raise FileFormatError(
            "each line must be a JSON object", got=f"line {number} of {path}: {line[:40].strip()}",
            remedy='write rows as {"column": value, ...}',
        )  # fmt: skip
    return row


def _write_delimited(
    frame: pd.DataFrame, file: IO[bytes], packed: bool, sep: str = ","
) -> None:  # fmt: skip
    safe = without_formulas(frame)
    safe.to_csv(file, index=False, sep=sep, compression="gzip" if packed else None)


def _write_tabs(frame: pd.DataFrame, file: IO[bytes], packed: bool) -> None:
    _write_delimited(frame, file, packed, sep="\t")


def _write_parquet(frame: pd.DataFrame, file: IO[bytes], packed: bool) -> None:
    frame.to_parquet(file, index=False)


def _write_json_lines(frame: pd.DataFrame, file: IO[bytes], packed: bool) -> None:
    # Not DataFrame.to_json: it rounds to 15 digits, and a table must come back as it was.
    with gzip.open(file, "wb") if packed else nullcontext(file) as lines:
        for start in range(0, len(frame), 10_000):
            for row in frame.iloc[start : start + 10_000].to_dict("records"):
                known = {str(k): v for k, v in row.items() if v is not None and v == v}
                lines.write((json.dumps(known, default=str) + "\n").encode())


_WRITERS: dict[Format, Callable[[pd.DataFrame, IO[bytes], bool], None]] = {
    "csv": _write_delimited, "tsv": _write_tabs, "parquet": _write_parquet,
    "jsonl": _write_json_lines,
}  # fmt: skip


def _damaged(path: Path, error: Exception) -> FileFormatError:
    return FileFormatError(
        f"{path} must be readable to its end", got=_first_line(error),
        remedy="the file is damaged or cut off: copy or write it again",
    )  # fmt: skip


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
