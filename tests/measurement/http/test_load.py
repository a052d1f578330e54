"""Arrivals are kept whatever the server does."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from lengthwise.errors import InputError
from lengthwise.measurement.http.arrivals import arrival_times
from lengthwise.measurement.http.client import Client, Target
from lengthwise.measurement.http.load import ServerGoneError, closed_loop, open_loop
from lengthwise.measurement.http.loop import LagMeter, run
from lengthwise.measurement.http.points import sweep
from lengthwise.measurement.http.record import Job, Record
from lengthwise.measurement.http.wire import LeanTransport


def send(url: str, offsets_s: list[float], *, limit: int = 1000) -> list[Record]:
    async def go() -> list[Record]:
        carrier, records = LeanTransport(url), []
        client = Client(Target(url, "/v1/completions", "mock-llm"), carrier, timeout_s=10)
        jobs = (Job(f"r{i}", 16, 4, repeat=i) for i in range(len(offsets_s)))
        try:
            await open_loop(client, jobs, offsets_s, records.append, max_in_flight=limit)
        finally:
            await carrier.close()
        return sorted(records, key=lambda r: r.job.repeat)

    return run(go())


def test_slow_answers_do_not_hold_arrivals_back(mock: Any) -> None:
    offsets = arrival_times(30, 100.0, arrival="constant").tolist()
    records = send(mock("--ttft-ms", "400").url, offsets)
    sent_s = np.array([r.sent_ns for r in records]) * 1e-9
    assert sent_s - sent_s[0] == pytest.approx(np.array(offsets), abs=0.1)
    assert max(r.in_flight for r in records) > 20  # a closed loop would have waited
    assert all(r.ok and r.client_queue_ms is not None and r.client_queue_ms < 100 for r in records)


def test_what_waits_for_this_client_is_queue_time_and_nothing_else(mock: Any) -> None:
    records = send(mock("--ttft-ms", "100").url, [0.0, 0.0, 0.0], limit=1)
    queue = [r.client_queue_ms for r in records]
    assert queue[0] < 50 < 90 < queue[1] < queue[2]
    assert all(r.e2e_ms < 190 for r in records)


def test_burstiness_sets_the_spread_of_gaps() -> None:
    def spread(**options: Any) -> float:
        gaps = np.diff(arrival_times(20_000, 50.0, **options))
        assert gaps.mean() == pytest.approx(1 / 50, rel=0.05)
        return float(gaps.std() / gaps.mean())

    assert spread(arrival="poisson") == pytest.approx(1.0, abs=0.05)
    assert spread(arrival="gamma", burstiness=0.25) == pytest.approx(2.0, abs=0.15)
    assert spread(arrival="gamma", burstiness=4.0) == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize("make", [closed_loop, open_loop])
def test_a_dead_server_ends_the_load_and_keeps_what_was_measured(mock: Any, make: Any) -> None:
    server, records = mock("--die-after", "6"), []

    async def go() -> None:
        carrier = LeanTransport(server.url)
        client = Client(Target(server.url, "/v1/completions", "mock-llm"), carrier, timeout_s=10)
        jobs = (Job(f"r{i}", 16, 4) for i in range(200))
        load = 2 if make is closed_loop else [0.03 * i for i in range(200)]
        try:
            await make(client, jobs, load, records.append)
        finally:
            await carrier.close()

    with pytest.raises(ServerGoneError, match="failed connections in a row"):
        run(go())
    assert 3 <= sum(r.ok for r in records) <= 6


def test_a_blocked_loop_shows_as_lag() -> None:
    async def go() -> LagMeter:
        import asyncio
        import time

        with LagMeter() as meter:
            for _ in range(3):
                time.sleep(0.05)
                await asyncio.sleep(0.01)
        return meter

    meter = run(go())
    assert max(meter.lags_ms) > 20
    assert meter.cpu_share < 0.9


def test_a_sweep_is_every_combination() -> None:
    points = sweep([64, 128], [8, 16], concurrency=[1, 4], request_rate=[2.0], duration_s=5)
    assert len(points) == 12
    assert {p.requests for p in points if p.request_rate} == {10}
    assert {p.requests for p in points if p.concurrency} == {None}


@pytest.mark.parametrize(
    "wrong",
    [
        {"isl": [0]}, {"osl": [-1]}, {"concurrency": [0]}, {"request_rate": [0.0]},
        {"arrival": "uniform"}, {"requests": 0}, {"duration_s": -1.0}, {"warmup_requests": -1},
        {"request_rate": [1.0], "arrival": "gamma", "burstiness": 0.0},
    ],
)  # fmt: skip
def test_wrong_values_are_refused(wrong: dict[str, Any]) -> None:
    given = {"isl": [8], "osl": [8]} | wrong
    with pytest.raises(InputError, match="must be"):
        sweep(given.pop("isl"), given.pop("osl"), **given)
