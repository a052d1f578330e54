"""Spans of one call from both sides, from any exporter and convention, are one request."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from lengthwise.data.importing import import_table
from lengthwise.data.report import ImportReport
from lengthwise.errors import NothingUsableError

T0 = 1_790_000_000 * 10**9
MS = 10**6
SERVER = {
    "gen_ai.usage.prompt_tokens": 17, "gen_ai.usage.completion_tokens": 40,
    "gen_ai.latency.time_to_first_token": 0.077, "gen_ai.latency.e2e": 0.849,
    "gen_ai.latency.time_in_queue": 0.002,
}  # fmt: skip
CLIENT = {
    "gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai",
    "gen_ai.request.model": "org/m",
}  # fmt: skip


def span(
    attributes: dict[str, Any], *, id: str, parent: str = "", kind: int = 3, start: float = 0.0,
    ms: float = 860.0, name: str = "chat m", trace: str = "aa", **other: Any,
) -> dict[str, Any]:  # fmt: skip
    """A span in OTLP JSON, ``start`` and ``ms`` after T0."""
    typed = {bool: "boolValue", int: "intValue", float: "doubleValue", str: "stringValue"}
    return {
        "traceId": trace, "spanId": id, "parentSpanId": parent, "name": name, "kind": kind,
        "startTimeUnixNano": str(T0 + round(start * MS)),
        "endTimeUnixNano": str(T0 + round((start + ms) * MS)),
        "attributes": [{"key": k, "value": {typed[type(v)]: v}} for k, v in attributes.items()],
        "status": {}, **other,
    }  # fmt: skip


def server(**other: Any) -> dict[str, Any]:
    given = {"id": "bb", "kind": 2, "start": 4.0, "ms": 849.0, "name": "llm_request", **other}
    return span(given.pop("said", SERVER), **given)


def chunks(*ms: float, name: str = "gen_ai.content.completion.chunk") -> list[dict[str, Any]]:
    return [{"name": name, "timeUnixNano": str(T0 + round(at * MS))} for at in ms]


def otlp(*spans: dict[str, Any], service: str = "srv", scope: str = "x") -> dict[str, Any]:
    named = {"attributes": [{"key": "service.name", "value": {"stringValue": service}}]}
    scopes = [{"scope": {"name": scope}, "spans": list(spans)}]
    return {"resourceSpans": [{"resource": named, "scopeSpans": scopes}]}


def imported(folder: Path, *found: Any) -> tuple[list[dict[str, Any]], ImportReport]:
    path = folder / "spans"
    path.write_text("\n".join(map(json.dumps, found)))
    table, report = import_table(path)
    assert report.format == "otel"
    return table.to_dict("records"), report


def test_client_and_server_are_one_request(tmp_path: Path) -> None:
    (row,), report = imported(
        tmp_path, otlp(span(CLIENT, id="aa"), service="app"), otlp(server(parent="aa"))
    )
    assert row["ttft_ms"] == pytest.approx(77)
    assert row["e2e_ms"] == pytest.approx(860, abs=1e-3)
    assert row["tpot_ms"] == pytest.approx((849 - 77) / 39)
    assert (row["isl"], row["osl"], row["model"], row["engine"]) == (17, 40, "org/m", "vllm")
    assert (row["queue_ms"], row["clock"], row["concurrency"]) == (2, "client", 1)
    assert report.skipped == {}


def test_chunks_that_the_client_saw_are_on_its_own_clock(tmp_path: Path) -> None:
    seen = span(CLIENT, id="aa", ms=500, events=chunks(*range(80, 481, 10)))
    said = {**SERVER, "gen_ai.usage.completion_tokens": 41}
    (row,), _ = imported(tmp_path, otlp(seen, server(parent="aa", ms=488, said=said)))
    assert (row["ttft_ms"], row["tpot_ms"]) == pytest.approx((80, 10), abs=1e-3)
    assert row["ttft_server_ms"] == pytest.approx(77)


def test_an_answer_in_one_piece_has_the_servers_first_token(tmp_path: Path) -> None:
    held = span(CLIENT, id="aa", events=chunks(855, 855.2, 855.4))
    (row,), _ = imported(tmp_path, otlp(held, server(parent="aa")))
    assert row["ttft_ms"] == pytest.approx(77)
    alone = {**CLIENT, "gen_ai.usage.input_tokens": 17, "gen_ai.usage.output_tokens": 40}
    (row,), _ = imported(tmp_path, otlp(span(alone, id="aa", events=chunks(855, 855.2))))
    assert "ttft_ms" not in row
    assert row["e2e_ms"] == pytest.approx(860, abs=1e-3)


def test_http_spans_may_lie_between(tmp_path: Path) -> None:
    post = span({"http.request.method": "POST"}, id="h1", parent="aa", name="POST")
    took = span({"http.request.method": "POST"}, id="h2", parent="h1", kind=2, name="POST /v1")
    rows, report = imported(tmp_path, otlp(span(CLIENT, id="aa"), post, took, server(parent="h2")))
    assert len(rows) == 1
    assert rows[0]["e2e_ms"] == pytest.approx(860, abs=1e-3)
    assert report.skipped == {"not a GenAI span (left out)": 2}


def test_without_the_spans_between_the_trace_joins(tmp_path: Path) -> None:
    rows, _ = imported(tmp_path, otlp(span(CLIENT, id="aa"), server(parent="lost")))
    assert [row["e2e_ms"] for row in rows] == pytest.approx([860], abs=1e-3)
    other = server(parent="lost", trace="zz")
    silent, report = imported(tmp_path, otlp(span(CLIENT, id="aa"), other))
    assert [row["clock"] for row in silent] == ["server"]
    assert report.skipped == {"no output tokens in usage (left out)": 1}


def test_an_attempt_that_failed_is_a_failure_and_no_second_request(tmp_path: Path) -> None:
    first = server(parent="aa", ms=100, status={"code": 2})
    second = server(id="cc", parent="aa", start=300.0, ms=849)
    rows, report = imported(tmp_path, otlp(span(CLIENT, id="aa", ms=1160), first, second))
    assert [(row["e2e_ms"], row["ttft_ms"], row["clock"]) for row in rows] == [
        (pytest.approx(849), pytest.approx(77), "server")
    ]
    assert report.skipped == {"failed request: error (left out)": 1}
    assert any("more than once" in text for text in report.assumptions)


def test_several_answers_under_one_span_are_several_requests(tmp_path: Path) -> None:
    two = [server(id=name, parent="aa", start=start) for name, start in (("b1", 4.0), ("b2", 900))]
    rows, report = imported(tmp_path, otlp(span(CLIENT, id="aa", ms=1800), *two))
    assert [row["e2e_ms"] for row in rows] == pytest.approx([849, 849])
    assert report.skipped == {"span that wraps another inference call (left out)": 1}


def test_prefill_elsewhere_is_part_of_the_request(tmp_path: Path) -> None:
    one = {**SERVER, "gen_ai.usage.completion_tokens": 1}
    spans = [server(id="p", parent="aa", ms=70, said=one), server(parent="aa", start=75, ms=780)]
    rows, _ = imported(tmp_path, otlp(span(CLIENT, id="aa"), *spans))
    assert [row["osl"] for row in rows] == [40]


@pytest.mark.parametrize("reason", ["abort", "error"])
def test_an_answer_broken_off_is_a_failure(reason: str, tmp_path: Path) -> None:
    said = {**SERVER, "gen_ai.response.finish_reasons": json.dumps([reason])}
    with pytest.raises(NothingUsableError, match=f"failed request: {reason}"):
        imported(tmp_path, otlp(span(CLIENT, id="aa"), server(parent="aa", said=said)))


def test_the_time_of_the_decode_is_taken_where_it_is_told(tmp_path: Path) -> None:
    said = {**SERVER, "gen_ai.latency.time_in_model_decode": 0.39}
    (row,), _ = imported(tmp_path, otlp(server(said=said)))
    assert row["tpot_ms"] == pytest.approx(10)


@pytest.mark.parametrize(
    ("scope", "service", "engine"),
    [("vllm.llm_engine", "srv", "vllm"), ("x", "sglang-7b", "sglang"), ("x", "srv", "vllm")],
)
def test_the_engine_is_what_the_server_is(
    scope: str, service: str, engine: str, tmp_path: Path
) -> None:
    internal = server(kind=1, parent="aa")
    found = [otlp(span(CLIENT, id="aa")), otlp(internal, scope=scope, service=service)]
    (row,), _ = imported(tmp_path, *found)
    assert row["engine"] == engine


def jaeger(*spans: dict[str, Any]) -> dict[str, Any]:
    kinds = {2: "server", 3: "client"}
    found = [
        {
            "traceID": s["traceId"], "spanID": s["spanId"], "operationName": s["name"],
            "references": [{"refType": "CHILD_OF", "traceID": s["traceId"],
                            "spanID": s["parentSpanId"]}] if s["parentSpanId"] else [],
            "startTime": int(s["startTimeUnixNano"]) // 1000, "processID": "p1",
            "duration": (int(s["endTimeUnixNano"]) - int(s["startTimeUnixNano"])) // 1000,
            "tags": [{"key": "span.kind", "type": "string", "value": kinds[s["kind"]]},
                     *({"key": a["key"], "value": next(iter(a["value"].values()))}
                       for a in s["attributes"])],
            "logs": [{"timestamp": int(e["timeUnixNano"]) // 1000,
                      "fields": [{"key": "event", "value": e["name"]}]}
                     for e in s.get("events", [])],
        }
        for s in spans
    ]  # fmt: skip
    process = {"p1": {"serviceName": "srv", "tags": []}}
    return {"data": [{"traceID": "aa", "spans": found, "processes": process}], "total": 0}


def zipkin(*spans: dict[str, Any]) -> list[dict[str, Any]]:
    kinds = {2: "SERVER", 3: "CLIENT"}
    return [
        {
            "traceId": s["traceId"], "id": s["spanId"], "name": s["name"], "kind": kinds[s["kind"]],
            **({"parentId": s["parentSpanId"]} if s["parentSpanId"] else {}),
            "timestamp": int(s["startTimeUnixNano"]) // 1000,
            "duration": (int(s["endTimeUnixNano"]) - int(s["startTimeUnixNano"])) // 1000,
            "localEndpoint": {"serviceName": "srv"},
            "tags": {a["key"]: str(next(iter(a["value"].values()))) for a in s["attributes"]},
            "annotations": [{"timestamp": int(e["timeUnixNano"]) // 1000, "value": e["name"]}
                            for e in s.get("events", [])],
        }
        for s in spans
    ]  # fmt: skip


def go_lines(*spans: dict[str, Any]) -> list[dict[str, Any]]:
    """What the stdout exporter of Go writes."""

    def iso(ns: str) -> str:
        return f"2026-09-21T14:13:{20 + (int(ns) - T0) / 10**9:09.6f}Z"

    return [
        {
            "Name": s["name"], "SpanContext": {"TraceID": s["traceId"], "SpanID": s["spanId"]},
            "Parent": {"TraceID": s["traceId"], "SpanID": s["parentSpanId"] or "0000000000000000"},
            "SpanKind": s["kind"], "StartTime": iso(s["startTimeUnixNano"]),
            "EndTime": iso(s["endTimeUnixNano"]), "Status": {"Code": "Unset"},
            "Attributes": [{"Key": a["key"], "Value": {"Type": "x", "Value": v}}
                           for a in s["attributes"] for v in a["value"].values()],
            "Events": [{"Name": e["name"], "Time": iso(e["timeUnixNano"])}
                       for e in s.get("events", [])],
            "InstrumentationScope": {"Name": "x"},
        }
        for s in spans
    ]  # fmt: skip


def base64_ids(*spans: dict[str, Any]) -> dict[str, Any]:
    """Ids as a protobuf is printed in JSON."""

    def coded(text: str) -> str:
        return base64.b64encode(bytes.fromhex(text)).decode() if text else ""

    names = ("traceId", "spanId", "parentSpanId")
    return otlp(*({**s, **{name: coded(s[name]) for name in names}} for s in spans))


def test_every_exporter_gives_the_same_request(tmp_path: Path) -> None:
    spans = span(CLIENT, id="aa", events=chunks(*range(80, 861, 20))), server(parent="aa")
    tempo = {"batches": otlp(*spans)["resourceSpans"]}
    for found in (
        [otlp(*spans)], [otlp(one) for one in spans], [tempo], [{"trace": otlp(*spans)}],
        [jaeger(*spans)], jaeger(*spans)["data"], [zipkin(*spans)], [[zipkin(*spans)]],
        go_lines(*spans), [base64_ids(*spans)],
    ):  # fmt: skip
        (row,), _ = imported(tmp_path, *found)
        times = [row[name] for name in ("ttft_ms", "tpot_ms", "e2e_ms", "queue_ms")]
        assert times == pytest.approx([80, 20, 860, 2], abs=2e-3)
        assert (row["isl"], row["osl"], row["engine"], row["model"]) == (17, 40, "vllm", "org/m")


def test_openinference_names(tmp_path: Path) -> None:
    said = {"openinference.span.kind": "LLM", "llm.model_name": "m", "llm.provider": "ollama",
            "llm.token_count.prompt": 512, "llm.token_count.completion": 40,
            "llm.token_count.prompt_details.cache_read": 128}  # fmt: skip
    chain = span({"openinference.span.kind": "CHAIN"}, id="cc", kind=1)
    events = chunks(80, name="First Token Stream Event")
    (row,), report = imported(
        tmp_path, otlp(chain, span(said, id="aa", parent="cc", kind=1, events=events))
    )
    assert (row["ttft_ms"], row["tpot_ms"]) == pytest.approx((80, 20), abs=1e-3)
    assert (row["isl"], row["cached_tokens"], row["osl"]) == (512, 128, 40)
    assert (row["model"], row["engine"]) == ("m", "ollama")
    assert report.skipped == {"GenAI span of another operation: chain (left out)": 1}


def test_names_of_the_vercel_sdk_are_milliseconds(tmp_path: Path) -> None:
    said = {"gen_ai.system": "openai", "gen_ai.request.model": "m", "gen_ai.usage.input_tokens": 9,
            "gen_ai.usage.output_tokens": 40, "ai.response.msToFirstChunk": 80.0}  # fmt: skip
    (row,), _ = imported(tmp_path, otlp(span(said, id="aa", kind=1)))
    assert row["ttft_ms"] == pytest.approx(80)


def test_many_calls_of_one_trace_are_kept_apart(tmp_path: Path) -> None:
    """An agent asks ten times, one after another; the spans between are not in the file."""
    both = [
        one for i in range(10) for one in (
            span(CLIENT, id=f"a{i}", parent="f0", start=1000 * i),
            server(id=f"b{i}", parent="lost", start=1000 * i + 4),
        )
    ]  # fmt: skip
    agent = span({"gen_ai.operation.name": "invoke_agent"}, id="f0", ms=10_000)
    rows, _ = imported(tmp_path, otlp(agent, *both))
    assert [row["timestamp"] for row in rows] == pytest.approx([T0 / 1e9 + i for i in range(10)])
    assert {row["concurrency"] for row in rows} == {1}
