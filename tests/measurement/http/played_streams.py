"""Answers of servers as lists of (milliseconds, bytes), and a transport that plays them exactly."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from lengthwise.measurement.http.client import Client, Target
from lengthwise.measurement.http.exchange import Exchange
from lengthwise.measurement.http.loop import run
from lengthwise.measurement.http.record import Job, Record

N, TTFT, STEP, E2E = 40, 50.0, 10.0, 440.0
SENT_NS = 7_000_000_000
SSE = {"content-type": "text/event-stream"}

Script = Sequence[tuple[float, bytes]]


def event(value: Any) -> bytes:
    return b"data: " + json.dumps(value, ensure_ascii=False).encode() + b"\n\n"


def text(words: str, finish: str | None = None, **more: Any) -> bytes:
    return event({"choices": [{"index": 0, "text": words, "finish_reason": finish}], **more})


def delta(finish: str | None = None, usage: Any = None, **fields: Any) -> bytes:
    choice = {"index": 0, "delta": fields, "finish_reason": finish}
    return event({"choices": [choice], **({"usage": usage} if usage else {})})


def counts(osl: int = N, isl: int = 64, **details: Any) -> dict[str, Any]:
    return {"prompt_tokens": isl, "completion_tokens": osl, "total_tokens": isl + osl, **details}


def usage(osl: int = N, **details: Any) -> bytes:
    return event({"choices": [], "usage": counts(osl, **details)})


DONE = b"data: [DONE]\n\n"
END = text("", "length") + usage() + DONE
"""End chunk, usage and end of the stream as most servers write them."""


def due(token: int) -> float:
    """Milliseconds at which the engine has a token, counted from 0."""
    return TTFT + STEP * token


def tokens(
    first: int = 0, last: int = N, *, every: int = 1, make: Any = text
) -> list[tuple[float, bytes]]:
    """One chunk per ``every`` tokens, sent when the last of them is there."""
    found = []
    for start in range(first, last, every):
        end = min(start + every, last)
        found.append((due(end - 1), make(" tok" * (end - start))))
    return found


class Played:
    """A transport that plays one answer."""

    clock = "kernel"

    def __init__(self, script: Script, status: int, headers: dict[str, str]) -> None:
        self.script, self.status, self.headers = script, status, headers

    async def send(self, exchange: Exchange, timeout_s: float) -> None:
        exchange.sent_ns = exchange.last_ns = SENT_NS
        exchange.answered(self.status, self.headers)
        for at_ms, data in self.script:
            exchange.received(SENT_NS + round(at_ms * 1e6), data)

    async def close(self) -> None:
        """Nothing is open."""


def play(
    script: Script, *, osl: int = N, status: int = 200, headers: dict[str, str] = SSE
) -> Record:
    """Send one request and let its answer be the script."""
    target = Target("http://127.0.0.1:9", "/v1/completions", "m")
    client = Client(target, Played(script, status, headers))
    return run(client.request(Job("a", 64, osl, concurrency=1)))
