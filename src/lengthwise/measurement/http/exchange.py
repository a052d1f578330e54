"""One HTTP request and its answer, with the times that a transport saw."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from lengthwise.measurement.http.tokens import TokenStream, message_of

MAX_BODY = 64 << 20


class WireError(Exception):
    """A request failed below HTTP; ``label`` says how: connect, timeout, disconnect, malformed."""

    def __init__(self, label: str, detail: str) -> None:
        super().__init__(detail)
        self.label, self.detail = label, detail


@dataclass
class Exchange:
    """A request, and what came back so far; a transport fills it in.

    Attributes
    ----------
    sent_ns
        Instant before the first byte was written, connection ready; 0 if it never was.
    connect_ns
        Time spent on opening a connection, 0 on a reused one.
    last_ns
        Arrival of the last byte.
    stream
        Takes the body of an event stream; other bodies are kept in ``body``.
    """

    method: str
    path: str
    payload: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    status: int = 0
    response_headers: Mapping[str, str] = field(default_factory=dict)
    sent_ns: int = 0
    connect_ns: int = 0
    last_ns: int = 0
    body: bytearray = field(default_factory=bytearray)
    stream: TokenStream = field(default_factory=TokenStream)
    streaming: bool = False

    def answered(self, status: int, headers: Mapping[str, str]) -> None:
        """Take status and headers (names in small letters)."""
        self.status, self.response_headers = status, headers
        self.streaming = status == 200 and "event-stream" in headers.get("content-type", "")

    def received(self, now_ns: int, data: bytes) -> None:
        """Take a piece of the body."""
        self.last_ns = now_ns
        if self.streaming:
            self.stream.feed(now_ns, data)
        elif len(self.body) < MAX_BODY:
            self.body += data

    def json(self) -> Any:
        """Read the body as JSON; None if it is not."""
        try:
            return json.loads(bytes(self.body))
        except ValueError:
            return None

    @property
    def message(self) -> str:
        """Words of an error answer, short."""
        value = self.json()
        return message_of(bytes(self.body).decode(errors="replace") if value is None else value)


class Transport(Protocol):
    """Sends exchanges to one server.

    Attributes
    ----------
    clock
        Who stamps the bytes that arrive: ``kernel``, or this ``process`` when it gets to them.
    """

    clock: str

    async def send(self, exchange: Exchange, timeout_s: float) -> None:
        """Send a request and read its answer to the end, or raise :class:`WireError`."""

    async def close(self) -> None:
        """Close all connections."""
