"""The mock server takes what real clients send."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Callable
from typing import Any


def ask(url: str, body: dict[str, Any]) -> dict[str, Any]:
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(url, json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request, timeout=10) as answer:
        return dict(json.loads(answer.read()))


def test_a_message_in_parts_counts_like_its_text(mock: Callable[..., Any]) -> None:
    server = mock()
    with urllib.request.urlopen(f"{server.url}/health", timeout=10) as answer:
        assert answer.status == 200
    parts = [{"type": "text", "text": "one two"}, {"type": "text", "text": "three"}]
    found = [
        ask(f"{server.url}/v1/chat/completions",
            {"messages": [{"role": "user", "content": content}], "max_tokens": 2})
        for content in ("one two three", parts)
    ]  # fmt: skip
    counts = [answer["usage"]["prompt_tokens"] for answer in found]
    assert counts[0] == counts[1] > 0
