"""JSON in and out: fast where the text is ordinary, exact where it is not."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import orjson

from lengthwise.interfaces.service.pieces import fast as fast

JSON_TYPE = b"application/json"

TURN = 1000
"""Rows written at once."""


class NotJsonError(ValueError):
    """The body is not JSON; `position` counts characters from the start."""

    def __init__(self, message: str, position: int) -> None:
        super().__init__(message)
        self.position = position


def exact(body: bytes | bytearray) -> Any:
    """Read JSON as Python does: Infinity, NaN, 1e999 and integers of any size included.

    >>> exact(b"[1e999, 100000000000000000000]")
    [inf, 100000000000000000000]
    """
    try:
        return json.loads(body)
    except json.JSONDecodeError as error:
        raise NotJsonError(error.msg, error.pos) from None
    except RecursionError:
        raise NotJsonError("nested too deeply", 0) from None
    except ValueError as error:  # not UTF-8, or an integer of thousands of digits
        raise NotJsonError(str(error).splitlines()[0][:120], 0) from None


def dump(value: Any) -> bytes:
    """Write JSON; what JSON cannot hold becomes null, or its text.

    >>> dump({"a": float("inf")})
    b'{"a":null}'
    """
    try:
        return orjson.dumps(value, default=str)
    except TypeError:  # a lone surrogate, an integer beyond 64 bits
        return json.dumps(_plain(value)).encode()


def in_turns(n: int, make: Callable[[slice], list[Any]]) -> list[Any]:
    """Write a list of `n` values in parts, for `dump` to join.

    `make` makes the values of a slice. Only one part at a time exists as objects, and others get
    their turn in between.

    >>> dump({"a": in_turns(3, lambda part: [1, 2, 3][part])})
    b'{"a":[1,2,3]}'
    """
    if n <= TURN:
        return make(slice(0, n))
    parts = (make(slice(i, min(n, i + TURN))) for i in range(0, n, TURN))
    return [orjson.Fragment(orjson.dumps(part)[1:-1]) for part in parts]


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not abs(value) < float("inf"):
        return None
    return value if isinstance(value, (str, int, float, bool, type(None))) else str(value)
