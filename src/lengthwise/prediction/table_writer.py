"""Write a table piece by piece, in the format its suffix names, at once or not at all."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Any, cast

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from lengthwise.data.files import written_format
from lengthwise.data.output import opened
from lengthwise.data.output_check import check_not_read
from lengthwise.data.spreadsheet import without_formulas
from lengthwise.data.table import format_of
from lengthwise.errors import FileFormatError

Write = Callable[[pd.DataFrame], None]

_TEXT = pa.dictionary(pa.int32(), pa.string())


@contextmanager
def open_writer(source: Path, target: Path) -> Iterator[Write]:
    """Open a table to append pieces to; it appears when all of them are written.

    Parameters
    ----------
    source
        The table the pieces come from: its column types are kept where it declares them.
    target
        File to write.

    Raises
    ------
    FileFormatError
        If its suffix names no format, or a column cannot be written.
    InputError, OutputError
        If it is the source, or as :func:`lengthwise.data.output.opened`.
    """
    kind = written_format(target)
    check_not_read(target, [source])
    try:
        with opened(target) as file, ExitStack() as stack:
            if kind == "parquet":
                yield _Parquet(source, file, stack)
            elif target.suffix.lower() == ".gz":
                packed = cast(IO[bytes], stack.enter_context(gzip.open(file, "wb")))
                yield _lines(packed) if kind == "jsonl" else _delimited(packed, kind)
            else:
                yield _lines(file) if kind == "jsonl" else _delimited(file, kind)
    except pa.ArrowException as error:
        raise FileFormatError(
            f"{target} must be writable", got=str(error).partition("\n")[0][:200],
            remedy="if a column mixes text and numbers write .csv",
        ) from error  # fmt: skip


class _Parquet:
    """Parquet needs one schema for all pieces: the source's, else that of the first piece."""

    def __init__(self, source: Path, file: IO[bytes], stack: ExitStack) -> None:
        self.source, self.file, self.stack = source, file, stack
        self.writer: Any = None
        self.schema: Any = None

    def __call__(self, piece: pd.DataFrame) -> None:
        if self.writer is None:
            self.schema = _schema(piece, self.source)
            self.writer = self.stack.enter_context(pq.ParquetWriter(self.file, self.schema))
        arrays = [_array(piece[field.name], field.type) for field in self.schema]
        self.writer.write_table(pa.Table.from_arrays(arrays, schema=self.schema))


def _schema(piece: pd.DataFrame, source: Path) -> Any:
    known = {}
    if format_of(source) == "parquet":
        declared = pq.read_schema(source)
        known = {name: declared.field(name).type for name in declared.names}
    fields = []
    for name in piece.columns:
        inferred = pa.array(piece[name], from_pandas=True).type
        kind = known.get(str(name).removeprefix("measured_"), inferred)
        if name not in known and not str(name).startswith("measured_"):
            kind = inferred
        if pa.types.is_dictionary(kind):
            kind = _TEXT
        elif pa.types.is_null(kind):
            kind = pa.string()
        elif pa.types.is_integer(kind) and not known:
            kind = pa.float64()  # a later piece of a text file may have empty cells
        fields.append(pa.field(str(name), kind))
    return pa.schema(fields)


def _array(values: pd.Series, kind: Any) -> Any:
    if kind == _TEXT and isinstance(values.dtype, pd.CategoricalDtype):
        codes = values.cat.codes.to_numpy()
        indices = pa.array(codes.astype("int32"), mask=codes < 0)
        names = pa.array([str(c) for c in values.cat.categories], pa.string())
        return pa.DictionaryArray.from_arrays(indices, names)
    if pa.types.is_string(kind) and not isinstance(values.dtype, pd.StringDtype):
        values = values.astype(object).where(values.notna(), None).map(_text)
    return pa.array(values, type=kind, from_pandas=True)


def _text(value: Any) -> str | None:
    return None if value is None else str(value)


def _delimited(file: IO[bytes], kind: str) -> Write:
    first = [True]

    def write(piece: pd.DataFrame) -> None:
        sep = "\t" if kind == "tsv" else ","
        without_formulas(piece).to_csv(
            file, index=False, sep=sep, header=first[0], lineterminator="\n"
        )
        first[0] = False

    return write


def _lines(file: IO[bytes]) -> Write:
    def write(piece: pd.DataFrame) -> None:
        for row in piece.to_dict("records"):
            known = {str(k): v for k, v in row.items() if v is not None and v == v}
            file.write((json.dumps(known, default=str) + "\n").encode())

    return write
