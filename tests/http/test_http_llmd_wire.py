"""The wire format of llm-d's servers: every endpoint, field, status and text of the contract."""

from __future__ import annotations

import json
import math
import re
import tarfile
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from io import BytesIO
from typing import Any

import pytest
from http_api import Api
from http_truth import rows

ROW: dict[str, Any] = {
    "kv_cache_percentage": 0.5, "input_token_length": 200, "num_request_waiting": 4,
    "num_request_running": 1, "num_tokens_generated": 4, "prefix_cache_score": 0.7,
}  # fmt: skip
TRAINING = {**ROW, "actual_ttft_ms": 80.0, "actual_tpot_ms": 9.0}
GO_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")
"""What Go's time.Time reads."""
STRICT, BULK, ADD = "/predict/bulk/strict", "/predict/bulk", "/add_training_data_bulk"


def is_prediction(found: dict[str, Any], objective: str) -> bool:
    times = [found["ttft_ms"], found["tpot_ms"]]
    assert all(isinstance(t, float) and math.isfinite(t) and t > 0 for t in times)
    for target in ("ttft", "tpot"):
        lo, hi = found[f"{target}_prediction_bounds"]
        assert lo <= found[f"{target}_ms"] <= hi
        assert 0 < found[f"{target}_uncertainty"] < math.inf
    assert GO_TIME.fullmatch(found["predicted_at"])
    assert found["last_model_load"] is None or GO_TIME.fullmatch(found["last_model_load"])
    assert (found["model_type"], found["objective_type"]) == ("lightgbm", objective)
    return bool(found["quantile"] == 0.9)


def test_predict(llm_d: Api, objective: str) -> None:
    answer = llm_d.post("/predict", ROW)
    assert (answer.status, answer.headers["content-type"]) == (200, "application/json")
    assert is_prediction(answer.json, objective)


@pytest.mark.parametrize("path", [STRICT, BULK])
def test_bulk_answers_come_in_order_and_number(llm_d: Api, path: str, objective: str) -> None:
    asked = rows(137, 5)
    found = llm_d.post(path, {"requests": asked}).json
    assert len(found["predictions"]) == 137
    assert (found["total_requests"], found["successful_predictions"]) == (137, 137)
    assert found["failed_predictions"] == 0
    assert found["processing_time_ms"] > 0
    assert all(is_prediction(p, objective) for p in found["predictions"])
    for i in (0, 50, 136):
        alone = llm_d.post("/predict", asked[i]).json
        assert found["predictions"][i]["ttft_ms"] == pytest.approx(alone["ttft_ms"], rel=0.2)
    assert found.get("errors", []) == []


def test_ten_thousand_rows_are_answered_and_one_more_refused(llm_d: Api) -> None:
    asked = [{**ROW, "input_token_length": i + 1} for i in range(10_000)]
    found = llm_d.post(STRICT, {"requests": asked})
    assert (found.status, len(found.json["predictions"])) == (200, 10_000)
    for i in (0, 999, 1000, 5000, 9999):  # long answers are put together from parts
        alone = llm_d.post("/predict", asked[i]).json["ttft_ms"]
        assert found.json["predictions"][i]["ttft_ms"] == pytest.approx(alone, rel=0.2)
    refused = llm_d.post(STRICT, {"requests": [*asked, ROW]})
    assert refused.status == 422
    assert refused.json["detail"][0]["loc"] == ["body", "requests"]


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        ({"input_token_length": 500.5}, "int_from_float"),
        ({"input_token_length": -1}, "greater_than_equal"),
        ({"input_token_length": "many"}, "int_parsing"),
        ({"input_token_length": None}, "int_type"),
        ({"kv_cache_percentage": 1.01}, "less_than_equal"),
        ({"prefix_cache_score": [0.5]}, "float_type"),
        ({"prefill_tokens_in_flight": -1}, "greater_than_equal"),
        ({"pod_type": 7}, "string_type"),
    ],
)
def test_what_breaks_the_schema_is_422(llm_d: Api, change: dict[str, Any], kind: str) -> None:
    name = next(iter(change))
    single = llm_d.post("/predict", {**ROW, **change})
    assert single.status == 422
    problem = single.json["detail"][0]
    assert (problem["loc"], problem["type"]) == (["body", name], kind)
    assert isinstance(problem["msg"], str)
    for path in (STRICT, BULK):
        refused = llm_d.post(path, {"requests": [ROW, {**ROW, **change}]})
        assert refused.status == 422
        assert refused.json["detail"][0]["loc"] == ["body", "requests", 1, name]
    kept = llm_d.post(ADD, {"entries": [{**TRAINING, **change}]})
    assert (kept.status, kept.json["detail"][0]["loc"]) == (422, ["body", "entries", 0, name])


