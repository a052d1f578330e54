"""From the bytes of a server-sent event stream to the arrival times of tokens."""

from __future__ import annotations

import json
from typing import Any

TEXT_KEYS = ("content", "reasoning_content", "reasoning", "tool_calls")
MAX_BUFFER = 16 << 20


class TokenStream:
    r"""Arrival times of the chunks that carry text, and what the server says about the answer.

    Attributes
    ----------
    arrivals_ns
        One entry per chunk with text, by the clock of the caller.
    empty
        Chunks of an answer without text (the role of a chat, a token that prints nothing).
    usage, timings
        Counts of the server (``timings`` is what llama.cpp adds).
    finished
        Whether the server said that the answer is complete.
    problem
        Label and detail of what is wrong with the stream, None if nothing is.

    Examples
    --------
    >>> stream = TokenStream()
    >>> stream.feed(5, b'data: {"choices": [{"text": "a"}]}\n\ndata: {"choices": [{"te')
    >>> stream.feed(9, b'xt": "b"}]}\n\ndata: [DONE]\n\n')
    >>> stream.arrivals_ns, stream.finished
    ([5, 9], True)
    """

    def __init__(self) -> None:
        self.arrivals_ns: list[int] = []
        self.empty = 0
        self.usage: dict[str, Any] = {}
        self.timings: dict[str, Any] = {}
        self.finished = False
        self.finish_reason = ""
        self.problem: tuple[str, str] | None = None
        self._rest = b""

    def feed(self, now_ns: int, data: bytes) -> None:
        """Take bytes that arrived at ``now_ns``."""
        lines = (self._rest + data).split(b"\n")
        self._rest = lines.pop()
        for line in lines:
            if line[:5] == b"data:":
                self._event(now_ns, line[5:].strip())
        if len(self._rest) > MAX_BUFFER:
            self._fail("malformed", f"a line of over {MAX_BUFFER:,} bytes")
            self._rest = b""

    def close(self) -> None:
        """Note the end of the stream; a last line without its end counts."""
        if self._rest[:5] == b"data:":
            self._event(self.arrivals_ns[-1] if self.arrivals_ns else 0, self._rest[5:].strip())
        self._rest = b""

    def _event(self, now_ns: int, text: bytes) -> None:
        if text == b"[DONE]":
            self.finished = True
            return
        try:
            event = json.loads(text)
        except ValueError:
            self._fail("malformed", f"an event that is not JSON: {text[:80]!r}")
            return
        if not isinstance(event, dict):
            self._fail("malformed", f"an event that is not an object: {text[:80]!r}")
            return
        if event.get("error"):
            self._fail("server_error", message_of(event))
            return
        try:
            self._choices(now_ns, event.get("choices") or ())
        except (AttributeError, TypeError):
            self._fail("malformed", f"an event of another shape: {text[:80]!r}")
        for name in ("usage", "timings"):
            if isinstance(event.get(name), dict):
                setattr(self, name, event[name])

    def _choices(self, now_ns: int, choices: Any) -> None:
        for choice in choices:
            delta = choice.get("delta") or {}
            if choice.get("text") or any(delta.get(key) for key in TEXT_KEYS):
                self.arrivals_ns.append(now_ns)
            elif choice.get("finish_reason") is None:
                self.empty += 1
            if choice.get("finish_reason"):
                self.finished, self.finish_reason = True, str(choice["finish_reason"])

    def _fail(self, label: str, detail: str) -> None:
        self.problem = self.problem or (label, detail)


def message_of(answer: Any) -> str:
    """Find the words in an error answer of any of the usual shapes, cut to 200 characters.

    >>> message_of({"error": {"message": "too long", "code": 400}}), message_of({"detail": "no"})
    ('too long', 'no')
    """
    found = answer
    for key in ("error", "message", "detail"):
        if isinstance(found, dict) and key in found:
            found = found[key]
    return " ".join(str(found).split())[:200]
