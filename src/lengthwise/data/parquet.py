"""Read Parquet in batches, within limits that its footer and its dictionaries are held against.

A column that repeats one value costs nothing in the file and all its rows in memory: what counts
is how many cells a byte of the file stands for. Texts are read as dictionaries, since a long one
that is stored once may be meant a million times.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as compute

from lengthwise.data import limits
from lengthwise.data.limits import FREE_BYTES, FREE_CELLS, MIB
from lengthwise.data.opening import open_file
from lengthwise.errors import FileFormatError

_TEXT_BYTES = 64
"""Mean length of a text that is let through whatever the size of the file."""
_CELLS_AT_ONCE = 32_000_000


def iter_parquet(path: Path, rows: int) -> Iterator[pd.DataFrame]:
    """Yield pieces of at most ``rows`` rows; columns of lists or structures of text are left out.

    Raises
    ------
    FileFormatError
        If two columns have one name, or the file unpacks to more than its size allows.
    pyarrow.ArrowException, OSError
        If it is damaged.
    """
    import pyarrow.parquet as pq  # here: points without a file should not wait for it

    with open_file(path, packed=False):
        size = path.stat().st_size
    # pre_buffer would keep the bytes of the whole file, however small the batches.
    with pq.ParquetFile(path, pre_buffer=False) as file:
        schema = file.schema_arrow
        _check_sizes(file.metadata, path, size)
        _check_names(schema.names)
    plain = [field.name for field in schema if _is_text(field.type)]
    wanted = [field.name for field in schema if not _has_nested_text(field.type)]
    rows = max(1, min(rows, _CELLS_AT_ONCE // max(len(wanted), 1)))
    with pq.ParquetFile(path, pre_buffer=False, read_dictionary=plain) as file:
        for batch in file.iter_batches(batch_size=rows, columns=wanted):
            yield _decoded(batch, plain, path, size).to_pandas()


def _check_names(names: list[str]) -> None:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise FileFormatError("column names must be unique", got=", ".join(twice),
                              remedy="rename one")  # fmt: skip


def _check_sizes(footer: Any, path: Path, size: int) -> None:
    if footer.num_columns > limits.COLUMNS.value:
        limits.COLUMNS.refuse(path, f"{footer.num_columns:,}")
    if footer.num_rows > limits.ROWS.value:
        limits.ROWS.refuse(path, f"{footer.num_rows:,}")
    groups = [footer.row_group(i) for i in range(footer.num_row_groups)]
    cells = max(footer.num_rows * footer.num_columns, sum(
        group.column(i).num_values for group in groups for i in range(group.num_columns)
    ))  # fmt: skip
    if cells > max(FREE_CELLS, size * limits.DENSITY.value):
        limits.DENSITY.refuse(path, f"{cells:,} cells in {size:,} bytes")
    unpacked = sum(group.total_byte_size for group in groups)
    if unpacked > max(FREE_BYTES, size * limits.UNPACKED.value):
        limits.UNPACKED.refuse(path, f"{unpacked / MIB:,.0f} MB")


def _is_text(kind: Any) -> bool:
    return any(test(kind) for test in (
        pa.types.is_string, pa.types.is_large_string, pa.types.is_binary, pa.types.is_large_binary,
    ))  # fmt: skip


def _has_nested_text(kind: Any) -> bool:
    inner = [kind.field(i).type for i in range(kind.num_fields)]
    return any(_is_text(one) or _has_nested_text(one) for one in inner)


def _decoded(batch: pa.RecordBatch, plain: list[str], path: Path, size: int) -> pa.RecordBatch:
    """Check the texts of a batch, and turn those that were no dictionaries into what they were."""
    arrays = []
    for name, array in zip(batch.schema.names, batch.columns, strict=True):
        if pa.types.is_dictionary(array.type) and _is_text(array.type.value_type):
            _check_texts(array, name, path, size)
            array = array.dictionary_decode() if name in plain else array
        arrays.append(array)
    return pa.RecordBatch.from_arrays(arrays, names=batch.schema.names)


def _check_texts(array: Any, name: str, path: Path, size: int) -> None:
    lengths = compute.binary_length(array.dictionary)
    longest = compute.max(lengths).as_py() or 0
    if longest > limits.CELL.value * 1024:
        limits.CELL.refuse(path, f"{longest:,} bytes in column {name!r:.60}",
                           "drop columns of prompts and answers")  # fmt: skip
    total = compute.sum(compute.take(lengths, array.indices)).as_py() or 0
    most = max(FREE_BYTES, size * limits.UNPACKED.value, _TEXT_BYTES * len(array))
    if total > most:
        limits.UNPACKED.refuse(path, f"{total / MIB:,.0f} MB of text in column {name!r:.60}",
                               "drop columns of prompts and answers")  # fmt: skip
