"""Heads, connections and time: what a client can make the service keep is bounded."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from http_api import Api, Server

LINE = b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n"


@pytest.fixture(scope="module")
def hurried(start: Callable[..., Server]) -> Server:
    """A server of short patience and few connections."""
    return start(head_timeout_s=1.0, body_timeout_s=1.0, keep_alive_s=2.0, max_connections=20,
                 trainer=False)  # fmt: skip


@contextmanager
def linked(port: int) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", port), timeout=10) as link:
        yield link


def answer(port: int, *parts: bytes) -> bytes:
    """Send parts and give what comes back until the service closes."""
    with linked(port) as link:
        found = b""
        with suppress(ConnectionError):
            for part in parts:
                link.sendall(part)
            while part := link.recv(65536):
                found += part
        return found


def rss_kb(server: Server) -> int:
    text = Path(f"/proc/{server.process.pid}/status").read_text()
    return int(text.split("VmHWM:")[1].split()[0])


@pytest.mark.parametrize(
    ("parts", "status"),
    [
        ([LINE + b"x: " + b"a" * 20_000, b"a" * 20_000], b"431"),
        ([LINE + b"".join(b"x%d: y\r\n" % i for i in range(101)) + b"\r\n"], b"431"),
        ([b"GET /" + b"u" * 9000 + b" HTTP/1.1\r\nhost: localhost\r\n\r\n"], b"414"),
        ([b"GET /" + b"u" * 40_000], b"414"),
        ([b"FROB / HTTP/1.1\r\n\r\n"], b"400"),
    ],
)  # fmt: skip
def test_heads_are_limited(hurried: Server, parts: list[bytes], status: bytes) -> None:
    found = answer(hurried.api.port, *parts)
    assert found.startswith(b"HTTP/1.1 " + status)
    assert b"connection: close" in found


def test_every_head_of_a_connection_is_limited(hurried: Server) -> None:
    with linked(hurried.api.port) as link:
        for _ in range(3):
            link.sendall(LINE + b"\r\n")
            found = link.recv(65536)
            while b"}" not in found:
                found += link.recv(65536)
            assert found.startswith(b"HTTP/1.1 200")
        link.sendall(LINE + b"x: " + b"a" * 60_000)
        assert link.recv(65536).startswith(b"HTTP/1.1 431")


def test_trailers_and_extensions_of_chunks_count_too(hurried: Server) -> None:
    head = b"POST /v1/predict HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n"
    before = rss_kb(hurried)
    for junk in (b"0\r\nx: ", b"1;x="):
        with linked(hurried.api.port) as link:
            sent = 0
            with suppress(ConnectionError):
                link.sendall(head + junk)
                for _ in range(200):
                    link.sendall(b"a" * 65536)
                    sent += 1
            assert sent < 200
    assert rss_kb(hurried) - before < 4000


def test_requests_sent_before_an_answer_are_few(hurried: Server) -> None:
    found = answer(hurried.api.port, (LINE + b"\r\n") * 200)
    assert found.count(b"HTTP/1.1 200") <= 33
    last = LINE + b"connection: close\r\n\r\n"
    found = answer(hurried.api.port, (LINE + b"\r\n") * 20, last)
    assert found.count(b"HTTP/1.1 200") == 21


def test_a_head_and_a_body_have_a_time(hurried: Server) -> None:
    began = time.monotonic()
    assert answer(hurried.api.port, LINE + b"x: ").startswith(b"HTTP/1.1 408")
    assert answer(hurried.api.port) == b""
    slow = b"POST /v1/predict HTTP/1.1\r\nhost: localhost\r\ncontent-length: 100\r\n\r\n{"
    assert answer(hurried.api.port, slow).startswith(b"HTTP/1.1 408")
    assert 2.5 < time.monotonic() - began < 9.0


def test_idle_connections_never_keep_a_probe_out(hurried: Server) -> None:
    port = hurried.api.port
    idle = [socket.create_connection(("127.0.0.1", port), timeout=10) for _ in range(200)]
    for link in idle:
        with suppress(OSError):
            link.sendall(LINE)
    assert [hurried.api.get("/healthz").status for _ in range(5)] == [200] * 5
    for link in idle:
        link.close()


def test_where_all_connections_are_busy_only_probes_are_answered(hurried: Server) -> None:
    port = hurried.api.port
    slow = b"POST /v1/predict HTTP/1.1\r\nhost: localhost\r\ncontent-length: 100\r\n\r\n{"
    busy = [socket.create_connection(("127.0.0.1", port), timeout=10) for _ in range(20)]
    for link in busy:
        link.sendall(slow)
    time.sleep(0.2)
    told = hurried.api.get("/v1/status")
    assert hurried.api.get("/healthz").status == 200
    assert hurried.api.get("/readyz").status == 200
    for link in busy:
        link.close()
    assert (told.status, told.headers["retry-after"]) == (503, "1")
    assert "connection" in told.json["rule"]


def test_answers_that_nobody_takes_are_given_up(hurried: Server) -> None:
    body = json.dumps({"rows": [{"input_tokens": 5}] * 9000}).encode()
    request = (
        b"POST /v1/predict?quantiles=0.1,0.2,0.3,0.4,0.6,0.7,0.9 HTTP/1.1\r\nhost: localhost\r\n"
        b"content-length: %d\r\n\r\n" % len(body) + body
    )
    with socket.socket() as link:
        link.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        link.connect(("127.0.0.1", hurried.api.port))
        link.sendall(request)
        time.sleep(3.0)
        found = 0
        with suppress(ConnectionError):
            while part := link.recv(1 << 20):
                found += len(part)
    whole = len(hurried.api.post("/v1/predict?quantiles=0.1,0.2,0.3,0.4,0.6,0.7,0.9", body).body)
    assert found < whole


def test_an_answer_may_take_longer_than_a_head(hurried: Server) -> None:
    path = "/v1/predict?quantiles=" + ",".join(f"0.{i}" for i in range(11, 31))
    body = json.dumps({"rows": [{"input_tokens": 5}] * 9000}).encode()
    with ThreadPoolExecutor(5) as threads:
        found = list(threads.map(lambda _: hurried.api.post(path, body).status, range(5)))
    assert found == [200] * 5


def test_bodies_share_the_room_there_is(start: Callable[..., Server]) -> None:
    server = start(max_held_bytes=1 << 20, body_timeout_s=5.0, trainer=False)
    head = b"POST /v1/predict HTTP/1.1\r\nhost: localhost\r\ncontent-length: 700000\r\n\r\n"
    with linked(server.api.port) as first:
        first.sendall(head + b" " * 600_000)
        time.sleep(0.3)
        with linked(server.api.port) as second:
            second.sendall(head + b" " * 600_000)
            assert second.recv(100).startswith(b"HTTP/1.1 503")
        assert server.api.post("/v1/predict", {"input_tokens": 5}).status == 200
    time.sleep(0.2)
    rows = {"rows": [{"input_tokens": 5, "pod": "x" * 60}] * 8000}
    assert server.api.post("/v1/predict", rows).status == 200


@pytest.mark.parametrize("path", ["/v1/predict", "/v1/observe", "/v1/laws/import"])
def test_no_body_is_echoed(native: Api, path: str) -> None:
    text = "a" * 3000
    for body in ({"x": text}, {"rows": [{"x": text}] * 3}, [text], {"rows": [text]}, {text: 1},
                 {"rows": [{"input_tokens": text}] * 100}, {"rows": [{"pod": [[text]] * 9}] * 100},
                 {"kind": text}):  # fmt: skip
        found = native.post(path, body)
        assert found.status == 422
        assert "aaaa" in found.text or len(found.body) < 1000
        assert found.text.count("a" * 20) * 20 < 1024
        assert len(found.body) < 4096
