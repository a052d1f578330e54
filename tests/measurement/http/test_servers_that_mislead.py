"""The command against real servers on loopback that buffer, refuse, fail or hide tokens."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from aiohttp import web
from played_streams import DONE, counts, event, text

from lengthwise.data.table import load
from lengthwise.errors import LengthwiseError, NothingUsableError
from lengthwise.interfaces.cli.measure_server import measure_server

Send = Callable[[bytes], Awaitable[None]]
Answer = Callable[[Send, int, int], Awaitable[None]]
"""Writes the events of an answer: how to send, tokens asked, number of the request from 0."""

TTFT_S, STEP_S, OSL = 0.03, 0.01, 16


class Server:
    """A server with one model; ``answer`` gets the requests of over two tokens.

    The first ``busy`` requests are refused.
    """

    def __init__(self, answer: Answer, busy: int = 0) -> None:
        self.answer, self.busy = answer, busy
        self.times: list[float] = []
        self._loop = asyncio.new_event_loop()
        self._ready, self._end = threading.Event(), asyncio.Event()
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(self._run(),))
        self._thread.start()
        assert self._ready.wait(20)

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join(20)
        self._loop.close()

    async def _run(self) -> None:
        app = web.Application()
        app.add_routes([web.get("/v1/models", self._models),
                        web.post("/v1/completions", self._complete)])  # fmt: skip
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.2)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        self._ready.set()
        await self._end.wait()
        await runner.cleanup()

    async def _models(self, request: web.Request) -> web.Response:
        return web.json_response({"data": [{"id": "m"}]})

    async def _complete(self, request: web.Request) -> web.StreamResponse:
        asked = await request.json()
        if self.busy:
            self.busy -= 1
            raise web.HTTPTooManyRequests(headers={"Retry-After": "0.1"})
        n, isl = asked["max_tokens"], len(asked["prompt"][0])
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})

        async def send(data: bytes) -> None:
            if not response.prepared:
                await response.prepare(request)
            await response.write(data)

        if n > 2:
            self.times.append(self._loop.time())
            await self.answer(send, n, len(self.times) - 1)
        else:
            await send(text("a ") * n)
        usage = event({"choices": [], "usage": counts(n, isl)})
        await send(text("", "length") + usage + DONE)
        return response


@pytest.fixture
def server() -> Iterator[Callable[..., Server]]:
    """Start servers with an answer; they are stopped at the end."""
    started: list[Server] = []

    def start(answer: Answer, busy: int = 0) -> Server:
        started.append(Server(answer, busy))
        return started[-1]

    yield start
    for one in started:
        one.stop()


async def empty_after_a_quarter(send: Send, n: int, number: int) -> None:
    await asyncio.sleep(TTFT_S)
    for i in range(n):
        await send(text("a " if i < n // 4 else ""))
        await asyncio.sleep(STEP_S)


async def at_the_end(send: Send, n: int, number: int) -> None:
    await asyncio.sleep(TTFT_S + (n - 1) * STEP_S)
    await send(text("a ") * n)


async def every_second_breaks(send: Send, n: int, number: int) -> None:
    for i in range(n):
        await asyncio.sleep(STEP_S)
        if number % 2 and i == n // 4:
            await send(event({"object": "error", "message": "engine died", "code": 500}))
        await send(text("a "))


async def all_break(send: Send, n: int, number: int) -> None:
    await send(text("a ") + event({"error": {"message": "engine died"}}))


async def one_at_a_time(send: Send, n: int, number: int) -> None:
    if number in (1, 2):
        raise web.HTTPTooManyRequests(headers={"Retry-After": "0.6"}, text='{"detail": "slow"}')
    await at_the_end(send, n, number)


def measured(
    one: Server, arguments: Callable[..., dict[str, Any]], **changed: Any
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Measure a server with the command; give its table and its summary."""
    given = {"isl": [16, 32], "osl": [OSL], "concurrency": [1], "requests": 3, **changed}
    given = arguments(**given)
    assert measure_server(one.url, **given) == 0
    summary = given["output"].with_suffix(".run") / "summary.json"
    return load(given["output"]), json.loads(summary.read_text())


