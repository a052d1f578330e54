"""OpenTelemetry spans of generative AI."""

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from lengthwise.data.formats import otel_spans
from lengthwise.data.formats.base import Document, Parsed
from lengthwise.data.table import prepare
from lengthwise.errors import InputError

T0 = 1_769_940_000_000_000_000
USAGE = {
    "gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai",
    "gen_ai.request.model": "qwen3", "gen_ai.response.model": "Qwen/Qwen3-8B",
    "gen_ai.usage.input_tokens": 512, "gen_ai.usage.output_tokens": 101,
    "gen_ai.usage.cache_read.input_tokens": 128, "gen_ai.response.time_to_first_chunk": 0.05,
    "server.address": "llm.example",
}  # fmt: skip


def typed(value: Any) -> dict[str, Any]:
    if isinstance(value, int):
        return {"intValue": str(value)}
    return {"doubleValue": value} if isinstance(value, float) else {"stringValue": value}


def span(attributes: dict[str, Any], *, start: int = T0, ms: int = 1050, **other: Any) -> dict:
    return {
        "traceId": "5b8e", "spanId": other.pop("spanId", "eee1"), "name": "chat qwen3", "kind": 3,
        "startTimeUnixNano": str(start), "endTimeUnixNano": str(start + ms * 1_000_000),
        "attributes": [{"key": k, "value": typed(v)} for k, v in attributes.items()],
        "status": {}, **other,
    }  # fmt: skip


def otlp(*spans: dict) -> dict:
    resource = {"attributes": [{"key": "service.name", "value": {"stringValue": "bot"}}]}
    scopes = [{"scope": {"name": "openai"}, "spans": list(spans)}]
    return {"resourceSpans": [{"resource": resource, "scopeSpans": scopes}]}


def parse(tmp_path: Path, data: Any) -> Parsed:
    path = tmp_path / "spans"
    path.write_text(data if isinstance(data, str) else json.dumps(data))
    assert otel_spans.matches(Document(path))
    return otel_spans.read(Document(path))


def test_a_span_is_a_request(tmp_path: Path) -> None:
    row = prepare(parse(tmp_path, otlp(span(USAGE))).frame).iloc[0]
    assert row["e2e_ms"] == pytest.approx(1050)
    assert row["ttft_ms"] == 50
    assert row["tpot_ms"] == pytest.approx(10)
    assert (row["isl"], row["osl"], row["cached_tokens"]) == (512, 101, 128)
    assert (row["model"], row["engine"], row["clock"]) == ("Qwen/Qwen3-8B", "openai", "client")
    assert row["timestamp"] == T0 / 1e9


def test_old_attribute_names(tmp_path: Path) -> None:
    old = {"gen_ai.system": "vertex_ai", "gen_ai.request.model": "m",
           "gen_ai.usage.prompt_tokens": 64, "gen_ai.usage.completion_tokens": 8,
           "gen_ai.usage.cache_read_input_tokens": 32}  # fmt: skip
    row = prepare(parse(tmp_path, otlp(span(old))).frame).iloc[0]
    assert (row["engine"], row["isl"], row["osl"], row["cached_tokens"]) == (
        "vertex_ai", 64, 8, 32,
    )  # fmt: skip
    assert "ttft_ms" not in row


def test_spans_of_vllm_are_of_the_server(tmp_path: Path) -> None:
    vllm = {"gen_ai.response.model": "m", "gen_ai.usage.prompt_tokens": 64,
            "gen_ai.usage.completion_tokens": 11, "gen_ai.latency.time_to_first_token": 0.2,
            "gen_ai.latency.e2e": 1.2, "gen_ai.latency.time_in_queue": 0.15}  # fmt: skip
    parsed = parse(tmp_path, otlp(span(vllm, kind="SPAN_KIND_SERVER", name="llm_request")))
    row = prepare(parsed.frame).iloc[0]
    assert (row["clock"], row["ttft_ms"], row["e2e_ms"], row["queue_ms"]) == (
        "server", 200, 1200, 150,
    )  # fmt: skip
    assert row["tpot_ms"] == pytest.approx(100)
    assert row["engine"] == "vllm"


@pytest.mark.parametrize("status", [{"code": 2}, {"code": "STATUS_CODE_ERROR", "message": "x"}])
def test_failed_and_other_spans_are_counted(tmp_path: Path, status: dict) -> None:
    http = {"http.request.method": "POST"}
    embed = {**USAGE, "gen_ai.operation.name": "embeddings"}
    tool = {"gen_ai.operation.name": "execute_tool"}
    silent = {k: v for k, v in USAGE.items() if "usage" not in k}
    parsed = parse(tmp_path, otlp(
        span(USAGE), span(USAGE, status=status), span({**USAGE, "error.type": "timeout"}),
        span(http), span(embed), span(tool), span(silent),
    ))  # fmt: skip
    assert dict(parsed.dropped) == {
        "not a GenAI span": 1, "failed request: error": 1, "failed request: timeout": 1,
        "GenAI span of another operation: embeddings": 1,
        "GenAI span of another operation: execute_tool": 1, "no output tokens in usage": 1,
    }  # fmt: skip
    assert (len(parsed.frame), parsed.rows_read) == (1, 7)


