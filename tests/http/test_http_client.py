"""The typed client against a real server."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator

import pytest
from http_api import Api, Server, wait_until

from lengthwise.errors import InputError, LengthwiseError, RefusedError
from lengthwise.interfaces.http.client import Client


@pytest.fixture
def client(native: Api) -> Iterator[Client]:
    with Client(native.url) as found:
        yield found


def test_predictions(client: Client) -> None:
    one = client.predict(input_tokens=4096, running=4, osl=128, quantiles=[0.5, 0.99])
    assert one.ttft.lo_ms < one.ttft.value_ms < one.ttft.hi_ms
    assert one.e2e is not None
    assert one.e2e.value_ms == pytest.approx(one.ttft.value_ms + 127 * one.tpot.value_ms)
    assert one.quantiles["ttft_ms"]["0.5"] < one.quantiles["ttft_ms"]["0.99"]
    many = client.predict_many([{"input_tokens": n} for n in (10, 1000, 100_000)], level=0.5)
    assert [a.ttft.value_ms for a in many] == sorted(a.ttft.value_ms for a in many)
    assert (many[0].e2e, many[0].level) == (None, 0.5)


def test_observations_and_state(client: Client) -> None:
    rows = [{"request_id": f"client-{i}", "input_tokens": 64 + i, "ttft_ms": 30} for i in range(9)]
    first = client.observe(rows)
    assert (first.accepted, first.duplicates) == (9, 0)
    assert client.observe(iter(rows)).duplicates == 9
    assert client.status()["service"] == "lengthwise"
    assert isinstance(client.events(), list)


def test_laws(start: Callable[..., Server]) -> None:
    with Client(start(fresh=True).api.url) as client:
        wait_until(lambda: bool(client.laws()))
        body = client.export_law()
        version = client.import_law(body)
        assert client.laws()[0].version == version
        assert json.loads(client.export_law(version))["version"] == version
        assert client.roll_back() < version
        assert client.promote(version) == version
        assert client.follow() == version


def test_errors_are_ours_and_say_what_to_do(client: Client, native: Api) -> None:
    with pytest.raises(InputError, match="input_tokens"):
        client.predict(running=3)
    with pytest.raises(InputError, match=r"level must lie in \(0, 1\)"):
        client.predict(input_tokens=3, level=90)
    with pytest.raises(InputError, match="numbers and text"):
        client.predict(input_tokens=object())
    with pytest.raises(LengthwiseError, match="version 999"):
        client.promote(999)
    with pytest.raises(InputError, match="must begin with http"):
        Client("localhost:8000")
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        port = nobody.getsockname()[1]
    with pytest.raises(RefusedError, match="must answer"):
        Client(f"http://127.0.0.1:{port}").status()
    assert client.predict(input_tokens=3).ttft.value_ms > 0
    assert native.get("/healthz").status == 200


def test_a_closed_connection_is_opened_again() -> None:
    """A server that closes after each answer, without saying so."""
    answers: list[bytes] = []

    def serve(listening: socket.socket) -> None:
        for _ in range(2):
            link, _ = listening.accept()
            with link:
                answers.append(link.recv(65536))
                link.sendall(b'HTTP/1.1 200 OK\r\ncontent-length: 13\r\n\r\n{"events":[]}')

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=serve, args=(listening,), daemon=True)
        thread.start()
        with Client(f"http://127.0.0.1:{listening.getsockname()[1]}", timeout_s=10) as client:
            assert client.events() == []
            assert client.events() == []
        thread.join(10)
    assert len(answers) == 2
