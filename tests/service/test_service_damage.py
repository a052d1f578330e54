"""A damaged state goes on: what is left is used, what is lost is said."""

import contextlib
import json
import random
import shutil
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from service_postgres import Postgres
from service_process import until
from service_rows import ROW, body

from lengthwise.interfaces.service.acknowledged import FILE as ACKNOWLEDGED
from lengthwise.interfaces.service.current import CurrentLaw
from lengthwise.interfaces.service.law_source import StoreSource
from lengthwise.interfaces.service.settings import ServiceSettings
from lengthwise.interfaces.service.sqlite_store import FILE, SqliteStore
from lengthwise.interfaces.service.store import Round, ServiceUnavailable
from lengthwise.interfaces.service.trainer import Trainer

BATCHES, ROWS = 40, 25


def requests(count: int, rng: random.Random) -> list[dict[str, Any]]:
    lengths = [int(2 ** rng.uniform(6, 12)) for _ in range(count)]
    return [
        {**ROW, "input_token_length": n, "actual_ttft_ms": (20 + 0.1 * n) * rng.uniform(0.9, 1.1)}
        for n in lengths
    ]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A state with rows, ids, laws and a learner."""
    folder = tmp_path_factory.mktemp("whole") / "state"
    store = SqliteStore(folder)
    trainer = Trainer(ServiceSettings(state=folder), store)
    rng = random.Random(3)
    for part in range(BATCHES):
        rows = requests(ROWS, rng)
        ids = [f"{part}-{i}" for i in range(ROWS)]
        store.append(json.dumps({"entries": rows}).encode(), ROWS, ids=ids, ttft=ROWS)
        if part in (10, 39):
            trainer.round()
            trainer._commit(save=True)
    store.close()
    return folder


@pytest.fixture
def state(whole: Path, tmp_path: Path) -> Path:
    shutil.copytree(whole, tmp_path / "state")
    return tmp_path / "state"


def change(state: Path, sql: str, *values: Any) -> None:
    with sqlite3.connect(state / FILE) as connection:
        connection.execute(sql, values)
    connection.close()


def flip(path: Path, place: int) -> None:
    data = bytearray(path.read_bytes())
    data[place] ^= 0x41
    path.write_bytes(data)


class Again:
    """A state opened anew, with a trainer and a worker's law."""

    def __init__(self, state: Path) -> None:
        self.store = SqliteStore(state)
        self.trainer = Trainer(ServiceSettings(state=state), self.store)
        self.law = CurrentLaw(StoreSource(self.store))

    def learns(self) -> bool:
        """Take rows, learn them, give the law to workers."""
        self.trainer.round()
        text = json.dumps({"entries": requests(20, random.Random(9))}).encode()
        assert self.store.append(text, 20, ttft=20).accepted == 20
        self.trainer.round()
        self.trainer._commit(save=True)
        self.law.refresh()
        self.store.check()
        return bool(self.store.counts()["waiting"] == 0)

    @property
    def seen(self) -> int:
        assert self.trainer._learner is not None
        return int(self.trainer._learner.status()["targets"]["ttft"]["seen"])

    def told(self) -> str:
        return " | ".join(found["what"] for found in self.store.damage())


@pytest.fixture
def opened() -> Iterator[Any]:
    found: list[Again] = []

    def open_(state: Path) -> Again:
        found.append(Again(state))
        return found[-1]

    yield open_
    for one in found:
        one.store.close()


def test_a_whole_state_says_nothing(state: Path, opened: Any) -> None:
    again = opened(state)
    assert again.learns()
    assert again.seen == BATCHES * ROWS + 20
    assert again.store.damage() == []


