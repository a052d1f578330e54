"""From the bytes of a server-sent event stream to its events, however they are cut.

More is read than the standard allows, because servers write more: events without a blank line
between them, JSON without ``data:`` (a proxy that failed half way), and the field ``error:`` that
llama.cpp wrote until 2025.
"""

from __future__ import annotations

import json
from typing import Any, NamedTuple

MAX_BUFFER = 16 << 20
BOM = b"\xef\xbb\xbf"
FIELDS = (b"data:", b"event:", b"id:", b"retry:", b"error:", b":")


class Event(NamedTuple):
    """One event.

    Attributes
    ----------
    name
        What the field ``event`` says, empty for none.
    value
        Its data read as JSON, None where they are not.
    text
        Its data as they came.
    at_ns
        Arrival of the bytes that made it complete.
    """

    name: str
    value: Any
    text: bytes
    at_ns: int


class EventReader:
    r"""Take the bytes of a stream as they arrive, return its events.

    Attributes
    ----------
    overflow
        Whether a line grew beyond 16 MiB and was dropped.

    Examples
    --------
    >>> reader = EventReader()
    >>> reader.feed(5, b"event: error\ndata: {}\n\n: ping\n\nda")
    [Event(name='error', value={}, text=b'{}', at_ns=5)]
    >>> reader.feed(9, b"ta: [DONE]\n\n")
    [Event(name='', value=None, text=b'[DONE]', at_ns=9)]
    """

    def __init__(self) -> None:
        self.overflow = False
        self._rest = b""
        self._name = ""
        self._held = b""  # data that are no whole JSON: the next line may go on with them
        self._at_ns = 0

    def feed(self, now_ns: int, data: bytes) -> list[Event]:
        """Take bytes that arrived at ``now_ns``, return the events they complete."""
        lines = (self._rest + data).split(b"\n")
        self._rest, self._at_ns = lines.pop(), now_ns
        if len(self._rest) > MAX_BUFFER:
            self.overflow, self._rest = True, b""
        return self._events(lines)

    def close(self) -> list[Event]:
        """Return what is left at the end of the stream: a last line without its end counts."""
        rest, self._rest = self._rest, b""
        return self._events([rest, b""])

    def _events(self, lines: list[bytes]) -> list[Event]:
        found = []
        for line in lines:
            event = self._line(line.rstrip())
            if event is not None:
                found.append(event)
        return found

    def _line(self, line: bytes) -> Event | None:
        """Take a line; return the event that it completes, if it does."""
        if line[:5] == b"data:":
            return self._data(line[5:].lstrip())
        if not line:
            name, held, self._name, self._held = self._name, self._held, "", b""
            return Event(name, None, held, self._at_ns) if held else None
        if line[:6] == b"event:":
            self._name = line[6:].strip().decode(errors="replace")
        elif line[:6] == b"error:":
            text = line[6:].lstrip()
            return Event("error", parsed(text), text, self._at_ns)
        elif line[:1] == b"{":
            return self._data(line)
        elif line[:3] == BOM:
            return self._line(line[3:])
        return None

    def _data(self, text: bytes) -> Event | None:
        if self._held:
            text = self._held + b"\n" + text
        value = parsed(text)
        self._held = text if value is None and text[:1] == b"{" else b""
        return None if self._held else Event(self._name, value, text, self._at_ns)


def parsed(text: bytes) -> Any:
    """Return bytes read as JSON, None if they are not; half a character in them does no harm.

    >>> parsed(b'{"text": "a"}'), parsed(b'{"text":')
    ({'text': 'a'}, None)
    """
    try:
        return json.loads(text.decode(errors="replace"))
    except ValueError:
        return None


def is_stream(body: bytes) -> bool:
    r"""Return whether a body looks like an event stream, whatever its type is said to be.

    >>> is_stream(b"data: {}\n\n"), is_stream(b'{"choices": []}')
    (True, False)
    """
    return body.lstrip(BOM + b"\r\n ").startswith(FIELDS)
