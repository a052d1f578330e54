"""Who stamps the bytes, and transports that cannot have them stamped."""

from __future__ import annotations

import asyncio
import shutil
import socket
import ssl
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from lengthwise.measurement.http import stamped
from lengthwise.measurement.http.client import Client, Target
from lengthwise.measurement.http.exchange import Exchange
from lengthwise.measurement.http.loop import run
from lengthwise.measurement.http.record import Job, Record
from lengthwise.measurement.http.stamped import SO_TIMESTAMPNS, StampedSocket
from lengthwise.measurement.http.wire import LeanTransport

ANSWER = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
    b'data: {"choices":[{"text":"a"}]}\n\n'
)
ENDING = b'data: {"choices":[{"text":"b","finish_reason":"length"}]}\n\ndata: [DONE]\n\n'

kernel_only = pytest.mark.skipif(not stamped.SUPPORTED, reason="needs the kernel of Linux")


@kernel_only
def test_bytes_read_late_are_stamped_when_they_came() -> None:
    holder = stamped.keep_stamping()
    assert holder is not None
    time.sleep(0.1)  # the kernel begins a moment after it is asked
    with holder, socket.create_server(("127.0.0.1", 0)) as server:
        plain = socket.create_connection(server.getsockname())
        reader, (writer, _) = StampedSocket(fileno=plain.detach()), server.accept()
        with reader, writer:
            reader.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
            sent_ns = time.perf_counter_ns()
            writer.sendall(b"token")
            time.sleep(0.2)
            assert reader.recv(100) == b"token"
    assert -1e6 < reader.stamp_ns - sent_ns < 100e6  # two clocks may drift by microseconds


def one_request(url: str) -> tuple[Record, str]:
    async def go() -> tuple[Record, str]:
        carrier = LeanTransport(url)
        client = Client(Target(url, "/v1/completions", "m"), carrier, timeout_s=10)
        try:
            return await client.request(Job("a", 16, 4, scheduled_ns=1)), client.clock
        finally:
            await carrier.close()

    return run(go())


@kernel_only
def test_plain_http_is_stamped_by_the_kernel(mock: Any) -> None:
    record, clock = one_request(mock().url)
    assert record.ok
    assert clock == "kernel"


def test_without_such_a_kernel_the_process_stamps(
    mock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stamped, "SUPPORTED", False)
    record, clock = one_request(mock("--ttft-ms", "30", "--itl-ms", "20").url)
    assert clock == "process"
    assert record.ttft_ms is not None
    assert 30 < record.ttft_ms < 300


def test_tls_is_read_and_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("needs openssl to make a certificate")
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", str(key), "-out",
         str(certificate), "-days", "1", "-subj", "/CN=localhost",
         "-addext", "subjectAltName=DNS:localhost"],
        check=True, capture_output=True,
    )  # fmt: skip
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"}")
        writer.write(ANSWER)
        await asyncio.sleep(0.05)
        writer.write(ENDING)
        writer.close()

    async def go() -> Record:
        server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=context)
        url = f"https://localhost:{server.sockets[0].getsockname()[1]}"
        carrier = LeanTransport(url)
        try:
            client = Client(Target(url, "/v1/completions", "m"), carrier, timeout_s=10)
            return await client.request(Job("a", 16, 2))
        finally:
            await carrier.close()
            server.close()
            await asyncio.sleep(0.05)

    assert run(go()).error == "connect"  # nobody vouches for it
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    record = run(go())
    assert record.ok
    assert record.osl_client == 2
    assert 30 < record.gaps_ms[0] < 500


def test_a_connection_closed_while_idle_is_opened_anew() -> None:
    async def go() -> list[int]:
        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
            await reader.read(1)  # the next request is met by a closed door
            writer.close()

        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        carrier, found = LeanTransport(url), []
        for _ in range(3):
            exchange = Exchange("GET", "/")
            await carrier.send(exchange, 5.0)
            found.append(exchange.status)
        await carrier.close()
        server.close()
        await asyncio.sleep(0.05)
        return found

    assert run(go()) == [200, 200, 200]
