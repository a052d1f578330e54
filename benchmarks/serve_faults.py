"""Faults of the service, and how fast it takes observations in.

    python benchmarks/serve_faults.py [CASE ...] [--kills 50] [--minutes 4]

Cases (all by default): ingestion, kills, disk, database, trainer, clock, clients, bodies, memory.
The real ``lengthwise serve`` runs on loopback; it is stopped by process id. CPU times are those of
the worker process alone, the client has its own; the trainer's CPU stands beside them. Writes
benchmarks/results/serve_faults.json, one entry per case with ``holds``.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests" / "service"))

from serve_faults_common import (  # noqa: E402
    RESULTS,
    Case,
    P,
    Pulse,
    Result,
    accepted,
    body_of,
    rows,
    rows_seen,
    rss_mb,
    run_cases,
    served,
    waiting,
    whole,
)
from serve_faults_load import ingestion, kills, memory  # noqa: E402
from service_postgres import Postgres  # noqa: E402
from service_process import Service, until  # noqa: E402

from lengthwise.interfaces.service.sqlite_store import SqliteStore  # noqa: E402
from lengthwise.interfaces.service.store import Observed  # noqa: E402

# the world misbehaves ---------------------------------------------------------------------------


def _under(service: Service, breaks: Callable[[], None], mends: Callable[[], None]) -> Result:
    """Break something, see refusals with a reason and answers to predictions, mend it."""
    data = body_of(rows(200, random.Random(2)))
    assert service.ask("/add_training_data_bulk", raw=data)[0] == 202
    kept = accepted(service)
    breaks()
    statuses: dict[str, int] = {}
    reason = ""
    predictions = []
    for _ in range(12):
        status, answer = service.ask("/add_training_data_bulk", raw=data)
        statuses[str(status)] = statuses.get(str(status), 0) + 1
        kept += 200 * (status == 202)
        reason = str(answer.get("detail", answer))[:160] if status == 503 else reason
        predictions.append(service.ask("/predict", P)[0])
        time.sleep(0.1)
    mends()
    again = until(lambda: service.ask("/add_training_data_bulk", raw=data)[0] == 202, 30)
    kept += 200
    found = accepted(service)
    return {
        "statuses": statuses, "reason": reason, "predictions_answered": predictions.count(200),
        "of": len(predictions), "recovered": bool(again), "accepted": found, "acknowledged": kept,
        "holds": bool(again) and set(statuses) <= {"202", "503"} and statuses.get("503", 0) > 0
        and reason != "" and predictions.count(200) == len(predictions) and found == kept
        and service.process.poll() is None,
    }  # fmt: skip


def disk(options: argparse.Namespace) -> Result:
    with tempfile.TemporaryDirectory() as place:
        state = Path(place) / "state"
        with served(state=state) as service:
            pids = [service.process.pid, *service.children()]

            def limit(size_bytes: int) -> None:
                for pid in pids:
                    resource.prlimit(pid, resource.RLIMIT_FSIZE, (size_bytes, -1))

            found: Result = {"file_size_limit": _under(service, lambda: limit(8192),
                                                       lambda: limit(-1))}  # fmt: skip
        found["file_size_limit"]["file_whole"] = whole(state)
    if os.getuid() == 0:
        found["full_tmpfs"] = _full_tmpfs()
    found["holds"] = all(c["holds"] and c["file_whole"] for c in found.values())
    return found


def _full_tmpfs() -> Result:
    with tempfile.TemporaryDirectory() as place:
        os.system(f"mount -t tmpfs -o size=24m tmpfs {place}")
        try:
            state, filler = Path(place) / "state", Path(place) / "filler"

            def fill() -> None:
                with suppress(OSError), filler.open("wb", buffering=0) as file:
                    while True:
                        file.write(b"\0" * 4096)

            with served(state=state) as service:
                time.sleep(2.0)
                found = _under(service, fill, filler.unlink)
            found["file_whole"] = whole(state)
        finally:
            os.system(f"umount {place}")
    return found


def database(options: argparse.Namespace) -> Result:
    server = Postgres.find(Path(tempfile.gettempdir()))
    if server is None:
        return {"holds": None, "why": "no PostgreSQL server here"}
    server.start()
    try:
        with served("--database", server.url) as service:
            found = _under(service, server.stop, server.start)
            found["learns_again"] = bool(until(lambda: waiting(service) == 0, 40))
            found["holds"] = found["holds"] and found["learns_again"]
            return found
    finally:
        server.remove()


def trainer(options: argparse.Namespace) -> Result:
    with served() as service:
        until(lambda: service.ask("/v1/laws/active")[0] == 200)
        (pid,) = service.children()
        os.kill(pid, signal.SIGKILL)
        began = time.monotonic()
        statuses = []
        while time.monotonic() - began < 5:
            statuses.append(service.ask("/predict", P)[0])
            statuses.append(
                service.ask("/add_training_data_bulk", {"entries": rows(20, random.Random(3))})[0]
            )
        learns = until(lambda: waiting(service) == 0 and rows_seen(service) > 0, 60)
        return {"answers": len(statuses), "answered": statuses.count(200) + statuses.count(202),
                "learns_again": bool(learns),
                "seconds_until_learning_again": round(time.monotonic() - began, 1),
                "holds": bool(learns) and set(statuses) == {200, 202}}  # fmt: skip


def clock(options: argparse.Namespace) -> Result:
    """Another worker's clock is a day behind, then a day ahead: its batches are in the state."""
    with tempfile.TemporaryDirectory() as place:
        state, rng = Path(place) / "state", random.Random(4)
        with served(state=state) as service:
            store = SqliteStore(state)
            for day in (0, -1, 1, 0, -30, 0):
                data = body_of(rows(100, rng))
                at = time.time() + 86400.0 * day
                store.submit(Observed(data, 100, ttft=100, received_s=at)).result()
                time.sleep(0.5)
            store.close()
            until(lambda: waiting(service) == 0, 60)
            seen, status = rows_seen(service), service.ask("/v1/status")[1]
            alive_still = service.ask("/predict", P)[0] == 200
        jumps = status["trainer"]["clock"]["jumps"]
        return {"rows": 600, "rows_seen": seen, "steps_back_bridged": jumps,
                "holds": seen == 600 and jumps >= 2 and alive_still}  # fmt: skip


