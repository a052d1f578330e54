"""An OpenAI-compatible server whose latencies are known: it generates nothing, it waits.

    python -m lengthwise.measurement.http.mock --port 8000 --ttft-ms 30 --itl-ms 8

The first token leaves ``ttft_ms + ttft_ms_per_token * isl`` after the request arrived, each
further one ``itl_ms + itl_ms_per_token * context`` after the last was due. The schedule is
absolute, so a late token does not delay the next; when each token really left is kept and given at
``GET /truth``, by the ``X-Request-Id`` of the request. Listens on loopback only.
"""

from __future__ import annotations

import asyncio
import json
import random
import time
import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from lengthwise.measurement.http.aio import need_aiohttp
from lengthwise.measurement.http.loop import new_loop, sleep_until
from lengthwise.measurement.http.mock_answer import MODEL, Answerer, event
from lengthwise.measurement.http.mock_behaviour import Behaviour, parse_args
from lengthwise.measurement.http.mock_metrics import Metrics
from lengthwise.measurement.http.stamped import StampedListener, StampedSocket

if TYPE_CHECKING:
    from aiohttp import web


@dataclass
class Truth:
    """What really happened to one request, by ``time.perf_counter_ns``.

    Attributes
    ----------
    received_ns
        Arrival of the last byte of the request, by the kernel where it tells.
    checksum
        Of the request, to tell whether a prompt came twice.
    """

    received_ns: int
    isl: int
    checksum: int = 0
    sent_ns: list[int] = field(default_factory=list)
    closed_ns: int = 0


class MockServer:
    """Handlers of the server and what they remember."""

    def __init__(self, behaviour: Behaviour) -> None:
        self.behaviour, self.answers = behaviour, Answerer(behaviour)
        self.truth: dict[str, Truth] = {}
        self.metrics = Metrics(MODEL)
        self.accepted: dict[int, StampedSocket] = {}
        self._random = random.Random(behaviour.seed)
        self._answered = 0

    def app(self) -> web.Application:
        """Make the application."""
        from aiohttp import web

        app = web.Application(client_max_size=256 << 20, middlewares=[self.guard()])
        app.add_routes([
            web.post("/v1/completions", self.generate),
            web.post("/v1/chat/completions", self.generate),
            web.get("/v1/models", self.models), web.get("/metrics", self.scrape),
            web.get("/health", self.health),
            web.get("/truth", self.tell), web.delete("/truth", self.forget),
        ])  # fmt: skip
        return app

    def guard(self) -> Any:
        """Refuse requests without the key, where there is one."""
        from aiohttp import web

        expected = f"Bearer {self.behaviour.key}"

        @web.middleware
        async def check(request: web.Request, handler: Any) -> web.StreamResponse:
            if self.behaviour.key and request.headers.get("Authorization") != expected:
                return web.json_response({"error": {"message": "no such key"}}, status=401)
            answer: web.StreamResponse = await handler(request)
            return answer

        return check

    async def models(self, request: web.Request) -> web.Response:
        """List the one model."""
        from aiohttp import web

        return web.json_response({"object": "list", "data": [
            {"id": MODEL, "object": "model", "owned_by": "lengthwise-mock"}]})  # fmt: skip

    async def health(self, request: web.Request) -> web.Response:
        """Say that the server answers; some clients ask first."""
        from aiohttp import web

        return web.json_response({"status": "ok"})

    async def scrape(self, request: web.Request) -> web.Response:
        """Give the metrics as Prometheus text."""
        from aiohttp import web

        return web.Response(text=self.metrics.text())

    async def tell(self, request: web.Request) -> web.Response:
        """Give what really happened, by request."""
        from aiohttp import web

        return web.json_response({key: vars(value) for key, value in self.truth.items()})

    async def forget(self, request: web.Request) -> web.Response:
        """Forget what happened so far."""
        from aiohttp import web

        self.truth.clear()
        return web.Response(status=204)

    async def generate(self, request: web.Request) -> web.StreamResponse:
        """Answer a completion or a chat."""
        from aiohttp import web

        body = await request.read()
        received_ns = self._arrival_ns(request)
        asked = json.loads(body)
        problem = self.answers.refused(asked)
        if problem:
            return web.json_response({"error": {"message": problem, "code": 400}}, status=400)
        isl = self.answers.prompt_tokens(asked)
        truth = Truth(received_ns, isl, zlib.crc32(body))
        self.truth[request.headers.get("X-Request-Id", str(len(self.truth)))] = truth
        fate = self.behaviour.fate(self._random.random())
        self._answered += 1
        if self.behaviour.die_after and self._answered > self.behaviour.die_after:
            import os

            os._exit(1)
        if fate == "error":
            status = self.behaviour.error_status
            return web.json_response({"error": {"message": "injected error"}}, status=status)
        if not asked.get("stream"):
            return web.json_response(self.answers.whole(asked, isl))
        return await self._stream(request, asked, truth, fate)

    def _arrival_ns(self, request: web.Request) -> int:
        carrier = request.transport and request.transport.get_extra_info("socket")
        stamped = self.accepted.get(carrier.fileno()) if carrier else None
        return stamped.stamp_ns if stamped is not None else time.perf_counter_ns()

    async def _stream(
        self, request: web.Request, asked: dict[str, Any], truth: Truth, fate: str
    ) -> web.StreamResponse:
        from aiohttp import web

        chat = "messages" in asked
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        response.enable_chunked_encoding()
        osl = int(asked.get("max_tokens", 16))
        due = truth.received_ns + self.behaviour.first_ns(truth.isl)
        if not chat:
            await sleep_until(int(due))
        await response.prepare(request)
        if chat:  # the role comes at once, and is no token
            await response.write(event(True, None, role=True))
        made = 0
        while made < osl:
            now = min(self.behaviour.tokens_per_chunk, osl - made)
            await sleep_until(int(due))
            truth.sent_ns.append(time.perf_counter_ns())
            await response.write(event(chat, " tok" * now))
            made += now
            due += now * self.behaviour.gap_ns(truth.isl + made)
            if made >= self.behaviour.after and fate != "answer":
                await self._misbehave(request, response, fate)
                return response
        await response.write(event(chat, None) + self.answers.ending(asked, truth.isl, osl))
        truth.closed_ns = time.perf_counter_ns()
        await response.write_eof()
        self.metrics.observe(truth.received_ns, truth.sent_ns, truth.closed_ns, truth.isl, osl)
        return response

    async def _misbehave(
        self, request: web.Request, response: web.StreamResponse, fate: str
    ) -> None:
        if fate == "stall":
            await asyncio.sleep(3600)
        if fate == "malformed":
            await response.write(b"data: {not json\n\n")
            await response.write_eof()
        elif request.transport is not None:
            request.transport.abort()


async def serve(port: int, behaviour: Behaviour) -> None:
    """Serve until cancelled; says ``listening on http://127.0.0.1:PORT`` first."""
    from aiohttp import web

    server, listener = MockServer(behaviour), StampedListener.on_loopback(port)
    server.accepted = listener.accepted
    runner = web.AppRunner(server.app(), access_log=None, shutdown_timeout=0.2)
    await runner.setup()
    await web.SockSite(runner, listener, backlog=1024).start()
    print(f"listening on http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
    try:
        await asyncio.Event().wait()
    finally:
        await runner.cleanup()


def main() -> None:
    """Run the server until it is interrupted."""
    need_aiohttp()
    port, behaviour = parse_args()
    with asyncio.Runner(loop_factory=new_loop) as runner:
        try:
            runner.run(serve(port, behaviour))
        except KeyboardInterrupt:
            return


if __name__ == "__main__":
    main()
