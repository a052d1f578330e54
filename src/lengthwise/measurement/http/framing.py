"""Where the answer to an HTTP/1.1 request begins and ends."""

from __future__ import annotations

MAX_HEAD = 1 << 18


class FramingError(Exception):
    """The bytes are not an HTTP/1.1 answer."""


class ResponseReader:
    r"""Take the bytes of one answer as they arrive, give those of its body.

    Attributes
    ----------
    status, headers
        0 and empty until the head is complete; names of headers in small letters.
    done
        Whether the body is complete.

    Examples
    --------
    >>> reader = ResponseReader()
    >>> reader.feed(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nab")
    b'ab'
    >>> reader.feed(b"c\r\n0\r\n\r\n"), reader.done
    (b'c', True)
    """

    def __init__(self) -> None:
        self.status = 0
        self.headers: dict[str, str] = {}
        self.done = False
        self._buffer = b""
        self._left = 0  # bytes of the body (or of a chunk with its line end) still to come
        self._chunked = self._sized = self._trailer = False

    @property
    def keep_alive(self) -> bool:
        """Whether the connection may carry another request."""
        return (self._chunked or self._sized) and self.headers.get(
            "connection", ""
        ).lower() != "close"

    def ended_by_close(self) -> bool:
        """Whether a closed connection is the regular end of this answer."""
        return bool(self.status) and not self._chunked and not self._sized

    def feed(self, data: bytes) -> bytes:
        """Take bytes, give those among them that belong to the body.

        Raises
        ------
        FramingError
            If the bytes are no answer.
        """
        if not self.status:
            self._buffer += data
            if not self._head():
                return b""
            data, self._buffer = self._buffer, b""
        if self.done:
            return b""
        if self._chunked:
            return self._dechunk(data)
        if self._sized:
            data = data[: self._left]
            self._left -= len(data)
            self.done = not self._left
        return data

    def _head(self) -> bool:
        """Read the head, and say whether it is complete; those of 1xx answers are passed over."""
        head, found, rest = self._buffer.partition(b"\r\n\r\n")
        if not found:
            if len(self._buffer) > MAX_HEAD or not b"HTTP/1.".startswith(self._buffer[:7]):
                raise FramingError(f"an answer beginning {self._buffer[:40]!r}")
            return False
        first, *lines = head.decode("latin-1").split("\r\n")
        words = first.split(None, 2)
        if len(words) < 2 or not words[0].startswith("HTTP/1.") or not words[1].isdecimal():
            raise FramingError(f"an answer beginning {first[:40]!r}")
        self._buffer = rest
        if words[1].startswith("1"):
            return self._head()
        pairs = (line.partition(":") for line in lines)
        self.headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
        self.status = int(words[1])
        self._measure()
        return True

    def _measure(self) -> None:
        self._chunked = "chunked" in self.headers.get("transfer-encoding", "").lower()
        length = self.headers.get("content-length", "")
        self._sized = not self._chunked and (length.isdecimal() or self.status in (204, 304))
        if self._sized:
            self._left = int(length or 0)
            self.done = not self._left

    def _dechunk(self, data: bytes) -> bytes:
        """Take chunks apart; ``_left`` counts the line end that follows each chunk too."""
        data, self._buffer = self._buffer + data, b""
        body, at = [], 0
        while not self.done:
            if self._left:
                piece = data[at : at + self._left]
                at += len(piece)
                text_left = max(self._left - 2, 0)
                body.append(piece[:text_left])
                self._left -= len(piece)
                if self._left:
                    break
            end = data.find(b"\r\n", at)
            if end < 0:
                self._buffer = data[at:]
                break
            self._line(data[at:end])
            at = end + 2
        return b"".join(body)

    def _line(self, line: bytes) -> None:
        if self._trailer:
            self.done = not line
            return
        try:
            size = int(line.split(b";")[0], 16)
        except ValueError:
            raise FramingError(f"a chunk of size {line[:20]!r}") from None
        if size:
            self._left = size + 2
        else:
            self._trailer = True
