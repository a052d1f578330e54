"""Documents with a checksum of their own: a changed byte does not pass for what was written.

A sealed document is JSON as well: ``{"sha256": "...", "body": ...}``, the sum being that of the
text of the body. Documents written before there were seals have none; they are believed when they
have the shape of what they are called.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from hashlib import sha256
from typing import Any
from zlib import crc32

from lengthwise.errors import ArtifactError

_HEAD, _MIDDLE, _TAIL = '{"sha256": "', '", "body": ', "}"
_BODY_AT = len(_HEAD) + 64 + len(_MIDDLE)


def seal(text: str) -> str:
    """Return JSON text with its checksum around it.

    >>> unseal(seal('{"a": 1}'))
    ('{"a": 1}', True)
    """
    return f"{_HEAD}{_sum(text)}{_MIDDLE}{text}{_TAIL}"


def unseal(stored: str) -> tuple[str, bool]:
    """Return the text, and whether it had a seal.

    Raises
    ------
    ArtifactError
        If the checksum does not fit.
    """
    if not stored.startswith(_HEAD):
        return stored, False
    text = stored[_BODY_AT : -len(_TAIL)]
    if stored != f"{_HEAD}{_sum(text)}{_MIDDLE}{text}{_TAIL}":
        raise ArtifactError("the checksum of a document must fit", got="another one",
                            remedy="the last good one takes its place")  # fmt: skip
    return text, True


def read_document(name: str, stored: str) -> Any:
    """Return a document as it was written.

    Raises
    ------
    ArtifactError
        If it is damaged: the checksum does not fit, or one without a seal is not of its shape.

    Examples
    --------
    >>> read_document("clock", '{"offset_s": 0.5, "last_s": null, "jumps": 0}')["offset_s"]
    0.5
    """
    text, sealed = unseal(stored)
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _damaged(f"no JSON ({str(error)[:60]})") from None
    if not sealed and not _SHAPES.get(name, _any)(value):
        raise _damaged("one of another shape")
    return value


def batch_sum(last: int, count: int, received_s: float, body: bytes, skip: str | None) -> int:
    """Return the checksum of a batch as it is kept.

    >>> batch_sum(3, 3, 5.0, b"[]", None)
    3160095473
    """
    return crc32(f"{last},{count},{float(received_s)!r},{skip or ''}".encode(), crc32(body))


def _sum(text: str) -> str:
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _damaged(got: str) -> ArtifactError:
    return ArtifactError("a stored document must be what was written", got=got,
                         remedy="the last good one takes its place")  # fmt: skip


# shapes of documents without a seal -------------------------------------------------------------


def _any(value: Any) -> bool:
    return True


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


def _clock(value: Any) -> bool:
    if not isinstance(value, Mapping) or set(value) != {"offset_s", "last_s", "jumps"}:
        return False
    if not _number(value["offset_s"]) or not isinstance(value["jumps"], int):
        return False
    return value["last_s"] is None or _number(value["last_s"])


def _trainer(value: Any) -> bool:
    if not isinstance(value, Mapping) or not isinstance(value.get("learner"), Mapping):
        return False
    return all(isinstance(value.get(name), int) for name in ("cursor", "asked"))


def _live(value: Any) -> bool:
    if not isinstance(value, Mapping) or not isinstance(value.get("events", []), list):
        return False
    if not all(
        isinstance(e, Mapping) and _number(e.get("time_s")) for e in value.get("events", [])
    ):
        return False
    parts = [value.get(name, {}) for name in ("recent", "error")]
    if not all(isinstance(part, Mapping) for part in parts):
        return False
    return all(_table(columns) for part in parts for columns in part.values())


def _table(columns: Any) -> bool:
    if not isinstance(columns, Mapping) or not all(isinstance(c, list) for c in columns.values()):
        return False
    return len({len(c) for c in columns.values()}) <= 1 and all(
        _number(v) for c in columns.values() for v in c
    )


def _never(value: Any) -> bool:
    return False


_SHAPES: dict[str, Callable[[Any], bool]] = {
    "clock": _clock, "trainer": _trainer, "live": _live, "totals": _never, "damage": _never,
    "ages": _never, "learner_before": _never,
}  # fmt: skip