@pytest.mark.parametrize("name", ["learner", "trainer", "live", "clock", "totals", "ages"])
@pytest.mark.parametrize("byte", [b"\xff", b"]", b"7"])
def test_a_damaged_document_is_set_aside(state: Path, opened: Any, name: str, byte: bytes) -> None:
    with sqlite3.connect(state / FILE) as connection:
        connection.text_factory = bytes
        (text,) = connection.execute("SELECT body FROM documents WHERE name = ?", [name]).fetchone()
    connection.close()
    changed = text[: len(text) // 2] + byte + text[len(text) // 2 + 1 :]
    if changed == text:
        return
    change(state, "UPDATE documents SET body = CAST(? AS TEXT) WHERE name = ?", changed, name)
    again = opened(state)
    assert again.learns()
    assert again.seen == BATCHES * ROWS + 20
    assert name in again.told()


def test_without_both_learners_all_stored_rows_are_learnt_again(
    state: Path, opened: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    change(state, "UPDATE documents SET body = replace(body, '1', '2') WHERE name LIKE 'learner%'")
    again = opened(state)
    assert again.learns()
    assert again.seen == BATCHES * ROWS + 20
    assert f"{BATCHES * ROWS} rows are learnt again" in capsys.readouterr().err


def test_a_damaged_law_gives_way_to_the_last_good_one(state: Path, opened: Any) -> None:
    change(state, "UPDATE laws SET body = replace(body, '0.1', '0.2')"
                  " WHERE version = (SELECT active FROM totals)")  # fmt: skip
    store = SqliteStore(state)
    version, _, text = store.active() or (0, "", None)
    store.close()
    assert text is not None
    assert json.loads(text)["version"] == version == 2
    assert opened(state).learns()


def test_a_law_damaged_while_it_is_served_gives_way(state: Path, opened: Any) -> None:
    again = opened(state)
    before = again.store.active()
    change(state, "UPDATE laws SET body = '{}' WHERE version = (SELECT active FROM totals)")
    assert again.store.active()[0] == before[0] - 1
    assert again.store.law(before[0]) is None
    assert again.store.active(before[1])[0] == before[0] - 1


@pytest.mark.parametrize("column", ["accepted", "learnt", "pruned", "newest", "active"])
@pytest.mark.parametrize("value", [0, 7, 10**12, "x", 2**62])
def test_damaged_counters_are_mended(state: Path, opened: Any, column: str, value: Any) -> None:
    change(
        state, f"UPDATE totals SET {column} = ?", 3 if (column, value) == ("pruned", 0) else value
    )
    again = opened(state)
    assert again.learns()
    counts = again.store.counts()
    assert (counts["accepted"], counts["stored"]) == (BATCHES * ROWS + 20,) * 2
    assert again.seen == BATCHES * ROWS + 20
    assert column in again.told()


@pytest.mark.parametrize("change_", ["body = x'7b7d'", "skip = 'x'", "received_s = 5.0",
                                     "count = 3", "body = 'text'"])  # fmt: skip
def test_a_damaged_batch_is_not_learnt_and_counted(state: Path, opened: Any, change_: str) -> None:
    change(state, "UPDATE totals SET learnt = 0")
    change(state, "DELETE FROM documents WHERE name LIKE 'learner%' OR name = 'totals'")
    change(state, f"UPDATE batches SET {change_} WHERE last = {ROWS * 3}")
    again = opened(state)
    assert again.learns()
    assert again.seen == (BATCHES - 1) * ROWS + 20
    assert again.store.counts()["quarantined"] == {"the stored batch is damaged": 1}
    assert "lost" in again.told()


def test_a_damaged_page_costs_its_rows_only(state: Path, opened: Any) -> None:
    data = bytearray((state / FILE).read_bytes())
    at = data.index(b'"entries"', len(data) // 8) // 4096 * 4096
    data[at : at + 4096] = bytes(4096)
    (state / FILE).write_bytes(data)
    again = opened(state)
    assert again.learns()
    lost = [found["rows_lost"] for found in again.store.damage()]
    counts = again.store.counts()
    assert 0 < sum(lost) <= 4 * ROWS
    assert again.store.append(body(2), 2, ids=["39-1", "38-2"]).duplicates == 2
    assert len(again.store.read(0, 10**6)) == BATCHES * ROWS - sum(lost) + 20
    assert counts["accepted"] == BATCHES * ROWS + 20
    assert len(list(state.glob(f"{FILE}.damaged-*"))) == 1


@pytest.mark.parametrize("place", [3, 17, 30, 55, 62, 100, 105, 110])
def test_a_damaged_head_costs_nothing(state: Path, opened: Any, place: int) -> None:
    flip(state / FILE, place)
    again = opened(state)
    assert again.learns()
    assert again.seen == BATCHES * ROWS + 20
    assert len(again.store.read(0, 10**6)) == BATCHES * ROWS + 20


@pytest.mark.parametrize("kind", ["directory", "link"])
def test_what_is_no_file_is_moved_aside(state: Path, opened: Any, kind: str) -> None:
    (state / FILE).unlink()
    if kind == "link":
        (state / FILE).symlink_to("nowhere/at/all")
    else:
        (state / FILE).mkdir()
    again = opened(state)
    assert again.learns()
    assert f"lost: {BATCHES * ROWS} observations" in again.told()


def test_rows_of_a_cut_log_are_counted(
    whole: Path, tmp_path: Path, opened: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(whole, tmp_path / "state")
    store = SqliteStore(tmp_path / "state")
    for _ in range(10):
        store.append(body(5), 5)
    shutil.copytree(tmp_path / "state", tmp_path / "killed")  # as a power cut leaves it
    store.close()
    log = tmp_path / "killed" / f"{FILE}-wal"
    log.write_bytes(log.read_bytes()[: log.stat().st_size // 2])
    again = opened(tmp_path / "killed")
    kept = again.store.counts()["accepted"] - BATCHES * ROWS
    assert 0 <= kept < 50
    assert f"lost: {50 - kept} observations that had been acknowledged" in capsys.readouterr().err
    assert again.store.damage()[-1]["rows_lost"] == 50 - kept
    assert again.learns()


@pytest.mark.parametrize("content", [b"", b"x", b"9" * 31 + b"\n"])
def test_a_damaged_count_of_acknowledged_rows_does_no_harm(
    state: Path, opened: Any, content: bytes
) -> None:
    (state / ACKNOWLEDGED).write_bytes(content)
    again = opened(state)
    assert again.learns()
    assert again.store.damage() == []


def test_any_byte_may_be_damaged(state: Path, whole: Path, opened: Any) -> None:
    rng = random.Random(7)
    size = (whole / FILE).stat().st_size
    for _ in range(8):
        shutil.rmtree(state)
        shutil.copytree(whole, state)
        if rng.random() < 0.25:
            (state / FILE).write_bytes((whole / FILE).read_bytes()[: rng.randrange(size)])
        else:
            flip(state / FILE, rng.randrange(size))
        again = opened(state)
        assert again.learns()
        again.store.get("live")
        again.store.quarantined()
        again.store.laws()


def test_a_state_damaged_while_it_is_used_is_replaced_when_all_let_go(
    state: Path, opened: Any
) -> None:
    first, second = opened(state), opened(state)
    assert second.store.counts()["accepted"] == first.store.counts()["accepted"]
    with (state / FILE).open("rb+") as file:
        file.seek(2 * 4096)  # where the ids begin
        file.write(b"\xff" * 4096)
    with pytest.raises(ServiceUnavailable, match="damaged"):
        first.store.append(body(1), 1, ids=["new"])

    def both_work() -> bool:
        taken = 0
        for again in (first, second):
            with contextlib.suppress(ServiceUnavailable):
                taken += again.store.append(body(3), 3).accepted
                again.store.read(0, 10**6)
        return taken == 6

    assert until(both_work, 10)
    assert second.store.counts()["accepted"] == first.store.counts()["accepted"]
    assert len(list(state.glob(f"{FILE}.damaged-*"))) == 1
    assert "carried over" in first.told()


def test_states_without_checksums_are_read(state: Path, opened: Any) -> None:
    with sqlite3.connect(state / FILE) as connection:
        for name, text in connection.execute("SELECT name, body FROM documents").fetchall():
            found = json.loads(text)["body"]
            plain = found["learner"] if name.startswith("learner") else found
            connection.execute("UPDATE documents SET body = ? WHERE name = ?",
                               (json.dumps(plain), name))  # fmt: skip
        connection.execute("DELETE FROM documents WHERE name IN ('totals', 'ages', 'damage',"
                           " 'learner_before')")  # fmt: skip
        connection.execute("ALTER TABLE batches DROP COLUMN crc")
    connection.close()
    (state / ACKNOWLEDGED).unlink()
    again = opened(state)
    assert again.learns()
    assert again.seen == BATCHES * ROWS + 20
    assert again.store.damage() == []


def test_a_wrong_clock_deletes_nothing(
    state: Path, opened: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    again = opened(state)
    assert again.learns()
    real = time.time
    for days in (30, 7000, -4000):
        monkeypatch.setattr(time, "time", lambda days=days: real() + 86400.0 * days)
        again.trainer._pruned = -1e9
        again.trainer.round()
        assert again.store.counts()["pruned"] == 0
    assert again.store.append(body(1), 1, ids=["0-0"]).duplicates == 1


def test_a_damaged_database_of_postgres_is_mended(postgres: Postgres) -> None:
    from lengthwise.interfaces.service.postgres_store import PostgresStore

    postgres.clear()
    store = PostgresStore(postgres.url)
    store.append(body(5), 5)
    store.commit(Round(cursor=5, learner="{}", law={"a": 1}, documents={"live": {}}))
    store.commit(Round(law={"a": 2}))
    with store._writing.change() as run:
        run("UPDATE documents SET body = '[1' WHERE name = 'live'")
        run("UPDATE laws SET body = '{}' WHERE version = 2")
        run("UPDATE totals SET learnt = 999")
        run("UPDATE batches SET body = ?", b"[]")
    store.close()
    again = PostgresStore(postgres.url)
    assert again.active() is not None
    assert again.active()[0] == 1
    assert again.get("live") is None
    assert again.append(body(2), 2).last_sequence == 7
    assert len(again.damage()) >= 3
    again.close()


def test_metrics_are_given_while_the_database_is_away(
    settings: ServiceSettings, postgres: Postgres
) -> None:
    from lengthwise.interfaces.http.context import Context
    from lengthwise.interfaces.http.llmd_metrics import LlmdMetrics
    from lengthwise.interfaces.http.state_metrics import state_lines
    from lengthwise.interfaces.http.tally import Tally
    from lengthwise.interfaces.service.postgres_store import PostgresStore

    postgres.clear()
    store = PostgresStore(postgres.url)
    store.append(body(5), 5, ttft=5)
    context = Context(settings, store, CurrentLaw(StoreSource(store)))
    llm_d = LlmdMetrics(context, Tally(context))
    assert "lengthwise_store_up 1" in state_lines(context)
    before = llm_d.metrics(None).body  # type: ignore[arg-type]
    postgres.stop()
    try:
        lines = state_lines(context)
        assert "lengthwise_store_up 0" in lines
        assert "lengthwise_law_version 0" in lines
        assert llm_d.metrics(None).body == before  # type: ignore[arg-type]
    finally:
        postgres.start()
    assert until(lambda: "lengthwise_store_up 1" in state_lines(context))
    store.close()
