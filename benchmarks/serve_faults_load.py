"""Load on the service: how fast it takes observations in, kill -9, memory over minutes."""

from __future__ import annotations

import argparse
import http.client
import json
import os
import random
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests" / "service"))

from serve_faults_common import (  # noqa: E402
    TARGET_ROWS_PER_CPU_S,
    Client,
    P,
    Result,
    body_of,
    cpu_s,
    rows,
    rows_seen,
    rss_mb,
    served,
    whole,
)
from service_postgres import Postgres  # noqa: E402
from service_process import Service, alive, until  # noqa: E402

from lengthwise.interfaces.service.postgres_store import PostgresStore  # noqa: E402
from lengthwise.interfaces.service.sqlite_store import SqliteStore  # noqa: E402

# ingestion --------------------------------------------------------------------------------------


def ingestion(options: argparse.Namespace) -> Result:
    rng = random.Random(0)
    found: Result = {"target_rows_per_cpu_s": TARGET_ROWS_PER_CPU_S}
    for count in (100, 1000):
        for with_ids in (False, True):
            name = f"store_{count}_rows" + ("_with_ids" if with_ids else "")
            with tempfile.TemporaryDirectory() as place:
                found[name] = _store_speed(
                    SqliteStore(Path(place)), body_of(rows(count, rng)), count, with_ids
                )
    found |= _postgres_speed(rng)
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


def _store_speed(store: Any, body: bytes, count: int, with_ids: bool) -> Result:
    """One caller, one commit and one fsync per batch."""
    batches = 200 if count == 100 else 100
    before, began = time.process_time(), time.perf_counter()
    for number in range(batches):
        ids = [f"{number}-{i}" for i in range(count)] if with_ids else ()
        store.append(body, count, ids=ids, ttft=count)
    used, wall = time.process_time() - before, time.perf_counter() - began
    assert store.counts()["accepted"] == batches * count
    store.close()
    return {"rows_per_cpu_s": round(batches * count / used), "rows": batches * count,
            "rows_per_s": round(batches * count / wall)}  # fmt: skip


def _postgres_speed(rng: random.Random) -> Result:
    """CPU of the client side; the server has its own."""
    server = Postgres.find(Path(tempfile.gettempdir()))
    if server is None:
        return {}
    found: Result = {}
    server.start()
    try:
        for count in (100, 1000):
            server.clear()
            found[f"postgres_{count}_rows"] = _store_speed(
                PostgresStore(server.url), body_of(rows(count, rng)), count, False
            )
    finally:
        server.remove()
    return found


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
            broken += not whole(state)
        lost, twice, total = sent.compare(state)
        service = Service(state, "--train-every", "0.2")
        learnt = until(lambda: service.ask("/v1/status")[1]["observations"]["waiting"] == 0, 600)
        seen = rows_seen(service)
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
            time.sleep(0.04)  # a test of loss, not of speed: the trainer keeps up

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
