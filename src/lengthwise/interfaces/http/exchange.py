"""One request in, one reply out: the words all handlers share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

from lengthwise.errors import InputError
from lengthwise.interfaces.http import wire

ALWAYS_INLINE = 1 << 62
"""`inline_below` of a handler that never takes long."""
MOST_PARAMETERS = 50
IN_THREAD = 0
"""`inline_below` of a handler that may wait, for a disk or a lock."""


@dataclass(slots=True)
class Call:
    """A request whose body has been read.

    Examples
    --------
    >>> Call("GET", "/", query_string=b"level=0.5").query["level"]
    '0.5'
    """

    method: str
    path: str
    body: bytes | bytearray = b""
    query_string: bytes = b""
    headers: Mapping[bytes, bytes] = field(default_factory=dict)
    names: Mapping[str, str] = field(default_factory=dict)

    @property
    def query(self) -> dict[str, str]:
        """Parameters of the URL; of one given twice, the last."""
        try:
            return dict(parse_qsl(self.query_string.decode("latin-1"), keep_blank_values=True,
                                  max_num_fields=MOST_PARAMETERS))  # fmt: skip
        except ValueError:
            raise InputError(f"a URL must have at most {MOST_PARAMETERS} parameters",
                             got="more", remedy="leave some out") from None  # fmt: skip

    def header(self, name: str) -> str:
        """Value of a header, "" where there is none."""
        return self.headers.get(name.lower().encode(), b"").decode("latin-1")


@dataclass(slots=True)
class Reply:
    """What goes back; `rows` is how many rows were answered or taken, for the metrics."""

    body: bytes = b""
    status: int = 200
    content_type: bytes = wire.JSON_TYPE
    headers: tuple[tuple[bytes, bytes], ...] = ()
    rows: int = 0


def reply(value: Any, status: int = 200, rows: int = 0, **headers: str) -> Reply:
    """JSON reply; `etag="x"` becomes a header, underscores become hyphens.

    >>> reply({"a": 1}, etag="x").headers
    ((b'etag', b'x'),)
    """
    pairs = tuple((k.replace("_", "-").encode(), v.encode()) for k, v in headers.items())
    return Reply(wire.dump(value), status, wire.JSON_TYPE, pairs, rows)


def text(value: str, content_type: str = "text/plain; charset=utf-8") -> Reply:
    """Reply with plain text."""
    return Reply(value.encode(), 200, content_type.encode())


@dataclass(frozen=True)
class Pending:
    """A reply that waits for the disk: `then` makes it from what `future` brings."""

    future: Future[Any]
    then: Callable[[Any], Reply]


Handler = Callable[[Call], Reply | Pending]


@dataclass(frozen=True)
class Route:
    """An endpoint: where it is, what answers, who may ask, and how it is documented.

    Parameters
    ----------
    inline_below
        Bodies shorter than this are answered on the event loop, others in a thread.
    role
        "" for everyone, else the role a token needs when tokens are set.
    body, replies
        Body (a pydantic model or a JSON schema) and, by status, description and example.
    limit
        Setting that bounds the body; "" for a few words only.
    """

    method: str
    path: str
    handler: Handler
    summary: str
    inline_below: int = ALWAYS_INLINE
    role: str = "read"
    tag: str = "native"
    body: Any = None
    example: Any = None
    replies: Mapping[int, tuple[str, Any]] = field(default_factory=dict)
    parameters: tuple[dict[str, Any], ...] = ()
    limit: str = ""

    @property
    def is_probe(self) -> bool:
        """Whether it tells how the process is, and must be answered whatever else happens."""
        return not self.role and self.path.endswith("z")
