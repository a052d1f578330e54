"""From the events of a stream to the chunks of an answer, and what the server says about it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from lengthwise.measurement.http.events import MAX_BUFFER, Event, EventReader
from lengthwise.measurement.http.faults import bad_reason, error_in, message_of, reason_of

THOUGHTS = ("reasoning_content", "reasoning", "thinking")
OTHERS = ("content", "refusal", "tool_calls", "function_call")


class Chunk(NamedTuple):
    """One piece of an answer.

    Attributes
    ----------
    at_ns
        Arrival, by the clock of the caller.
    text
        What it adds: content, reasoning or the call of a tool; empty for none.
    role
        Whether it only says who speaks.
    end
        Whether it says that the answer is complete.
    tokens
        Tokens of the answer so far, where the server counts along; else 0.
    """

    at_ns: int
    text: str
    role: bool = False
    end: bool = False
    tokens: int = 0


class TokenStream:
    r"""The chunks of an answer and what the server says about it.

    Attributes
    ----------
    chunks
        In the order of their arrival.
    usage, timings
        Counts of the server (``timings`` is what llama.cpp adds).
    thoughts
        Whether any reasoning was shown.
    finished, finish_reason
        Whether the server said that the answer is complete, and why it ended.
    end_ns
        When it said so; 0 if it did not.
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
        self.chunks: list[Chunk] = []
        self.usage: dict[str, Any] = {}
        self.timings: dict[str, Any] = {}
        self.thoughts = self.finished = False
        self.finish_reason = ""
        self.end_ns = 0
        self.problem: tuple[str, str] | None = None
        self._reader = EventReader()
        self._done = False

    @property
    def arrivals_ns(self) -> list[int]:
        """Arrivals of the chunks with text."""
        return [chunk.at_ns for chunk in self.chunks if chunk.text]

    @property
    def empty(self) -> int:
        """Number of chunks without text that do not end the answer."""
        return sum(not chunk.text and not chunk.end for chunk in self.chunks)

    def feed(self, now_ns: int, data: bytes) -> None:
        """Take bytes that arrived at ``now_ns``."""
        for event in self._reader.feed(now_ns, data):
            self.take(event)
        if self._reader.overflow:
            self.fail("malformed", f"a line of over {MAX_BUFFER:,} bytes")

    def close(self) -> None:
        """Note the end of the stream; a last line without its end counts."""
        for event in self._reader.close():
            self.take(event)

    def take(self, event: Event) -> None:
        """Take one event; those after the end of the stream do not count."""
        if self._done:
            return
        if event.text == b"[DONE]":
            self._done = self.finished = True
            self.end_ns = self.end_ns or event.at_ns
        elif isinstance(event.value, dict):
            self._object(event)
        elif event.name == "error":
            self.fail("server_error", message_of(event.text.decode(errors="replace")))
        else:
            kind = "JSON" if event.value is None else "an object"
            self.fail("malformed", f"an event that is not {kind}: {event.text[:80]!r}")

    def fail(self, label: str, detail: str) -> None:
        """Note what is wrong; the first problem stands."""
        self.problem = self.problem or (label, detail)

    def _object(self, event: Event) -> None:
        value = event.value
        words = error_in(value, event.name)
        if words is not None:
            self.fail("server_error", words)
            return
        if value.get("usage"):
            self.usage = value["usage"] if isinstance(value["usage"], dict) else {}
        if value.get("timings"):
            self.timings = value["timings"] if isinstance(value["timings"], dict) else {}
        try:
            for choice in value.get("choices") or ():
                self._choice(event.at_ns, choice, _running(value))
        except (AttributeError, TypeError):
            self.fail("malformed", f"an event of another shape: {event.text[:80]!r}")

    def _choice(self, now_ns: int, choice: dict[str, Any], count: int) -> None:
        delta = choice.get("delta") or choice.get("message") or {}
        text = choice.get("text") or self._text(delta)
        reason, words = reason_of(choice) if choice.get("finish_reason") else ("", "")
        end = bool(reason) and not self.finish_reason
        self.chunks.append(Chunk(now_ns, text, not text and "role" in delta, end, count))
        if choice.get("error"):
            self.fail("server_error", message_of(choice))
        if end:
            self.finished, self.finish_reason, self.end_ns = True, reason, now_ns
            failure = bad_reason(reason, words)
            if failure:
                self.fail(*failure)

    def _text(self, delta: dict[str, Any]) -> str:
        """Join what a delta adds, and note whether it is a thought."""
        found = ""
        for key, value in delta.items():
            if key in THOUGHTS and value:
                self.thoughts = True
                found = found or _words(value)  # one thought may stand under two names
        for key in OTHERS:
            if delta.get(key):
                found += _words(delta[key])
        return found


def _running(event: Mapping[str, Any]) -> int:
    """Return the tokens that an event with choices counts so far, 0 for none."""
    counted = event.get("usage") or event.get("timings")
    if not counted:
        return 0
    found = counted.get("completion_tokens", counted.get("predicted_n"))
    return found if isinstance(found, int) else 0


def _words(value: Any) -> str:
    """Return the text of a field of a delta, which may come in parts."""
    if isinstance(value, str):
        return value
    return "".join(_strings(value)) if value else ""


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, inner in value.items():
            if key not in ("id", "type", "index"):
                yield from _strings(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _strings(inner)
