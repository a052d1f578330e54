"""Sending many requests: with a fixed number in flight, or at times fixed in advance.

In an open loop a request leaves when it is due, whatever became of those before it; what this
client adds to that is its queue time. Nothing waits for a slow answer, so slow answers are not
left out of the figures (coordinated omission).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from lengthwise.errors import LengthwiseError
from lengthwise.measurement.http.client import Client
from lengthwise.measurement.http.loop import LagMeter, sleep_until
from lengthwise.measurement.http.record import Job, Record

NS = 1e9
GONE_AFTER = 5
"""Failed connections in a row, none succeeding in between, from which the server is gone."""

ERROR_PAUSE_S, BUSY_PAUSE_S = 0.05, 0.25
"""Pause of a slot of the closed loop after an error and after a 429, so that it does not spin."""

Sink = Callable[[Record], None]


class ServerGoneError(LengthwiseError):
    """The server stopped accepting connections while it was measured."""


@dataclass
class Overhead:
    """What the client itself cost.

    Attributes
    ----------
    cpu_share
        CPU time of this process over wall time; 1.0 is one core.
    lag_ms_p50, lag_ms_p99
        How long ready work waited for the event loop.
    clock
        Who stamped the bytes: ``kernel``, so that their times are right even when the process was
        late, or ``process``, so that each may be late by the lag.
    """

    wall_s: float = 0.0
    cpu_share: float = 0.0
    lag_ms_p50: float = 0.0
    lag_ms_p99: float = 0.0
    clock: str = "process"


@dataclass
class Watch:
    """Passes finished requests on, and notices that the server is gone."""

    sink: Sink
    limit: int = GONE_AFTER
    refused: int = 0
    tasks: set[asyncio.Task[None]] = field(default_factory=set)

    def take(self, record: Record) -> None:
        """Pass a finished request on.

        Raises
        ------
        ServerGoneError
            If connections have failed too often in a row.
        """
        self.sink(record)
        self.refused = self.refused + 1 if record.error == "connect" else 0
        if self.refused >= self.limit:
            raise ServerGoneError(
                "the server must stay up while it is measured",
                got=f"{self.refused} failed connections in a row ({record.detail})",
                remedy="see its log; what was measured is kept",
            )  # fmt: skip


async def closed_loop(
    client: Client, jobs: Iterator[Job], concurrency: int, sink: Sink, *,
    duration_s: float | None = None,
) -> None:  # fmt: skip
    """Keep ``concurrency`` requests in flight until jobs or time are used up.

    Warm-up requests are the first of the same stream: the slots are handed over warm. A slot whose
    request was refused waits as long as the server asks (``Retry-After``, at most 30 s).
    """
    watch = Watch(sink, max(GONE_AFTER, concurrency))
    end_ns = time.perf_counter_ns() + int((duration_s or 1e9) * NS)

    async def slot() -> None:
        while (now := time.perf_counter_ns()) < end_ns:
            job = next(jobs, None)
            if job is None:
                return
            record = await client.request(replace(job, scheduled_ns=now))
            watch.take(record)
            if not record.ok:
                left_s = max((end_ns - time.perf_counter_ns()) / NS, 0.0)
                await asyncio.sleep(min(_pause_s(record), left_s))

    await _all([asyncio.create_task(slot()) for _ in range(concurrency)])


def _pause_s(record: Record) -> float:
    """Time to leave the server alone after a failure: what it asks, where it asks."""
    pause_s = BUSY_PAUSE_S if record.error == "http_429" else ERROR_PAUSE_S
    return max(record.retry_after_s, pause_s)


async def open_loop(
    client: Client, jobs: Iterator[Job], offsets_s: Sequence[float], sink: Sink, *,
    max_in_flight: int = 1000,
) -> None:  # fmt: skip
    """Send each job at its offset from now; wait for the last answer.

    Beyond ``max_in_flight`` requests wait here, and their wait is queue time.
    """
    watch, room = Watch(sink), asyncio.Semaphore(max_in_flight)
    failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    start_ns = time.perf_counter_ns() + 1_000_000

    async def one(job: Job) -> None:
        async with room:
            record = await client.request(job)
        watch.take(record)

    def done(task: asyncio.Task[None]) -> None:
        watch.tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None and not failed.done():
            failed.set_exception(error)

    async def dispatch() -> None:
        for job, offset_s in zip(jobs, offsets_s, strict=False):
            due_ns = start_ns + int(offset_s * NS)
            await sleep_until(due_ns)
            task = asyncio.create_task(one(replace(job, scheduled_ns=due_ns)))
            watch.tasks.add(task)
            task.add_done_callback(done)
        while watch.tasks:
            await asyncio.wait(set(watch.tasks))

    dispatcher = asyncio.create_task(dispatch())
    try:
        await asyncio.wait([dispatcher, failed], return_when=asyncio.FIRST_COMPLETED)
        if failed.done():
            failed.result()
        await dispatcher
    finally:
        await _stop([dispatcher, *watch.tasks])
        failed.cancel()


async def measured(work: Coroutine[Any, Any, None], note: Callable[[Overhead], None]) -> None:
    """Wait for a load, and note what the client cost meanwhile, whatever the end."""
    meter = LagMeter()
    try:
        with meter:
            await work
    finally:
        p50, p99 = np.percentile(meter.lags_ms or [0.0], (50, 99))
        note(Overhead(meter.wall_s, meter.cpu_share, float(p50), float(p99)))


async def _all(tasks: list[asyncio.Task[None]]) -> None:
    """Wait for all tasks; if one fails, or the wait is cancelled, stop the others."""
    try:
        await asyncio.gather(*tasks)
    finally:
        await _stop(tasks)


async def _stop(tasks: Sequence[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    with suppress(asyncio.CancelledError):
        await asyncio.gather(*tasks, return_exceptions=True)
