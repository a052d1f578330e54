"""uvicorn's HTTP/1.1 protocol with limits on heads, on time, and on what is kept of a client.

The parser in use has no limits of its own. Data reach it in slices; between two slices it is
decided whether a head grew too long, and whatever is no part of a body (heads, trailers, extensions
of chunks) counts. A head has a time to be complete in, a refused body and an answer that nobody
takes have one too.

Where uvicorn is started by others, its option ``--http`` (or ``UVICORN_HTTP``) with the value
``lengthwise.interfaces.http.heads:GuardedProtocol`` turns the same guard on, with limits from the
environment.
"""

from __future__ import annotations

import asyncio
import os
from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from lengthwise.interfaces.http.connections import ANSWER, ONLY_PROBES, Connections, room_for
from lengthwise.interfaces.service.environment import read_environment
from lengthwise.interfaces.service.settings import ServiceSettings

MOST_PIPELINED = 32
"""Requests sent before the first is answered."""
_WORDS = {
    400: "the request cannot be read as HTTP/1.1",
    408: "the head of a request took too long",
    414: "the path and query of a request are too long",
    431: "the head of a request is too long or has too many headers",
    503: "too many connections; try again later",
}


class Guard:
    """Limits of a worker and its connections, shared by all of them.

    Parameters
    ----------
    settings
        Limits.
    """

    def __init__(self, settings: ServiceSettings) -> None:
        self.settings = settings
        self.connections = Connections(room_for(settings.max_connections), settings.max_held_bytes)

    @classmethod
    def from_environment(cls) -> Guard:
        """Return a guard for a server that others have started."""
        from pathlib import Path

        names = {k: v for k, v in read_environment(os.environ).items() if k in _LIMITS}
        return cls(ServiceSettings(state=Path("."), **names))


_LIMITS = ("max_line_bytes", "max_head_bytes", "max_headers", "head_timeout_s", "body_timeout_s",
           "max_connections", "max_held_bytes")  # fmt: skip


