"""The page that documents the API: the OpenAPI document as HTML, nothing fetched from elsewhere.

It needs no script: what it says is written once, when the service starts.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Any

LONGEST_EXAMPLE = 4000
"""Characters of an example that is shown; longer ones come as files."""
Json = Mapping[str, Any]

_HEAD = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>lengthwise API</title>
<link rel="stylesheet" href="page/live.css">
<link rel="stylesheet" href="page/docs.css">
</head>
<body>
<main>
"""


def reference_page(document: Json, url: str) -> bytes:
    """Return the page of an OpenAPI document; commands on it ask the service at `url`.

    >>> page = reference_page({"info": {"title": "t", "version": "1"}, "paths": {}}, "http://x")
    >>> b"<h1>t API</h1>" in page, b"<script" in page
    (True, False)
    """
    info = document["info"]
    parts = [
        _HEAD,
        f"<header><h1>{escape(info['title'])} API</h1><p class='muted'>{escape(info['version'])}, "
        "<a href='openapi.json'>openapi.json</a></p></header>",
        _prose(info.get("description", "")),
        "<nav aria-label='Operations'>", *_contents(document), "</nav>",
        *_operations(document, url),
        *_schemas(document),
        "</main>\n</body>\n</html>\n",
    ]  # fmt: skip
    return "".join(parts).encode()


def _prose(text: str) -> str:
    """Paragraphs, lists and code of a description."""
    found = []
    for block in re.split(r"\n\n", text.strip()):
        lines = block.split("\n")
        if lines[0].startswith("- "):
            items = "".join(f"<li>{_inline(line.removeprefix('- '))}</li>" for line in lines)
            found.append(f"<ul>{items}</ul>")
        elif block:
            found.append(f"<p>{_inline(block)}</p>")
    return "".join(found)


def _inline(text: str) -> str:
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text))


