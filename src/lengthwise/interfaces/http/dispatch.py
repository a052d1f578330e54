"""From ASGI to handlers and back: find the route, read the body, guard, answer, tell, count.

Handlers are plain functions of a `Call`. Short bodies are answered on the event loop, since handing
100 rows to a thread costs more than answering them; longer ones, and whatever may wait, go to a
thread, so that the loop stays free for others.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from time import perf_counter
from typing import Any

from lengthwise.interfaces.http.exchange import Call, Pending, Reply, Route
from lengthwise.interfaces.http.guards import RateLimit, Tokens, check_origin, too_large
from lengthwise.interfaces.http.problems import HttpError, problem
from lengthwise.interfaces.http.telling import Telling

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

BODY_TIMEOUT_S = 30.0
"""A client that takes longer to send its body is told so (408)."""
THREADS = 4


class GoneError(Exception):
    """The client went away before its body was complete."""


class Dispatcher:
    """Routes, and what is done around every handler.

    Parameters
    ----------
    routes
        Every endpoint.
    telling
        Metrics, access log and traces of requests.
    """

    def __init__(
        self, routes: Sequence[Route], *, tokens: Tokens, rate: RateLimit, max_body_bytes: int,
        telling: Telling,
    ) -> None:  # fmt: skip
        self.routes = tuple(routes)
        self._exact: dict[str, dict[str, Route]] = {}
        for route in routes:
            if "{" not in route.path:
                self._exact.setdefault(route.path, {})[route.method] = route
        self._patterns = [(_pattern(r.path), r) for r in routes if "{" in r.path]
        self._tokens, self._rate, self._limit = tokens, rate, max_body_bytes
        self._telling = telling
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="http")

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
        if self._tokens and route.role:
            self._tokens.check(headers.get(b"authorization", b""), route.role)
        elif route.role == "write":
            check_origin(headers)
        if route.role:
            self._rate.check((scope.get("client") or ("?",))[0])
        body = b""
        if route.method == "POST":
            body = await self._body(headers, receive)
        call = Call(route.method, scope["path"], body, scope["query_string"], headers, names)
        if len(body) < route.inline_below:
            found = route.handler(call)
        else:
            loop = asyncio.get_running_loop()
            found = await loop.run_in_executor(self._threads, partial(route.handler, call))
        if isinstance(found, Pending):
            return found.then(await asyncio.wrap_future(found.future))
        return found

    async def _body(self, headers: dict[bytes, bytes], receive: Receive) -> bytes:
        length = headers.get(b"content-length", b"0")
        if length.isdigit() and int(length) > self._limit:
            raise too_large(self._limit)
        try:
            async with asyncio.timeout(BODY_TIMEOUT_S):
                return await self._whole(receive)
        except TimeoutError:
            raise HttpError(
                408, f"a body must arrive within {BODY_TIMEOUT_S:g} s", got="part of it",
                remedy="send it faster or in parts",
            ) from None  # fmt: skip

    async def _whole(self, receive: Receive) -> bytes:
        parts: list[bytes] = []
        size, more = 0, True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise GoneError
            parts.append(message.get("body", b""))
            size += len(parts[-1])
            more = message.get("more_body", False)
            if size > self._limit:
                raise too_large(self._limit)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def close(self) -> None:
        """End the threads."""
        self._threads.shutdown(wait=True, cancel_futures=True)


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
