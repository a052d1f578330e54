"""What is done about a SQLite file that is not what was written.

A damaged file is moved aside and a new one made of all that can still be read of it; rows that had
been acknowledged and are not there any more are counted; counters, documents and laws are mended.
All of it is said on standard error and kept for ``/v1/status``.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from lengthwise.interfaces.service.acknowledged import FILE as ACKNOWLEDGED
from lengthwise.interfaces.service.acknowledged import Acknowledged
from lengthwise.interfaces.service.mend import mend
from lengthwise.interfaces.service.rescue import rescue
from lengthwise.interfaces.service.sql_documents import Found, note, warn
from lengthwise.interfaces.service.sql_link import Run
from lengthwise.interfaces.service.sql_rows import is_count

BUSY_S = 10.0
CHECK_BYTES = 256 << 20
"""Files up to this size are read whole for damage when they are opened (under a second)."""
BATCHES = 50_000
"""Newest batches whose checksums are looked at when the file is opened (under a second)."""
MOST_VERSION = 1000
"""A higher version of the schema is no version of ours."""


def mended(connection: sqlite3.Connection, said: Sequence[Found]) -> None:
    """Mend counters, documents and laws; say and keep what was found."""
    run = Run(connection)
    run("BEGIN IMMEDIATE")
    try:
        for one in said:
            note(run, one)
        found = mend(run, BATCHES)
        run("COMMIT")
    except BaseException:
        with suppress(sqlite3.Error):
            run("ROLLBACK")
        raise
    for one in found:
        warn(one)


def lost_by_cut_log(connection: sqlite3.Connection, path: Path) -> list[Found]:
    """Compare the file with what had been acknowledged; says how many rows are missing."""
    kept = Acknowledged(path.parent / ACKNOWLEDGED)
    acknowledged, last = kept.read(), connection.execute("SELECT accepted FROM totals").fetchone()
    accepted = last[0] if last and is_count(last[0]) else 0
    if acknowledged is None or acknowledged <= accepted:
        return []
    kept.reset(accepted)
    kept.close()
    what = (f"lost: {acknowledged - accepted} observations that had been acknowledged (numbers "
            f"{accepted + 1} to {acknowledged}): the database or its log was cut")  # fmt: skip
    found = Found(what, acknowledged - accepted)
    warn(found)
    return [found]


def replace_if_damaged(
    path: Path, schema: str, *, thorough: bool = False, known: str = ""
) -> list[Found]:
    """Put a new file in place of a damaged one, with all of it that can be read; say so.

    Parameters
    ----------
    path
        The file. It gets another name and stays.
    schema
        Statements that make the tables.
    thorough
        Look at all of it, indexes too, however large it is.
    known
        What is wrong with it, where that is known.
    """
    fault = known or damage(path, thorough=thorough)
    if fault is None:
        return []
    new = path.with_name(f"{path.name}.new")
    found = rescue(path, new, schema) if path.is_file() else None
    aside = _name_aside(path)
    for suffix in ("", "-wal", "-shm"):
        with suppress(FileNotFoundError):
            Path(f"{path}{suffix}").rename(f"{aside}{suffix}")
    if found is not None:
        new.rename(path)
    what = f"the state file was damaged ({fault}); moved to {aside.name}; {found or 'a new one'}"
    said = Found(what, 0 if found is None else found.lost)
    warn(said)
    return [said]


def _name_aside(path: Path) -> Path:
    aside = path.with_name(f"{path.name}.damaged-{time.strftime('%Y%m%dT%H%M%S')}")
    number = 1
    while aside.exists():
        number += 1
        aside = aside.with_name(f"{aside.name.split('_')[0]}_{number}")
    return aside


def damage(path: Path, *, thorough: bool = False) -> str | None:
    """Say what is wrong with the file; None when it is fine, absent, or not readable now."""
    try:
        if path.is_symlink() and not path.resolve().parent.is_dir():
            return "a link to nowhere"
        if not path.exists() or path.stat().st_size == 0:
            return None
        if not path.is_file():
            return "no regular file"
        connection = sqlite3.connect(path, timeout=BUSY_S)
    except (OSError, sqlite3.Error):
        return None
    try:
        whole = thorough or path.stat().st_size <= CHECK_BYTES
        check = "integrity_check(1)" if thorough else "quick_check(1)"
        answer = connection.execute(f"PRAGMA {check if whole else 'schema_version'}").fetchone()
        if _is_without_version(connection):
            return "its version is gone"
        return str(answer[0])[:100] if whole and answer[0] != "ok" else None
    except sqlite3.OperationalError:
        return None  # locked or the disk is full: not damage
    except sqlite3.DatabaseError as error:
        return str(error)
    finally:
        connection.close()


def _is_without_version(connection: sqlite3.Connection) -> bool:
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    tables = connection.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()[0]
    return tables > 0 and not 0 < version <= MOST_VERSION
