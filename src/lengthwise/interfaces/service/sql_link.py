"""One connection, used by one thread at a time, that comes back by itself after a failure.

Whatever the driver raises about the world (disk full, server away, file damaged) becomes
:class:`ServiceUnavailable` with a reason in plain words; the connection is dropped and made again
when it is next needed, at most once every ``RETRY_S``.
"""

from __future__ import annotations

import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from lengthwise.interfaces.service.store import ServiceUnavailable

RETRY_S, IDLE_S = 0.5, 1.0


class Run:
    """Execute statements with ``?`` for values.

    Parameters
    ----------
    connection
        Of the driver; must have ``execute`` and ``cursor().executemany``.
    mark
        How the driver writes a place for a value.
    """

    def __init__(self, connection: Any, mark: str = "?") -> None:
        self._connection, self._mark = connection, mark

    def __call__(self, sql: str, *values: Any) -> list[Any]:
        """Execute one statement and give its rows."""
        cursor = self._connection.execute(self._written(sql), values)
        return cursor.fetchall() if cursor.description else []

    def many(self, sql: str, rows: Sequence[Sequence[Any]]) -> None:
        """Execute one statement for each of the rows."""
        self._connection.cursor().executemany(self._written(sql), rows)

    def _written(self, sql: str) -> str:
        return sql if self._mark == "?" else sql.replace("?", self._mark)


class Link(ABC):
    """A connection with its lock; subclasses say how to open, begin and explain."""

    mark = "?"

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._connection: Any = None
        self._failed: tuple[float, ServiceUnavailable] | None = None
        self._closed = False
        self._used = 0.0

    @abstractmethod
    def open(self) -> Any:
        """Connect; the tables are there afterwards."""

    @abstractmethod
    def begin(self, run: Run) -> None:
        """Begin a transaction that no other writer interleaves with."""

    @abstractmethod
    def explain(self, error: Exception) -> ServiceUnavailable | None:
        """Say in plain words what an error of the driver means; None when it is ours."""

    def is_over(self) -> bool:
        """Whether the connection must be given up and made again."""
        return False

    def alive(self) -> bool:
        """Whether a connection that was idle still works."""
        return True

    @contextmanager
    def use(self) -> Iterator[Run]:
        """Read: every statement sees what is committed at that time."""
        with self._lock, self._explained():
            yield Run(self._connected(), self.mark)

    @contextmanager
    def change(self) -> Iterator[Run]:
        """Write: all statements or none; on disk when the block ends."""
        with self._lock, self._explained():
            connection = self._connected()
            run = Run(connection, self.mark)
            self.begin(run)
            try:
                yield run
                connection.execute("COMMIT")
            except BaseException:
                with suppress(Exception):
                    connection.execute("ROLLBACK")
                raise

    def close(self) -> None:
        """Close; nothing works afterwards."""
        with self._lock:
            self._closed = True
            self._drop()

    def _connected(self) -> Any:
        if self._closed:
            raise ServiceUnavailable("the service is stopping")
        if self._failed and time.monotonic() - self._failed[0] < RETRY_S:
            raise self._failed[1]
        now = time.monotonic()
        if self._connection is not None and now - self._used > IDLE_S and not self.alive():
            self._drop()  # it broke while nobody used it: nobody need hear of that
        if self._connection is not None and self.is_over():
            self._drop()
        if self._connection is None:
            self._connection = self.open()
        self._failed, self._used = None, now
        return self._connection

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except ServiceUnavailable:
            raise
        except Exception as error:
            known = self.explain(error)
            if known is None:
                raise
            self._failed = (time.monotonic(), known)
            self._drop()
            raise known from error

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(Exception):
                connection.close()
