"""What a process does beside answering: logs, traces, several workers, ending in order."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from http_api import Server, wait_until

from lengthwise.errors import InputError
from lengthwise.interfaces.http.tracing import tracer


def test_requests_are_logged_as_json_lines(tmp_path: Path) -> None:
    server = Server(tmp_path, log_requests=True)
    server.api.post("/v1/predict", {"rows": [{"input_tokens": 5}] * 3}, x_request_id="abc")
    server.api.get("/nope")
    lines = [json.loads(line) for line in server.stop().splitlines() if line.startswith("{")]
    first, second = lines
    assert (first["route"], first["status"], first["rows"]) == ("/v1/predict", 200, 3)
    assert (first["request_id"], first["client"], first["ms"] > 0) == ("abc", "127.0.0.1", True)
    assert (second["route"], second["path"], second["status"]) == ("unknown", "/nope", 404)


def test_traces_need_their_package() -> None:
    assert tracer({}) is None
    try:
        import opentelemetry.trace  # type: ignore[import-not-found]  # noqa: F401
    except ImportError:
        with pytest.raises(InputError, match="pip install"):
            tracer({"LENGTHWISE_TRACES": "1"})
    else:
        tell = tracer({"LENGTHWISE_TRACES": "1"})
        assert tell is not None
        tell({"method": "GET", "route": "/", "status": 200, "rows": 0, "ms": 1.0})


def test_a_request_under_way_is_answered_before_the_end(tmp_path: Path) -> None:
    server = Server(tmp_path)
    body = json.dumps({"rows": [{"input_tokens": n} for n in range(1, 3000)]}).encode()
    with socket.create_connection(("127.0.0.1", server.api.port), timeout=20) as link:
        link.sendall(
            b"POST /v1/predict HTTP/1.1\r\nhost: localhost\r\ncontent-length: %d\r\n\r\n"
            % len(body)
            + body[:1000]
        )
        time.sleep(0.3)
        told: list[str] = []
        ending = threading.Thread(target=lambda: told.append(server.stop()))
        ending.start()
        time.sleep(0.3)
        link.sendall(body[1000:])
        answer = b""
        while part := link.recv(1 << 20):
            answer += part
        ending.join(30)
    assert answer.startswith(b"HTTP/1.1 200")
    assert answer.endswith(b"}]}")
    assert server.process.returncode == 0
    assert "Traceback" not in told[0]


def test_workers_add_up_their_metrics(start: Callable[..., Server]) -> None:
    api = start(workers=2).api
    name = "lengthwise_http_rows_total"

    def total() -> float:
        lines = api.get("/metrics").text.splitlines()
        return sum(float(x.rsplit(" ", 1)[1]) for x in lines if x.startswith(name + "{"))

    for _ in range(40):
        assert api.post("/v1/predict", {"rows": [{"input_tokens": 5}] * 5}).status == 200
    wait_until(lambda: total() == 200)
    assert total() == 200


def test_the_server_starts_without_what_training_needs() -> None:
    """A prediction replica needs neither the learner nor its libraries."""
    code = (
        "import sys, lengthwise.interfaces.http.factory;"
        "print([m for m in sys.modules if 'calibration' in m or 'river' in m])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
