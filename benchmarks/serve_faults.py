"""Faults of the service, and how fast it takes observations in.

    python benchmarks/serve_faults.py [CASE ...] [--kills 50] [--minutes 4]

Cases (all by default): ingestion, kills, disk, database, trainer, clock, clients, bodies, memory.
The real ``lengthwise serve`` runs on loopback; it is stopped by process id. CPU times are those of
the worker process alone, the client has its own; the trainer's CPU stands beside them. Writes
benchmarks/results/serve_faults.json, one entry per case with ``holds``.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import platform
import random
import resource
import signal
import socket
import sqlite3
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results" / "serve_faults.json"
sys.path.insert(0, str(ROOT / "tests" / "service"))

from service_postgres import Postgres  # noqa: E402
from service_process import Service, alive, until  # noqa: E402
from service_rows import ROW  # noqa: E402

from lengthwise.interfaces.service.sqlite_store import FILE, SqliteStore  # noqa: E402
from lengthwise.interfaces.service.store import Observed  # noqa: E402

P = {name: value for name, value in ROW.items() if not name.startswith("actual")}
TARGET_ROWS_PER_CPU_S = 20_000
TICK = os.sysconf("SC_CLK_TCK")
Result = dict[str, Any]


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


# ingestion --------------------------------------------------------------------------------------


def ingestion(options: argparse.Namespace) -> Result:
    rng = random.Random(0)
    found: Result = {"target_rows_per_cpu_s": TARGET_ROWS_PER_CPU_S}
    for count in (100, 1000):
        for with_ids in (False, True):
            name = f"store_{count}_rows" + ("_with_ids" if with_ids else "")
            found[name] = _store_speed(body_of(rows(count, rng)), count, with_ids)
    with served() as service:
        for count in (100, 1000):
            for senders in (1, 4):
                name = f"http_{count}_rows_{senders}_senders"
                found[name] = _http_speed(service, body_of(rows(count, rng)), count, senders)
    found["holds"] = all(
        case["rows_per_cpu_s"] >= TARGET_ROWS_PER_CPU_S
        for case in found.values() if isinstance(case, dict)
    )  # fmt: skip
    return found


def _store_speed(body: bytes, count: int, with_ids: bool) -> Result:
    """One caller, one commit and one fsync per batch."""
    batches = 200 if count == 100 else 100
    with tempfile.TemporaryDirectory() as place:
        store = SqliteStore(Path(place))
        before, began = time.process_time(), time.perf_counter()
        for number in range(batches):
            ids = [f"{number}-{i}" for i in range(count)] if with_ids else ()
            store.append(body, count, ids=ids, ttft=count)
        used, wall = time.process_time() - before, time.perf_counter() - began
        assert store.counts()["accepted"] == batches * count
        store.close()
    return {"rows_per_cpu_s": round(batches * count / used), "rows": batches * count,
            "rows_per_s": round(batches * count / wall)}  # fmt: skip


def _http_speed(service: Service, body: bytes, count: int, senders: int) -> Result:
    pid, trainers = service.process.pid, service.children()
    each = (40_000 if count == 100 else 100_000) // count // senders

    def send() -> None:
        client = Client(service.url)
        for _ in range(each):
            assert client.post("/add_training_data_bulk", body) == 202
        client.close()

    send_one = Client(service.url)
    send_one.post("/add_training_data_bulk", body)
    send_one.close()
    before, began, trained = cpu_s(pid), time.perf_counter(), sum(map(cpu_s, trainers))
    threads = [threading.Thread(target=send) for _ in range(senders)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    total = each * senders * count
    return {"rows_per_cpu_s": round(total / (cpu_s(pid) - before)), "rows": total,
            "rows_per_s": round(total / (time.perf_counter() - began)),
            "trainer_cpu_s_meanwhile": round(sum(map(cpu_s, trainers)) - trained, 2)}  # fmt: skip


# kill -9 under load -----------------------------------------------------------------------------


def kills(options: argparse.Namespace) -> Result:
    """Every acknowledged row is there afterwards, exactly once, and the file is whole."""
    rng = random.Random(1)
    with tempfile.TemporaryDirectory(prefix="serve-faults") as place:
        state = Path(place) / "state"
        sent = _Sent()
        back_s, broken = [], 0
        for number in range(options.kills):
            began = time.monotonic()
            service = Service(state, "--train-every", "0.2")
            assert until(lambda s=service: s.ask("/healthz")[0] == 200)
            back_s.append(time.monotonic() - began)
            with sent.load(service):
                time.sleep(rng.uniform(0.2, 1.2))
                children = service.children()
                service.process.kill()
                if number % 2:  # every second time the trainer dies the same death
                    for child in children:
                        with suppress(ProcessLookupError):
                            os.kill(child, signal.SIGKILL)
                service.kill()
            assert until(lambda c=children: not any(alive(pid) for pid in c))
            broken += not _whole(state)
        lost, twice, total = sent.compare(state)
        service = Service(state, "--train-every", "0.2")
        learnt = until(lambda: service.ask("/v1/status")[1]["observations"]["waiting"] == 0, 120)
        seen = _seen(service)
        service.end()
    return {
        "kills": options.kills, "acknowledged_rows": sent.acknowledged, "stored_rows": total,
        "acknowledged_rows_lost": lost, "rows_stored_twice": twice, "files_damaged": broken,
        "seconds_until_back_median": round(float(np.median(back_s)), 2),
        "learnt_to_the_end": bool(learnt), "rows_seen_by_the_learner": seen,
        "holds": lost == 0 and twice == 0 and broken == 0 and seen == total,
    }  # fmt: skip


class _Sent:
    """Senders that note what was acknowledged, by a token in the rows."""

    def __init__(self) -> None:
        self._acknowledged: dict[str, int] = {}
        self._number = 0
        self._lock = threading.Lock()

    @property
    def acknowledged(self) -> int:
        return sum(self._acknowledged.values())

    @contextmanager
    def load(self, service: Service, senders: int = 3) -> Iterator[None]:
        stop = threading.Event()
        threads = [
            threading.Thread(target=self._send, args=(service.url, stop)) for _ in range(senders)
        ]
        for thread in threads:
            thread.start()
        yield
        stop.set()
        for thread in threads:
            thread.join()

    def _send(self, url: str, stop: threading.Event) -> None:
        client = Client(url, 10.0)
        while not stop.is_set():
            with self._lock:
                self._number += 1
                token = f"t{self._number}"
            rng = random.Random(token)
            count = rng.choice((1, 10, 100, 300))
            found = rows(count, rng, pod="a")
            for index, row in enumerate(found):
                row["token"] = f"{token}-{index}"
            try:
                status = client.post("/add_training_data_bulk", body_of(found))
            except (OSError, http.client.HTTPException):
                return
            if status == 202:
                with self._lock:
                    self._acknowledged[token] = count
            time.sleep(0.01)

    def compare(self, state: Path) -> tuple[int, int, int]:
        """Rows acknowledged and absent, rows there twice, rows there."""
        store = SqliteStore(state)
        seen: dict[str, int] = {}
        after = 0
        while found := store.read(after, 20_000):
            after = found[-1][0]
            for _, entry in found:
                seen[entry.fields["token"]] = seen.get(entry.fields["token"], 0) + 1
        store.close()
        lost = sum(
            f"{token}-{index}" not in seen
            for token, count in self._acknowledged.items() for index in range(count)
        )  # fmt: skip
        return lost, sum(n > 1 for n in seen.values()), sum(seen.values())


def _whole(state: Path) -> bool:
    connection = sqlite3.connect(state / FILE)
    try:
        return bool(connection.execute("PRAGMA integrity_check").fetchone()[0] == "ok")
    finally:
        connection.close()


def _seen(service: Service) -> int:
    status = service.ask("/v1/status")[1]
    quarantined = sum(status["observations"]["quarantined"].values())
    return int(status["trainer"]["learner"]["targets"]["ttft"]["seen"]) + quarantined


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
        found["file_size_limit"]["file_whole"] = _whole(state)
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
            found["file_whole"] = _whole(state)
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
            found["learns_again"] = bool(until(lambda: _waiting(service) == 0, 40))
            found["holds"] = found["holds"] and found["learns_again"]
            return found
    finally:
        server.stop()


def _waiting(service: Service) -> int:
    status, answer = service.ask("/v1/status")
    return int(answer["observations"]["waiting"]) if status == 200 else -1


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
        learns = until(lambda: _waiting(service) == 0 and _seen(service) > 0, 60)
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
            until(lambda: _waiting(service) == 0, 60)
            seen, status = _seen(service), service.ask("/v1/status")[1]
            alive_still = service.ask("/predict", P)[0] == 200
        jumps = status["trainer"]["clock"]["jumps"]
        return {"rows": 600, "rows_seen": seen, "steps_back_bridged": jumps,
                "holds": seen == 600 and jumps >= 2 and alive_still}  # fmt: skip


# clients ----------------------------------------------------------------------------------------


class _Pulse:
    """Ask for health all the time; how long an answer took tells how free the loop is."""

    def __init__(self, service: Service) -> None:
        self._service, self._stop = service, threading.Event()
        self.times_s: list[float] = []
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> _Pulse:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        connection = http.client.HTTPConnection(urlsplit(self._service.url).netloc, timeout=60)
        while not self._stop.wait(0.01):
            began = time.perf_counter()
            connection.request("GET", "/healthz")
            connection.getresponse().read()
            self.times_s.append(time.perf_counter() - began)
        connection.close()

    def summary(self) -> Result:
        if not self.times_s:
            return {}
        ms = 1e3 * np.array(self.times_s)
        return {"health_answers": len(ms), "p50_ms": round(float(np.median(ms)), 2),
                "p99_ms": round(float(np.quantile(ms, 0.99)), 1),
                "worst_ms": round(float(ms.max()), 1)}  # fmt: skip


def clients(options: argparse.Namespace) -> Result:
    """Two hundred clients that send a byte now and then; others are answered as ever."""
    with served() as service:
        with _Pulse(service) as before:
            time.sleep(3)
        address = urlsplit(service.url)
        slow = [socket.create_connection((address.hostname, address.port)) for _ in range(200)]
        head = b"POST /add_training_data_bulk HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n"
        for connection in slow:
            connection.sendall(head)
        with _Pulse(service) as pulse:
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
            with _Pulse(service) as pulse:
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


def memory(options: argparse.Namespace) -> Result:
    """Observations and predictions for minutes; resident memory of both processes."""
    seconds = 60.0 * options.minutes
    with served("--train-every", "1") as service:
        stop = threading.Event()
        counted = [0, 0]
        threads = [threading.Thread(target=_work, args=(service, stop, counted))]
        until(lambda: service.ask("/v1/laws/active")[0] == 200)
        for thread in threads:
            thread.start()
        pids = {"worker": service.process.pid, "trainer": service.children()[0]}
        samples: dict[str, list[float]] = {name: [] for name in pids}
        began = time.monotonic()
        while time.monotonic() - began < seconds:
            time.sleep(1.0)
            for name, pid in pids.items():
                samples[name].append(rss_mb(pid))
        stop.set()
        for thread in threads:
            thread.join()
        used = {name: round(cpu_s(pid), 1) for name, pid in pids.items()}
    found: Result = {"minutes": options.minutes, "rows_observed": counted[0],
                     "rows_predicted": counted[1], "cpu_s": used}  # fmt: skip
    for name, series in samples.items():
        quarter = len(series) // 4
        second, last = np.median(series[quarter : 2 * quarter]), np.median(series[-quarter:])
        slope = np.polyfit(np.arange(len(series[quarter:])) / 60, series[quarter:], 1)[0]
        found[name] = {
            "rss_mb_second_quarter": round(float(second), 1),
            "rss_mb_last_quarter": round(float(last), 1), "rss_mb_most": round(max(series), 1),
            "slope_mb_per_minute": round(float(slope), 2),
            "every_15_s_mb": [round(v, 1) for v in series[::15]],
        }  # fmt: skip
    found["holds"] = all(
        found[n]["rss_mb_last_quarter"] <= 1.05 * found[n]["rss_mb_second_quarter"] for n in pids
    )
    return found


def _work(service: Service, stop: threading.Event, counted: list[int]) -> None:
    """Send a batch of 500 observations and ten strict bulks of 100 rows, five times a second."""
    client, rng = Client(service.url), random.Random(6)
    batches = [body_of(rows(500, rng, pod=f"pod-{i % 4}")) for i in range(40)]
    asked = json.dumps({"requests": [P] * 100}).encode()
    while not stop.wait(0.2):
        counted[0] += 500 * (
            client.post("/add_training_data_bulk", batches[counted[0] // 500 % 40]) == 202
        )
        for _ in range(10):
            counted[1] += 100 * (client.post("/predict/bulk/strict", asked) == 200)
    client.close()


CASES: dict[str, Callable[[argparse.Namespace], Result]] = {
    "ingestion": ingestion, "kills": kills, "disk": disk, "database": database,
    "trainer": trainer, "clock": clock, "clients": clients, "bodies": bodies, "memory": memory,
}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("cases", nargs="*", choices=[[], *CASES], default=[])
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--minutes", type=float, default=4.0)
    options = parser.parse_args()
    done = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    for name in options.cases or CASES:
        began = time.perf_counter()
        found = CASES[name](options)
        found["seconds_measured"] = round(time.perf_counter() - began, 1)
        done[name] = found
        print(name, json.dumps(found, indent=1), flush=True)
        done["machine"] = {"cpus": os.cpu_count(), "python": platform.python_version(),
                           "shared": "other work ran on the same cores"}  # fmt: skip
        RESULTS.write_text(json.dumps(done, indent=1) + "\n")
    missed = [name for name in CASES if not done.get(name, {}).get("holds")]
    print("all hold" if not missed else f"do not hold or were not run: {', '.join(missed)}")


if __name__ == "__main__":
    main()
