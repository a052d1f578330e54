"""What counts as a token: streams in the shapes that servers and proxies give them.

The engine behind each has its first token after 50 ms and one more every 10 ms, 40 in all.
"""

from __future__ import annotations

import gzip
import zlib
from typing import Any

import pytest
from played_streams import (
    DONE,
    E2E,
    END,
    STEP,
    TTFT,
    N,
    Script,
    counts,
    delta,
    due,
    event,
    play,
    text,
    tokens,
    usage,
)

from lengthwise.measurement.http.reconcile import COUNTS, HIDDEN, LATE_START, ONE_PIECE

EMPTY = tokens(10, N, make=lambda words: text(""))
THOUGHT: dict[str, Any] = {"completion_tokens_details": {"reasoning_tokens": 30}}


def content(words: str) -> bytes:
    return delta(content=words)


def thought(words: str) -> bytes:
    return delta(reasoning_content=words)


def role(at_ms: float) -> tuple[float, bytes]:
    return at_ms, delta(role="assistant", content="")


def last_with_text() -> Script:
    return [*tokens(0, N - 1), (E2E, text(" tok", "length") + usage() + DONE)]


def speculative() -> Script:
    """Steps of 25 ms that give one to four tokens each."""
    found, at_ms, made = [(TTFT, text(" tok"))], TTFT, 1
    for size in (3, 2, 4, 1, 3, 2, 4, 1, 3, 2, 4, 1, 3, 2, 4):
        at_ms += 25.0
        made += size
        found.append((at_ms, text(" tok" * size)))
    assert made == N
    return [*found, (at_ms, END)]


def cumulative() -> Script:
    """Usage in each chunk, as with ``continuous_usage_stats``; the text says nothing."""
    found = [(due(i), event({"choices": [{"text": "x"}], "usage": counts(i + 1)}))
             for i in range(0, N, 3)]  # fmt: skip
    return [*found, (E2E, END)]


def packed(script: Script) -> Script:
    pack = zlib.compressobj(wbits=31)
    found = [(at, pack.compress(data) + pack.flush(zlib.Z_SYNC_FLUSH)) for at, data in script]
    return [*found, (found[-1][0], pack.flush())]


PLAIN = [*tokens(), (E2E, END)]

