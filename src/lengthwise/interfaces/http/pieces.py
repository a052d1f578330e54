"""Large bodies are read in pieces, so that other threads get their turn in between.

A JSON reader holds the interpreter while it works: 3 MB take some 10 ms, and the event loop waits.
A body `{"requests": [{...}, {...}, ...]}` is cut between rows, and each piece is read on its own.
The cut is sound: reading goes from left to right, and a piece that starts at a row and was cut
inside a string or inside a nested object is not valid JSON. Then the body is read whole.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import orjson

PIECE_BYTES = 128 * 1024
_CUT = re.compile(rb"\}\s{0,4},\s{0,4}\{")


def read(body: bytes, key: str, loads: Callable[[bytes], Any] = orjson.loads) -> list[Any] | None:
    """Rows under the only `key` of the body; None where it must be read whole.

    `loads` reads one piece; it raises a `ValueError` for what is not JSON.

    >>> read(b'{"requests": [{"a": 1}, {"a": 2}]}', "requests")
    [{'a': 1}, {'a': 2}]
    >>> read(b'{"requests": [], "more": 1}', "requests") is None
    True
    """
    head = re.match(rb'\s*\{\s*"' + key.encode() + rb'"\s*:\s*\[', body[:256])
    tail = re.search(rb"\]\s*\}\s*$", body[-256:])
    if head is None or tail is None:
        return None
    start, end = head.end(), len(body) - len(body[-256:]) + tail.start()
    rows: list[Any] = []
    while start <= end:
        cut = _CUT.search(body, start + PIECE_BYTES, end) if start + PIECE_BYTES < end else None
        stop = cut.start() + 1 if cut else end
        try:
            rows += loads(b"[" + body[start:stop] + b"]")
        except ValueError:
            return None
        if cut is None:
            return rows
        start = cut.end() - 1
    return None
