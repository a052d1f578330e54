"""Large bodies are read in pieces, so that none costs much more memory than its text.

A JSON reader makes some twenty bytes of objects from each byte of `[],[],...`, holds the
interpreter while it works, and so does letting go of what it read. A body `{"rows": [{...}, ...]}`
is cut between rows, and each piece is read, used and dropped on its own; what stands beside the
list must be short.

The cut is guessed first, at `},{` after enough bytes: a piece that begins at a row and was cut
inside a string or a nested object is not valid JSON. Where the guess is wrong the text is looked at
token by token.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Sequence
from typing import Any

PIECE_BYTES = 128 * 1024
_CUT = re.compile(rb"\}\s{0,4},\s{0,4}\{")
_TOKEN = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"|[{}\[\],:]', re.DOTALL)
_SPACE = b" \t\r\n"
_END = re.compile(rb"\]\s*\}\s*$")


class CutError(ValueError):
    """A body that is no object with a list of rows, or in which something is too long."""


class Pieces:
    """Pieces of the list of rows in a body.

    Parameters
    ----------
    body
        JSON in UTF-8.
    keys
        Names that the list may have.
    most
        Bytes of one row, and of everything beside the list.

    Attributes
    ----------
    key
        The name it has.
    beside
        The body without its rows; complete after the last piece.

    Examples
    --------
    >>> pieces = Pieces(b'{"v": 1, "rows": [{"a": 1}, {"a": 2}]}', ["rows"], 1000)
    >>> list(pieces), pieces.beside
    ([(b'[{"a": 1}, {"a": 2}]', [{'a': 1}, {'a': 2}])], {'v': 1, 'rows': []})
    """

    def __init__(self, body: bytes | bytearray, keys: Sequence[str], most: int) -> None:
        self._body, self._most = body, most
        self.key, self._start = self._list(keys)
        self.beside: dict[str, Any] = {}

    def __iter__(self) -> Iterator[tuple[bytes, list[Any] | None]]:
        """Return text and rows of each piece; no rows where only the exact reader can tell."""
        at, done = self._start, False
        while not done:
            at, done, text, rows = self._guessed(at) or self._looked(at)
            yield text, rows
        if len(self._body) - at + self._start > self._most:
            raise CutError(f"at most {self._most} bytes may stand beside the rows")
        self.beside = json.loads(bytes(self._body[: self._start]) + b"]" + self._body[at:])

    def _list(self, keys: Sequence[str]) -> tuple[str, int]:
        """Find the list at the top level: its name, and where its first row begins."""
        names = {f'"{key}"'.encode(): key for key in keys}
        depth, last, named = 0, b"", b""
        for token in _TOKEN.finditer(self._body, 0, self._most):
            text = bytes(token.group())
            if text == b"[" and depth == 1 and named in names:
                return names[named], token.end()
            if text in b"{[":
                depth += 1
            elif text in b"}]":
                depth -= 1
            elif depth == 1:
                named = last if text == b":" else b"" if text == b"," else named
                last = text
        raise CutError(f"a list {' or '.join(keys)} must begin in the first {self._most} bytes")

    def _guessed(self, at: int) -> tuple[int, bool, bytes, list[Any]] | None:
        """Cut at what looks like the end of a row; None where that is no list of rows."""
        body, aim = self._body, at + PIECE_BYTES
        found = _CUT.search(body, aim, aim + self._most)
        if found is not None:
            stop, then = found.start() + 1, found.end() - 1
        elif len(body) - at <= PIECE_BYTES + self._most:
            tail = max(at, len(body) - 256)
            end = _END.search(body, tail)
            if end is None:
                return None
            stop, then = end.start(), end.start() + 1
        else:
            return None
        text = b"[" + body[at:stop] + b"]"
        rows = fast(text)
        return None if type(rows) is not list else (then, found is None, bytes(text), rows)

    def _looked(self, at: int) -> tuple[int, bool, bytes, list[Any] | None]:
        """Cut where a row ends, token by token."""
        row, depth = at, 0
        for token in _TOKEN.finditer(self._body, at, at + PIECE_BYTES + self._most):
            if token.start() - row > self._most:
                break
            text = token.group()
            if depth == 0 and (text == b"]" or text == b","):
                row, last = token.end(), text == b"]"
                if last or row - at >= PIECE_BYTES:
                    piece = b"[" + bytes(self._body[at : token.start()]) + b"]"
                    return token.end(), last, piece, fast(piece)
            elif text in b"{[":
                depth += 1
            elif text in b"}]":
                depth -= 1
        raise CutError(f"a row must have at most {self._most} bytes")


def fast(text: bytes | bytearray) -> Any:
    """Read ordinary JSON quickly; None for whatever needs an exact reader.

    >>> fast(b'{"a": 1}'), fast(b'{"a": 1e999}')
    ({'a': 1}, None)
    """
    try:
        import orjson

        return orjson.loads(text)
    except (ImportError, ValueError):
        return None


def parse(body: bytes) -> Any:
    """Read JSON; numbers beyond a float or an int of 64 bits survive.

    >>> parse(b"[1e999, -12]")
    [inf, -12]
    """
    found = fast(body)
    if found is None:  # or refused: what no float can hold
        return json.loads(body, parse_int=_integer)
    return found


def _integer(digits: str) -> int | float:
    return int(digits) if len(digits) < 400 else (-math.inf if digits[0] == "-" else math.inf)