class GuardedProtocol(HttpToolsProtocol):
    """See the module.

    Parameters
    ----------
    guard
        Shared by all connections; None: made once, from the environment.
    """

    _shared: Guard | None = None

    def __init__(self, *args: Any, guard: Guard | None = None, **more: Any) -> None:
        super().__init__(*args, **more)
        if guard is None:
            if GuardedProtocol._shared is None:
                GuardedProtocol._shared = Guard.from_environment()
            guard = GuardedProtocol._shared
        self._limits, self._open = guard.settings, guard.connections
        self._timer: asyncio.TimerHandle | None = None
        self._write_timer: asyncio.TimerHandle | None = None
        self._in_head, self._in_body = True, False
        self._quiet = self._count = self._unsent = 0
        self._refusal = self._line = 0
        self._known = False
        self._answer = [0]

    # connection -----------------------------------------------------------------------------

    def connection_made(self, transport: Any) -> None:
        """Count the connection; its first head has a time from now on."""
        super().connection_made(transport)
        self._known = self._open.added(self)
        if self._known:
            self._arm(self._limits.head_timeout_s)
        else:
            self._refuse(503)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        super().connection_lost(exc)
        self._disarm()
        self._took()
        if self._known:
            self._known = False
            self._open.removed(self)

    def drop(self) -> None:
        """Close at once: another connection needs the place."""
        if self._known:
            self._known = False
            self._open.removed(self)
        self.transport.abort()

    # reading --------------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        """Hand data to the parser in slices, as long as the limits hold."""
        most = self._limits.max_head_bytes
        if len(data) <= most:
            self._slice(data)
        else:
            view = memoryview(data)
            for start in range(0, len(data), most):
                if self._refusal or self.transport.is_closing():
                    return
                self._slice(bytes(view[start : start + most]))
        self._await_head()

    def _await_head(self) -> None:
        """Give the next head its time, once the answer to the last request is out."""
        answered = self.cycle is None or self.cycle.response_complete
        if self._in_head and answered and self._timer is None and not self.transport.is_closing():
            self._arm(self._limits.head_timeout_s)

    def _slice(self, data: bytes) -> None:
        if self._refusal or self.parser is None:
            return
        self._quiet += len(data)
        super().data_received(data)
        if self._quiet > self._limits.max_head_bytes:
            self._refuse(431)

    def on_message_begin(self) -> None:
        """Begin a head."""
        super().on_message_begin()
        self._in_head, self._in_body, self._count, self._line = True, False, 0, 0
        if len(self.pipeline) >= MOST_PIPELINED:
            self._stop(431)

    def on_url(self, url: bytes) -> None:
        """Take a part of the path, up to the limit."""
        self._line += len(url)
        if self._line > self._limits.max_line_bytes:
            self._stop(414)
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header or a trailer, up to the limit."""
        self._count += 1
        if self._count > self._limits.max_headers:
            self._stop(431)
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """End a head; what follows is its body."""
        self._in_head, self._in_body, self._quiet = False, True, 0
        self._disarm()
        self._open.busy(self)
        self.scope["state"][ANSWER] = self._answer
        if self._open.full:
            self.scope["state"][ONLY_PROBES] = True
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Take a part of a body."""
        self._quiet = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """End a request; the next head may begin."""
        self._in_head, self._in_body, self._quiet = True, False, 0
        self._disarm()
        super().on_message_complete()
        if self.cycle.response_complete and not self.transport.is_closing():
            self._rest()  # the rest of a body that was refused is here and dropped

    def on_response_complete(self) -> None:
        """Rest; of a body that was refused, the rest is awaited for a time and dropped."""
        super().on_response_complete()
        if self.transport.is_closing():
            return
        if self._in_body:
            self._arm(self._limits.body_timeout_s)
        elif self.cycle.response_complete:
            self._open.rests(self)
            if self._quiet:  # a part of the next head is here
                self._await_head()

    def _rest(self) -> None:
        self._unset_keepalive_if_required()
        self.timeout_keep_alive_task = self.loop.call_later(
            self.timeout_keep_alive, self.timeout_keep_alive_handler
        )
        self._open.rests(self)

    def timeout_keep_alive_handler(self) -> None:
        """Close a connection that rested too long, taken answer or not."""
        self.transport.abort() if self._unsent else super().timeout_keep_alive_handler()

    # answers that nobody takes ----------------------------------------------------------------

    def pause_writing(self) -> None:
        """Give the client a time to take what was written."""
        super().pause_writing()
        self._open.taken(self._unsent)
        self._unsent = max(self._answer[0], self.transport.get_write_buffer_size())
        if not self._open.holds(self._unsent):
            self.transport.abort()
        elif self._write_timer is None:
            self._write_timer = self.loop.call_later(
                self._limits.body_timeout_s, self.transport.abort
            )

    def resume_writing(self) -> None:
        """Note that the client took it."""
        super().resume_writing()
        self._took()

    def _took(self) -> None:
        self._open.taken(self._unsent)
        self._unsent = 0
        if self._write_timer is not None:
            self._write_timer.cancel()
            self._write_timer = None

    # refusals -------------------------------------------------------------------------------

    def _arm(self, seconds: float) -> None:
        self._disarm()
        self._timer = self.loop.call_later(seconds, self._late)

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _late(self) -> None:
        self._timer = None
        if self._in_body or not self._quiet:
            self.transport.abort()  # a refused body that does not end, or nothing sent at all
        else:
            self._refuse(408)

    def _stop(self, status: int) -> None:
        """Refuse from inside the parser, which ends it."""
        self._refusal = status
        raise ValueError(status)

    def send_400_response(self, msg: str) -> None:
        """Answer what the parser could not read, or would not."""
        self._refuse(self._refusal or 400)

    def _refuse(self, status: int) -> None:
        self._refusal = status
        self._disarm()
        if self.transport.is_closing():
            return
        if self.cycle is None or self.cycle.response_complete:
            words = _WORDS[status].encode()
            self.transport.write(
                STATUS_LINE[status] + b"content-type: text/plain; charset=utf-8\r\n"
                b"content-length: %d\r\nconnection: close\r\n" % len(words)
                + (b"retry-after: 1\r\n" if status == 503 else b"")
                + b"\r\n" + words
            )  # fmt: skip
        self.transport.close()
        self._write_timer = self._write_timer or self.loop.call_later(5.0, self.transport.abort)
