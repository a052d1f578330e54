"""Limits, tokens, rates, readiness, roles."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from http_api import Api, Server, wait_until

ROW = {"input_tokens": 100}
SEEN = {"input_tokens": 100, "ttft_ms": 20.0, "tpot_ms": 9.0}


def bearer(api: Api, token: str) -> Api:
    return Api(api.port, {"Authorization": f"Bearer {token}"})


@pytest.fixture(scope="module")
def guarded(start: Callable[..., Server]) -> Api:
    return start(
        tokens={"r-token": "read", "w-token": "write"}, max_body_bytes=4096, max_rows=5,
        unready_503=True, min_rows=50,
    ).api  # fmt: skip


def test_tokens_are_asked_for(guarded: Api) -> None:
    without = guarded.post("/v1/predict", ROW)
    assert (without.status, without.headers["www-authenticate"][:6]) == (401, "Bearer")
    assert bearer(guarded, "else").get("/v1/status").status == 401
    assert guarded.get("/v1/status", authorization="Basic cjpyLXRva2Vu").status == 401
    assert bearer(guarded, "r-token").get("/v1/status").status == 200
    assert bearer(guarded, "r-token").post("/v1/observe", SEEN).status == 403
    assert bearer(guarded, "w-token").post("/v1/observe", SEEN).status == 202
    assert guarded.get("/healthz").status == 200
    assert "r-token" not in bearer(guarded, "w-token").get("/v1/status").text


def test_pages_of_other_sites_change_nothing(native: Api) -> None:
    foreign = native.post("/v1/observe", SEEN, origin="http://evil.example")
    assert (foreign.status, "web page" in foreign.json["rule"]) == (403, True)
    assert native.post("/v1/observe", SEEN, origin=native.url).status == 202
    assert native.post("/v1/predict", ROW, origin="http://evil.example").status == 200


def test_limits_of_body_and_rows(guarded: Api) -> None:
    api = bearer(guarded, "w-token")
    long = api.post("/v1/predict", b"x" * 5000)
    assert (long.status, "4,096" in long.json["rule"]) == (413, True)
    assert api.post("/v1/predict", {"rows": [ROW] * 6}).status == 422
    assert api.post("/v1/observe", {"observations": [SEEN] * 6}).status == 422


def test_a_body_in_chunks_is_limited_too(guarded: Api) -> None:
    with socket.create_connection(("127.0.0.1", guarded.port), timeout=10) as link:
        link.sendall(
            b"POST /v1/predict HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer r-token\r\n"
            b"transfer-encoding: chunked\r\n\r\n"
        )
        for _ in range(3):
            link.sendall(b"7d0\r\n" + b"x" * 2000 + b"\r\n")
        assert link.recv(100).startswith(b"HTTP/1.1 413")


def test_until_the_error_is_known_503_says_why(guarded: Api) -> None:
    api = bearer(guarded, "w-token")
    refused = api.post("/v1/predict", ROW)
    assert (refused.status, refused.headers["retry-after"]) == (503, "1")
    assert "error of the law" in refused.json["rule"]
    assert guarded.get("/readyz").status == 503
    for i in range(200):
        rows = [{**SEEN, "input_tokens": 50 + 7 * i + k} for k in range(5)]
        assert api.post("/v1/observe", {"observations": rows}).status == 202
    wait_until(lambda: guarded.get("/readyz").status == 200)
    assert api.post("/v1/predict", ROW).status == 200


def test_llm_d_hears_models_not_ready(start: Callable[..., Server]) -> None:
    api = start(llm_d=True, unready_503=True, trainer=False).api
    row: dict[str, Any] = {
        "kv_cache_percentage": 0.5, "input_token_length": 200, "num_request_waiting": 4,
        "num_request_running": 1, "num_tokens_generated": 4, "prefix_cache_score": 0.7,
    }  # fmt: skip
    for path, content in (("/predict", row), ("/predict/bulk/strict", {"requests": [row]})):
        answer = api.post(path, content)
        assert (answer.status, answer.json) == (503, {"detail": "Models not ready"})
    bulk = api.post("/predict/bulk", {"requests": [row, row]})
    assert (bulk.status, bulk.json["predictions"]) == (200, [None, None])
    assert (bulk.json["successful_predictions"], bulk.json["failed_predictions"]) == (0, 2)
    assert bulk.json["errors"][1] == {"index": 1, "error": "Models not ready", "request": row}
    assert api.post("/predict/bulk", {"requests": [{}]}).status == 422
    assert api.get("/status").json["is_ready"] is False
    assert (api.get("/readyz").status, api.get("/model/export").status) == (503, 503)
    assert api.get("/model/download/info").json["model_status"]["ttft_model_ready"] is False


def test_a_client_that_asks_too_often_must_wait(start: Callable[..., Server]) -> None:
    api = start(rate_per_s=5.0, trainer=False).api
    answers = [api.get("/v1/status") for _ in range(30)]
    refused = [a for a in answers if a.status == 429]
    assert refused
    assert int(refused[0].headers["retry-after"]) >= 1
    assert refused[0].json["title"] == "Too Many Requests"
    assert api.get("/healthz").status == 200
    time.sleep(1.0)
    assert api.get("/v1/status").status == 200


def test_a_replica_follows_its_trainer(start: Callable[..., Server], tmp_path: Path) -> None:
    trainer = start(llm_d=True, role="training").api
    replica = start(
        llm_d=True, role="prediction", trainer_url=trainer.url, state=tmp_path / "replica"
    ).api
    wait_until(lambda: replica.get("/status").json["last_model_load"] is not None)
    assert replica.get("/status").json["training_server_url"] == trainer.url
    assert replica.get("/metrics").status == 404
    assert replica.post("/add_training_data_bulk", {"entries": []}).status == 404
    assert replica.get("/v1/laws").status == 404
    assert trainer.get("/healthz").json == {"status": "ok"}
    assert trainer.get("/readyz").json == {"status": "ready"}
    assert "description" in trainer.get("/").json
    assert trainer.get("/status").status == 404
    assert trainer.post("/predict/bulk/strict", {}).status == 404
    row = {
        "kv_cache_percentage": 0.5, "input_token_length": 200, "num_request_waiting": 4,
        "num_request_running": 1, "num_tokens_generated": 4, "prefix_cache_score": 0.7,
    }  # fmt: skip
    both = [api.post("/predict", row).json["ttft_ms"] for api in (trainer, replica)]
    assert both[0] == both[1]
    body = json.dumps(json.loads(trainer.get("/v1/laws/active").body)).encode()
    assert trainer.post("/v1/laws/import", body).status == 201
    newest = json.loads(trainer.get("/v1/laws/active").body)["version"]
    wait_until(lambda: replica.get("/v1/status").json["law"]["version"] == newest)


def test_only_names_of_this_machine_are_answered(native: Api) -> None:
    for host, status in (("evil.example", 403), ("evil.example:80", 403), ("localhost", 200),
                         (f"127.0.0.1:{native.port}", 200), ("[::1]:1", 200)):  # fmt: skip
        assert native.get("/v1/status", host=host).status == status
    assert native.get("/healthz", host="10.0.0.7").status == 200
    told = native.post("/v1/observe", SEEN, sec_fetch_site="cross-site")
    assert told.status == 403


def test_names_and_proxies_are_settings(start: Callable[..., Server]) -> None:
    api = start(hosts=["router.example"], trusted_proxies=["127.0.0.0/8"], rate_per_s=3.0,
                trainer=False).api  # fmt: skip
    assert api.get("/v1/status", host="router.example:80").status == 200
    assert api.get("/v1/status", host="other.example").status == 403
    told = [api.get("/v1/status", x_forwarded_for=f"10.0.0.{i}").status for i in range(20)]
    assert told == [200] * 20
    told = [api.get("/v1/status", x_forwarded_for="10.1.0.1").status for i in range(20)]
    assert 429 in told


def test_nobody_says_who_he_is_without_a_proxy(start: Callable[..., Server]) -> None:
    api = start(rate_per_s=5.0, trainer=False).api
    told = [api.get("/v1/status", x_forwarded_for=f"10.0.0.{i}").status for i in range(20)]
    assert told.count(429) >= 10


def test_the_rate_is_of_the_service(start: Callable[..., Server]) -> None:
    api = start(rate_per_s=5.0, workers=2).api
    wait_until(lambda: api.get("/healthz").status == 200)
    told = [api.get("/v1/status").status for _ in range(40)]
    assert told.count(200) <= 9


def test_who_guesses_tokens_must_wait(start: Callable[..., Server]) -> None:
    api = start(tokens={"w-token": "write"}, wrong_tokens_per_s=0.01, trainer=False).api
    right = bearer(api, "w-token")
    assert right.get("/v1/status").status == 200
    told = [bearer(api, f"guess{i}").get("/v1/status").status for i in range(40)]
    assert (told[:20], told[20:]) == ([401] * 20, [429] * 20)
    assert right.get("/v1/status").status == 200  # it was right before
    assert api.get("/v1/status").status == 401  # no guess


@pytest.mark.parametrize(
    ("path", "body", "part"),
    [
        ("/v1/predict?level=0.9999999999999999", b'{"input_tokens":5}', "level"),
        ("/v1/predict?quantiles=1e-300", b'{"input_tokens":5}', "quantiles"),
        ("/v1/predict?lvel=0.5", b'{"input_tokens":5}', "lvel"),
        ("/v1/predict?" + "a=1&" * 60, b'{"input_tokens":5}', "parameters"),
        ("/v1/predict", b'{"input_tokens":5,"pod_type":"\\ud800"}', "pod_type"),
        ("/v1/predict", b'{"input_tokens":1e308}', "input_tokens"),
        ("/v1/predict", b'{"input_tokens":false}', "numbers"),
        ("/v1/predict", b'{"input_tokens":5,"runing":3}', "did you mean 'running'"),
        ("/v1/predict", b'{"rows":[{"input_tokens":5,"runing":3}]}', "did you mean 'running'"),
        ("/v1/predict", b'{"rows":[{"input_tokens":5}],"level":0.5}', "level"),
        ("/v1/predict", b'{"input_tokens":5,"pod":"' + b"p" * 300 + b'"}', "256"),
        ("/v1/observe", b'{"input_tokens":5,"ttft_ms":1e308}', "ttft_ms"),
        ("/v1/observe", b'{"input_tokens":5,"ttft_ms":9,"request_id":7}', "request_id"),
        ("/v1/observe", b'{"input_tokens":5,"ttft_ms":true}', "numbers"),
        ("/v1/observe", b'{"input_tokens":5,"ttft_ms":9,"tfft_ms":9}', "did you mean"),
    ],
)  # fmt: skip
def test_what_cannot_be_meant_is_refused_with_the_reason(
    native: Api, path: str, body: bytes, part: str
) -> None:
    found = native.post(path, body)
    assert found.status == 422
    assert part in found.json["detail"] + str(found.json.get("value"))


def test_both_names_of_a_list_are_taken_and_names_of_pods_are_any(native: Api) -> None:
    for name in ("rows", "observations"):
        assert native.post("/v1/predict", {name: [ROW]}).json["count"] == 1
        assert native.post("/v1/observe", {name: [SEEN]}).json["accepted"] == 1
        assert native.post("/v1/predict", {**ROW, "pod": name}).status == 200
        assert native.post("/v1/observe", {**SEEN, "pod": name}).status == 202


def test_versions_beyond_all_bounds_are_refused(native: Api) -> None:
    wait_until(lambda: native.get("/v1/laws/active").status == 200)
    law = json.loads(native.get("/v1/laws/active").body)
    for version in (10**19, -1, 1e308):
        assert native.post("/v1/laws/import", {**law, "version": version}).status == 422
    assert native.get(f"/v1/laws/{10**19}").status == 422
    assert native.post("/v1/laws/import", b"[" + b"[]," * 300_000 + b"0]").status == 422
