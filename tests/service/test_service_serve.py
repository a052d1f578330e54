"""The real command, as an operator meets it."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.error import URLError

import pytest
from service_postgres import Postgres
from service_process import Service, alive, until
from service_rows import ROW, body

pytest.importorskip("uvicorn")
pytest.importorskip("orjson")

from lengthwise.interfaces.service.sqlite_store import FILE, SqliteStore

ENTRIES = {"entries": [ROW] * 150}
P = {name: value for name, value in ROW.items() if not name.startswith("actual")}


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Service]]:
    started: list[Service] = []

    def start(*options: str, state: Path | None = None, **more: Any) -> Service:
        started.append(Service(state or tmp_path / "state", *options, **more))
        return started[-1]

    yield start
    for service in started:
        service.kill()


def accepted(state: Path) -> int:
    store = SqliteStore(state)
    try:
        return int(store.counts()["accepted"])
    finally:
        store.close()


def test_learns_answers_and_ends_well(serve: Callable[..., Service], tmp_path: Path) -> None:
    service = serve()
    assert service.line.startswith("lengthwise serves http://127.0.0.1:")
    assert str(tmp_path / "state") in service.line
    assert service.ask("/add_training_data_bulk", ENTRIES)[0] == 202
    learnt = until(
        lambda: (
            service.ask("/v1/status")[1]["observations"]["waiting"] == 0
            and service.ask("/v1/status")[1]["law"]["rows_learnt"]["ttft"] > 0
        )
    )
    assert learnt
    status, answer = service.ask("/predict", P)
    assert status == 200
    assert answer["ttft_ms"] > 0
    children = service.children()
    assert service.end() == 0
    assert until(lambda: not any(alive(pid) for pid in children))
    assert accepted(tmp_path / "state") == 150


def test_an_interrupt_ends_with_130(serve: Callable[..., Service]) -> None:
    service = serve()
    os.kill(service.process.pid, signal.SIGINT)
    assert service.process.wait(30) == 130


def test_what_was_learnt_survives_a_kill(serve: Callable[..., Service]) -> None:
    first = serve()
    assert first.ask("/add_training_data_bulk", ENTRIES)[0] == 202
    children = first.children()
    first.kill()
    assert until(lambda: not any(alive(pid) for pid in children)), "the trainer outlived its parent"
    second = serve()
    assert second.ask("/v1/status")[1]["observations"]["accepted"] == 150
    assert until(lambda: second.ask("/v1/status")[1]["law"]["rows_learnt"]["ttft"] > 0)


def test_a_killed_trainer_comes_back_while_answers_go_on(serve: Callable[..., Service]) -> None:
    service = serve()
    assert until(lambda: service.ask("/v1/laws/active")[0] == 200)
    (trainer,) = service.children()
    os.kill(trainer, signal.SIGKILL)
    assert service.ask("/predict", P)[0] == 200
    assert service.ask("/add_training_data_bulk", ENTRIES)[0] == 202
    assert until(lambda: [pid for pid in service.children() if pid != trainer and alive(pid)])
    assert until(lambda: service.ask("/v1/status")[1]["law"]["rows_learnt"]["ttft"] > 0)
    assert "started again" in service.errors


def test_several_workers_share_port_and_state(serve: Callable[..., Service]) -> None:
    service = serve("--workers", "2")
    assert until(lambda: len(service.children()) == 3)
    for _ in range(6):
        assert service.ask("/add_training_data_bulk", ENTRIES)[0] == 202
    assert service.ask("/v1/status")[1]["observations"]["accepted"] == 900
    children = service.children()
    for child in children:
        os.kill(child, signal.SIGKILL)
    assert until(lambda: len([c for c in service.children() if c not in children]) == 3)
    assert until(lambda: service.ask("/predict", P)[0] == 200)
    children = service.children()
    assert service.end() == 0
    assert not any(alive(pid) for pid in children)


def test_killing_the_parent_leaves_no_worker_behind(serve: Callable[..., Service]) -> None:
    service = serve("--workers", "2")
    assert until(lambda: len(service.children()) == 3)
    assert service.ask("/predict", P)[0] == 200
    children = service.children()
    service.kill()
    assert until(lambda: not any(alive(pid) for pid in children))


def test_a_replica_follows_the_trainer_and_outlives_it(
    serve: Callable[..., Service], tmp_path: Path
) -> None:
    trainer = serve("--role", "training", state=tmp_path / "trainer")
    replica = serve("--role", "prediction", "--trainer-url", trainer.url,
                    state=tmp_path / "replica", env={"MODEL_SYNC_INTERVAL_SEC": "0.2"})  # fmt: skip
    assert replica.children() == []
    assert trainer.ask("/add_training_data_bulk", ENTRIES)[0] == 202
    assert until(lambda: replica.ask("/v1/status")[1]["law"]["rows_learnt"]["ttft"] > 0)
    trainer.end()
    assert until(lambda: "away" in replica.ask("/v1/status")[1]["law"]["problem"])
    assert replica.ask("/predict", P)[0] == 200


def test_requests_in_flight_are_answered_at_the_end(serve: Callable[..., Service]) -> None:
    service = serve()
    answers: list[int] = []
    rows = {"entries": [ROW] * 5000}

    def send() -> None:
        try:
            answers.append(service.ask("/add_training_data_bulk", rows)[0])
        except URLError as error:
            if not isinstance(error.reason, ConnectionRefusedError):  # it came after the end
                raise

    threads = [threading.Thread(target=send) for _ in range(4)]
    for thread in threads:
        thread.start()
    until(lambda: answers, 10)
    code = service.end()
    for thread in threads:
        thread.join()
    assert code == 0
    assert set(answers) <= {202, 503}


def test_damaged_state_does_not_stop_the_service(
    serve: Callable[..., Service], tmp_path: Path
) -> None:
    state = tmp_path / "state"
    state.mkdir()
    (state / FILE).write_bytes(b"SQLite format 3\x00" + b"\x11" * 20_000)
    service = serve()
    assert service.ask("/add_training_data_bulk", ENTRIES)[0] == 202
    assert "damaged" in service.errors


def test_a_database_that_goes_away_is_a_503_with_a_reason(
    serve: Callable[..., Service], postgres: Postgres
) -> None:
    postgres.clear()
    service = serve("--database", postgres.url)
    assert service.ask("/add_training_data_bulk", ENTRIES)[0] == 202
    postgres.stop()
    try:
        status, answer = service.ask("/add_training_data_bulk", ENTRIES)
        assert (status, "away" in json.dumps(answer)) == (503, True)
        assert service.ask("/predict", P)[0] == 200
    finally:
        postgres.start()
    assert until(lambda: service.ask("/add_training_data_bulk", ENTRIES)[0] == 202)
    assert until(lambda: service.ask("/v1/status")[0] == 200)
    assert until(lambda: service.ask("/v1/status")[1]["law"]["rows_learnt"]["ttft"] > 0)


def test_a_service_starts_while_its_database_is_away(
    serve: Callable[..., Service], postgres: Postgres
) -> None:
    postgres.clear()
    postgres.stop()
    try:
        service = serve("--database", postgres.url)
        assert service.ask("/predict", P)[0] == 200
        assert service.ask("/add_training_data_bulk", ENTRIES)[0] == 503
    finally:
        postgres.start()
    assert until(lambda: service.ask("/add_training_data_bulk", ENTRIES)[0] == 202)


def test_a_large_batch_is_kept_whole(serve: Callable[..., Service]) -> None:
    service = serve()
    assert service.ask("/add_training_data_bulk", raw=body(10_000))[0] == 202
    assert service.ask("/v1/status")[1]["observations"]["accepted"] == 10_000


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--objective", "median"], "mean or quantile"),
        (["--role", "prediction"], "trainer"),
        (["--token", "secret"], "TOKEN:ROLE"),
        (["--tokens-file", "/nowhere/tokens"], "readable"),
        (["--tls-cert", "/nowhere/cert.pem"], "key"),
        (["--tls-cert", "/nowhere/c.pem", "--tls-key", "/nowhere/k.pem"], "PEM"),
        (["--seed-law", "/nowhere/law.json"], "seed law"),
        (["--model", "llama3.1-8b"], "--hardware"),
        (["--alpha", "90"], "between 0 and 1"),
        (["--host", "203.0.113.1"], "address"),
        (["--database", "mysql://x"], "postgresql://"),
    ],
)
def test_wrong_usage_is_exit_2_with_a_remedy(tmp_path: Path, options: list[str], said: str) -> None:
    command = [sys.executable, "-m", "lengthwise", "serve", "--port", "0", "--state", str(tmp_path)]
    done = subprocess.run([*command, *options], capture_output=True, text=True, timeout=60)
    assert done.returncode == 2, done.stderr
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_a_port_in_use_is_exit_2(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = subprocess.run(
            [sys.executable, "-m", "lengthwise", "serve", "--port", port, "--state", str(tmp_path)],
            capture_output=True, text=True, timeout=60,
        )  # fmt: skip
    assert done.returncode == 2
    assert "--port" in done.stderr


def test_reachable_from_elsewhere_without_tokens_is_warned_about(
    serve: Callable[..., Service], tmp_path: Path
) -> None:
    assert "no token" in serve("--host", "0.0.0.0").errors
    tokens = tmp_path / "tokens"
    tokens.write_text("abc:write\n")
    service = serve("--tokens-file", str(tokens), state=tmp_path / "other")
    assert "no token" not in service.errors
    assert service.ask("/v1/status")[0] == 401
    assert service.ask("/v1/status", Authorization="Bearer abc")[0] == 200


@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl to make a certificate")
def test_tls_and_a_replica_that_trusts_it(serve: Callable[..., Service], tmp_path: Path) -> None:
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
         "-nodes", "-days", "2", "-subj", "/CN=localhost", "-addext",
         "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(cert)],
        check=True, capture_output=True,
    )  # fmt: skip
    pair = ("--tls-cert", str(cert), "--tls-key", str(key))
    trainer = serve("--role", "training", *pair, "--token", "r:read", state=tmp_path / "trainer")
    assert trainer.url.startswith("https://")
    known = {"SSL_CERT_FILE": str(cert), "LENGTHWISE_TRAINER_TOKEN": "r"}
    options = ("--role", "prediction", "--trainer-url", trainer.url)
    replica = serve(*options, state=tmp_path / "a", env={"MODEL_SYNC_INTERVAL_SEC": "0.2", **known})
    assert until(lambda: replica.ask("/v1/status")[1]["law"]["loaded_at"] is not None)
    stranger = serve(*options, state=tmp_path / "b", env={"MODEL_SYNC_INTERVAL_SEC": "0.2"})
    assert until(lambda: "CERTIFICATE" in stranger.ask("/v1/status")[1]["law"]["problem"].upper())


def test_begins_with_the_step_law(serve: Callable[..., Service]) -> None:
    service = serve("--model", "llama3.1-8b", "--hardware", "h100_sxm")
    status, answer = service.ask("/predict", {**P, "input_token_length": 8192,
                                              "prefix_cache_score": 0.0})  # fmt: skip
    assert status == 200
    assert 100 < answer["ttft_ms"] < 500
