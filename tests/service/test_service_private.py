"""What must stay private: the state, tokens, credentials; and what is kept is bounded."""

from __future__ import annotations

import json
import os
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from service_process import Service, until
from service_rows import ROW

from lengthwise.errors import InputError
from lengthwise.interfaces.service import rows as reading
from lengthwise.interfaces.service.law_source import HttpSource
from lengthwise.interfaces.service.opening import open_store
from lengthwise.interfaces.service.private import private_folder
from lengthwise.interfaces.service.settings import ServiceSettings
from lengthwise.interfaces.service.sqlite_store import SqliteStore
from lengthwise.interfaces.service.store import Observed, Rejected, ServiceUnavailable

pytest.importorskip("uvicorn")


def test_the_state_is_for_its_owner_alone(tmp_path: Path) -> None:
    state = tmp_path / "state"
    service = Service(state)
    assert service.ask("/add_training_data_bulk", {"entries": [ROW]})[0] == 202
    until(lambda: (state / "law.json").exists(), 10)
    assert service.end() == 0
    assert stat.S_IMODE(state.stat().st_mode) == 0o700
    assert {stat.S_IMODE(file.stat().st_mode) for file in state.iterdir()} == {0o600}
    state.chmod(0o755)
    (state / "service.db").chmod(0o644)
    private_folder(state)  # of an earlier release
    assert stat.S_IMODE(state.stat().st_mode) == 0o700
    assert stat.S_IMODE((state / "service.db").stat().st_mode) == 0o600


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_the_state_of_another_user_is_refused(tmp_path: Path) -> None:
    theirs = tmp_path / "theirs"
    theirs.mkdir(mode=0o777)
    os.chown(theirs, 65534, 65534)
    service = Service(theirs)
    assert service.end() == 2
    assert "state directory must be ours" in service.errors
    assert list(theirs.iterdir()) == []


def test_a_folder_that_holds_other_things_keeps_its_mode(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    (tmp_path / "else.txt").write_text("x")
    private_folder(tmp_path)
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o755


class Trainer(BaseHTTPRequestHandler):
    """Notes what it was told; redirects where its server says."""

    def do_GET(self) -> None:
        self.server.seen.append(self.headers.get("Authorization"))  # type: ignore[attr-defined]
        to = self.server.to if "again" not in self.path else ""  # type: ignore[attr-defined]
        self.send_response(302 if to else 404)
        if to:
            self.send_header("Location", to)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def served(to: str = "") -> Iterator[HTTPServer]:
    server = HTTPServer(("127.0.0.1", 0), Trainer)
    server.seen, server.to = [], to  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_a_token_goes_to_the_trainer_alone() -> None:
    with served() as other:
        elsewhere = f"http://127.0.0.1:{other.server_port}/steal"
        with served(elsewhere) as trainer:
            source = HttpSource(f"http://127.0.0.1:{trainer.server_port}", "s3cret")
            with pytest.raises(ServiceUnavailable, match="another address"):
                source.fetch("")
            assert trainer.seen == ["Bearer s3cret"]  # type: ignore[attr-defined]
        assert other.seen == []  # type: ignore[attr-defined]
    with served("/again") as trainer:
        assert HttpSource(f"http://127.0.0.1:{trainer.server_port}", "s3cret").fetch("") is None
        assert trainer.seen == ["Bearer s3cret"] * 2  # type: ignore[attr-defined]


def test_credentials_of_an_address_are_sent_and_never_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with served() as trainer:
        address = f"http://u:hunter2@127.0.0.1:{trainer.server_port}"
        assert HttpSource(address).fetch("") is None
        assert trainer.seen == ["Basic dTpodW50ZXIy"]  # type: ignore[attr-defined]
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    with pytest.raises(ServiceUnavailable) as caught:
        HttpSource("http://u:hunter2@trainer.example:9", timeout_s=2.0).fetch("")
    assert "add trainer.example to NO_PROXY" in str(caught.value)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    ["host=db password=hunter2", "mysql://lw:hunter2/x", "postgresql://u:hunter2@x@h/x",
     "postgresql://u:hun/ter2@h/x", "postgresql://u:hunter2@h:12ab/x",
     "postgresql://u:p@h/x?pasword=hunter2", "postgresql://u:hunter 2@h/x"],
)  # fmt: skip
def test_odd_addresses_of_databases_are_refused_without_being_told(
    tmp_path: Path, url: str
) -> None:
    pytest.importorskip("psycopg")
    with pytest.raises(InputError) as caught:
        open_store(ServiceSettings(state=tmp_path, database=url))
    assert not any(part in str(caught.value) for part in ("hunter", "ter2", "12ab"))


def test_rows_kept_apart_are_capped_and_shown_in_part(tmp_path: Path) -> None:
    store = open_store(ServiceSettings(state=tmp_path, keep_rejected=10))
    try:
        rows = [Rejected(i, "odd", 1.0, {"body": "x" * 20_000}) for i in range(1, 51)]
        store.quarantine(rows)
        kept = store.quarantined()
        assert [row.sequence for row in kept] == list(range(41, 51))
        assert all(len(json.dumps(dict(row.row))) < 1100 for row in kept)
        assert store.counts()["quarantined"] == {"odd": 50}
    finally:
        store.close()


def test_large_bodies_of_earlier_releases_are_read_in_pieces(tmp_path: Path) -> None:
    junk = b"[" + b"[]," * 300_000 + b"0]"
    row = json.dumps(ROW).encode()
    sent = b'{"entries":[' + b",".join([row[:-1] + b',"x":' + junk + b"}", row]) + b"]}"
    with pytest.raises(ValueError, match="must have at most"):
        reading.entries_of(sent.replace(b"[],", b"[],[],[],[],"))
    many = b'{"entries":[' + b",".join([row] * 5000) + b"]}"
    assert reading.entries_of(many) == [ROW] * 5000
    store = SqliteStore(tmp_path)
    try:
        for _ in range(40):
            store.submit(Observed(many, 5000)).result()
        assert sum(b.count for b in store.batches(0, 5000)) == 5000
        assert len(store.batches(0, 10**6)) < 40  # as many as fit into what is read at once
    finally:
        store.close()
