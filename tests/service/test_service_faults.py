"""What happens to the state when the world misbehaves."""

import resource
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from service_postgres import Postgres
from service_rows import body

from lengthwise.errors import InputError
from lengthwise.interfaces.service.opening import open_store
from lengthwise.interfaces.service.settings import ServiceSettings
from lengthwise.interfaces.service.sqlite_store import FILE, SqliteStore
from lengthwise.interfaces.service.store import Observed, ServiceUnavailable


@contextmanager
def files_of_at_most(size_bytes: int) -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def fill(path: Path, batches: int = 5) -> None:
    store = SqliteStore(path)
    for _ in range(batches):
        store.append(body(100), 100)
    store.close()


def test_a_damaged_file_is_moved_aside(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fill(tmp_path)
    whole = (tmp_path / FILE).read_bytes()
    (tmp_path / FILE).write_bytes(whole[:4096] + b"\xff" * 8192 + whole[12288:])
    store = SqliteStore(tmp_path)
    assert store.append(body(1), 1).last_sequence == 1
    store.close()
    assert "damaged" in capsys.readouterr().err
    assert len(list(tmp_path.glob(f"{FILE}.damaged-*"))) == 1


@pytest.mark.parametrize("content", [b"hello", b"x" * 10_000])
def test_a_file_that_is_no_database_is_moved_aside(tmp_path: Path, content: bytes) -> None:
    for _ in range(2):  # twice within a second: the names must not collide
        (tmp_path / FILE).write_bytes(content)
        store = SqliteStore(tmp_path)
        assert store.append(body(1), 1).accepted == 1
        store.close()
        for file in tmp_path.glob(f"{FILE}*"):
            if "damaged" not in file.name:
                file.unlink()
    assert len(list(tmp_path.glob(f"{FILE}.damaged-*"))) == 2


def test_state_of_a_newer_version_is_refused_and_kept(tmp_path: Path) -> None:
    fill(tmp_path)
    with sqlite3.connect(tmp_path / FILE) as connection:
        connection.execute("PRAGMA user_version=99")
    connection.close()
    with pytest.raises(InputError, match="99"):
        SqliteStore(tmp_path)
    assert not list(tmp_path.glob("*.damaged-*"))


def test_a_state_that_cannot_be_a_directory(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="--state"):
        SqliteStore(tmp_path / "file" / "state")


def test_a_full_disk_refuses_rows_and_recovers(tmp_path: Path) -> None:
    fill(tmp_path)
    store = SqliteStore(tmp_path)
    before = store.counts()["accepted"]
    with files_of_at_most(400_000):
        kept = 0
        refused: ServiceUnavailable | None = None
        while refused is None and kept < 10_000:
            try:
                kept += store.append(body(100), 100).accepted
            except ServiceUnavailable as error:
                refused = error
        assert "full" in str(refused)
        with pytest.raises(ServiceUnavailable, match="full"):
            store.check()
        assert store.active() is None  # reading goes on
    time.sleep(0.6)
    assert store.append(body(1), 1).accepted == 1
    store.check()
    assert store.counts()["accepted"] == before + kept + 1
    assert len(store.read(0, 10**6)) == before + kept + 1
    store.close()


def test_a_service_opens_on_a_full_disk_and_recovers(tmp_path: Path) -> None:
    with files_of_at_most(0):
        store = SqliteStore(tmp_path)
        with pytest.raises(ServiceUnavailable):
            store.append(body(1), 1)
    time.sleep(0.6)
    assert store.append(body(1), 1).accepted == 1
    store.close()


def test_a_writer_waits_for_another_process(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path)
    other = sqlite3.connect(tmp_path / FILE, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    future = store.submit(Observed(body(2), 2))
    time.sleep(0.3)
    assert not future.done()
    other.execute("COMMIT")
    other.close()
    assert future.result(10).accepted == 2
    store.close()


def test_after_closing_nothing_is_accepted(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path)
    store.append(body(1), 1)
    store.close()
    store.close()
    with pytest.raises(ServiceUnavailable, match="stopping"):
        store.append(body(1), 1)


def test_an_unknown_database_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="postgresql://") as caught:
        open_store(ServiceSettings(state=tmp_path, database="mysql://u:secret@host/db"))
    assert "secret" not in str(caught.value)


def test_a_database_that_goes_away_and_comes_back(postgres: Postgres) -> None:
    from lengthwise.interfaces.service.postgres_store import PostgresStore

    postgres.clear()
    store = PostgresStore(postgres.url)
    store.append(body(3), 3)
    postgres.stop()
    try:
        for _ in range(2):
            with pytest.raises(ServiceUnavailable, match="away"):
                store.append(body(3), 3)
        with pytest.raises(ServiceUnavailable, match="away"):
            store.counts()
        with pytest.raises(ServiceUnavailable, match="away"):
            store.check()
    finally:
        postgres.start()
    time.sleep(0.6)
    assert store.append(body(2), 2).last_sequence == 5
    assert [s for s, _ in store.read(0, 10)] == [1, 2, 3, 4, 5]
    store.close()


def test_two_replicas_share_a_database_and_one_trains(postgres: Postgres) -> None:
    from lengthwise.interfaces.service.postgres_store import PostgresStore

    postgres.clear()
    first, second = PostgresStore(postgres.url), PostgresStore(postgres.url)
    assert first.append(body(2), 2, ids=["a", "b"]).last_sequence == 2
    assert second.append(body(2), 2, ids=["b", "c"]).last_sequence == 3
    assert first.lead()
    assert not second.lead()
    first.close()
    end = time.monotonic() + 10  # the server lets go of the lock when it sees the connection end
    while not second.lead() and time.monotonic() < end:
        time.sleep(0.1)
    assert second.lead()
    second.close()
