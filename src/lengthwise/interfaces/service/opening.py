"""Open the store the settings name."""

from __future__ import annotations

from lengthwise.errors import InputError
from lengthwise.interfaces.service.settings import ServiceSettings
from lengthwise.interfaces.service.sql_store import SqlStore
from lengthwise.interfaces.service.store import Store


def open_store(settings: ServiceSettings) -> Store:
    """Open SQLite in the state directory, or PostgreSQL by URL."""
    if not settings.database:
        from lengthwise.interfaces.service.sqlite_store import SqliteStore

        return _bounded(SqliteStore(settings.state), settings)
    if settings.database.startswith(("postgresql://", "postgres://")):
        from lengthwise.interfaces.service.postgres_store import PostgresStore
        from lengthwise.interfaces.service.postgres_url import check_url

        check_url(settings.database)
        return _bounded(PostgresStore(settings.database), settings)
    raise InputError("the database must be a URL postgresql://user@host/name",
                     got="an address of another kind (hidden, it may hold a password)",
                     remedy="leave --database out for SQLite in the state directory")  # fmt: skip


def _bounded(store: SqlStore, settings: ServiceSettings) -> SqlStore:
    store.keep_rejected = settings.keep_rejected
    return store