@pytest.mark.parametrize("name", sorted(ROW))
def test_a_required_field_is_missed(llm_d: Api, name: str) -> None:
    row = {k: v for k, v in ROW.items() if k != name}
    problem = llm_d.post("/predict", row).json["detail"][0]
    assert (problem["type"], problem["loc"], problem["msg"]) == (
        "missing", ["body", name], "Field required",
    )  # fmt: skip


@pytest.mark.parametrize(
    "same",
    [
        {"input_token_length": 200.0}, {"input_token_length": "200"},
        {"num_request_running": True}, {"kv_cache_percentage": "0.5"}, {"pod_type": None},
        {"unknown": {"deep": [1, 2]}}, {"predicted_ttft_ms": 3.5}, {"decode_tokens_in_flight": 0},
    ],
)  # fmt: skip
def test_coercions_change_no_prediction(llm_d: Api, same: dict[str, Any]) -> None:
    found = llm_d.post(STRICT, {"requests": [ROW, {**ROW, **same}]})
    assert found.status == 200
    first, second = found.json["predictions"]
    assert (first["ttft_ms"], first["tpot_ms"]) == (second["ttft_ms"], second["tpot_ms"])


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b"null", b"3", b'"x"', b'{"requests": 3}', b'{"requests": {}}', b"{}",
     b'{"requests": []}', b'{"requests": [null]}', b'{"requests": [[]]}', b"\xff\xfe", b"[" * 9000,
     b'{"requests": [{"kv_cache_percentage": NaN}]}'],
)  # fmt: skip
def test_bodies_that_hold_no_rows_are_422(llm_d: Api, body: bytes) -> None:
    for path in (STRICT, BULK, "/predict"):
        answer = llm_d.post(path, body)
        assert answer.status == 422
        assert {"loc", "msg", "type"} <= set(answer.json["detail"][0])


def test_huge_numbers_get_finite_answers(llm_d: Api) -> None:
    huge = {**ROW, "input_token_length": 10**30, "num_request_waiting": 10**9}
    found = llm_d.post(STRICT, {"requests": [huge]})
    assert found.status == 200
    assert math.isfinite(found.json["predictions"][0]["ttft_ms"])


@pytest.mark.parametrize("label", ["", "prefill", "decode", "invalid_type", None, "\u20ac" * 50])
def test_any_pod_type_is_answered(llm_d: Api, label: str | None) -> None:
    assert llm_d.post("/predict", {**ROW, "pod_type": label}).status == 200


def test_training_data_is_accepted_with_the_exact_text(llm_d: Api) -> None:
    for entries in ([], [TRAINING], [TRAINING] * 50):
        answer = llm_d.post(ADD, {"entries": entries})
        assert answer.status == 202
        assert answer.json == {"message": f"Accepted {len(entries)} training samples."}
    assert llm_d.post(ADD, {"rows": []}).json["detail"][0]["loc"] == ["body", "entries"]
    missing = {k: v for k, v in TRAINING.items() if k != "actual_tpot_ms"}
    assert llm_d.post(ADD, {"entries": [TRAINING, missing]}).status == 422


@pytest.mark.parametrize(
    ("time", "status"),
    [("2026-11-21T12:00:00Z", 202), ("2026-11-21T12:00:00.5+02:00", 202), ("2026-13-01T00:00:00Z",
     422), ("yesterday", 422), (None, 202), (1795000000, 202), ({}, 422)],
)  # fmt: skip
def test_times_of_training_rows(llm_d: Api, time: Any, status: int) -> None:
    assert llm_d.post(ADD, {"entries": [{**TRAINING, "timestamp": time}]}).status == status


def test_status_and_probes(llm_d: Api, objective: str) -> None:
    assert llm_d.get("/healthz").json == {
        "status": "ok", "service": "http-based-latency-predictor",
    }  # fmt: skip
    kind = {"model_type": "lightgbm", "objective_type": objective, "quantile": 0.9}
    assert llm_d.get("/readyz").json == {"status": "ready", **kind}
    status = llm_d.get("/status").json
    assert status.items() >= kind.items()
    assert status["is_ready"] is True
    assert status["models_exist"] == {"ttft_model": True, "tpot_model": True}
    assert isinstance(status["training_server_url"], str)
    assert status["ensemble_active"] is False
    assert status["last_model_load"] is None or GO_TIME.fullmatch(status["last_model_load"])
    root = llm_d.get("/").json
    assert root.items() >= {**kind, "is_ready": True}.items()
    assert {"message", "sync_interval", "training_server", "description"} <= set(root)
    reload = llm_d.ask("POST", "/reload").json
    assert reload.items() >= {**kind, "loaded": True, "is_ready": True}.items()
    assert {"synced", "last_load_time"} <= set(reload)


