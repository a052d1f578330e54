"""One point of a sweep over a server: its requests, sent as its load says, and what they gave."""

from __future__ import annotations

import gc
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from lengthwise.errors import InputError
from lengthwise.measurement.http.arrivals import arrival_times
from lengthwise.measurement.http.client import Client
from lengthwise.measurement.http.load import (
    Overhead,
    Sink,
    closed_loop,
    measured,
    open_loop,
)
from lengthwise.measurement.http.loop import room_for_connections
from lengthwise.measurement.http.points import MAX_REQUESTS, Point
from lengthwise.measurement.http.prometheus import ServerView
from lengthwise.measurement.http.record import Job, Record


@dataclass
class PointResult:
    """What one point gave.

    Attributes
    ----------
    number
        Its place in the sweep.
    view
        What the server said of it, None where it gives no metrics.
    """

    point: Point
    records: list[Record] = field(default_factory=list)
    overhead: Overhead = field(default_factory=Overhead)
    complete: bool = False
    number: int = 0
    view: ServerView | None = None


async def run_point(client: Client, result: PointResult, *, sink: Sink, seed: int = 0) -> None:
    """Run one point; finished requests are added to ``result`` and given to ``sink`` at once."""
    point, number = result.point, result.number
    units = point.isl if client.target.ids else client.target.words_for(point.isl)
    client.prompts.reserve(units)

    def take(record: Record) -> None:
        result.records.append(record)
        sink(record)

    jobs, room = _jobs(point, number), room_for_connections()
    if point.concurrency is not None:
        _check_room(point.concurrency, room)
        work = closed_loop(client, jobs, point.concurrency, take, duration_s=point.duration_s)
    else:
        offsets = _offsets(point, seed + number).tolist()
        work = open_loop(client, jobs, offsets, take, max_in_flight=room)
    gc.collect()
    gc.freeze()  # a collection over everything loaded so far would stop the clock for milliseconds
    try:
        await measured(work, lambda overhead: setattr(result, "overhead", overhead))
    finally:
        gc.unfreeze()
        result.overhead.clock = client.clock
    result.complete = True


def _check_room(concurrency: int, room: int) -> None:
    if concurrency > room:
        raise InputError(f"this process may open {room:,} connections",
                         got=f"concurrency {concurrency:,}",
                         remedy="raise the limit of open files (ulimit -n)")  # fmt: skip


def _offsets(point: Point, seed: int) -> Any:
    if point.trace is not None:
        return point.trace.arrival_s
    assert point.request_rate is not None
    return arrival_times(
        point.total or 1, point.request_rate, arrival=point.arrival, burstiness=point.burstiness,
        seed=seed,
    )  # fmt: skip


def _jobs(point: Point, number: int) -> Iterator[Job]:
    """Give the requests of a point, warm-up first; ``repeat`` counts those after it."""
    run, total = uuid.uuid4().hex[:8], point.total or MAX_REQUESTS
    for i in range(total):
        isl, osl = point.isl, point.osl
        if point.trace is not None:
            isl, osl = int(point.trace.isl[i]), int(point.trace.osl[i])
        yield Job(
            f"{run}-{number}-{i}", isl, osl, number, max(i - point.warmup_requests, 0),
            i < point.warmup_requests, point.concurrency, point.request_rate,
        )  # fmt: skip