def _all(document: Json, tag: str) -> Iterator[tuple[str, str, Json]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            if tag in operation["tags"]:
                yield method.upper(), path, operation


def _contents(document: Json) -> Iterator[str]:
    for tag in document.get("tags", []):
        links = [
            f"<li><a href='#{found['operationId']}'><b>{method}</b> <code>{escape(path)}</code></a>"
            f" {escape(found['summary'])}</li>"
            for method, path, found in _all(document, tag["name"])
        ]
        if links:
            yield f"<h2>{escape(tag['name'])} <small>{escape(tag['description'])}</small></h2>"
            yield f"<ul class='contents'>{''.join(links)}</ul>"


def _operations(document: Json, url: str) -> Iterator[str]:
    secured = bool(document.get("security"))
    for tag in document.get("tags", []):
        for method, path, found in _all(document, tag["name"]):
            asks = secured and found.get("security") != []
            yield (
                f"<section id='{found['operationId']}' class='operation'><h3><b>{method}</b> "
                f"<code>{escape(path)}</code> <small>{escape(found['summary'])}</small></h3>"
                f"<pre>{escape(curl(method, path, found, url, with_token=asks))}</pre>"
            )
            yield _parameters(found.get("parameters", []))
            if "requestBody" in found:
                content = found["requestBody"]["content"]["application/json"]
                yield f"<p>Body: {_form(content['schema'])}.</p>"
            yield "".join(_reply(status, r) for status, r in sorted(found["responses"].items()))
            yield "</section>"


def curl(method: str, path: str, operation: Json, url: str, *, with_token: bool = False) -> str:
    """Return a command that asks for an operation with its examples.

    >>> curl("POST", "/v1/laws/rollback", {}, "http://127.0.0.1:8000")
    'curl -s -X POST http://127.0.0.1:8000/v1/laws/rollback'
    """
    query = []
    for parameter in operation.get("parameters", []):
        if parameter["in"] == "path":
            path = path.replace(f"{{{parameter['name']}}}", str(parameter.get("example", "")))
        elif "example" in parameter:
            query.append(f"{parameter['name']}={parameter['example']}")
    address = url + path + ("?" + "&".join(query) if query else "")
    if "?" in address:
        address = f"'{address}'"
    token = " -H 'Authorization: Bearer TOKEN'" if with_token else ""
    body = operation.get("requestBody")
    if body is None:
        return f"curl -s{' -X POST' if method == 'POST' else ''}{token} {address}"
    text = json.dumps(body["content"]["application/json"].get("example", {}))
    data = "--data-binary @law.json" if len(text) > LONGEST_EXAMPLE else f"-d '{text}'"
    return f"curl -s{token} {address} {data}"


def _parameters(parameters: list[Json]) -> str:
    if not parameters:
        return ""
    rows = [
        (f"<code>{escape(p['name'])}</code>", escape(p["in"]), kind(p["schema"]),
         "yes" if p.get("required") else "", _inline(p.get("description", "")))
        for p in parameters
    ]  # fmt: skip
    return _table(("parameter", "in", "type", "needed", "meaning"), rows)


def _form(schema: Json) -> str:
    """How a body looks: a model, a list of them, or one of several."""
    if "anyOf" in schema:
        return ", or ".join(_form(form) for form in schema["anyOf"])
    if "$ref" in schema:
        name = schema["$ref"].rsplit("/", 1)[1]
        return f"<a href='#schema-{name}'>{name}</a>"
    for name, inner in schema.get("properties", {}).items():
        if inner.get("type") == "array" and "items" in inner:
            return f'<code>{{"{name}": [...]}}</code> of {_form(inner["items"])}{_bounds(inner)}'
    return escape(schema.get("description", "an object").rstrip(".")).lower()


def kind(schema: Json) -> str:
    """Return type and bounds of a value as HTML.

    >>> kind({"type": "integer", "minimum": 0, "maximum": 1000})
    'integer, 0 to 1,000'
    """
    if "anyOf" in schema:
        return " or ".join(kind(form) for form in schema["anyOf"])
    if "$ref" in schema:
        return _form(schema)
    if "enum" in schema:
        return " or ".join(f"<code>{escape(str(v))}</code>" for v in schema["enum"])
    if "const" in schema:
        return f"<code>{escape(json.dumps(schema['const']))}</code>"
    named = schema.get("format") or schema.get("type", "anything")
    if "pattern" in schema:
        named += f" <code class='pattern'>{escape(schema['pattern'])}</code>"
    return f"{named}{_bounds(schema)}"


def _bounds(schema: Json) -> str:
    for least, most, unit in (("minimum", "maximum", ""), ("minItems", "maxItems", " items"),
                              ("minLength", "maxLength", " characters")):  # fmt: skip
        lo, hi = schema.get(least), schema.get(most)
        if hi is not None:
            return f", {_number(lo)} to {_number(hi)}{unit}" if lo is not None else (
                f", up to {_number(hi)}{unit}")  # fmt: skip
        if lo is not None:
            return f", from {_number(lo)}{unit}"
    return ""


def _number(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:g}" if value < 0.5 else repr(value)


def _reply(status: str, reply: Json) -> str:
    label = f"<b>{status}</b> {escape(reply['description'])}"
    examples = [c.get("example") for c in reply.get("content", {}).values()]
    text = json.dumps(examples[0], indent=2, ensure_ascii=False) if examples else ""
    if not examples or examples[0] is None or len(text) > LONGEST_EXAMPLE:
        return f"<p class='reply'>{label}</p>"
    return f"<details><summary>{label}</summary><pre>{escape(text)}</pre></details>"


def _schemas(document: Json) -> Iterator[str]:
    for name, schema in document.get("components", {}).get("schemas", {}).items():
        needed = schema.get("required", [])
        rows = [
            (f"<code>{escape(field)}</code>", kind(inner), "yes" if field in needed else "",
             _inline(inner.get("description", "")))
            for field, inner in schema.get("properties", {}).items()
        ]  # fmt: skip
        yield f"<section id='schema-{name}'><h2>{name}</h2>"
        yield _prose(schema.get("description", ""))
        yield _table(("field", "type", "needed", "meaning"), rows) + "</section>"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    top = "".join(f"<th scope='col'>{name}</th>" for name in head)
    lines = "".join("<tr>" + "".join(f"<td>{c}</td>" for c in row) + "</tr>" for row in rows)
    table = f"<table><thead><tr>{top}</tr></thead><tbody>{lines}</tbody></table>"
    return f"<div class='scroll'>{table}</div>"
