"""From ASGI to handlers and back: find the route, guard, read the body, answer, tell, count.

Handlers are plain functions of a `Call`. A few rows are answered on the event loop, since handing
100 rows to a thread costs more than answering them; more of them, and whatever may wait, go to a
thread, so that the loop stays free for others. Few threads read large bodies at the same time, and
probes have one of their own.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from time import perf_counter
from typing import Any

from lengthwise.interfaces.http.buckets import Buckets
from lengthwise.interfaces.http.connections import ANSWER, ONLY_PROBES
from lengthwise.interfaces.http.exchange import Call, Pending, Reply, Route
from lengthwise.interfaces.http.guards import Access
from lengthwise.interfaces.http.intake import GoneError, Intake, Receive, Room
from lengthwise.interfaces.http.problems import HttpError, problem
from lengthwise.interfaces.http.telling import Telling
from lengthwise.interfaces.service.settings import ServiceSettings

Scope = MutableMapping[str, Any]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

READERS, WAITERS = 2, 4
"""Threads for large bodies, and for what waits on the store."""
INLINE_OBJECTS = 400
"""Objects in a body, times answers wanted of each, that are answered on the event loop."""
BODILESS = 64 * 1024
"""Bytes of a body where none is wanted, or only a few words."""


class Dispatcher:
    """Routes, and what is done around every handler.

    Parameters
    ----------
    routes
        Every endpoint.
    settings
        Limits, and who may ask.
    telling
        Metrics, access log and traces of requests.
    """

    def __init__(
        self, routes: Sequence[Route], settings: ServiceSettings, telling: Telling
    ) -> None:  # fmt: skip
        self.routes = tuple(routes)
        self._exact: dict[str, dict[str, Route]] = {}
        for route in routes:
            if "{" not in route.path:
                self._exact.setdefault(route.path, {})[route.method] = route
        self._patterns = [(_pattern(r.path), r) for r in routes if "{" in r.path]
        self._buckets = Buckets(settings.state / "rates")
        self._access = Access(settings, self._buckets)
        self._settings, self._room = settings, Room(settings.max_held_bytes)
        self._telling = telling
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="bodies")
        self._waiters = ThreadPoolExecutor(WAITERS, thread_name_prefix="http")
        self._prober = ThreadPoolExecutor(1, thread_name_prefix="probes")

    async def answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        began = perf_counter()
        path, method = scope["path"], scope["method"]
        route: Route | None = None
        try:
            route, names = self.find(method, path)
            found = await self._reply(route, names, scope, receive)
        except GoneError:
            return
        except Exception as error:  # whatever it is, the client gets an answer
            native = path.startswith("/v1/") or (
                route.tag != "llm-d" if route else not self._speaks_llm_d
            )
            found = problem(error, path, native=native)
            if found.status == 500:
                self._telling.unexpected(method, path, error)
        if ANSWER in (state := scope.get("state", {})):
            state[ANSWER][0] = len(found.body)
        await _send(send, found, with_body=method != "HEAD")
        self._telling.done(scope, route, found, perf_counter() - began)

    @property
    def _speaks_llm_d(self) -> bool:
        return any(route.tag == "llm-d" for route in self.routes)

    def find(self, method: str, path: str) -> tuple[Route, dict[str, str]]:
        """Find the route of a request, with the names its path holds; `HttpError` 404 or 405."""
        method = "GET" if method == "HEAD" else method
        here = self._exact.get(path)
        if here is not None and method in here:
            return here[method], {}
        allowed = set(here or ())
        for pattern, route in self._patterns if here is None else ():
            match = pattern.fullmatch(path)
            if match and route.method == method:
                return route, match.groupdict()
            if match:
                allowed.add(route.method)
        if allowed:
            raise HttpError(
                405, "the method must be one this path has", got=method,
                remedy="use " + " or ".join(sorted(allowed)),
                headers=((b"allow", ", ".join(sorted(allowed)).encode()),),
            )  # fmt: skip
        raise HttpError(404, "the path must be one of the service", got=path[:200],
                        remedy="see /openapi.json")  # fmt: skip

    async def _reply(
        self, route: Route, names: dict[str, str], scope: Scope, receive: Receive
    ) -> Reply:
        headers = dict(scope["headers"])
        if not route.is_probe and scope.get("state", {}).get(ONLY_PROBES):
            raise HttpError(503, "the service must have a free connection",
                            got="too many at once", remedy="try again later")  # fmt: skip
        if route.role:
            self._access.check((scope.get("client") or ("?",))[0], headers, route.role)
        limit = getattr(self._settings, route.limit) if route.limit else BODILESS
        with Intake(self._room, limit, self._settings.body_timeout_s) as intake:
            body: bytes | bytearray = b""
            if route.method == "POST":
                body = await intake.body(headers, receive)
            call = Call(route.method, scope["path"], body, scope["query_string"], headers, names)
            if _is_light(route, call):
                found = route.handler(call)
            else:
                found = await asyncio.get_running_loop().run_in_executor(
                    self._threads_for(route, body), partial(route.handler, call)
                )
        if isinstance(found, Pending):
            return found.then(await asyncio.wrap_future(found.future))
        return found

    def _threads_for(self, route: Route, body: bytes | bytearray) -> ThreadPoolExecutor:
        if route.is_probe:
            return self._prober
        return self._readers if body else self._waiters

    def close(self) -> None:
        """End the threads."""
        for threads in (self._readers, self._waiters, self._prober):
            threads.shutdown(wait=True, cancel_futures=True)
        self._buckets.close()


def _is_light(route: Route, call: Call) -> bool:
    """Whether a call takes so little time that the event loop can wait for it."""
    if len(call.body) >= route.inline_below:
        return False
    wanted = 1 + call.query_string.count(b",") + call.query_string.count(b"%2")
    return not call.body or call.body.count(b"{") * wanted <= INLINE_OBJECTS


async def _send(send: Send, found: Reply, *, with_body: bool) -> None:
    headers = [
        (b"content-type", found.content_type),
        (b"content-length", str(len(found.body)).encode()),
        *found.headers,
    ]
    await send({"type": "http.response.start", "status": found.status, "headers": headers})
    await send({"type": "http.response.body", "body": found.body if with_body else b""})


def _pattern(path: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", path))
