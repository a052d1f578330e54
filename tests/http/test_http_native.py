"""The native API: predictions, observations, laws, state."""

from __future__ import annotations

import json
from collections.abc import Callable
from hashlib import sha256
from typing import Any

import pytest
from http_api import Api, Server, wait_until

ROW = {"input_tokens": 2048, "running": 8, "waiting": 1, "kv_share": 0.4, "osl": 101}


def test_one_row(native: Api) -> None:
    found = native.post("/v1/predict", ROW).json
    for target in ("ttft", "tpot", "e2e"):
        lo, value, hi = (found[f"{target}{end}_ms"] for end in ("_lo", "", "_hi"))
        assert 0 < lo < value < hi
    assert found["e2e_ms"] == pytest.approx(found["ttft_ms"] + 100 * found["tpot_ms"])
    assert (found["level"], found["in_domain"]) == (0.9, False)
    assert found["extrapolation_factor"] == 1.0
    assert isinstance(found["law_version"], int)
    plain = native.post("/v1/predict", {"input_tokens": 2048}).json
    assert "e2e_ms" not in plain
    assert "quantiles" not in plain


def test_many_rows_in_order_with_quantiles(native: Api) -> None:
    rows = [{"input_tokens": n, "pod": "a"} for n in range(1, 3001)]
    rows[1]["osl"] = 10
    path = "/v1/predict?level=0.5&quantiles=0.1,0.5,0.99"
    found = native.post(path, {"rows": rows}).json
    assert (found["count"], found["level"], len(found["rows"])) == (3000, 0.5, 3000)
    times = [row["ttft_ms"] for row in found["rows"]]
    assert times == sorted(times)
    assert found["rows"][0]["e2e_ms"] is None
    assert found["rows"][1]["e2e_ms"] > found["rows"][1]["ttft_ms"]
    quantiles = found["rows"][7]["quantiles"]
    for target in ("ttft_ms", "tpot_ms"):
        assert quantiles[target]["0.1"] < quantiles[target]["0.5"] < quantiles[target]["0.99"]
    wide = native.post("/v1/predict?level=0.99", rows[7]).json
    assert wide["ttft_hi_ms"] > found["rows"][7]["ttft_hi_ms"]


@pytest.mark.parametrize(
    ("query", "content", "part"),
    [
        ("", {}, "input_tokens"), ("", {"rows": [{"input_tokens": 1}, {}]}, "rows.1.input_tokens"),
        ("", {"rows": []}, "rows"), ("", {"input_tokens": 2.5}, "input_tokens"),
        ("", [], "body"), ("?level=90", ROW, "level must lie in (0, 1)"),
        ("?level=nan", ROW, "level"), ("?quantiles=0.5,x", ROW, "quantiles"),
        ("?quantiles=" + ",".join(["0.5"] * 21), ROW, "quantiles"),
        ("", {**ROW, "kv_share": 1.5}, "kv_share"),
    ],
)  # fmt: skip
def test_problems_say_rule_value_and_remedy(
    native: Api, query: str, content: Any, part: str
) -> None:
    answer = native.post("/v1/predict" + query, content)
    assert (answer.status, answer.headers["content-type"]) == (422, "application/problem+json")
    told = answer.json
    assert told["title"] == "Unprocessable Content" or "Unprocessable" in told["title"]
    assert (told["status"], told["type"], told["instance"]) == (422, "about:blank", "/v1/predict")
    assert part in told["detail"]
    assert {"rule", "value", "remedy"} <= set(told)


def observation(i: int, **more: Any) -> dict[str, Any]:
    row = {"input_tokens": 100 + i, "running": 1 + i % 9, "pod": f"pod-{i % 2}", "pod_type": "x"}
    return {**row, "ttft_ms": 20 + 0.05 * i, "tpot_ms": 10.0, **more}


def test_observations_count_once_by_request_id(native: Api) -> None:
    ids = [observation(i, request_id=f"r{i}") for i in range(20)]
    first = native.post("/v1/observe", {"observations": ids})
    assert (first.status, first.json["accepted"], first.json["duplicates"]) == (202, 20, 0)
    again = native.post("/v1/observe", {"observations": [*ids, observation(1, request_id="new")]})
    assert (again.json["accepted"], again.json["duplicates"]) == (1, 20)
    assert again.json["sequence"] == first.json["sequence"] + 1
    alone = native.post("/v1/observe", observation(3))
    assert (alone.status, alone.json["accepted"]) == (202, 1)
    assert native.post("/v1/observe", {"observations": []}).json["accepted"] == 0
    assert native.post("/v1/observe", observation(3, ttft_ms=-1)).status == 422
    assert native.post("/v1/observe", observation(3, observed_at="soon")).status == 422
    assert native.post("/v1/observe", b'{"input_tokens": 5, "ttft_ms": 1e999}').status == 422
    huge = native.post("/v1/observe", {"input_tokens": 5, "ttft_ms": 1e11})
    assert huge.status == 202
    wait_until(lambda: sum(counts(native)["quarantined"].values()) >= 1)
    apart = native.get("/v1/quarantine?after=0&limit=5").json
    assert apart["rows"][0]["reason"] in apart["counts"]
    assert apart["rows"][0]["row"]["input_token_length"] == 5
    assert native.get("/v1/quarantine?limit=-1").status == 422


def counts(api: Api) -> dict[str, Any]:
    return dict(api.get("/v1/status").json["observations"])


@pytest.fixture(scope="module")
def versions(start: Callable[..., Server]) -> Api:
    """A server that holds two laws at least."""
    api = start(fresh=True).api
    wait_until(lambda: bool(api.get("/v1/laws").json["laws"]))
    body = api.get("/v1/laws/active").body
    assert api.post("/v1/laws/import", body).status == 201
    return api


