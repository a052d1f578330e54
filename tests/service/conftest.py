"""Stores to test: SQLite in a directory, PostgreSQL from a server of our own."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from service_postgres import Postgres

from lengthwise.interfaces.service.settings import ServiceSettings
from lengthwise.interfaces.service.sqlite_store import SqliteStore


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    server = Postgres.find()
    if server is None:
        pytest.skip("no PostgreSQL server here (pip install pgserver, or PG_BIN)")
    server.start()
    yield server
    server.remove()


@pytest.fixture(params=["sqlite", "postgres"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Any]:
    if request.param == "sqlite":
        found: Any = SqliteStore(tmp_path / "state")
    else:
        from lengthwise.interfaces.service.postgres_store import PostgresStore

        server = request.getfixturevalue("postgres")
        server.clear()
        found = PostgresStore(server.url)
    yield found
    found.close()


@pytest.fixture
def settings(tmp_path: Path) -> ServiceSettings:
    return ServiceSettings(state=tmp_path / "state", train_every_s=0.1, sync_s=0.1)
