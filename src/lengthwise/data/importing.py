"""From a file of any shape to a measurement table and the account of how it got there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from lengthwise.data.checks import check_table, skipped_by_reason
from lengthwise.data.lookalikes import RELEVANT, lookalikes
from lengthwise.data.mapping import apply_mapping
from lengthwise.data.report import ImportReport
from lengthwise.data.schema import COLUMNS, DEPLOYMENT
from lengthwise.data.table import format_of, prepare, read_table
from lengthwise.errors import InputError


def import_table(
    path: str | Path, *, maps: Sequence[str] = (), constants: Mapping[str, str] | None = None
) -> tuple[pd.DataFrame, ImportReport]:
    """Read, map, fill in constants, prepare and check a file. Every row is kept.

    Parameters
    ----------
    path
        CSV, TSV, Parquet or JSON lines.
    maps
        Expressions ``target=expression``, see :mod:`lengthwise.data.mapping`.
    constants
        Columns with one value for the whole file; they win over columns of the file.

    Raises
    ------
    InputError
        If the file, an expression or a hard rule of the table fails.
    """
    raw = read_table(path)
    frame = raw.copy()
    if maps:
        frame = apply_mapping(frame, maps)
    frame = frame.assign(
        **{name: _constant(name, text) for name, text in (constants or {}).items()}
    )
    table = prepare(frame)
    return table, report_on(table, str(path), format_of(path), frame)


def report_on(
    table: pd.DataFrame, source: str, kind: str, before: pd.DataFrame | None = None
) -> ImportReport:
    """Account for a prepared table; ``before`` is the frame it was prepared from."""
    skipped = skipped_by_reason(table)
    unknown = [str(name) for name in table.columns if name not in COLUMNS]
    return ImportReport(
        source=source,
        format=kind,
        rows_read=len(table),
        rows_kept=len(table) - sum(skipped.values()),
        skipped=skipped,
        flags=check_table(table),
        assumptions=_assumptions(table, table if before is None else before),
        unknown_columns=unknown,
    )


def _assumptions(table: pd.DataFrame, before: pd.DataFrame) -> list[str]:
    made = []
    if "batch_size" in table:
        given = before["batch_size"].notna().sum() if "batch_size" in before else 0
        filled = int(table["batch_size"].notna().sum() - given)
        if filled > 0:
            made.append(f"batch_size is 1 in {filled:,} rows that say nothing about load")
    phases = [str(phase) for phase in table["phase"].unique()]
    targets = dict.fromkeys([*(c for phase in phases for c in RELEVANT[phase]), *DEPLOYMENT])
    for name, target, mapping in lookalikes(table.columns, targets):
        if target not in table:
            made.append(f"{name} is not read as {target}; to use it: --map {mapping}")
    return made


def _constant(name: str, text: str) -> str | float:
    column = COLUMNS.get(name)
    if column is None or column.kind in ("text", "flag"):
        return text
    try:
        return float(text)
    except ValueError:
        raise InputError(
            f"{name} must be a number ({column.unit or 'no unit'})", got=f"--set {name}={text}",
            remedy=f"write --set {name}=1, or --map {name}=COLUMN to take it from the file",
        ) from None  # fmt: skip