def test_laws_are_listed_fetched_and_known_by_etag(versions: Api) -> None:
    listed = versions.get("/v1/laws").json["laws"]
    numbers = [law["version"] for law in listed]
    assert numbers == sorted(numbers, reverse=True)
    assert sum(law["active"] for law in listed) == 1
    active = versions.get("/v1/laws/active")
    digest = sha256(active.body).hexdigest()
    assert active.headers["etag"] == f'"{digest}"'
    assert active.headers["x-checksum-sha256"] == digest
    same = versions.get("/v1/laws/active", if_none_match=active.headers["etag"])
    assert (same.status, same.body) == (304, b"")
    version = int(active.headers["x-law-version"])
    assert versions.get(f"/v1/laws/{version}").body == active.body
    export = versions.get(f"/v1/laws/{version}/export")
    assert export.headers["content-disposition"] == f'attachment; filename="law-{version}.json"'
    assert versions.get("/v1/laws/999999").status == 404
    assert versions.get("/v1/laws/x").status == 422


def test_laws_are_imported_promoted_and_rolled_back(versions: Api) -> None:
    body = versions.get("/v1/laws/active").body
    digest = sha256(body).hexdigest()
    took = versions.post("/v1/laws/import", body, x_checksum_sha256=digest)
    assert took.status == 201
    newest = took.json["version"]
    older = versions.post("/v1/laws/rollback")
    assert older.status == 200
    assert older.json["pinned"] == older.json["active"] < newest
    wait_until(lambda: status_version(versions) == older.json["active"])
    assert versions.post(f"/v1/laws/{newest}/promote").json["active"] == newest
    assert versions.post("/v1/laws/follow").json["pinned"] is None
    assert versions.post("/v1/laws/999999/promote").status == 404
    damaged = versions.post("/v1/laws/import", body, x_checksum_sha256="0" * 64)
    assert (damaged.status, "checksum" in damaged.json["rule"]) == (422, True)


def status_version(api: Api) -> int:
    return int(api.get("/v1/status").json["law"]["version"])


def test_laws_that_are_none_are_refused(versions: Api) -> None:
    law = json.loads(versions.get("/v1/laws/active").body)
    first = next(iter(law["targets"]))
    wrong: list[Any] = [
        {}, [], 3, {"kind": "online"}, {**law, "schema_version": 99}, {**law, "targets": {}},
        {**law, "targets": {**law["targets"], first: None}}, {**law, "version": "x"},
    ]  # fmt: skip
    for content in wrong:
        assert versions.post("/v1/laws/import", content).status == 422
    text = json.dumps(law).replace("0.", "NaN, 0.", 1).encode()
    assert versions.post("/v1/laws/import", text).status == 422
    assert versions.post("/v1/laws/import", b"\x80\x04pickle").status == 422


def test_rolling_back_without_an_older_law_is_a_conflict(start: Callable[..., Server]) -> None:
    api = start(fresh=True).api
    wait_until(lambda: len(api.get("/v1/laws").json["laws"]) == 1)
    assert api.post("/v1/laws/rollback").status == 409


def test_state_is_told(native: Api) -> None:
    status = native.get("/v1/status").json
    assert (status["service"], status["role"]) == ("lengthwise", "both")
    assert {"version", "ready", "rows_learnt", "median_relative_error"} <= set(status["law"])
    live = native.get("/v1/live").json
    assert {"now_s", "law", "domain", "recent", "error", "events", "counts"} == set(live)
    assert {"target", "name", "unit", "value", "sd"} <= set(live["law"]["terms"][0])
    assert set(native.get("/v1/drift").json) == {"events", "count"}
    assert native.get("/healthz").json["status"] == "ok"
    assert native.get("/readyz").json["status"] == "ready"


def test_the_page_is_served_with_its_headers(native: Api, llm_d: Api) -> None:
    page = native.get("/")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert native.get("/page/live.js").status == 200
    assert llm_d.get("/live").body == page.body
    assert llm_d.get("/").json["is_ready"] is True


def test_metrics_have_help_and_type_and_parse(native: Api) -> None:
    parser = pytest.importorskip("prometheus_client.parser")
    native.post("/v1/predict", ROW)
    native.post("/v1/observe", observation(1))
    answer = native.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    found = {m.name: m for m in parser.text_string_to_metric_families(answer.text)}
    assert all(m.documentation and m.type != "unknown" for m in found.values())
    ttft = found["lengthwise_predicted_time_to_first_token_seconds"]
    bounds = [s.labels["le"] for s in ttft.samples if s.name.endswith("_bucket")]
    assert (bounds[0], bounds[-2], bounds[-1], len(bounds)) == ("0.001", "2560.0", "+Inf", 23)
    tpot = found["lengthwise_predicted_time_per_output_token_seconds"]
    assert [s.labels["le"] for s in tpot.samples if "le" in s.labels][:3] == [
        "0.01",
        "0.025",
        "0.05",
    ]
    for metric in (ttft, tpot):
        cumulative = [s.value for s in metric.samples if "le" in s.labels]
        assert cumulative == sorted(cumulative)
        assert cumulative[-1] >= 1
    assert {
        "lengthwise_time_to_first_token_absolute_error_seconds", "lengthwise_law_version",
        "lengthwise_law_ready", "lengthwise_observations_waiting", "lengthwise_http_requests",
        "lengthwise_recent_events", "lengthwise_interval_coverage_ratio",
        "lengthwise_training_rows",
        "lengthwise_drift_rung",
    } <= set(found)  # fmt: skip
