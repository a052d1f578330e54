"""What the benchmarks of the service's faults share: traffic, clients, what a process uses."""

from __future__ import annotations

import argparse
import http.client
import json
import os
import platform
import random
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results" / "serve_faults.json"
sys.path.insert(0, str(ROOT / "tests" / "service"))

from service_process import Service  # noqa: E402
from service_rows import ROW  # noqa: E402

from lengthwise.interfaces.service.sqlite_store import FILE  # noqa: E402

P = {name: value for name, value in ROW.items() if not name.startswith("actual")}
TARGET_ROWS_PER_CPU_S = 20_000
TICK = os.sysconf("SC_CLK_TCK")
Result = dict[str, Any]


Case = Callable[[argparse.Namespace], Result]


def run_cases(cases: Mapping[str, Case], options: argparse.Namespace, results: Path) -> None:
    """Run the cases asked for, or all, and write each into the results as soon as it is done."""
    done = json.loads(results.read_text()) if results.exists() else {}
    for name in options.cases or cases:
        began = time.perf_counter()
        found = cases[name](options)
        found["seconds_measured"] = round(time.perf_counter() - began, 1)
        done[name] = found
        print(name, json.dumps(found, indent=1), flush=True)
        done["machine"] = {"cpus": os.cpu_count(), "python": platform.python_version(),
                           "shared": "other work ran on the same cores"}  # fmt: skip
        results.write_text(json.dumps(done, indent=1) + "\n")
    missed = [name for name in cases if not done.get(name, {}).get("holds")]
    print("all hold" if not missed else f"do not hold or were not run: {', '.join(missed)}")


def rows(count: int, rng: random.Random, pod: str = "") -> list[dict[str, Any]]:
    """Make requests whose TTFT is 20 ms and 0.1 ms per token, give or take 5 %."""
    found = []
    for _ in range(count):
        tokens = int(2 ** rng.uniform(6, 13))
        ttft = (20.0 + 0.1 * tokens) * rng.lognormvariate(0, 0.05)
        found.append({**ROW, "input_token_length": tokens, "prefix_cache_score": 0.0, "pod": pod,
                      "num_request_waiting": 0, "prefill_tokens_in_flight": 0,
                      "actual_ttft_ms": round(ttft, 3)})  # fmt: skip
    return found


def body_of(found: list[dict[str, Any]]) -> bytes:
    return json.dumps({"entries": found}).encode()


def cpu_s(pid: int) -> float:
    """User and system time of a process so far."""
    with suppress(OSError):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICK
    return float("nan")


def rss_mb(pid: int) -> float:
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmRSS"):
                return int(line.split()[1]) / 1024
    return float("nan")


class Client:
    """One connection that is kept."""

    def __init__(self, url: str, timeout: float = 60.0) -> None:
        self._connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=timeout)

    def post(self, path: str, data: bytes) -> int:
        """Send a body; gives the status."""
        self._connection.request("POST", path, data, {"Content-Type": "application/json"})
        response = self._connection.getresponse()
        response.read()
        return response.status

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


@contextmanager
def served(*options: str, state: Path | None = None, **more: Any) -> Iterator[Service]:
    with tempfile.TemporaryDirectory(prefix="serve-faults") as place:
        service = Service(state or Path(place) / "state", *options, **more)
        try:
            if not service.url:
                raise SystemExit(f"the service did not start: {service.errors[-2000:]}")
            yield service
        finally:
            service.end()


def accepted(service: Service) -> int:
    return int(service.ask("/v1/status")[1]["observations"]["accepted"])


def whole(state: Path) -> bool:
    connection = sqlite3.connect(state / FILE)
    try:
        return bool(connection.execute("PRAGMA integrity_check").fetchone()[0] == "ok")
    finally:
        connection.close()


def rows_seen(service: Service) -> int:
    status = service.ask("/v1/status")[1]
    quarantined = sum(status["observations"]["quarantined"].values())
    return int(status["trainer"]["learner"]["targets"]["ttft"]["seen"]) + quarantined


def waiting(service: Service) -> int:
    status, answer = service.ask("/v1/status")
    return int(answer["observations"]["waiting"]) if status == 200 else -1


PULSE = """
import http.client, json, sys, threading, time
ended = threading.Event()
threading.Thread(target=lambda: (sys.stdin.read(), ended.set()), daemon=True).start()
connection, times = http.client.HTTPConnection(sys.argv[1], timeout=60), []
while not ended.wait(0.005):
    began = time.perf_counter()
    connection.request("GET", "/healthz")
    connection.getresponse().read()
    times.append(time.perf_counter() - began)
print(json.dumps(times))
"""


class Pulse:
    """Ask for health all the time, from a process of its own: how free is the loop."""

    def __init__(self, service: Service) -> None:
        self._address = urlsplit(service.url).netloc
        self.times_s: list[float] = []

    def __enter__(self) -> Pulse:
        self._process = subprocess.Popen(
            [sys.executable, "-c", PULSE, self._address], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )  # fmt: skip
        time.sleep(0.5)
        return self

    def __exit__(self, *_: object) -> None:
        time.sleep(0.2)
        self.times_s = json.loads(self._process.communicate()[0])

    def summary(self) -> Result:
        """Give quantiles of the times."""
        if not self.times_s:
            return {}
        ms = 1e3 * np.array(self.times_s)
        return {"health_answers": len(ms), "p50_ms": round(float(np.median(ms)), 2),
                "p99_ms": round(float(np.quantile(ms, 0.99)), 1),
                "worst_ms": round(float(ms.max()), 1)}  # fmt: skip