KNOWN: dict[str, tuple[Script, float | None, float | None]] = {
    "one chunk per token": (PLAIN, TTFT, STEP),
    "the end comes with the last token (vLLM)": (last_with_text(), TTFT, STEP),
    "the end token is counted (vLLM chat)": (
        [role(TTFT), *tokens(0, N - 1, make=content), (E2E, delta("stop") + usage() + DONE)],
        TTFT, STEP,
    ),
    "a role long before the first token": (
        [role(1.0), *tokens(make=content), (E2E, delta("length") + usage() + DONE)], TTFT, STEP,
    ),
    "an empty chunk long before the first token": (
        [(1.0, text("")), *tokens(), (E2E, END)], TTFT, STEP,
    ),
    "the role in every chunk, usage with the end (TGI)": (
        [*tokens(make=lambda words: delta(role="assistant", content=words)),
         (E2E, delta("length", usage=counts(), role="assistant", content="") + DONE)],
        TTFT, STEP,
    ),
    "empty chunks after the end token": ([*tokens(0, 10), *EMPTY, (E2E, END)], TTFT, STEP),
    "role, text, then empty chunks": (
        [role(1.0), *tokens(0, 10, make=content), *EMPTY, (E2E, END)], TTFT, STEP,
    ),
    "only empty chunks": (
        [*tokens(0, N, make=lambda words: text("")), (E2E, END)], TTFT, STEP,
    ),
    "no chunks after the end token": ([*tokens(0, 10), (E2E, END)], TTFT, STEP),
    "half characters are held back (llama.cpp)": (
        [c for i, c in enumerate(tokens()) if i % 4 != 1] + [(E2E, END)], TTFT, STEP,
    ),
    "reasoning, then content": (
        [*tokens(0, 30, make=thought), *tokens(30, N, make=content),
         (E2E, delta("length") + usage(**THOUGHT) + DONE)],
        TTFT, STEP,
    ),
    "reasoning under its other name": (
        [*tokens(make=lambda words: delta(reasoning=words, reasoning_content=words)), (E2E, END)],
        TTFT, STEP,
    ),
    "every fourth token sends (SGLang stream interval)": (
        [(TTFT, text(" tok")), *tokens(1, N, every=4), (E2E, END)], TTFT, STEP,
    ),
    "speculative decoding": (speculative(), TTFT, 375 / 39),
    "the last chunk brings the rest": (
        [*tokens(0, 10), (E2E, text(" tok" * 30) + END)], TTFT, STEP,
    ),
    "the first passes, a proxy holds the rest back": (
        [(TTFT, text(" tok")), (E2E, text(" tok") * 39 + END)], TTFT, STEP,
    ),
    "counted along": (cumulative(), TTFT, STEP),
    "four tokens in a chunk": ([*tokens(every=4), (E2E, END)], None, STEP),
    "a proxy that holds ten chunks": (
        [(due(last), text(" tok") * 10) for last in (9, 19, 29, 39)] + [(E2E, END)], None, STEP,
    ),
    "hidden reasoning that is counted": (
        [*tokens(30, N), (E2E, text("", "length") + usage(**THOUGHT) + DONE)], None, STEP,
    ),
    "hidden reasoning that is counted apart": (
        [*tokens(30, N),
         (E2E, text("", "stop") + usage(10, total_tokens=104, **THOUGHT) + DONE)],
        None, STEP,
    ),
    "hidden reasoning that nobody counts": ([*tokens(30, N), (E2E, END)], None, None),
    "as many events as letters": (
        [(TTFT + 2.5 * i, text("x")) for i in range(157)] + [(E2E, END)], TTFT, None,
    ),
    "usage counts chunks": (
        [*tokens(every=4), (E2E, text("", "length") + usage(10) + DONE)], None, None,
    ),
    "held back to the end": ([(E2E, text("a ") * N + END)], None, None),
    "held back, then read in pieces": (
        [(E2E - 6 + 0.3 * i, text("a ") * 2) for i in range(20)] + [(E2E, END)], None, None,
    ),
    "held back, then sent chunk by chunk": (
        [(E2E - 4 + 0.1 * i, text("a ")) for i in range(N)] + [(E2E, END)], None, None,
    ),
    "all in one chunk": ([role(1.0), (E2E, content(" tok" * N) + END)], None, None),
    "pings in between": (
        [(1.0, b": ping\n\n"), *[(at, b": ping\n\n" + data) for at, data in tokens()], (E2E, END)],
        TTFT, STEP,
    ),
    "the end is said twice": ([*tokens(), (E2E, END + DONE + DONE + text("x"))], TTFT, STEP),
    "usage long after the end": (
        [*tokens(), (E2E, text("", "length")), (E2E + 2000, usage() + DONE)], TTFT, STEP,
    ),
    "the end long after the last token": (
        [*tokens(0, N - 1), (E2E - STEP + 2000, END)], TTFT, STEP,
    ),
    "lines end in carriage returns": (
        [(at, data.replace(b"\n", b"\r\n")) for at, data in PLAIN], TTFT, STEP,
    ),
    "no blank lines": ([(at, data.replace(b"\n\n", b"\n")) for at, data in PLAIN], TTFT, STEP),
    "data over several lines": (
        [(at, data.replace(b', "', b',\ndata: "')) for at, data in PLAIN], TTFT, STEP,
    ),
    "packed by a proxy": (packed(PLAIN), TTFT, STEP),
}  # fmt: skip


@pytest.mark.parametrize("name", KNOWN)
def test_times_are_those_of_the_engine_or_missing(name: str) -> None:
    script, ttft, tpot = KNOWN[name]
    headers = {"content-type": "text/event-stream"}
    if name == "packed by a proxy":
        headers["content-encoding"] = "gzip"
    record = play(script, headers=headers)
    assert (record.status, record.error) == ("ok", "")
    assert record.ttft_ms == (None if ttft is None else pytest.approx(ttft, abs=0.01))
    assert record.tpot_ms == (None if tpot is None else pytest.approx(tpot, rel=0.03))
    assert bool(record.timing_note) == (ttft is None or tpot is None)
    assert record.osl == (10 if name == "usage counts chunks" else N)
    last = {"speculative decoding": 425.0, "the end long after the last token": 2430.0}
    assert record.e2e_ms == pytest.approx(last.get(name, E2E), abs=0.01)
    assert record.single_tokens == (len(record.itl_ms) > 0)
    if ttft is not None and tpot is not None and name not in last:
        assert ttft + tpot * (N - 1) == pytest.approx(record.e2e_ms, rel=0.03)