def test_empty_chunks_of_single_tokens_are_tokens(server: Any, arguments: Any) -> None:
    table, summary = measured(server(empty_after_a_quarter), arguments)
    assert (table["osl"] == OSL).all()
    assert not table["token_mismatch"].any()
    assert 10 < table["tpot_ms"].median() < 25
    total = table["ttft_ms"] + table["tpot_ms"] * (OSL - 1)
    assert (total / table["e2e_ms"]).median() == pytest.approx(1.0, abs=0.1)
    assert not any("use tpot_ms" in w for p in summary["points"] for w in p["warnings"])


def test_an_answer_held_back_has_its_whole_time_only(
    server: Any, arguments: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    table, summary = measured(server(at_the_end), arguments)
    assert table["e2e_ms"].min() > 1e3 * (TTFT_S + (OSL - 1) * STEP_S)
    assert table[["ttft_ms", "tpot_ms"]].isna().all().all()
    assert set(table["timing_note"]) == {"arrived in one piece"}
    metrics = summary["points"][0]["metrics"]
    assert [metrics[m]["n"] for m in ("ttft_ms", "tpot_ms", "itl_ms", "e2e_ms")] == [0, 0, 0, 3]
    said = capsys.readouterr()
    assert "proxy" in said.err
    assert "use tpot_ms" not in said.err


def test_errors_inside_streams_are_failures(
    server: Any, arguments: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    table, summary = measured(server(every_second_breaks), arguments, requests=4)
    failed = table["status"] == "error"
    assert failed.sum() == 4
    assert set(table.loc[failed, "error"]) == {"server_error"}
    times = ["ttft_ms", "tpot_ms", "e2e_ms"]
    assert table.loc[failed, times].isna().all().all()
    assert table.loc[~failed, times].notna().all().all()
    assert [p["failed"] for p in summary["points"]] == [2, 2]
    assert {p["metrics"]["e2e_ms"]["n"] for p in summary["points"]} == {2}
    said = capsys.readouterr()
    assert "4 failed with server_error, for example: engine died" in said.out
    assert "end-of-sequence" not in said.err


def test_where_all_fail_there_are_no_figures(server: Any, arguments: Any, tmp_path: Path) -> None:
    with pytest.raises(NothingUsableError, match="server_error: engine died") as caught:
        measured(server(all_break), arguments)
    assert caught.value.exit_code == 1
    table = load(tmp_path / "table.parquet")
    assert (table["status"] == "error").all()
    assert table[["ttft_ms", "tpot_ms", "e2e_ms", "osl"]].isna().all().all()
    figures = pd.read_csv(tmp_path / "table.run" / "summary.csv")
    assert (figures["failed"] == 3).all()
    assert figures[["e2e_ms_mean", "ttft_ms_mean", "requests_per_s"]].isna().all().all()


def test_a_closed_loop_waits_as_long_as_the_server_asks(server: Any, arguments: Any) -> None:
    one = server(one_at_a_time)
    table, summary = measured(one, arguments, isl=[16], concurrency=[2], requests=5)
    refused = table["error"] == "http_429"
    assert refused.sum() == 2
    assert (table["status"] == "ok").sum() == 3
    assert table.loc[refused, "e2e_ms"].isna().all()
    assert one.times[-1] - one.times[0] > 0.6  # not one after the other at once
    (warning,) = [w for w in summary["points"][0]["warnings"] if "2 of 5 requests failed" in w]
    assert "raise the limit of the server" in warning


def test_a_probe_that_is_refused_is_sent_again(server: Any, arguments: Any) -> None:
    table, summary = measured(server(at_the_end, busy=2), arguments, isl=[16], requests=1)
    assert (table["status"] == "ok").all()
    assert not any("refuses" in note for note in summary["notes"])


def test_a_server_that_only_refuses_says_so(server: Any, arguments: Any) -> None:
    with pytest.raises(LengthwiseError, match="status 429, 3 times"):
        measured(server(at_the_end, busy=100), arguments)
