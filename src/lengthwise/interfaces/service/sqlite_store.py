"""State in one SQLite file; the default.

Write-ahead log with ``synchronous=FULL``: a commit returns after the log is on disk, so neither a
killed process nor a power cut loses an acknowledged row. Several processes may use one file; they
wait for each other up to ``BUSY_S``. A file that is damaged is moved aside when the service opens
it, with a message, and a new one begun: the service must come up.
"""

from __future__ import annotations

import sqlite3
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from lengthwise.errors import InputError
from lengthwise.interfaces.service.file_lock import FileLock
from lengthwise.interfaces.service.sql_link import Link, Run
from lengthwise.interfaces.service.sql_store import SqlStore
from lengthwise.interfaces.service.store import ServiceUnavailable

FILE = "service.db"
SCHEMA_VERSION = 1
BUSY_S = 10.0
CHECK_BYTES = 256 << 20
"""Files up to this size are read whole for damage when they are opened (under a second)."""

SCHEMA = """
CREATE TABLE batches(last INTEGER PRIMARY KEY, count INTEGER NOT NULL, received_s REAL NOT NULL,
                     body BLOB NOT NULL, skip TEXT);
CREATE TABLE ids(hash BLOB PRIMARY KEY, sequence INTEGER NOT NULL) WITHOUT ROWID;
CREATE INDEX ids_by_sequence ON ids(sequence);
CREATE TABLE rejected(sequence INTEGER PRIMARY KEY, reason TEXT NOT NULL,
                      received_s REAL NOT NULL, body TEXT NOT NULL);
CREATE TABLE reasons(reason TEXT PRIMARY KEY, count INTEGER NOT NULL);
CREATE TABLE laws(version INTEGER PRIMARY KEY, sha256 TEXT NOT NULL, created_s REAL NOT NULL,
                  note TEXT NOT NULL, size INTEGER NOT NULL, body TEXT NOT NULL);
CREATE TABLE documents(name TEXT PRIMARY KEY, body TEXT NOT NULL);
CREATE TABLE asked(number INTEGER PRIMARY KEY AUTOINCREMENT, command TEXT NOT NULL,
                   detail TEXT NOT NULL);
CREATE TABLE totals(id INTEGER PRIMARY KEY CHECK (id = 1),
                    accepted INTEGER NOT NULL DEFAULT 0, duplicates INTEGER NOT NULL DEFAULT 0,
                    ttft INTEGER NOT NULL DEFAULT 0, tpot INTEGER NOT NULL DEFAULT 0,
                    learnt INTEGER NOT NULL DEFAULT 0, pruned INTEGER NOT NULL DEFAULT 0,
                    newest INTEGER NOT NULL DEFAULT 0, active INTEGER, pinned INTEGER);
INSERT INTO totals(id) VALUES (1);
"""

_REASONS = {
    "full": "the disk is full: observations cannot be kept",
    "disk i/o": "the disk cannot be written or is full: observations cannot be kept",
    "locked": "the database is locked by another process",
    "readonly": "the database cannot be written",
    "unable to open": "the database cannot be opened (disk full, or no permission)",
    "malformed": "the database is damaged; restart the service to begin a new one",
    "not a database": "the database is damaged; restart the service to begin a new one",
}
"""Words of the driver to the reason a caller reads."""


