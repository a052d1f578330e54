"""Errors on the wire: problem details (RFC 9457) of the native API, `detail` of llm-d's.

A problem says which rule was broken, what was found, and what to do about it, as every error of
this library does. Nothing of the inside (paths, tracebacks) is told.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from lengthwise.errors import InputError, LengthwiseError, RefusedError
from lengthwise.interfaces.http import wire
from lengthwise.interfaces.http.exchange import Reply
from lengthwise.interfaces.http.schemas import RejectedError
from lengthwise.interfaces.http.words import cut, short

PROBLEM_TYPE = b"application/problem+json"
MOST = 400
"""Characters of one part of an answer that tells of an error."""


class HttpError(LengthwiseError):
    """An error with a status of its own.

    Examples
    --------
    >>> HttpError(404, "a law of this version must exist", got="version 7").status
    404
    """

    def __init__(
        self, status: int, rule: str, *, got: str = "", remedy: str = "", detail: str = "",
        headers: tuple[tuple[bytes, bytes], ...] = (),
    ) -> None:  # fmt: skip
        super().__init__(rule, got=got, remedy=remedy)
        self.status, self.headers = status, headers
        self.detail = detail or HTTPStatus(status).phrase
        """What a client of llm-d reads."""


def status_of(error: Exception) -> int:
    """HTTP status of an error.

    >>> status_of(InputError("n must be positive")), status_of(RuntimeError())
    (422, 500)
    """
    if isinstance(error, HttpError):
        return error.status
    if isinstance(error, (RejectedError, InputError)):
        return 422
    if type(error).__name__ == "ServiceUnavailable" or isinstance(error, RefusedError):
        return 503
    return 503 if isinstance(error, (OSError, MemoryError)) else 500


def problem(error: Exception, path: str, *, native: bool) -> Reply:
    """Reply that tells of an error, in the words of the API that was asked.

    >>> problem(InputError("n must be positive", got="-1"), "/v1/x", native=True).status
    422
    """
    status = status_of(error)
    headers: tuple[tuple[bytes, bytes], ...] = getattr(error, "headers", ())
    if status == 503 and not any(name == b"retry-after" for name, _ in headers):
        headers = (*headers, (b"retry-after", b"1"))
    if not native:
        return Reply(wire.dump({"detail": _detail(error, status)}), status, headers=headers)
    phrase = HTTPStatus(status).phrase
    content: dict[str, Any] = {
        "type": "about:blank", "title": phrase, "status": status, "instance": cut(path),
    }  # fmt: skip
    content |= _explained(error, status)
    return Reply(wire.dump(content), status, PROBLEM_TYPE, headers)


def _detail(error: Exception, status: int) -> Any:
    if isinstance(error, RejectedError):
        return error.detail
    if isinstance(error, HttpError):
        return error.detail
    return _said(error) if status in (422, 503) else "Internal Server Error"


def _explained(error: Exception, status: int) -> dict[str, Any]:
    if isinstance(error, RejectedError):
        first = error.detail[0]
        place = ".".join(str(part) for part in first["loc"])
        return {
            "detail": f"{place}: {first['msg']}",
            "rule": str(first["msg"]),
            "value": short(first.get("input")),
            "remedy": "see /openapi.json for the fields and their bounds",
            "errors": error.detail,
        }
    if isinstance(error, LengthwiseError):
        return {"detail": cut(str(error), MOST), "rule": cut(error.rule, MOST),
                "value": cut(error.got), "remedy": cut(error.remedy, MOST)}  # fmt: skip
    if status == 503:
        return {"detail": _said(error), "rule": "the service must have what it needs",
                "value": _said(error), "remedy": "try again"}  # fmt: skip
    return {"detail": "unexpected error; the log of the service tells more"}


def _said(error: Exception) -> str:
    """Words of an error; of one of the system its reason only, not the file it is about."""
    if isinstance(error, OSError):
        return error.strerror or type(error).__name__
    return cut(str(error), MOST) or type(error).__name__
