"""HTTP/1.1 with as little as possible between the socket and the clock.

Bytes are stamped by the kernel where that is possible (Linux, no TLS), else in the callback that
reads them. They are looked into only after all other sockets that were ready have been read, so
that streams do not add to each other's times.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from urllib.parse import urlsplit

from lengthwise.measurement.http.exchange import Exchange, WireError
from lengthwise.measurement.http.framing import FramingError, ResponseReader
from lengthwise.measurement.http.stamped import StampedSocket, connect, keep_stamping

CLOSED = "the server closed the connection before the answer was complete"


class LeanTransport:
    """Keeps connections alive and reuses the last one returned; no redirects, no proxies.

    Parameters
    ----------
    origin
        For example ``http://127.0.0.1:8000``.

    Attributes
    ----------
    clock
        Who stamps the bytes: ``kernel`` or ``process``.
    """

    clock = "process"

    def __init__(self, origin: str) -> None:
        parts = urlsplit(origin)
        self._host = parts.hostname or "localhost"
        self._tls = ssl.create_default_context() if parts.scheme == "https" else None
        self._port = parts.port or (443 if self._tls else 80)
        self._netloc = parts.netloc
        self._idle: list[_Connection] = []
        self._holder = None if self._tls else keep_stamping()
        self._inbox: list[tuple[_Connection, int, bytes]] = []

    async def send(self, exchange: Exchange, timeout_s: float) -> None:
        """Send a request and read its answer to the end.

        Raises
        ------
        WireError
            If there is no connection, no answer in time, or only part of one.
        """
        try:
            async with asyncio.timeout(timeout_s):
                await self._send(exchange)
        except TimeoutError:
            raise WireError("timeout", f"no complete answer within {timeout_s:g} s") from None

    async def close(self) -> None:
        """Close the connections that are idle."""
        for connection in self._idle:
            connection.abort()
        self._idle.clear()
        if self._holder is not None:
            self._holder.close()

    async def _send(self, exchange: Exchange) -> None:
        while True:
            connection, reused = await self._connection(exchange)
            try:
                await connection.perform(exchange, self._head(exchange))
            except WireError:
                connection.abort()
                if reused and not exchange.status:  # closed while idle: nothing was answered
                    continue
                raise
            except BaseException:
                connection.abort()
                raise
            if connection.reusable:
                self._idle.append(connection)
            else:
                connection.abort()
            return

    async def _connection(self, exchange: Exchange) -> tuple[_Connection, bool]:
        while self._idle:
            connection = self._idle.pop()
            if connection.reusable:
                return connection, True
        began = time.perf_counter_ns()
        try:
            connection = await self._opened()
        except OSError as error:  # refused, unreachable, no such name, TLS
            raise WireError("connect", str(error) or type(error).__name__) from None
        exchange.connect_ns = time.perf_counter_ns() - began
        return connection, False

    async def _opened(self) -> _Connection:
        loop = asyncio.get_running_loop()
        stamped = None if self._tls else await connect(self._host, self._port)
        if stamped is not None:
            _, connection = await loop.create_connection(
                lambda: _Connection(self, stamped), sock=stamped
            )
            return connection
        _, connection = await loop.create_connection(
            lambda: _Connection(self), self._host, self._port, ssl=self._tls
        )
        return connection

    def _head(self, exchange: Exchange) -> bytes:
        lines = [
            f"{exchange.method} {exchange.path} HTTP/1.1", f"Host: {self._netloc}",
            "Accept-Encoding: identity", "User-Agent: lengthwise",
            *(f"{name}: {value}" for name, value in exchange.headers.items()),
        ]  # fmt: skip
        if exchange.payload:
            lines.append(f"Content-Length: {len(exchange.payload)}")
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1", "replace")

    def _arrived(self, connection: _Connection, now_ns: int, data: bytes) -> None:
        if not self._inbox:
            asyncio.get_running_loop().call_soon(self._look)
        self._inbox.append((connection, now_ns, data))

    def _look(self) -> None:
        waiting, self._inbox = self._inbox, []
        for connection, now_ns, data in waiting:
            connection.look(now_ns, data)


class _Connection(asyncio.Protocol):
    """One connection, carrying one exchange at a time."""

    def __init__(self, owner: LeanTransport, stamped: StampedSocket | None = None) -> None:
        self._owner, self._stamped = owner, stamped
        owner.clock = "kernel" if stamped else "process"
        self._transport: asyncio.Transport | None = None
        self._exchange: Exchange | None = None
        self._done: asyncio.Future[None] | None = None
        self._reader = ResponseReader()
        self.reusable = True

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    async def perform(self, exchange: Exchange, head: bytes) -> None:
        assert self._transport is not None
        self._exchange, self._reader = exchange, ResponseReader()
        self._done = asyncio.get_running_loop().create_future()
        exchange.sent_ns = time.perf_counter_ns()
        self._transport.write(head + exchange.payload)
        try:
            await self._done
        finally:
            self._exchange = self._done = None

    def abort(self) -> None:
        self.reusable = False
        if self._transport is not None:
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        now_ns = self._stamped.stamp_ns if self._stamped else time.perf_counter_ns()
        self._owner._arrived(self, now_ns, data)

    def connection_lost(self, exc: Exception | None) -> None:
        self.reusable = False
        asyncio.get_running_loop().call_soon(self._lost, exc)  # after what is still in the inbox

    def _lost(self, exc: Exception | None) -> None:
        if self._exchange is None:
            return
        if self._reader.ended_by_close():
            self._finish()
        else:
            self._fail(WireError("disconnect", str(exc) if exc else CLOSED))

    def look(self, now_ns: int, data: bytes) -> None:
        exchange = self._exchange
        if exchange is None:  # an answer to nothing, or to a request that was given up
            self.abort()
            return
        try:
            body = self._reader.feed(data)
        except FramingError as error:
            self._fail(WireError("malformed", str(error)))
            return
        if not exchange.status and self._reader.status:
            exchange.answered(self._reader.status, self._reader.headers)
        exchange.last_ns = now_ns
        if body:
            exchange.received(now_ns, body)
        if self._reader.done:
            self.reusable = self.reusable and self._reader.keep_alive
            self._finish()

    def _finish(self) -> None:
        if self._done is not None and not self._done.done():
            self._done.set_result(None)

    def _fail(self, error: WireError) -> None:
        self.reusable = False
        if self._done is not None and not self._done.done():
            self._done.set_exception(error)