def test_models(llm_d: Api) -> None:
    info = llm_d.get("/model/download/info").json
    assert (info["model_type"], info["quantile"]) == ("lightgbm", 0.9)
    assert info["model_status"] == {"ttft_model_ready": True, "tpot_model_ready": True}
    assert all(llm_d.get(path).status == 200 for path in info["available_endpoints"].values())
    listed = llm_d.get("/models/list").json
    assert set(listed["models"]) == {
        "ttft", "tpot", "ttft_scaler", "tpot_scaler", "ttft_gated", "tpot_gated",
    }  # fmt: skip
    assert GO_TIME.fullmatch(listed["server_time"])
    for name, model in listed["models"].items():
        found = llm_d.get(f"/model/{name}/info")
        assert (found.status == 200) is model["exists"] is (model["size_bytes"] > 0)
    told = llm_d.get("/model/ttft/info").json
    assert told.items() >= {"model_name": "ttft", "exists": True, "quantile": 0.9}.items()
    datetime.fromisoformat(told["last_modified"])


@pytest.mark.parametrize("name", ["ttft", "tpot"])
def test_downloads_are_json_and_never_a_pickle(llm_d: Api, name: str) -> None:
    found = llm_d.get(f"/model/{name}/download")
    assert found.headers["content-type"] == "application/octet-stream"
    assert json.loads(found.body)["kind"] == "online"
    text = llm_d.get(f"/model/{name}/lgb/txt")
    assert text.headers["content-type"] == "text/plain; charset=utf-8"
    assert "Not a LightGBM model" in text.text
    shares = llm_d.get(f"/model/{name}/lgb/importances").json
    assert sum(shares.values()) == pytest.approx(1.0)
    assert set(ROW) <= set(shares)
    assert llm_d.get(f"/model/{name}/xgb/json").status == 404


def test_export_is_an_archive_with_metadata(llm_d: Api) -> None:
    answer = llm_d.get("/model/export")
    assert answer.headers["content-type"] == "application/gzip"
    with tarfile.open(fileobj=BytesIO(answer.body)) as archive:
        members = {m.name: m for m in archive.getmembers()}
        assert set(members) == {"law.json", "metadata.json"}
        assert all(m.mtime > 0 for m in members.values())
        told = json.load(archive.extractfile("metadata.json"))  # type: ignore[arg-type]
    assert {"model_type", "quantile_alpha", "exported_at", "ttft_samples", "tpot_samples"} <= set(
        told
    )


@pytest.mark.parametrize("name", ["ttft_scaler", "ttft_gated", "else", "..%2f..%2fpasswd"])
def test_models_that_are_not_there_are_404(llm_d: Api, name: str) -> None:
    for end in ("info", "download", "lgb/txt", "xgb/json", "lgb/importances"):
        answer = llm_d.get(f"/model/{name}/{end}")
        assert (answer.status, isinstance(answer.json["detail"], str)) == (404, True)


def test_unknown_paths_and_methods(llm_d: Api) -> None:
    assert (llm_d.get("/nope").status, llm_d.get("/nope").json) == (404, {"detail": "Not Found"})
    wrong = llm_d.get(STRICT)
    assert (wrong.status, wrong.headers["allow"]) == (405, "POST")
    assert wrong.json == {"detail": "Method Not Allowed"}
    assert llm_d.get("/v1/laws/rollback").headers["allow"] == "POST"
    head = llm_d.ask("HEAD", "/healthz")
    assert (head.status, head.body) == (200, b"")


def test_many_at_once_get_their_own_answers(llm_d: Api) -> None:
    """The router dispatches up to 36 batches at once."""
    lengths = [64 * 4 ** (i % 7) for i in range(108)]
    batches = [[{**ROW, "input_token_length": n}] * (1 + i % 5) for i, n in enumerate(lengths)]
    with ThreadPoolExecutor(36) as threads:
        answers = list(threads.map(lambda b: llm_d.post(STRICT, {"requests": b}), batches))
    assert {a.status for a in answers} == {200}
    assert [a.json["total_requests"] for a in answers] == [len(b) for b in batches]
    alone = llm_d.post(STRICT, {"requests": [b[0] for b in batches]}).json["predictions"]
    for answer, expected in zip(answers, alone, strict=True):
        times = {found["ttft_ms"] for found in answer.json["predictions"]}
        assert len(times) == 1
        # the law may have changed in between, but not by the factor between two lengths
        assert times.pop() == pytest.approx(expected["ttft_ms"], rel=0.4)
