"""State in PostgreSQL, for several replicas of the service.

The tables are those of the SQLite file, in the schema ``lengthwise``. Writers take turns with an
advisory lock that ends with the transaction. When the connection breaks during a commit the caller
is told that the rows are not kept although they may be: ids make sending them again harmless.
"""

from __future__ import annotations

import re
from importlib import import_module
from typing import Any

from lengthwise.errors import InputError, MissingExtraError
from lengthwise.interfaces.service.mend import mend
from lengthwise.interfaces.service.postgres_url import remedy, told
from lengthwise.interfaces.service.sql_documents import warn
from lengthwise.interfaces.service.sql_link import Link, Run
from lengthwise.interfaces.service.sql_store import SqlStore
from lengthwise.interfaces.service.sqlite_store import SCHEMA, SCHEMA_VERSION
from lengthwise.interfaces.service.store import ServiceUnavailable

TURN, LEAD = 0x6C656E67, 0x6C656E68
"""Advisory locks: of writers, and of the one trainer."""
TIMEOUT_S = 5


def schema() -> str:
    """Give the tables in PostgreSQL's words.

    >>> "BYTEA" in schema(), "BLOB" in schema()
    (True, False)
    """
    text = SCHEMA.replace(
        "number INTEGER PRIMARY KEY AUTOINCREMENT", "number BIGSERIAL PRIMARY KEY"
    )
    text = text.replace(" WITHOUT ROWID", "").replace("BLOB", "BYTEA")
    text = text.replace("REAL", "DOUBLE PRECISION")
    return re.sub(r"\bINTEGER\b", "BIGINT", text)


def driver() -> Any:
    """Import psycopg, or say how to install it."""
    try:
        return import_module("psycopg")
    except ImportError:
        raise MissingExtraError("psycopg", "postgres") from None


class PostgresLink(Link):
    """A connection to the server."""

    mark = "%s"

    def __init__(self, url: str) -> None:
        super().__init__()
        self.url = url
        self._driver = driver()
        self._looked_over = False

    def open(self) -> Any:
        """Connect; a new database gets its tables."""
        connection = self._driver.connect(
            self.url, autocommit=True, connect_timeout=TIMEOUT_S,
            application_name="lengthwise", keepalives_idle=10, keepalives_interval=5,
            keepalives_count=3,
        )  # fmt: skip
        try:
            connection.execute("SET statement_timeout = '60s'; SET synchronous_commit = on")
            connection.execute("SET search_path = lengthwise")
            self._prepare(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def alive(self) -> bool:
        """Ask the server something small."""
        try:
            self._connection.execute("SELECT 1")
        except (self._driver.Error, OSError):
            return False
        return True

    def begin(self, run: Run) -> None:
        """Begin when it is this writer's turn."""
        run("BEGIN")
        run("SELECT pg_advisory_xact_lock(?)", TURN)

    def explain(self, error: Exception) -> ServiceUnavailable | None:
        """Say what an error of the driver means."""
        errors = self._driver.errors
        if isinstance(error, errors.DiskFull):
            return ServiceUnavailable("the disk of the database is full")
        if isinstance(error, errors.ReadOnlySqlTransaction):
            return ServiceUnavailable("the database cannot be written (a replica?)")
        if isinstance(error, self._driver.IntegrityError | self._driver.ProgrammingError):
            return None
        if isinstance(error, self._driver.Error | OSError):
            return ServiceUnavailable("the database is away", got=told(error), remedy=remedy(error))
        return None

    def _prepare(self, connection: Any) -> None:
        run = Run(connection, self.mark)
        self.begin(run)
        try:
            run("CREATE SCHEMA IF NOT EXISTS lengthwise")
            run("CREATE TABLE IF NOT EXISTS schema_version(version BIGINT NOT NULL)")
            found = run("SELECT version FROM schema_version")
            if not found:
                connection.execute(schema())
                run("INSERT INTO schema_version(version) VALUES (?)", SCHEMA_VERSION)
            elif found[0][0] != SCHEMA_VERSION:
                raise InputError(f"the schema version of the database must be {SCHEMA_VERSION}",
                                 got=str(found[0][0]),
                                 remedy="upgrade lengthwise, or give another database",
                                 )  # fmt: skip
            else:
                _upgrade(run)
            said = [] if self._looked_over else mend(run)
            run("COMMIT")
        except BaseException:
            run("ROLLBACK")
            raise
        self._looked_over = True
        for one in said:
            warn(one)


def _upgrade(run: Run) -> None:
    """Add what an earlier release did not have."""
    if not run("SELECT 1 FROM information_schema.columns WHERE table_schema = 'lengthwise'"
               " AND table_name = 'batches' AND column_name = 'crc'"):  # fmt: skip
        run("ALTER TABLE batches ADD COLUMN crc BIGINT")


class PostgresStore(SqlStore):
    """State in a database by URL.

    Parameters
    ----------
    url
        ``postgresql://user:password@host:port/name``. The server may be away: callers get
        :class:`ServiceUnavailable` until it is back.
    """

    def __init__(self, url: str) -> None:
        super().__init__(PostgresLink(url), PostgresLink(url))
        self._url = url
        self._leading: Any = None

    def lead(self) -> bool:
        """Become, or still be, the one trainer of this state; False while another one is.

        The lock lives as long as its connection; when that breaks it is taken again, or another
        trainer has it.
        """
        psycopg = driver()
        try:
            if self._leading is None:
                connection = psycopg.connect(self._url, autocommit=True, connect_timeout=TIMEOUT_S)
                if not connection.execute("SELECT pg_try_advisory_lock(%s)", (LEAD,)).fetchone()[0]:
                    connection.close()
                    return False
                self._leading = connection
            self._leading.execute("SELECT 1")
        except (psycopg.Error, OSError) as error:
            self._drop_lead()
            raise ServiceUnavailable("the database is away", got=told(error),
                                     remedy=remedy(error)) from None  # fmt: skip
        return True

    def close(self) -> None:
        """Finish what was submitted and close."""
        super().close()
        self._drop_lead()

    def _drop_lead(self) -> None:
        connection, self._leading = self._leading, None
        if connection is not None:
            connection.close()
