"""Write a table piece by piece, in the format its suffix names, at once or not at all."""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from lengthwise.data.files import SUFFIXES
from lengthwise.data.table import format_of
from lengthwise.errors import FileFormatError, InputError

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
    """
    packed = target.suffix.lower() == ".gz"
    kind = SUFFIXES.get((Path(target.stem) if packed else target).suffix.lower())
    if kind is None or (packed and kind == "parquet"):
        raise FileFormatError("the suffix must name a format", got=target.name,
                              remedy="use .csv, .tsv, .parquet or .jsonl")  # fmt: skip
    if not target.parent.is_dir():
        raise FileFormatError("the folder to write to must exist", got=str(target.parent),
                              remedy="make it first")  # fmt: skip
    if source.exists() and target.exists() and source.samefile(target):
        raise InputError("the output must not be the table that is read", got=str(target),
                         remedy="name another file with -o")  # fmt: skip
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        with ExitStack() as stack:
            if kind == "parquet":
                yield _Parquet(source, part, stack)
            else:
                opener: Callable[..., IO[str]] = gzip.open if packed else open
                file = stack.enter_context(opener(part, "wt", encoding="utf-8", newline=""))
                yield _lines(file) if kind == "jsonl" else _delimited(file, kind)
        part.replace(target)
    except (pa.ArrowException, OSError) as error:
        raise FileFormatError(
            f"{target} must be writable", got=str(error).partition("\n")[0][:200],
            remedy="check space and rights; if a column mixes text and numbers write .csv",
        ) from error  # fmt: skip
    finally:
        part.unlink(missing_ok=True)


class _Parquet:
    """Parquet needs one schema for all pieces: the source's, else that of the first piece."""

    def __init__(self, source: Path, part: Path, stack: ExitStack) -> None:
        self.source, self.part, self.stack = source, part, stack
        self.writer: Any = None
        self.schema: Any = None

    def __call__(self, piece: pd.DataFrame) -> None:
        if self.writer is None:
            self.schema = _schema(piece, self.source)
            self.writer = self.stack.enter_context(pq.ParquetWriter(self.part, self.schema))
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


def _delimited(file: IO[str], kind: str) -> Write:
    first = [True]

    def write(piece: pd.DataFrame) -> None:
        sep = "\t" if kind == "tsv" else ","
        piece.to_csv(file, index=False, sep=sep, header=first[0], lineterminator="\n")
        first[0] = False

    return write


def _lines(file: IO[str]) -> Write:
    def write(piece: pd.DataFrame) -> None:
        for row in piece.to_dict("records"):
            known = {str(k): v for k, v in row.items() if v is not None and v == v}
            file.write(json.dumps(known, default=str) + "\n")

    return write
