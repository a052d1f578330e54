"""What is a failure: errors of servers in the shapes they are sent in, mostly with status 200."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from played_streams import (
    DONE,
    E2E,
    END,
    SSE,
    STEP,
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

QUARTER = tokens(0, 10)
AT = due(10)
DIED = {"message": "engine died", "type": "InternalServerError", "param": None, "code": 500}


def broken(data: bytes) -> Script:
    """A quarter of an answer, then something else."""
    return [*QUARTER, (AT, data + DONE)]


FAILED: dict[str, tuple[Script, str, str]] = {
    "vLLM": (broken(event({"error": DIED})), "server_error", "engine died"),
    "vLLM up to 0.9": (broken(event({"object": "error", **DIED})), "server_error", "engine died"),
    "SGLang": (broken(event({"error": {"object": "error", **DIED}})), "server_error", "engine"),
    "TGI": (
        broken(b"event: error\n" + event({"error": "engine died", "error_type": "generation"})),
        "server_error", "engine died",
    ),
    "a named event in plain words": (
        broken(b"event: error\ndata: engine died\n\n"), "server_error", "engine died",
    ),
    "a named event without error inside": (
        broken(b"event: error\n" + event({"text": "engine died"})), "server_error", "engine died",
    ),
    "llama.cpp until 2025": (
        broken(b"error: " + json.dumps(DIED).encode() + b"\n\n"), "server_error", "engine died",
    ),
    "FastChat": (
        broken(event({"text": "engine died", "error_code": 50001})), "server_error", "engine died",
    ),
    "Ollama, without data": (
        [*QUARTER, (AT, b'{"error":{"message":"engine died"}}\n')], "server_error", "engine died",
    ),
    "FastAPI": (broken(event({"detail": "engine died"})), "server_error", "engine died"),
    "a code and a message": (
        broken(event({"code": 500, "message": "engine died"})), "server_error", "engine died",
    ),
    "OpenRouter": (
        broken(event({"error": {"code": 502, "message": "engine died"}, "choices": [
            {"delta": {"content": ""}, "finish_reason": "error"}]})),
        "server_error", "engine died",
    ),
    "an error in a choice": (
        broken(event({"choices": [{"delta": {}, "error": {"message": "engine died"}}]})),
        "server_error", "engine died",
    ),
    "an error after a whole answer": (
        [*tokens(), (E2E, text("", "length") + event({"error": DIED}))], "server_error", "engine",
    ),
    "finish reason abort": (broken(text("", "abort") + usage(10)), "aborted", "abort"),
    "finish reason with words": (
        broken(event({"choices": [{"text": "", "finish_reason": {
            "type": "abort", "message": "out of memory"}}]})),
        "aborted", "out of memory",
    ),
    "finish reason error": (broken(text("", "error") + usage(10)), "server_error", "error"),
    "finish reason content_filter": (
        broken(delta("content_filter")), "content_filter", "content_filter",
    ),
    "no end at all": (QUARTER, "disconnect", "without saying"),
    "an end without a reason": (broken(b""), "disconnect", "10 chunks"),
    "an empty answer": (
        [(5.0, text("", "stop") + usage(0) + DONE)], "no_tokens", "without text",
    ),
    "nothing but the end token": ([(5.0, text("", "stop") + usage(1) + DONE)], "no_tokens", ""),
    "an empty answer with a count": ([(5.0, END)], "no_tokens", "40 tokens"),
    "a role and no more": (
        [(5.0, delta(role="assistant", content="") + delta("stop") + DONE)], "no_tokens", "",
    ),
    "two empty strings": ([(5.0, text("") * 2 + text("", "stop") + usage(2) + DONE)],
                          "no_tokens", ""),
    "nothing": ([], "disconnect", "without saying"),
    "half an event": ([*QUARTER, (AT, b'data: {"choices": [{"te')], "malformed", "not JSON"),
}  # fmt: skip


@pytest.mark.parametrize("name", FAILED)
def test_a_failure_is_labelled_and_has_no_times(name: str) -> None:
    script, label, words = FAILED[name]
    record = play(script)
    assert (record.status, record.error) == ("error", label)
    assert words in record.detail
    row = record.to_row()
    timed = [k for k in row if k.endswith("_ms") or k.startswith("itl_ms") or k == "osl"]
    known = {k for k in timed if row[k] is not None}
    assert known == {"client_queue_ms", "connect_ms"}
    assert not len(record.gaps_ms)
    assert record.step_lines() == ""


@pytest.mark.parametrize(
    ("status", "kind", "body", "label", "words"),
    [
        (200, "application/json", {"object": "error", **DIED}, "server_error", "engine died"),
        (200, "application/json", {"error": DIED}, "server_error", "engine died"),
        (200, "text/html", "<html>busy</html>", "not_streaming", "text/html"),
        (200, "application/json", {"status": "ok"}, "not_streaming", "application/json"),
        (429, "application/json", {"error": {"message": "slow down"}}, "http_429", "slow down"),
        (503, "text/html", "<h1>no upstream</h1>", "http_503", "no upstream"),
        (504, "text/event-stream", {"error": "late"}, "http_504", "late"),
    ],
)
def test_other_answers_are_labelled(
    status: int, kind: str, body: object, label: str, words: str
) -> None:
    data = (body if isinstance(body, str) else json.dumps(body)).encode()
    record = play([(5.0, data)], status=status, headers={"content-type": kind})
    assert (record.status, record.error) == ("error", label)
    assert words in record.detail
    assert record.e2e_ms is None


@pytest.mark.parametrize(
    "more",
    [
        {"error": None},
        {"error_code": 0},
        {"object": "text_completion"},
        {"type": "chunk"},
        {"code": None, "message": "fine"},
        {"finish_reason": "null"},
    ],
)
def test_fields_that_say_nothing_are_no_error(more: dict[str, object]) -> None:
    choice = {"text": " tok", "finish_reason": more.get("finish_reason", "")}
    chunks = [(due(i), event({"choices": [choice], **more})) for i in range(40)]
    record = play([(1.0, event({"choices": [], "prompt_filter_results": []})), *chunks, (E2E, END)])
    assert record.ok
    assert record.tpot_ms == pytest.approx(STEP)


@pytest.mark.parametrize("reason", ["stop", "length", "eos", "eos_token", "stop_sequence"])
def test_ordinary_ends_are_no_failure(reason: str) -> None:
    record = play([*tokens(), (E2E, text("", reason) + usage() + DONE)])
    assert record.ok
    assert record.finish_reason == reason


def test_a_stream_that_only_says_done_is_whole_if_its_length_is() -> None:
    assert play([*tokens(), (E2E, DONE)]).ok
    assert play([*QUARTER, (AT, event({"choices": [], "usage": counts(10)}) + DONE)]).ok


@pytest.mark.parametrize(
    ("value", "wait_s"),
    [("2", 2.0), ("0.5", 0.5), ("3600", 30.0), ("-1", 0.0), ("soon", 0.0), ("nan", 0.0), ("", 0.0)],
)
def test_servers_say_how_long_to_wait(value: str, wait_s: float) -> None:
    record = play([], status=429, headers={"retry-after": value})
    assert record.retry_after_s == wait_s


def test_servers_say_until_when_to_wait() -> None:
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=10), usegmt=True)
    assert 5 < play([], status=503, headers={**SSE, "retry-after": date}).retry_after_s < 11
