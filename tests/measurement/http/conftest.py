"""A mock server in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("aiohttp")

QUICK = ("--ttft-ms", "5", "--ttft-ms-per-token", "0.01", "--itl-ms", "2")


class Mock:
    def __init__(self, options: tuple[str, ...]) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "lengthwise.measurement.http.mock", *options],
            stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert self.process.stdout is not None
        self.url = self.process.stdout.readline().split()[-1]

    def truth(self) -> dict[str, Any]:
        with urllib.request.urlopen(f"{self.url}/truth", timeout=10) as answer:
            return dict(json.loads(answer.read()))

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(10)
        assert self.process.stdout is not None
        self.process.stdout.close()


@pytest.fixture
def mock() -> Iterator[Callable[..., Mock]]:
    """Start mock servers with options; they are stopped at the end."""
    started: list[Mock] = []

    def start(*options: str) -> Mock:
        started.append(Mock((*QUICK, *options)))
        return started[-1]

    yield start
    for server in started:
        server.stop()


@pytest.fixture
def arguments(tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """Give the arguments of measure_server, those named replaced."""

    def make(**changed: Any) -> dict[str, Any]:
        return {
            "output": tmp_path / "table.parquet", "isl": [64], "osl": [8], "concurrency": [],
            "request_rate": [], "arrival": "poisson", "burstiness": 1.0, "trace": None,
            "requests": 6, "duration_s": None, "endpoint": "auto", "model": None,
            "timeout_s": 20.0, "warmup_requests": 0, "labels": {}, "scrape": False, "seed": 0,
            "as_json": False, "quiet": True, "dry_run": False, **changed,
        }  # fmt: skip

    return make
