"""The OpenAPI 3.1 document, made from the table of routes, so that none can be missing."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from lengthwise import __version__
from lengthwise.interfaces.http import schemas, wire
from lengthwise.interfaces.http.bodies import RowsBody
from lengthwise.interfaces.http.error_examples import error_example
from lengthwise.interfaces.http.exchange import Route
from lengthwise.interfaces.service.settings import ServiceSettings

REF = "#/components/schemas/{model}"
MODELS: tuple[type[BaseModel], ...] = (
    schemas.PredictionRow, schemas.TrainingRow, schemas.NativeRow, schemas.ObservationRow,
    schemas.FlushBody,
)  # fmt: skip
_PLAIN = {"/metrics", "/v1/metrics"}
ACCEPTED = """\
Bodies are JSON in UTF-8, whatever the Content-Type says.

- Integers may be written as `500` or `500.0`, and as a text that holds one, `"500"`; `500.5` is \
refused.
- The native API (`/v1/*`) refuses what lies beyond the bounds given here, NaN and Infinity, names \
it does not know, and `true` and `false` for numbers. llm-d's endpoints have lower bounds only, \
ignore unknown names and take `true` and `false` for 1 and 0, as its own servers do.
- Dates of the native API are RFC 3339 with or without an offset: `2026-11-21T12:00:00Z`, \
`2026-11-21 12:00:00.25`, `2026-11-21T13:00:00+01:00`. llm-d's take a number too.
- `rows` and `observations` name the same list: `/v1/predict` and `/v1/observe` take either.
- Whatever is asked, a request line may be too long (414), a head too large (431) or too slow (408).
- Native errors are problem details (RFC 9457): `rule` says what must hold, `value` what was \
found, `remedy` what to do. Those of llm-d have `detail` only.
"""
_STATUS = {
    401: "No token the service knows", 403: "The token's role may not do this",
    404: "Not there", 405: "Another method", 408: "The body took too long",
    413: "The body is too large", 422: "The body breaks a rule",
    429: "Too many requests; Retry-After says when to come again",
    503: "The service lacks something it needs; Retry-After says when to come again",
}  # fmt: skip


def document(routes: Sequence[Route], settings: ServiceSettings) -> bytes:
    """Write the document as JSON."""
    _, definitions = models_json_schema([(m, "validation") for m in MODELS], ref_template=REF)
    paths: dict[str, Any] = {}
    for route in routes:
        if route.tag != "page":
            paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, settings)
    content: dict[str, Any] = {
        "openapi": "3.1.0",
        "info": {
            "title": "lengthwise",
            "version": __version__,
            "summary": "Predicts LLM latency and learns from live traffic",
            "description": ACCEPTED,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "tags": [
            {"name": "native", "description": "The API of this service; errors are RFC 9457."},
            {"name": "llm-d", "description": "The servers of llm-d's latency predictor."},
        ],
        "paths": paths,
        "components": {
            "schemas": {**definitions.get("$defs", {}), "Problem": _problem(), "Detail": _detail()},
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}},
        },
    }
    if settings.tokens:
        content["security"] = [{"bearer": []}]
    return wire.dump(content)


def _operation(route: Route, settings: ServiceSettings) -> dict[str, Any]:
    named = re.sub(r"[^a-z0-9]+", "_", f"{route.method} {route.path}".lower()).strip("_")
    found: dict[str, Any] = {
        "operationId": named,
        "summary": route.summary,
        "tags": [route.tag],
        "responses": _replies(route, settings),
    }
    parameters = [*route.parameters]
    known = {p["name"] for p in parameters}
    for name in re.findall(r"\{(\w+)\}", route.path):
        if name not in known:
            parameters.append({"name": name, "in": "path", "required": True, "example": "ttft",
                               "schema": {"type": "string", "enum": ["ttft", "tpot"]}})  # fmt: skip
    if parameters:
        found["parameters"] = parameters
    if route.body is not None:
        content = {"schema": _schema(route.body)}
        if route.example is not None:
            content["example"] = route.example
        needed = route.body is not schemas.FlushBody
        found["requestBody"] = {"required": needed, "content": {"application/json": content}}
    if not route.role:
        found["security"] = []
    return found


def _schema(body: Any) -> dict[str, Any]:
    if isinstance(body, dict):
        return body
    if isinstance(body, RowsBody):
        rows: dict[str, Any] = {"type": "array", "items": _reference(body.model)}
        rows |= {"minItems": body.least} if body.least else {}
        rows |= {"maxItems": body.most} if body.most else {}
        lists: list[dict[str, Any]] = [
            {"type": "object", "required": [key], "properties": {key: rows}} for key in body.keys
        ]
        if len(lists) == 1:
            return lists[0]
        closed = [one | {"additionalProperties": False} for one in lists]
        return {"anyOf": [*closed, _reference(body.model)]}
    return _reference(body)


def _reference(model: type[BaseModel]) -> dict[str, str]:
    return {"$ref": REF.format(model=model.__name__)}


def _replies(route: Route, settings: ServiceSettings) -> dict[str, Any]:
    found: dict[str, Any] = {}
    told = dict(route.replies)
    if not any(status < 300 for status in told):
        told[200] = ("Done", None)
    for status, (meaning, example) in told.items():
        if status < 400:
            found[str(status)] = {"description": meaning} | _content(route, example, status)
    errors = {*(s for s in told if s >= 400), 503}
    if route.method == "POST":
        errors |= {408, 413, 422}
    if route.parameters:
        errors.add(422)
    if "{" in route.path:
        errors.add(404)
    errors |= {401, 403} if settings.tokens and route.role else set()
    errors |= {429} if settings.rate_per_s and route.role else set()
    for status in sorted(errors):
        meaning = told.get(status, (_STATUS.get(status, "Refused"), None))[0]
        found[str(status)] = {"description": meaning, **_error(route, status)}
    return found


def _content(route: Route, example: Any, status: int) -> dict[str, Any]:
    if status == 304:
        return {}
    if route.path in _PLAIN or route.path.endswith("/txt"):
        return {"content": {"text/plain": {"schema": {"type": "string"}}}}
    if route.path == "/model/export":
        return {"content": {"application/gzip": {"schema": {"type": "string"}}}}
    if route.path.endswith("/download"):
        return {"content": {"application/octet-stream": {"schema": {"type": "string"}}}}
    is_list = route.path.endswith("/xgb/json")
    content: dict[str, Any] = {"schema": {"type": "array" if is_list else "object"}}
    if example is not None:
        content["example"] = example
    return {"content": {"application/json": content}}


def _error(route: Route, status: int) -> dict[str, Any]:
    llm_d = route.tag == "llm-d"
    schema = {"$ref": REF.format(model="Detail" if llm_d else "Problem")}
    kind = "application/json" if llm_d else "application/problem+json"
    return {"content": {kind: {"schema": schema, "example": error_example(route, status)}}}


def _problem() -> dict[str, Any]:
    texts = ("type", "title", "instance", "detail", "rule", "remedy")
    return {
        "type": "object",
        "description": "Problem details (RFC 9457): the rule, what was found, what to do.",
        "required": ["type", "title", "status", "detail"],
        "properties": {name: {"type": "string"} for name in texts}
        | {"status": {"type": "integer"}, "value": {}, "errors": {"type": "array"}},
    }


def _detail() -> dict[str, Any]:
    return {
        "type": "object",
        "required": ["detail"],
        "properties": {"detail": {"anyOf": [{"type": "string"}, {"type": "array"}]}},
    }
