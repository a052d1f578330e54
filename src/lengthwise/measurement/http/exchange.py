"""One HTTP request and its answer, with the times that a transport saw."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from lengthwise.measurement.http.events import Event, is_stream, parsed
from lengthwise.measurement.http.faults import message_of
from lengthwise.measurement.http.tokens import TokenStream

MAX_BODY = 64 << 20
GZIP_OR_ZLIB = 32 + zlib.MAX_WBITS


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
    streaming
        Whether the answer is an event stream.
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
    _inflate: Any = field(default=None, repr=False)

    def answered(self, status: int, headers: Mapping[str, str]) -> None:
        """Take status and headers (names in small letters)."""
        self.status, self.response_headers = status, headers
        self.streaming = status == 200 and "event-stream" in headers.get("content-type", "")
        coding = headers.get("content-encoding", "identity").lower()
        if coding in ("gzip", "x-gzip", "deflate"):  # a proxy that packs what nobody asked it to
            self._inflate = zlib.decompressobj(GZIP_OR_ZLIB)
        elif coding not in ("", "identity"):
            self.stream.fail("malformed", f"an answer packed with {coding}, which was not asked")

    def received(self, now_ns: int, data: bytes) -> None:
        """Take a piece of the body."""
        self.last_ns = now_ns
        if self._inflate is not None:
            data = self._unpacked(data)
        if not self.streaming and self.status == 200 and not self.body:
            self.streaming = is_stream(data)
        if self.streaming:
            self.stream.feed(now_ns, data)
        elif len(self.body) < MAX_BODY:
            self.body += data

    def close(self) -> None:
        """Note the end of the answer; a whole one in JSON counts as a single chunk."""
        if self.streaming or self.status != 200:
            self.stream.close()
        elif isinstance(self.json(), dict):
            self.stream.take(Event("", self.json(), bytes(self.body), self.last_ns))

    def json(self) -> Any:
        """Return the body read as JSON; None if it is not."""
        return parsed(bytes(self.body))

    def _unpacked(self, data: bytes) -> bytes:
        try:
            found: bytes = self._inflate.decompress(data)
        except zlib.error as error:
            self.stream.fail("malformed", f"an answer that cannot be unpacked: {error}")
            return b""
        return found

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
