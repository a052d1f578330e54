"""Bytes of answers, however they are cut."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lengthwise.measurement.http.faults import message_of
from lengthwise.measurement.http.framing import FramingError, ResponseReader
from lengthwise.measurement.http.tokens import TokenStream

BODY = b'data: {"choices":[{"text":"a"}]}\n\n: 7\r\n\r\ndata: [DONE]\r\n'
HEAD = (
    b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n"
)
FIRST, SECOND = BODY[:27], BODY[27:]
CHUNKED = (
    HEAD + b"%x;name=1\r\n%s\r\n" % (len(FIRST), FIRST) + b"%X\r\n%s\r\n" % (len(SECOND), SECOND)
    + b"0\r\nTrailer: 1\r\n\r\n"
)  # fmt: skip


def cut(data: bytes, at: list[int]) -> list[bytes]:
    edges = [0, *sorted(a % len(data) for a in at), len(data)]
    return [data[a:b] for a, b in pairwise(edges)]


@given(st.lists(st.integers(0, 500)))
def test_chunks_are_put_together_however_they_are_cut(at: list[int]) -> None:
    reader = ResponseReader()
    body = b"".join(reader.feed(piece) for piece in cut(CHUNKED, at) if piece)
    assert body == BODY
    assert reader.done
    assert reader.keep_alive
    assert reader.status == 200


@given(st.lists(st.integers(0, 500)))
def test_events_are_read_however_they_are_cut(at: list[int]) -> None:
    stream = TokenStream()
    for now, piece in enumerate(cut(BODY, at)):
        stream.feed(now, piece)
    stream.close()
    assert len(stream.arrivals_ns) == 1
    assert stream.finished
    assert stream.problem is None


def test_a_sized_body_ends_with_its_size() -> None:
    reader = ResponseReader()
    assert reader.feed(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabcd") == b"abc"
    assert reader.done


def test_a_body_without_size_ends_with_the_connection() -> None:
    reader = ResponseReader()
    assert reader.feed(b"HTTP/1.0 200 OK\r\n\r\nabc") == b"abc"
    assert not reader.done
    assert reader.ended_by_close()
    assert not reader.keep_alive


@pytest.mark.parametrize(
    "wrong",
    [
        b"SSH-2.0-OpenSSH\r\n\r\n", b"HTTP/1.1 abc\r\n\r\n", b"\x16\x03\x01\x02\x00\x01",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    ],
)  # fmt: skip
def test_other_protocols_are_refused(wrong: bytes) -> None:
    with pytest.raises(FramingError):
        ResponseReader().feed(wrong)


def test_reasoning_and_tool_calls_are_text_and_a_role_is_not() -> None:
    stream = TokenStream()
    for delta in (
        '{"role":"assistant","content":""}', '{"reasoning_content":"a"}', '{"content":"b"}',
        '{"tool_calls":[{"function":{"arguments":"c"}}]}',
    ):  # fmt: skip
        stream.feed(7, b'data: {"choices":[{"delta":' + delta.encode() + b"}]}\n\n")
    assert stream.arrivals_ns == [7, 7, 7]
    assert stream.empty == 1


def test_an_error_inside_a_stream_is_kept() -> None:
    stream = TokenStream()
    stream.feed(1, b'data: {"error":{"message":"out of memory","code":500}}\n\n')
    assert stream.problem == ("server_error", "out of memory")


@pytest.mark.parametrize("event", [b"[1]", b"3", b'{"choices":[3]}', b'{"choices":3}', b"{"])
def test_strange_events_are_malformed(event: bytes) -> None:
    stream = TokenStream()
    stream.feed(1, b"data: " + event + b"\n\n")
    assert stream.problem is not None
    assert stream.problem[0] == "malformed"


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ({"error": {"message": "m"}}, "m"), ({"error": "e"}, "e"),
        ({"detail": [{"msg": "d"}]}, "[{'msg': 'd'}]"), ({"object": "error", "message": "o"}, "o"),
        ("x" * 300, "x" * 200),
    ],
)  # fmt: skip
def test_messages_are_found_in_all_shapes(answer: object, words: str) -> None:
    assert message_of(answer) == words