class SqliteLink(Link):
    """A connection to the file."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path

    def open(self) -> Any:
        """Connect; a new file gets its tables, a damaged one is moved aside first."""
        with FileLock(self.path.with_suffix(".open")):
            move_aside_if_damaged(self.path)
            connection = connect(self.path)
            try:
                _prepare(connection, self.path)
            except BaseException:
                connection.close()
                raise
        return connection

    def begin(self, run: Run) -> None:
        """Take the write lock now, so that what is read before writing stays true."""
        run("BEGIN IMMEDIATE")

    def explain(self, error: Exception) -> ServiceUnavailable | None:
        """Say what an error of the driver means."""
        if isinstance(error, sqlite3.IntegrityError | sqlite3.ProgrammingError):
            return None
        if not isinstance(error, sqlite3.Error | OSError):
            return None
        text = str(error).lower()
        for words, reason in _REASONS.items():
            if words in text:
                return ServiceUnavailable(reason)
        return ServiceUnavailable(f"the database does not answer ({text[:100]})")


class SqliteStore(SqlStore):
    """State in a directory.

    Parameters
    ----------
    directory
        Made when it is absent.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as place:
    ...     store = SqliteStore(Path(place))
    ...     receipt = store.append(b'{"entries": [{}, {}]}', 2)
    ...     store.close()
    >>> receipt.accepted
    2
    """

    def __init__(self, directory: Path) -> None:
        self.path = directory / FILE
        try:
            directory.mkdir(parents=True, exist_ok=True)
            FileLock(self.path.with_suffix(".open")).try_once()
        except OSError as error:
            if error.errno in (28, 122, 27):  # no space, quota, file size: begin, and say so later
                pass
            else:
                raise InputError("the state directory must be one we can write to",
                                 got=f"{directory} ({error.strerror})",
                                 remedy="give another with --state DIR") from None  # fmt: skip
        self._trainer = FileLock(directory / "trainer.lock")
        super().__init__(SqliteLink(self.path), SqliteLink(self.path))
        with suppress(ServiceUnavailable):  # it may come back; callers are told until then
            self.counts()

    def lead(self) -> bool:
        """Become, or still be, the one trainer of this state; False while another one is."""
        try:
            return self._trainer.acquire(wait=False)
        except OSError as error:
            raise ServiceUnavailable(f"the state directory cannot be written ({error.strerror})"
                                     ) from None  # fmt: skip

    def close(self) -> None:
        """Finish what was submitted and close."""
        super().close()
        self._trainer.release()


def connect(path: Path) -> sqlite3.Connection:
    """Connect with the settings every connection to the file needs."""
    connection = sqlite3.connect(
        path, timeout=BUSY_S, isolation_level=None, check_same_thread=False
    )
    try:
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "wal_autocheckpoint=2000",
                       "journal_size_limit=67108864", "cache_size=-8192"):  # fmt: skip
            connection.execute(f"PRAGMA {pragma}")
    except BaseException:
        connection.close()
        raise
    return connection


def _prepare(connection: sqlite3.Connection, path: Path) -> None:
    """Make the tables of a new file; refuse one of another version."""
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version == 0:
        connection.executescript(
            f"BEGIN IMMEDIATE; {SCHEMA} PRAGMA user_version={SCHEMA_VERSION}; COMMIT;"
        )
    elif version != SCHEMA_VERSION:
        raise InputError(f"the schema version of the state must be {SCHEMA_VERSION}",
                         got=f"{version} in {path}",
                         remedy="upgrade lengthwise, or give another --state")  # fmt: skip


def move_aside_if_damaged(path: Path) -> Path | None:
    """Rename a damaged file (with its log) and say so; gives the new name."""
    fault = damage(path)
    if fault is None:
        return None
    aside = path.with_name(f"{path.name}.damaged-{time.strftime('%Y%m%dT%H%M%S')}")
    number = 1
    while aside.exists():
        number += 1
        aside = aside.with_name(f"{aside.name.split('_')[0]}_{number}")
    for suffix in ("", "-wal", "-shm"):
        with suppress(FileNotFoundError):
            Path(f"{path}{suffix}").rename(f"{aside}{suffix}")
    print(f"warning: the state file was damaged ({fault}); moved to {aside}, beginning anew",
          file=sys.stderr, flush=True)  # fmt: skip
    return aside


def damage(path: Path) -> str | None:
    """Say what is wrong with the file; None when it is fine, absent, or not readable now."""
    try:
        if not path.exists() or path.stat().st_size == 0:
            return None
        connection = sqlite3.connect(path, timeout=BUSY_S)
    except (OSError, sqlite3.Error):
        return None
    try:
        whole = path.stat().st_size <= CHECK_BYTES
        pragma = "quick_check(1)" if whole else "schema_version"
        answer = connection.execute(f"PRAGMA {pragma}").fetchone()
        connection.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()
        return str(answer[0])[:100] if whole and answer[0] != "ok" else None
    except sqlite3.OperationalError:
        return None  # locked or the disk is full: not damage
    except sqlite3.DatabaseError as error:
        return str(error)
    finally:
        connection.close()
