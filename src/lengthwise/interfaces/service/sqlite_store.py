"""State in one SQLite file; the default.

Write-ahead log with ``synchronous=FULL``: a commit returns after the log is on disk, so neither a
killed process nor a power cut loses an acknowledged row. Several processes may use one file; they
wait for each other up to ``BUSY_S``. A file that is damaged is moved aside when the service opens
it, with a message, and a new one made of all that can still be read: the service must come up.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import suppress
from pathlib import Path
from typing import Any

from lengthwise.errors import InputError
from lengthwise.interfaces.service.acknowledged import FILE as ACKNOWLEDGED
from lengthwise.interfaces.service.acknowledged import Acknowledged
from lengthwise.interfaces.service.file_lock import FileLock
from lengthwise.interfaces.service.sql_link import Link, Run
from lengthwise.interfaces.service.sql_store import SqlStore
from lengthwise.interfaces.service.sqlite_damage import (
    BUSY_S,
    lost_by_cut_log,
    mended,
    replace_if_damaged,
)
from lengthwise.interfaces.service.store import ServiceUnavailable

FILE = "service.db"
SCHEMA_VERSION = 1

SCHEMA = """
CREATE TABLE batches(last INTEGER PRIMARY KEY, count INTEGER NOT NULL, received_s REAL NOT NULL,
                     body BLOB NOT NULL, skip TEXT, crc INTEGER);
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

TABLES = f"BEGIN IMMEDIATE; {SCHEMA} PRAGMA user_version={SCHEMA_VERSION}; COMMIT;"

DAMAGED = "the database is damaged; what is left of it is carried over into a new one"
_REASONS = {
    "full": "the disk is full: observations cannot be kept",
    "disk i/o": "the disk cannot be written or is full: observations cannot be kept",
    "locked": "the database is locked by another process",
    "readonly": "the database cannot be written",
    "unable to open": "the database cannot be opened (disk full, or no permission)",
    "malformed": DAMAGED,
    "not a database": DAMAGED,
}
"""Words of the driver to the reason a caller reads."""


class SqliteLink(Link):
    """A connection to the file.

    Whoever is the first to use a state looks it over. One who meets damage later leaves a mark;
    all who use the file see it and let go, and the next one to open it is again the first: a file
    is never replaced while somebody has it open.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path
        self.peers: list[SqliteLink] = []
        """Other connections of this process, which may be idle and must let go too."""
        self._use = FileLock(path.with_suffix(".use"))
        self._mark = os.fspath(path.with_suffix(".mend"))

    def open(self) -> Any:
        """Connect; a new file gets its tables, a damaged one is replaced by what is left of it."""
        with FileLock(self.path.with_suffix(".open")):
            is_marked = os.path.exists(self._mark)
            if is_marked:
                self._let_peers_go()
            first = self._use.share()
            try:
                if is_marked and not first:
                    raise ServiceUnavailable(DAMAGED)
                connection = self._looked_over(thorough=is_marked) if first else self._plain()
            except BaseException:
                self._use.release()
                raise
            if is_marked:
                Path(self._mark).unlink(missing_ok=True)
        return connection

    def begin(self, run: Run) -> None:
        """Take the write lock now, so that what is read before writing stays true."""
        run("BEGIN IMMEDIATE")

    def is_over(self) -> bool:
        """Whether the file is to be mended, for which all must let go of it."""
        return os.path.exists(self._mark)

    def explain(self, error: Exception) -> ServiceUnavailable | None:
        """Say what an error of the driver means."""
        if isinstance(error, sqlite3.ProgrammingError):
            return None
        if not isinstance(error, sqlite3.Error | OSError):
            return None
        text = str(error).lower()
        reason = next((reason for words, reason in _REASONS.items() if words in text), "")
        if reason == DAMAGED or isinstance(error, sqlite3.IntegrityError):
            with suppress(OSError):
                Path(self._mark).touch(mode=0o600)
        return ServiceUnavailable(reason or f"the database does not answer ({text[:100]})")

    def close(self) -> None:
        """Close; nothing works afterwards."""
        super().close()
        self._use.release()

    def _drop(self) -> None:
        super()._drop()
        self._use.release()

    def _let_peers_go(self) -> None:
        for peer in self.peers:
            if peer._lock.acquire(blocking=False):  # else it is in use, and sees the mark itself
                try:
                    peer._drop()
                finally:
                    peer._lock.release()

    def _looked_over(self, *, thorough: bool) -> Any:
        said = replace_if_damaged(self.path, TABLES, thorough=thorough)
        connection = self._plain()
        try:
            said += lost_by_cut_log(connection, self.path)
            try:
                mended(connection, said)
            except sqlite3.DatabaseError as error:
                if isinstance(error, sqlite3.OperationalError):
                    return connection  # full or locked: at the next start
                connection.close()
                said += replace_if_damaged(self.path, TABLES, thorough=True, known=str(error))
                connection = self._plain()
                mended(connection, said)
        except BaseException:
            connection.close()
            raise
        return connection

    def _plain(self) -> Any:
        connection = connect(self.path)
        try:
            _prepare(connection, self.path)
        except BaseException:
            connection.close()
            raise
        return connection


class SqliteStore(SqlStore):
    """State in a directory.

    Parameters
    ----------
    directory
        Made when it is absent. Raises :class:`InputError` when it cannot be; a full disk is
        tolerated: callers get :class:`ServiceUnavailable` until there is room.
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
        self._acknowledged = Acknowledged(directory / ACKNOWLEDGED)
        writing, reading = SqliteLink(self.path), SqliteLink(self.path)
        writing.peers, reading.peers = [reading], [writing]
        super().__init__(writing, reading)
        with suppress(ServiceUnavailable):  # it may come back; callers are told until then
            self.counts()

    def lead(self) -> bool:
        """Become, or still be, the one trainer of this state; False while another one is."""
        try:
            return self._trainer.acquire(wait=False)
        except OSError as error:
            raise ServiceUnavailable(f"the state directory cannot be written ({error.strerror})"
                                     ) from None  # fmt: skip

    def acknowledged(self, last: int) -> None:
        """Take note that rows up to this one are kept."""
        self._acknowledged.write(last)

    def close(self) -> None:
        """Finish what was submitted and close."""
        super().close()
        self._trainer.release()
        self._acknowledged.close()


def connect(path: Path) -> sqlite3.Connection:
    """Connect with the settings every connection to the file needs."""
    connection = sqlite3.connect(
        path, timeout=BUSY_S, isolation_level=None, check_same_thread=False
    )
    connection.text_factory = _text  # a damaged text must not stop the reading of others
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
        connection.executescript(TABLES)
    elif version != SCHEMA_VERSION:
        raise InputError(f"the schema version of the state must be {SCHEMA_VERSION}",
                         got=f"{version} in {path}",
                         remedy="upgrade lengthwise, or give another --state")  # fmt: skip
    elif "crc" not in {row[1] for row in connection.execute("PRAGMA table_info(batches)")}:
        connection.execute("ALTER TABLE batches ADD COLUMN crc INTEGER")  # of an earlier release


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace")