def test_a_wrapper_of_a_call_is_not_a_second_request(tmp_path: Path) -> None:
    outer = span(USAGE, spanId="a1", ms=1100)
    inner = span(USAGE, spanId="a2", parentSpanId="a1")
    server = span(USAGE, spanId="a3", parentSpanId="a2", kind=2, ms=1000)
    parsed = parse(tmp_path, otlp(outer, inner, server))
    assert parsed.frame["e2e_ms"].tolist() == pytest.approx([1050])
    assert parsed.frame["e2e_server_ms"].tolist() == pytest.approx([1000])
    assert parsed.frame["clock"].tolist() == ["client"]
    assert dict(parsed.dropped) == {"span that wraps another inference call": 1}


def test_concurrency_from_starts_and_ends(tmp_path: Path) -> None:
    late = span(USAGE, start=T0 + 10**12)
    parsed = parse(tmp_path, otlp(span(USAGE), span(USAGE, start=T0 + 10**6), late))
    assert prepare(parsed.frame)["concurrency"].tolist() == [2, 2, 1]


def test_providers_that_leave_cached_tokens_out(tmp_path: Path) -> None:
    fresh = {**USAGE, "gen_ai.usage.input_tokens": 12, "gen_ai.usage.cache_read.input_tokens": 500}
    parsed = parse(tmp_path, otlp(span(fresh)))
    row = prepare(parsed.frame).iloc[0]
    assert (row["isl"], row["cached_tokens"]) == (512, 500)
    assert any("added" in text for text in parsed.assumptions)


def console(attributes: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": "chat", "context": {"trace_id": "0x1", "span_id": "0x2", "trace_state": "[]"},
        "kind": "SpanKind.CLIENT", "parent_id": None, "start_time": "2026-02-01T10:00:00.000000Z",
        "end_time": "2026-02-01T10:00:01.050000Z", "status": {"status_code": "UNSET"},
        "attributes": attributes, "events": [], "resource": {"attributes": {"service.name": "x"}},
    }  # fmt: skip


def test_all_exports_give_the_same_rows(tmp_path: Path) -> None:
    first = parse(tmp_path, otlp(span(USAGE))).frame
    nanos = {
        "name": "chat", "kind": "CLIENT", "span_id": "1", "trace_id": "2", "attributes": USAGE,
        "start_time_unix_nano": T0, "end_time_unix_nano": T0 + 1_050_000_000,
    }  # fmt: skip
    for text in (
        json.dumps(otlp(span(USAGE))) + "\n",
        json.dumps(console(USAGE), indent=4) + "\n",
        json.dumps(nanos) + "\n",
        json.dumps([nanos]),
    ):
        frame = parse(tmp_path, text).frame
        pd.testing.assert_frame_equal(frame, first, check_dtype=False)


def test_several_lines(tmp_path: Path) -> None:
    lines = "\n".join(json.dumps(otlp(span(USAGE), span(USAGE))) for _ in range(3))
    assert len(parse(tmp_path, lines).frame) == 6
    lines = "\n".join(json.dumps(console(USAGE)) for _ in range(3))
    assert len(parse(tmp_path, lines).frame) == 3


@pytest.mark.parametrize(
    "broken",
    [
        {"resourceSpans": {"a": 1}},
        otlp(span({**USAGE, "gen_ai.usage.input_tokens": "many"})),
        otlp({**span(USAGE), "endTimeUnixNano": "later"}),
        otlp(span({**USAGE, "gen_ai.response.time_to_first_chunk": "soon"})),
        {"resourceSpans": [{"scopeSpans": [{"spans": [5]}]}]},
    ],
)
def test_damaged_exports_are_refused(tmp_path: Path, broken: Any) -> None:
    with pytest.raises(InputError, match="Remedy"):
        parse(tmp_path, broken)


@pytest.mark.parametrize(
    "data", [{}, [], [1], {"name": "x", "attributes": {}}, {"spans": []}, {"resourceMetrics": []}]
)
def test_other_files_do_not_match(tmp_path: Path, data: Any) -> None:
    path = tmp_path / "x.json"
    path.write_text(json.dumps(data))
    assert not otel_spans.matches(Document(path))