# clients ----------------------------------------------------------------------------------------


def clients(options: argparse.Namespace) -> Result:
    """Two hundred clients that send a byte now and then; others are answered as ever."""
    with served() as service:
        with Pulse(service) as before:
            time.sleep(3)
        address = urlsplit(service.url)
        slow = [socket.create_connection((address.hostname, address.port)) for _ in range(200)]
        head = (
            b"POST /add_training_data_bulk HTTP/1.1\r\nHost: localhost\r\n"
            b"Content-Length: 100000\r\n\r\n"
        )
        for connection in slow:
            connection.sendall(head)
        with Pulse(service) as pulse:
            began = time.monotonic()
            while time.monotonic() - began < 36:
                for connection in slow:
                    with suppress(OSError):
                        connection.sendall(b" ")
                time.sleep(2.0)
        answers: dict[str, int] = {}
        for connection in slow:
            connection.settimeout(5)
            with suppress(OSError):
                line = connection.recv(200).split(b"\r\n")[0].decode() or "closed"
                answers[line] = answers.get(line, 0) + 1
            connection.close()
        works = service.ask("/predict", P)[0] == 200
        return {"slow_clients": len(slow), "they_were_told": answers, "before": before.summary(),
                "meanwhile": pulse.summary(),
                "holds": works and sum(answers.values()) == 200}  # fmt: skip


def bodies(options: argparse.Namespace) -> Result:
    """Large bodies: kept whole or refused, and the loop stays free."""
    rng = random.Random(5)
    found: Result = {}
    small = rows(10_000, rng)
    for row in (large := rows(10_000, rng)):
        row["padding"] = "x" * 4800
    cases = {
        "10000_rows_observed": ("/add_training_data_bulk", body_of(small), {202}),
        "10000_rows_predicted": ("/predict/bulk/strict",
                                 json.dumps({"requests": [P] * 10_000}).encode(), {200}),
        "10001_rows_predicted": ("/predict/bulk/strict",
                                 json.dumps({"requests": [P] * 10_001}).encode(), {422}),
        "50_mb_observed": ("/add_training_data_bulk", body_of(large), {202}),
        "50_mb_of_nothing": ("/predict/bulk/strict", b"[" * 50_000_000, {400, 422}),
        "80_mb": ("/add_training_data_bulk", b" " * 80_000_000, {413}),
    }  # fmt: skip
    with served() as service:
        for name, (path, data, expected) in cases.items():
            with Pulse(service) as pulse:
                began = time.perf_counter()
                try:
                    status = service.ask(path, raw=data, timeout=120)[0]
                except OSError as error:  # refused before it was sent whole
                    status = 413 if 413 in expected else str(error)[:80]
                wall = time.perf_counter() - began
            found[name] = {"mb": round(len(data) / 1e6, 1), "status": status,
                           "seconds": round(wall, 2), **pulse.summary(),
                           "holds": status in expected}  # fmt: skip
        found["rss_mb_after"] = round(rss_mb(service.process.pid), 1)
        found["accepted"] = accepted(service)
        found["alive"] = service.process.poll() is None
    cases_held = all(v["holds"] for v in found.values() if isinstance(v, dict))
    found["holds"] = cases_held and found["accepted"] == 20_000 and found["alive"]
    return found


CASES: dict[str, Case] = {
    "ingestion": ingestion, "kills": kills, "disk": disk, "database": database,
    "trainer": trainer, "clock": clock, "clients": clients, "bodies": bodies, "memory": memory,
}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("cases", nargs="*", choices=[[], *CASES], default=[], metavar="CASE")
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--minutes", type=float, default=4.0)
    options = parser.parse_args()
    run_cases(CASES, options, RESULTS)


if __name__ == "__main__":
    main()
