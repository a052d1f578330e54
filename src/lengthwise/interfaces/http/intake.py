"""Bodies on their way in: whole, in time, and not too many bytes of them at once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any

from lengthwise.interfaces.http.problems import HttpError

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]

SMALL = 64 * 1024
"""Bodies up to this size always find room beside larger ones."""
SHARE = 0.75
"""Part of the room that larger bodies may take."""


class GoneError(Exception):
    """The client went away before its body was complete."""


class Room:
    """Counts the bytes of all bodies that are being read or answered.

    Parameters
    ----------
    most
        Bytes.

    Examples
    --------
    >>> room = Room(1 << 20)
    >>> room.take(1000, 1000), room.held
    (None, 1000)
    """

    def __init__(self, most: int) -> None:
        self._most, self.held = most, 0

    def take(self, size: int, whole: int) -> None:
        """Make room for a part of a body that has `whole` bytes so far; `HttpError` 503 if full."""
        if self.held + size > (self._most if whole <= SMALL else SHARE * self._most):
            raise HttpError(
                503, "all bodies together must fit into the memory set aside for them",
                got=f"more than {self._most:,} bytes", remedy="send it again, or in parts",
            )  # fmt: skip
        self.held += size

    def give(self, size: int) -> None:
        """Give room back."""
        self.held -= size


class Intake:
    """Reads one body; a context manager that gives its room back.

    Parameters
    ----------
    room
        Shared by all bodies of the worker.
    most
        Bytes of this body.
    timeout_s
        Seconds until it is complete.
    """

    def __init__(self, room: Room, most: int, timeout_s: float) -> None:
        self._room, self._most, self._timeout_s = room, most, timeout_s
        self._size = 0

    def __enter__(self) -> Intake:
        return self

    def __exit__(self, *_: object) -> None:
        self._room.give(self._size)

    async def body(self, headers: Mapping[bytes, bytes], receive: Receive) -> bytes | bytearray:
        """Return the body.

        Raises
        ------
        HttpError
            408 late, 413 too long, 503 no room.
        GoneError
            The client went away.
        """
        length = headers.get(b"content-length", b"0")
        if length.isdigit() and (len(length) > 18 or int(length) > self._most):
            raise too_large(self._most)
        try:
            async with asyncio.timeout(self._timeout_s):
                return await self._whole(receive)
        except TimeoutError:
            raise HttpError(
                408, f"a body must arrive within {self._timeout_s:g} s", got="part of it",
                remedy="send it faster or in parts",
            ) from None  # fmt: skip

    async def _whole(self, receive: Receive) -> bytes | bytearray:
        first = await self._part(receive)
        if not first[1]:
            return first[0]
        body, more = bytearray(first[0]), True
        while more:
            part, more = await self._part(receive)
            body += part
        return body

    async def _part(self, receive: Receive) -> tuple[bytes, bool]:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise GoneError
        part: bytes = message.get("body", b"")
        if self._size + len(part) > self._most:
            raise too_large(self._most)
        self._room.take(len(part), self._size + len(part))
        self._size += len(part)
        return part, message.get("more_body", False)


def too_large(limit: int) -> HttpError:
    """Return the error of a body beyond the limit."""
    return HttpError(
        413, f"a body must not exceed {limit:,} bytes", got="a longer one",
        remedy="send fewer rows at once",
    )  # fmt: skip
