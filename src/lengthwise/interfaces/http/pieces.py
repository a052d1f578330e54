"""Large bodies are read in pieces, so that other threads get their turn in between.

A JSON reader holds the interpreter while it works, and so does letting go of what it read: 3 MB
take some 10 ms each way, and the event loop waits. A body `{"requests": [{...}, {...}, ...]}` is
cut between rows, and each piece is read, used and dropped on its own. The cut is sound: reading
goes from left to right, and a piece that starts at a row and was cut inside a string or inside a
nested object is not valid JSON. Then the body is read whole.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from lengthwise.interfaces.http import wire

PIECE_BYTES = 128 * 1024
_CUT = re.compile(rb"\}\s{0,4},\s{0,4}\{")


class WholeError(ValueError):
    """The body cannot be cut; it must be read whole."""


def cut(body: bytes, key: str) -> Iterator[tuple[bytes, list[Any]]]:
    """Pieces of the list under the only `key` of the body, as text and as rows.

    Raises
    ------
    WholeError
        The body must be read whole.

    Examples
    --------
    >>> list(cut(b'{"requests": [{"a": 1}, {"a": 2}]}', "requests"))
    [(b'[{"a": 1}, {"a": 2}]', [{'a': 1}, {'a': 2}])]
    """
    head = re.match(rb'\s*\{\s*"' + key.encode() + rb'"\s*:\s*\[', body[:256])
    tail = re.search(rb"\]\s*\}\s*$", body[-256:])
    if head is None or tail is None:
        raise WholeError
    start, end = head.end(), max(0, len(body) - 256) + tail.start()
    while start <= end:
        found = _CUT.search(body, start + PIECE_BYTES, end) if start + PIECE_BYTES < end else None
        stop = found.start() + 1 if found else end
        piece = b"[" + body[start:stop] + b"]"
        yield piece, _rows(piece)
        if found is None:
            return
        start = found.end() - 1
    raise WholeError


def _rows(piece: bytes) -> list[Any]:
    rows = wire.fast(piece)
    if rows is None:
        try:
            rows = wire.exact(piece)
        except wire.NotJsonError:
            raise WholeError from None
    if type(rows) is not list:
        raise WholeError
    return rows
