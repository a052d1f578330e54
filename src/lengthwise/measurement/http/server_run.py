"""A whole measurement of a server: find it, run the points, keep every request at once."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from lengthwise.data.prometheus_text import Metrics
from lengthwise.errors import LengthwiseError
from lengthwise.measurement.http.aio import AiohttpTransport
from lengthwise.measurement.http.client import Client, Target
from lengthwise.measurement.http.discover import find_target, split_url
from lengthwise.measurement.http.exchange import Transport
from lengthwise.measurement.http.load import Sink
from lengthwise.measurement.http.loop import run
from lengthwise.measurement.http.points import Point
from lengthwise.measurement.http.prometheus import difference, scrape
from lengthwise.measurement.http.record import Record
from lengthwise.measurement.http.recorder import KeptPoint, Recorder
from lengthwise.measurement.http.session import PointResult, run_point
from lengthwise.measurement.http.summary import summary_of
from lengthwise.measurement.http.wire import LeanTransport


@dataclass
class ServerRun:
    """What a measurement of a server gave.

    Attributes
    ----------
    kept
        Whole points of an earlier part of a resumed run: the first ones.
    results
        One per point begun now.
    notes
        What is to be known of all points.
    status
        ``complete``, ``interrupted`` or ``failed``.
    problem
        What ended a failed run.
    """

    target: Target | None = None
    kept: Sequence[KeptPoint] = ()
    results: list[PointResult] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    status: str = "complete"
    problem: LengthwiseError | OSError | None = None

    @property
    def records(self) -> list[Record]:
        """Requests sent now, in the order they finished."""
        return [record for result in self.results for record in result.records]

    def labels(self, given: Mapping[str, str]) -> dict[str, Any]:
        """Give the columns that name what was measured; those given win."""
        if self.target is None:
            return dict(given)
        found = {"model": model_label(self.target.model), "engine": self.target.engine,
                 "engine_version": self.target.engine_version}  # fmt: skip
        return {k: v for k, v in found.items() if v} | {"source": self.target.origin, **given}

    def rows(self, given: Mapping[str, str]) -> list[dict[str, Any]]:
        """Give the rows of the measurement table, those kept first."""
        labels = self.labels(given)
        kept = [row for point in self.kept for row in point.rows]
        return kept + [record.to_row() | labels for record in self.records]

    def summaries(self) -> list[dict[str, Any]]:
        """Give the figures of every point begun, ready for JSON."""
        return [point.summary for point in self.kept] + [summary_of(r) for r in self.results]


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
    url: str, points: Sequence[Point], options: RunOptions,
    record: Callable[[ServerRun], Recorder], *, kept: Sequence[KeptPoint] = (),
    begin: Callable[[ServerRun, Client], None] = lambda outcome, client: None,
    show: Callable[[Record], None] = lambda record: None,
) -> ServerRun:  # fmt: skip
    """Measure a server; what was measured survives Ctrl-C, a dead server and a full disk.

    Parameters
    ----------
    record
        Called once, when the server was found and before anything is measured; gives what keeps
        the requests.
    kept
        Whole points of an earlier part: these are not measured again. If all are, the server is
        not asked.
    begin
        Called as each point begins, its result being the last.
    show
        Called with each finished request, after it was written.

    Raises
    ------
    LengthwiseError
        If not even the first point could begin.
    KeyboardInterrupt
        The same, after Ctrl-C.
    """
    outcome = ServerRun(kept=kept)
    if len(kept) >= len(points):
        return outcome
    try:
        run(_run(url, points, options, record, outcome, begin, show))
    except KeyboardInterrupt:
        if not outcome.results:
            raise
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
    url: str, points: Sequence[Point], options: RunOptions,
    record: Callable[[ServerRun], Recorder], outcome: ServerRun,
    begin: Callable[[ServerRun, Client], None], show: Callable[[Record], None],
) -> None:  # fmt: skip
    transport = transport_for(url)
    try:
        target = await find_target(
            transport, url, endpoint=options.endpoint, model=options.model,
            timeout_s=options.timeout_s,
        )  # fmt: skip
        outcome.target = target
        outcome.notes += target.notes
        if isinstance(transport, AiohttpTransport):
            outcome.notes.append("requests go through a proxy: its time is part of the figures")
        fresh = f"{options.seed} {uuid.uuid4().hex}"  # a prompt sent before may be in a cache
        client = Client(target, transport, timeout_s=options.timeout_s, seed=fresh)
        with record(outcome) as recorder:
            recorder.labels = outcome.labels(options.labels)

            def sink(one: Record) -> None:
                recorder(one)
                show(one)

            for number in range(len(outcome.kept), len(points)):
                outcome.results.append(PointResult(points[number], number=number))
                begin(outcome, client)
                await _point(client, transport, url, outcome, options, sink)
                done = outcome.results[-1]
                recorder.end_point(number, len(done.records), summary_of(done))
    finally:
        await transport.close()


async def _point(
    client: Client, transport: Transport, url: str, outcome: ServerRun, options: RunOptions,
    sink: Sink,
) -> None:  # fmt: skip
    """Run the point begun last, between two looks at what the server says of itself."""
    result, headers = outcome.results[-1], client.target.headers
    before, _ = await _scraped(transport, url, headers, options)
    await run_point(client, result, sink=sink, seed=options.seed)
    after, why = await _scraped(transport, url, headers, options)
    if before is not None and after is not None:
        view = difference(before, after)
        result.view = view if view.times else None
    elif options.scrape and len(outcome.results) == 1:
        outcome.notes.append(f"no server metrics ({why})")


async def _scraped(
    transport: Transport, url: str, headers: Mapping[str, str], options: RunOptions
) -> tuple[Metrics | None, str]:
    return await scrape(transport, url, headers) if options.scrape else (None, "")
