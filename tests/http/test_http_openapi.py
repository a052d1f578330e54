"""The OpenAPI document says what the service takes, and what it says when it does not."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from http_api import Api, Server

from lengthwise.formulations.online.law import OnlineLaw


@pytest.fixture(scope="module")
def api(start: Callable[..., Server]) -> Api:
    return start(trainer=False).api


@pytest.fixture(scope="module")
def document(api: Api) -> dict[str, Any]:
    found: dict[str, Any] = api.get("/openapi.json").json
    return found


def example(document: dict[str, Any], method: str, path: str, status: int) -> dict[str, Any]:
    reply = document["paths"][path][method.lower()]["responses"][str(status)]
    (content,) = reply["content"].values()
    found: dict[str, Any] = content["example"]
    return found


@pytest.mark.parametrize(
    ("method", "path", "asked", "body", "status"),
    [
        ("POST", "/v1/predict", "/v1/predict", b'{"rows": [{}]}', 422),
        ("POST", "/v1/observe", "/v1/observe", b'{"observations": [{}]}', 422),
        ("GET", "/v1/laws/active", "/v1/laws/active", None, 404),
        ("GET", "/v1/laws/{version}", "/v1/laws/4711", None, 404),
        ("GET", "/v1/laws/{version}", "/v1/laws/newest", None, 422),
        ("POST", "/v1/laws/{version}/promote", "/v1/laws/4711/promote", b"", 404),
        ("POST", "/v1/laws/rollback", "/v1/laws/rollback", b"", 409),
    ],
)  # fmt: skip
def test_an_error_is_as_its_example(
    api: Api, document: dict[str, Any], method: str, path: str, asked: str, body: bytes | None,
    status: int,
) -> None:  # fmt: skip
    answer = api.ask(method, asked, body)
    told, shown = answer.json, example(document, method, path, status)
    assert answer.status == shown["status"] == status
    assert set(told) == set(shown)
    assert (told["title"], told["rule"]) == (shown["title"], shown["rule"])


def test_every_error_has_an_example_of_its_own_status(document: dict[str, Any]) -> None:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            for status in (int(s) for s in operation["responses"] if int(s) >= 400):
                shown = example(document, method, path, status)
                assert shown["detail"], (path, status)
                assert shown.get("status", status) == status


def test_bounds_of_integers_are_those_that_hold(api: Api, document: dict[str, Any]) -> None:
    field = document["components"]["schemas"]["Row"]["properties"]["running"]
    for value, status in ((field["maximum"], 200), (field["maximum"] + 1, 422), (-1, 422)):
        assert api.post("/v1/predict", {"input_tokens": 1, "running": value}).status == status


@pytest.mark.parametrize(
    ("when", "status"),
    [("2026-11-21T12:00:00Z", 202), ("2026-11-21 12:00:00.25", 202), (None, 202),
     ("2026-11-21T13:00:00+01:00", 202), ("2026-11-21", 422), (1_700_000_000, 422),
     ("1700000000", 422), ("2026-13-21T12:00:00Z", 422), (True, 422)],
)  # fmt: skip
def test_dates_are_those_of_the_document(api: Api, when: Any, status: int) -> None:
    answer = api.post("/v1/observe", {"input_tokens": 1, "ttft_ms": 9.0, "observed_at": when})
    assert answer.status == status, answer.json


@pytest.mark.parametrize("key", ["rows", "observations"])
def test_both_names_of_the_list_are_taken_and_told(
    api: Api, document: dict[str, Any], key: str
) -> None:
    rows = [{"input_tokens": 7, "ttft_ms": 9.0}]
    assert api.post("/v1/predict", {key: [{"input_tokens": 7}]}).json["count"] == 1
    assert api.post("/v1/observe", {key: rows}).status == 202
    for path in ("/v1/predict", "/v1/observe"):
        body = document["paths"][path]["post"]["requestBody"]["content"]["application/json"]
        assert key in json.dumps([form.get("required") for form in body["schema"]["anyOf"]])


def test_the_page_documents_every_operation_and_fetches_nothing_else(
    api: Api, document: dict[str, Any]
) -> None:
    page = api.get("/docs")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert "default-src 'none'" in page.headers["content-security-policy"]
    for methods in document["paths"].values():
        for operation in methods.values():
            assert f"<section id='{operation['operationId']}'" in page.text
    assert re.findall(r"<(?:script|img|iframe)", page.text) == []
    for address in re.findall(r"(?:src|href)=['\"]([^'\"]+)", page.text):
        assert address.startswith("#") or api.get("/" + address).status == 200, address


def commands() -> list[tuple[str, str, bytes | None]]:
    """Method, path with query, and body of each curl on the page about the service."""
    text = (Path(__file__).parents[2] / "docs" / "how-to" / "serve.md").read_text()
    found = []
    for line in re.findall(r"^\$? ?(curl .*)$", text, re.M):
        words = shlex.split(line, comments=True)[1:]
        address = next(w for w in words if "127.0.0.1" in w)
        data = next(
            (words[i + 1] for i, w in enumerate(words) if w in ("-d", "--data-binary")), None
        )
        method = "POST" if data is not None or "POST" in words else "GET"
        body = json.dumps(OnlineLaw.cold().to_dict()) if (data or "").startswith("@") else data
        found.append(
            (method, address.split(":8000", 1)[1], None if body is None else body.encode())
        )
    return found


def test_each_operation_has_a_command_that_works(api: Api, document: dict[str, Any]) -> None:
    asked = commands()
    for path, methods in document["paths"].items():
        pattern = re.compile(re.sub(r"\{\w+\}", r"\\d+", path) + r"(\?.*)?")
        for method in methods:
            named = [a for a in asked if a[0] == method.upper() and pattern.fullmatch(a[1])]
            assert named, f"no curl for {method} {path}"
    for method, path, body in asked:
        answer = api.ask(method, path, body)
        missing = answer.status in (404, 409) and "law" in answer.json["rule"]
        assert answer.status < 300 or missing, (method, path, answer.text)
