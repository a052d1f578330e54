"""An example of each error that an endpoint may answer, as the service itself writes it."""

from __future__ import annotations

import json
from typing import Any

from pydantic import BaseModel

from lengthwise.errors import InputError
from lengthwise.interfaces.http import schemas
from lengthwise.interfaces.http.bodies import RowsBody
from lengthwise.interfaces.http.exchange import Route
from lengthwise.interfaces.http.problems import HttpError, problem

_USUAL: dict[int, tuple[str, str, str]] = {
    401: ("a bearer token the service knows must be sent", "none",
          "send the header Authorization: Bearer TOKEN"),
    403: ("this endpoint needs a token of role write", "role read", "use a write token"),
    404: ("a law of this version must be kept", "version 4711", "list them with GET /v1/laws"),
    405: ("the method must be one this path has", "PUT", "use POST"),
    408: ("a body must arrive within 30 s", "part of it", "send it faster or in parts"),
    409: ("a law before the one in use must be kept", "version 1", "promote another version"),
    413: ("a body must not exceed 16,777,216 bytes", "a longer one", "send fewer rows at once"),
    429: ("a client must keep to the rate", "more than 200 requests/s", "wait 0.12 s"),
    503: ("the disk is full", "", "try again later"),
}  # fmt: skip
_NO_LAW = HttpError(404, "a law must have been published", got="none so far",
                    remedy="observe, or import one")  # fmt: skip
_NO_MODEL = HttpError(404, "a model must be ttft or tpot", got="itl",
                      detail="Model itl not found")  # fmt: skip


def error_example(route: Route, status: int) -> Any:
    """Return the body of an error of this status from this endpoint.

    >>> from lengthwise.interfaces.http.exchange import Reply
    >>> route = Route("POST", "/v1/laws/rollback", lambda call: Reply(), "")
    >>> error_example(route, 409)["rule"]
    'a law before the one in use must be kept'
    """
    written = problem(_error(route, status), route.path, native=route.tag != "llm-d")
    return json.loads(written.body)


def _error(route: Route, status: int) -> Exception:
    if status == 422:
        return _refused(route)
    if status == 404 and route.tag == "llm-d":
        return _NO_MODEL
    if status == 404 and route.path.endswith("/active"):
        return _NO_LAW
    rule, got, remedy = _USUAL.get(status, ("the request must be one the service takes", "", ""))
    return HttpError(status, rule, got=got, remedy=remedy)


def _refused(route: Route) -> Exception:
    """Return what the exact check says of the commonest slip."""
    body = route.body
    if isinstance(body, RowsBody):
        where = ["body", body.key]
        return _caught(lambda: schemas.exact_columns([{}], body.model, body.fields, where))
    if isinstance(body, type) and issubclass(body, BaseModel):
        name = next(iter(body.model_fields))
        return _caught(lambda: schemas.checked(body, {name: "many"}))
    if body is not None:
        return InputError("a law must be whole", got="KeyError: 'targets'",
                          remedy="export it again")  # fmt: skip
    if route.parameters and route.parameters[0]["name"] == "version":
        return InputError("a version must be a whole number", got="newest",
                          remedy="list them with GET /v1/laws")  # fmt: skip
    if route.parameters:
        name = route.parameters[0]["name"]
        return InputError(f"{name} must be a whole number", got="-1", remedy="leave it out")
    return InputError("a body must be empty", got="something", remedy="send none")


def _caught(check: Any) -> Exception:
    try:
        check()
    except schemas.RejectedError as error:
        return error
    return InputError("the body must fit the schema", remedy="see /openapi.json")