@pytest.mark.parametrize(
    ("name", "note"),
    [
        ("held back to the end", ONE_PIECE), ("all in one chunk", ONE_PIECE),
        ("four tokens in a chunk", LATE_START), ("a proxy that holds ten chunks", LATE_START),
        ("hidden reasoning that is counted", HIDDEN),
        ("hidden reasoning that nobody counts", HIDDEN), ("as many events as letters", COUNTS),
        ("usage counts chunks", COUNTS),
    ],
)  # fmt: skip
def test_a_missing_time_has_its_reason_in_the_table(name: str, note: str) -> None:
    row = play(KNOWN[name][0]).to_row()
    assert row["timing_note"] == note
    assert row["first_chunk_ms"] > 0


def test_an_answer_that_was_not_streamed_has_only_its_whole_time() -> None:
    for choice in ({"text": " tok" * N}, {"message": {"role": "assistant", "content": " tok" * N}}):
        body = event({"choices": [{**choice, "finish_reason": "length"}], "usage": counts()})[6:]
        record = play([(E2E, body)], headers={"content-type": "application/json"})
        assert record.ok
        assert (record.ttft_ms, record.tpot_ms, record.osl) == (None, None, N)
        assert record.e2e_ms == pytest.approx(E2E)
        assert record.timing_note == ONE_PIECE


def test_a_stream_is_known_by_its_text_and_not_by_its_type() -> None:
    record = play(PLAIN, headers={"content-type": "text/plain; charset=utf-8"})
    assert record.tpot_ms == pytest.approx(STEP)


def test_without_usage_the_finish_reason_tells_the_length() -> None:
    end = (E2E, text("", "length") + DONE)
    record = play([(TTFT, text(" tok")), *tokens(1, N, every=4), end])
    assert (record.osl_server, record.osl) == (None, N)
    assert record.tpot_ms == pytest.approx(STEP, rel=0.03)
    stopped = play([*tokens(every=4), (E2E, text("", "stop") + DONE)])
    assert (stopped.tpot_ms, stopped.timing_note) == (None, COUNTS)
    plain = play([*tokens(0, 20), (due(19), text("", "stop") + DONE)])
    assert plain.osl == 20
    assert plain.tpot_ms == pytest.approx(STEP)


def test_characters_cut_in_two_are_text() -> None:
    whole = "".join(chr(0x65E5 + i) for i in range(N))
    data = b"".join(text(letter) for letter in whole)
    assert b"\\u" not in data
    script: list[tuple[float, bytes]] = []
    for i in range(N):  # the first byte of each event's character ends one packet too early
        one = text(whole[i])
        middle = one.index(whole[i].encode()) + 1
        script += [(due(i) - 1, one[:middle]), (due(i), one[middle:])]
    record = play([*script, (E2E, END)])
    assert record.ttft_ms == pytest.approx(TTFT)
    assert record.tpot_ms == pytest.approx(STEP)
    broken = text("é").replace("é".encode(), b"\xc3")  # half a character per chunk
    record = play([(due(i), broken) for i in range(N)] + [(E2E, END)])
    assert record.tpot_ms == pytest.approx(STEP)


@pytest.mark.parametrize(
    ("ttft", "step", "n"), [(10_000.0, 10.0, 8), (1.0, 0.15, 200), (0.4, 0.3, 30), (30.0, 1.5, 2)]
)
def test_quick_engines_and_long_prompts_are_not_held_back(ttft: float, step: float, n: int) -> None:
    made = [(ttft + step * i, text(" tok")) for i in range(n)]
    record = play([*made, (made[-1][0], text("", "length") + usage(n) + DONE)], osl=n)
    assert record.ttft_ms == pytest.approx(ttft, abs=1e-4)
    assert record.tpot_ms == pytest.approx(step, rel=1e-4)


def test_one_token_has_a_first_and_no_next() -> None:
    record = play([(TTFT, text(" tok", "length") + usage(1) + DONE)], osl=1)
    assert (record.ttft_ms, record.tpot_ms, record.timing_note) == (TTFT, None, "")


def test_what_cannot_be_unpacked_failed() -> None:
    headers = {"content-type": "text/event-stream", "content-encoding": "br"}
    assert play(PLAIN, headers=headers).error == "malformed"
    headers["content-encoding"] = "gzip"
    assert play(PLAIN, headers=headers).error == "malformed"
    whole = gzip.compress(b'{"error": {"message": "busy"}}')
    record = play([(5.0, whole)], status=503, headers={"content-encoding": "gzip"})
    assert (record.error, record.detail) == ("http_503", "busy")
