"""Random requests made from the OpenAPI document: no 5xx but 503 with a reason, ever."""

from __future__ import annotations

import http.client
import json
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest
from http_api import Api, Server
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

EXAMPLES = 300
SCALAR = st.one_of(
    st.none(), st.booleans(), st.integers(), st.integers(0, 10_000), st.floats(), st.floats(0, 1),
    st.text(max_size=8), st.just(10**400), st.just("1e999"),
)  # fmt: skip
ANY = st.recursive(
    SCALAR,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=6,
)  # fmt: skip


@pytest.fixture(params=["llm-d", "native"])
def api(request: pytest.FixtureRequest, start: Callable[..., Server]) -> Api:
    return start(llm_d=request.param == "llm-d", max_rows=9_999).api  # no other test's server


def value_of(schema: dict[str, Any], whole: dict[str, Any]) -> st.SearchStrategy[Any]:
    """Mostly what the schema wants, sometimes anything."""
    if "$ref" in schema:
        return value_of(whole["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]], whole)
    if "anyOf" in schema:
        return st.one_of(*(value_of(part, whole) for part in schema["anyOf"]))
    if schema.get("type") == "array":
        return st.lists(value_of(schema.get("items", {}), whole), max_size=4)
    if schema.get("type") == "object" and "properties" in schema:
        fields = {k: value_of(v, whole) for k, v in schema["properties"].items()}
        needed = set(schema.get("required", []))
        wanted = {k: v for k, v in fields.items() if k in needed}
        others = {k: v for k, v in fields.items() if k not in needed}
        return st.one_of(
            st.fixed_dictionaries(wanted, optional=others),
            st.fixed_dictionaries({}, optional={**fields, "odd": ANY}),
        )
    low, high = schema.get("minimum", -1), schema.get("maximum")
    plain: dict[str, st.SearchStrategy[Any]] = {
        "integer": st.integers(low, high), "number": st.floats(low, high, allow_nan=False),
        "boolean": st.booleans(), "string": st.text(max_size=12), "null": st.none(),
    }  # fmt: skip
    wanted_here = plain.get(str(schema.get("type")), ANY)
    return st.one_of(wanted_here, wanted_here, wanted_here, SCALAR)


def operations(document: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    skipped = {"/flush", "/reload"}
    return [
        (method.upper(), path, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
        if path not in skipped
    ]


def send(api: Api, method: str, path: str, body: bytes | None) -> tuple[int, dict[str, str], bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", api.port, timeout=30)
    try:
        connection.request(method, path, body)
        response = connection.getresponse()
        return response.status, {k.lower(): v for k, v in response.getheaders()}, response.read()
    finally:
        connection.close()


def check(method: str, path: str, status: int, headers: dict[str, str], body: bytes) -> None:
    assert status < 500 or status == 503, (method, path, status, body)
    if status >= 400:
        told = json.loads(body)
        assert told["detail"], (method, path, told)
        assert status != 503 or "retry-after" in headers
        if path.startswith("/v1/"):
            assert headers["content-type"] == "application/problem+json"
            assert told["status"] == status


def test_requests_from_the_document(api: Api) -> None:
    document = api.get("/openapi.json").json
    all_of_them = operations(document)

    @settings(
        max_examples=EXAMPLES, deadline=None, database=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
    )  # fmt: skip
    @given(st.data())
    def tried(data: st.DataObject) -> None:
        method, path, operation = data.draw(st.sampled_from(all_of_them))
        for name in re.findall(r"\{(\w+)\}", path):
            text = data.draw(
                st.sampled_from(["ttft", "tpot", "1", "0", "-1", "99"])
                | st.text(min_size=1, max_size=8)
            )
            path = path.replace(f"{{{name}}}", quote(text, safe="", errors="replace"))
        query = [
            f"{p['name']}={quote(str(data.draw(SCALAR)), safe='', errors='replace')}"
            for p in operation.get("parameters", [])
            if p["in"] == "query" and data.draw(st.booleans())
        ]
        body = None
        if "requestBody" in operation:
            schema = operation["requestBody"]["content"]["application/json"]["schema"]
            content = data.draw(
                st.one_of(value_of(schema, document), value_of(schema, document), ANY)
            )
            body = json.dumps(content).encode()
        status, headers, answer = send(
            api, method, path + ("?" + "&".join(query) if query else ""), body
        )
        check(method, path, status, headers, answer)

    tried()


def test_bytes_that_are_no_json(api: Api) -> None:
    posts = [(m, p) for m, p, o in operations(api.get("/openapi.json").json) if "requestBody" in o]

    @settings(max_examples=60, deadline=None, database=None)
    @given(st.sampled_from(posts), st.binary(max_size=60) | st.text(max_size=40).map(str.encode))
    def tried(where_to: tuple[str, str], body: bytes) -> None:
        status, headers, answer = send(api, *where_to, body)
        check(*where_to, status, headers, answer)

    tried()


def test_the_document_is_complete(api: Api) -> None:
    document = api.get("/openapi.json").json
    assert document["openapi"] == "3.1.0"
    names = [o["operationId"] for _, _, o in operations(document)]
    assert len(set(names)) == len(names)
    for method, path, operation in operations(document):
        assert operation["summary"]
        assert any(status.startswith("2") for status in operation["responses"]), path
        assert "503" in operation["responses"]
        if "requestBody" in operation:
            assert "422" in operation["responses"]
            example = operation["requestBody"]["content"]["application/json"].get("example")
            assert example is not None, path
            status, _, answer = send(api, method, path, json.dumps(example).encode())
            assert 200 <= status < 300, (path, answer)
            documented = operation["responses"][str(status)]["content"]["application/json"]
            told = documented.get("example", {})
            assert set(told) <= set(json.loads(answer)), path
