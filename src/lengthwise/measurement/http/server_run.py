"""A whole measurement of a server: find it, run the points, keep every request at once.

Files beside those of :class:`~lengthwise.measurement.run_directory.RunDirectory`::

    requests.jsonl   one row of the measurement table per finished request
    steps.jsonl      one line per gap between tokens

Both are handed to the system after each request, so a killed process loses what was in flight.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from lengthwise.errors import LengthwiseError
from lengthwise.measurement.http.aio import AiohttpTransport
from lengthwise.measurement.http.client import Client, Target
from lengthwise.measurement.http.discover import find_target, split_url
from lengthwise.measurement.http.exchange import Transport
from lengthwise.measurement.http.loop import run
from lengthwise.measurement.http.prometheus import ServerView, difference, scrape
from lengthwise.measurement.http.record import Record
from lengthwise.measurement.http.session import Point, PointResult, run_point
from lengthwise.measurement.http.wire import LeanTransport

REQUESTS, STEPS = "requests.jsonl", "steps.jsonl"


class Recorder:
    """Writes finished requests to a run directory; a context manager."""

    def __init__(self, folder: Path) -> None:
        self._requests = (folder / REQUESTS).open("w", encoding="utf-8")
        self._steps = (folder / STEPS).open("w", encoding="utf-8")
        self.labels: dict[str, Any] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:  # fmt: skip
        for file in (self._requests, self._steps):
            with suppress(OSError):  # all was flushed; a full disk was reported when it was met
                file.close()

    def __call__(self, record: Record) -> None:
        """Keep one request; raises OSError when the disk is full."""
        self._requests.write(record.request_line(self.labels))
        self._requests.flush()
        self._steps.write(record.step_lines())
        self._steps.flush()


@dataclass
class ServerRun:
    """What a measurement of a server gave.

    Attributes
    ----------
    results, views
        One per point begun; a view is None where the server gives no metrics.
    status
        ``complete``, ``interrupted`` or ``failed``.
    problem
        What ended a failed run.
    """

    target: Target | None = None
    results: list[PointResult] = field(default_factory=list)
    views: list[ServerView | None] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    status: str = "complete"
    problem: LengthwiseError | OSError | None = None

    @property
    def records(self) -> list[Record]:
        """All requests, in the order they finished."""
        return [record for result in self.results for record in result.records]

    def labels(self, given: Mapping[str, str]) -> dict[str, Any]:
        """Give the columns that name what was measured; those given win."""
        if self.target is None:
            return dict(given)
        found = {"model": model_label(self.target.model), "engine": self.target.engine,
                 "engine_version": self.target.engine_version}  # fmt: skip
        return {k: v for k, v in found.items() if v} | {"source": self.target.origin, **given}

    def rows(self, given: Mapping[str, str]) -> list[dict[str, Any]]:
        """Give the rows of the measurement table."""
        labels = self.labels(given)
        return [record.to_row() | labels for record in self.records]


def model_label(name: str) -> str:
    """Give the name of a model without the folder of its file.

    >>> model_label("/models/tiny-q8_0.gguf"), model_label("org/model-7b")
    ('tiny-q8_0', 'org/model-7b')
    """
    is_path = name.startswith("/") or name.endswith(".gguf")
    return name.replace("\\", "/").rsplit("/", 1)[-1].removesuffix(".gguf") if is_path else name


@dataclass(frozen=True)
class RunOptions:
    """How to measure; fields as the options of the command."""

    endpoint: str = "auto"
    model: str | None = None
    timeout_s: float = 600.0
    scrape: bool = True
    seed: int = 0
    labels: Mapping[str, str] = field(default_factory=dict)


def run_server(
    url: str, points: Sequence[Point], options: RunOptions, recorder: Recorder,
    *, begin: Callable[[ServerRun, Client], None] = lambda outcome, client: None,
    show: Callable[[Record], None] = lambda record: None,
) -> ServerRun:  # fmt: skip
    """Measure a server; what was measured survives Ctrl-C, a dead server and a full disk.

    Parameters
    ----------
    begin
        Called as each point begins, its result being the last.
    show
        Called with each finished request, after it was written.

    Raises
    ------
    LengthwiseError
        If not even the first point could begin.
    """
    outcome = ServerRun()
    try:
        run(_run(url, points, options, recorder, outcome, begin, show))
    except KeyboardInterrupt:
        outcome.status = "interrupted"
    except (LengthwiseError, OSError) as error:
        if not outcome.results:
            raise
        outcome.status, outcome.problem = "failed", error
    return outcome


def transport_for(url: str) -> Transport:
    """Give the transport for an address: aiohttp where a proxy stands in between."""
    origin = split_url(url)[0]
    parts = urlsplit(origin)
    host = parts.hostname or ""
    loopback = host in ("localhost", "::1") or host.startswith("127.")
    if not loopback and parts.scheme in getproxies() and not proxy_bypass(host):
        return AiohttpTransport(origin)
    return LeanTransport(origin)


async def _run(
    url: str, points: Sequence[Point], options: RunOptions, recorder: Recorder,
    outcome: ServerRun, begin: Callable[[ServerRun, Client], None],
    show: Callable[[Record], None],
) -> None:  # fmt: skip
    transport = transport_for(url)

    def sink(record: Record) -> None:
        recorder(record)
        show(record)

    try:
        target = await find_target(
            transport, url, endpoint=options.endpoint, model=options.model,
            timeout_s=options.timeout_s,
        )  # fmt: skip
        outcome.target = target
        outcome.notes += target.notes
        if isinstance(transport, AiohttpTransport):
            outcome.notes.append("requests go through a proxy: its time is part of the figures")
        recorder.labels = outcome.labels(options.labels)
        client = Client(target, transport, timeout_s=options.timeout_s, seed=options.seed)
        for number, point in enumerate(points):
            result = PointResult(point)
            before, why = await _scraped(transport, url, target, options)
            outcome.results.append(result)
            outcome.views.append(None)
            begin(outcome, client)
            await run_point(client, number, result, sink=sink, seed=options.seed)
            after, why = await _scraped(transport, url, target, options)
            if before is not None and after is not None:
                view = difference(before, after)
                outcome.views[-1] = view if view.times else None
            elif options.scrape and not number:
                outcome.notes.append(f"no server metrics ({why})")
    finally:
        await transport.close()


async def _scraped(transport: Transport, url: str, target: Target, options: RunOptions) -> Any:
    return await scrape(transport, url, target.headers) if options.scrape else (None, "")
