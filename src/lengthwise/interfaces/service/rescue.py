"""Carry what can be read of a damaged SQLite file over into a new one.

Tables are read in the order of their keys; where a page is damaged the reader jumps ahead until the
next row that can be read. When the first page is damaged (it says where the tables are) that of a
new file takes its place: our tables always stand in the same places. Batches and documents have
checksums, so what is carried over is what was written.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lengthwise.interfaces.service.sql_documents import fits
from lengthwise.interfaces.service.sql_laws import law_fits
from lengthwise.interfaces.service.sql_rows import is_count, stored

TABLES = {
    "totals": "id, accepted, duplicates, ttft, tpot, learnt, pruned, newest, active, pinned",
    "documents": "name, body",
    "laws": "version, sha256, created_s, note, size, body",
    "batches": "last, count, received_s, body, skip, crc",
    "ids": "hash, sequence",
    "rejected": "sequence, reason, received_s, body",
    "reasons": "reason, count",
    "asked": "number, command, detail",
}
"""Tables, the small and precious ones first, and their columns."""
_HASH_BYTES = 16
Row = tuple[Any, ...]


@dataclass
class Rescued:
    """What was carried over: rows by table, and observations; ``expected`` of them were stored."""

    rows: dict[str, int] = field(default_factory=dict)
    observations: int = 0
    expected: int | None = None

    @property
    def lost(self) -> int:
        """Observations that were stored and are no more, as far as that is known."""
        return max((self.expected or 0) - self.observations, 0)

    def __str__(self) -> str:
        of = "" if self.expected is None else f" of {max(self.expected, self.observations)}"
        return (f"{self.observations}{of} stored observations, {self.rows.get('ids', 0)} ids, "
                f"{self.rows.get('laws', 0)} laws and {self.rows.get('documents', 0)} documents "
                f"were carried over; lost: {self.lost} observations")  # fmt: skip


def rescue(path: Path, new: Path, schema: str) -> Rescued:
    """Fill a new file from a damaged one, which stays as it is.

    Parameters
    ----------
    path, new
        The damaged file (its log beside it) and the one to make.
    schema
        Statements that make the tables.
    """
    for suffix in ("", "-wal", "-shm", "-journal"):
        Path(f"{new}{suffix}").unlink(missing_ok=True)
    with closing(sqlite3.connect(new, isolation_level=None)) as target:
        target.executescript(f"PRAGMA synchronous=OFF; {schema}")
    draft = new.with_name(f"{new.name}.draft")
    try:
        _copied(path, draft)
        if _places(draft) != _places(new):
            _repair_first_page(draft, new)
        found = _carry(draft, new)
    finally:
        for suffix in ("", "-wal", "-shm"):
            Path(f"{draft}{suffix}").unlink(missing_ok=True)
    with new.open("rb+") as file:
        os.fsync(file.fileno())
    return found


def _copied(path: Path, draft: Path) -> None:
    for suffix in ("", "-wal"):
        with suppress(FileNotFoundError):
            shutil.copyfile(f"{path}{suffix}", f"{draft}{suffix}")


def _places(path: Path) -> dict[str, int]:
    """Return the first page of each table and index; empty where that cannot be read."""
    try:
        with closing(sqlite3.connect(path)) as connection:
            return dict(connection.execute("SELECT name, rootpage FROM sqlite_master"))
    except sqlite3.Error:
        return {}


def _repair_first_page(draft: Path, new: Path) -> None:
    """Put the first page of a new file in place of that of a damaged one."""
    page = bytearray(new.read_bytes()[:4096])
    pages = -(-draft.stat().st_size // len(page))
    page[18:20] = b"\x02\x02"  # a log stands beside it
    page[28:32] = pages.to_bytes(4, "big")
    page[32:40] = bytes(8)  # no free pages
    with draft.open("rb+") as file:
        file.write(page)


def _carry(draft: Path, new: Path) -> Rescued:
    found = Rescued()
    with (
        closing(sqlite3.connect(draft, isolation_level=None)) as source,
        closing(sqlite3.connect(new, isolation_level=None)) as target,
    ):
        source.text_factory = lambda data: data.decode("utf-8", "replace")
        target.execute("PRAGMA synchronous=OFF")
        target.execute("BEGIN")
        target.execute("DELETE FROM totals")
        for table, columns in TABLES.items():
            marks = ",".join("?" * (columns.count(",") + 1))
            insert = f"INSERT OR IGNORE INTO {table}({columns}) VALUES ({marks})"
            for row in _rows(source, table, columns):
                if _is_fine(table, row):
                    with suppress(sqlite3.Error, OverflowError):
                        target.execute(insert, row)
                        _count(found, table, row)
        target.execute("COMMIT")
    return found


def _is_fine(table: str, row: Row) -> bool:
    if table == "batches":
        return not stored(row).fault
    if table == "documents":
        return fits(str(row[0]), str(row[1]))
    return table != "laws" or law_fits(row[1], row[5])


def _count(found: Rescued, table: str, row: Row) -> None:
    found.rows[table] = found.rows.get(table, 0) + 1
    if table == "batches":
        found.observations += row[1]
    elif table == "totals":
        accepted, pruned = row[1], row[6]
        if is_count(accepted) and is_count(pruned):
            found.expected = max(accepted - pruned, 0)


# reading around damage --------------------------------------------------------------------------


def _rows(source: sqlite3.Connection, table: str, columns: str) -> Iterator[Row]:
    """Read the rows of a table, as many as can be."""
    key = "hash" if table == "ids" else "rowid"
    if not _has_column(source, table, "crc") and table == "batches":
        columns = columns.replace("crc", "NULL")
    place: Callable[[int], Any] = _hash if table == "ids" else int
    sql = f"SELECT {key}, {columns} FROM {table} WHERE {key} > ? ORDER BY {key}"
    most = (1 << 8 * _HASH_BYTES) - 1 if table == "ids" else (1 << 63) - 1
    at, step = -1 if table != "ids" else 0, 1
    while at < most:
        try:
            for row in source.execute(sql, (place(at),)):
                number = _number(row[0])
                if number <= at:
                    raise sqlite3.DatabaseError("rows out of order")
                at, step = number, 1
                yield row[1:]
            return
        except (sqlite3.Error, OverflowError):
            at, step = _next(source, sql, place, at, step, most)


def _next(
    source: sqlite3.Connection, sql: str, place: Callable[[int], Any], at: int, step: int, most: int
) -> tuple[int, int]:
    """Return the least key found from which reading goes on, and how far to jump next time."""
    bad, good = at, min(at + step, most)
    while not _reads(source, sql, place(good)):
        bad, step = good, 2 * step
        good = min(good + step, most)
        if bad == most:
            return most, step
    while good - bad > 1:
        middle = (bad + good) // 2
        if _reads(source, sql, place(middle)):
            good = middle
        else:
            bad = middle
    return good, 2 * step


def _reads(source: sqlite3.Connection, sql: str, place: Any) -> bool:
    try:
        source.execute(f"{sql} LIMIT 1", (place,)).fetchall()
    except (sqlite3.Error, OverflowError):
        return False
    return True


def _has_column(source: sqlite3.Connection, table: str, column: str) -> bool:
    try:
        return any(row[1] == column for row in source.execute(f"PRAGMA table_info({table})"))
    except sqlite3.Error:
        return False


def _hash(number: int) -> bytes:
    return number.to_bytes(_HASH_BYTES, "big")


def _number(key: Any) -> int:
    if isinstance(key, int):
        return key
    return int.from_bytes(bytes(key)[:_HASH_BYTES].ljust(_HASH_BYTES, b"\0"), "big")
