"""What llm-d's servers answer, not only how: learning, coverage, extrapolation, poison.

The servers here learnt from the traffic of a pod whose law is known (`http_truth`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from http_api import Api, Server, learnt, wait_until
from http_truth import drawn_ms, rows, truth_ms

STRICT, ADD = "/predict/bulk/strict", "/add_training_data_bulk"


def asked(api: Api, rows_: list[dict[str, Any]]) -> tuple[Any, Any]:
    """Predicted TTFT and TPOT, arrays of shape (n,), ms."""
    found = api.post(STRICT, {"requests": rows_}).json["predictions"]
    return tuple(np.array([p[name] for p in found]) for name in ("ttft_ms", "tpot_ms"))  # type: ignore[return-value]


def test_a_cold_server_answers_and_not_a_constant(start: Callable[..., Server]) -> None:
    api = start(llm_d=True, trainer=False).api
    lengths = [16, 256, 4096, 65536]
    base = {**rows(1, 3)[0], "prefix_cache_score": 0.0}
    ttft, tpot = asked(api, [{**base, "input_token_length": n} for n in lengths])
    assert (np.diff(ttft) > 0).all()
    assert ttft[-1] > 100 * ttft[0] / 10
    assert (tpot > 0).all()
    busy, _ = asked(api, [base, {**base, "num_request_waiting": 20}])
    assert busy[1] > busy[0]


def test_the_mean_or_quantile_is_right_in_range(taught: Api, objective: str) -> None:
    fresh = rows(600, 77)
    truth = np.array([truth_ms(row) for row in fresh]).T
    shift = np.exp(0.10**2 / 2) if objective == "mean" else np.exp(1.2816 * 0.10)
    for predicted, median in zip(asked(taught, fresh), truth, strict=True):
        error = np.abs(predicted / (median * shift) - 1)
        assert np.median(error) < 0.08
        assert np.quantile(error, 0.9) < 0.2


def test_quantiles_and_bounds_cover_what_they_say(taught: Api, objective: str) -> None:
    fresh = rows(1000, 78)
    predictions = taught.post(STRICT, {"requests": fresh}).json["predictions"]
    for target, observed in zip(("ttft", "tpot"), drawn_ms(fresh, 79), strict=True):
        value = np.array([p[f"{target}_ms"] for p in predictions])
        bounds = np.array([p[f"{target}_prediction_bounds"] for p in predictions]).T
        inside = ((observed >= bounds[0]) & (observed <= bounds[1])).mean()
        assert 0.84 <= inside <= 0.96
        below = (observed <= value).mean()
        if objective == "quantile":
            assert 0.85 <= below <= 0.95
        else:
            assert 0.35 <= below <= 0.65


def test_lengths_never_seen_are_extrapolated(taught: Api, objective: str) -> None:
    long = rows(300, 80, shortest=12_000, longest=16_384)
    ttft, _ = asked(taught, long)
    if objective == "mean":
        truth = np.array([truth_ms(row)[0] for row in long])
        assert np.median(np.abs(ttft / truth - 1)) < 0.3
    else:  # wider than in range, but no use if it were anything
        observed, _ = drawn_ms(long, 81)
        assert (observed <= ttft).mean() >= 0.8
        assert np.median(ttft / observed) < 2
    base = {**long[0], "num_request_waiting": 1}
    longer, _ = asked(taught, [{**base, "input_token_length": 2**k} for k in range(6, 20)])
    assert (np.diff(longer) > 0).all()


def test_the_order_of_pods_is_right(taught: Api) -> None:
    base = {**rows(1, 4)[0], "input_token_length": 2000}
    idle = {**base, "num_request_waiting": 0, "num_request_running": 1, "prefix_cache_score": 0.5}
    busy = {**base, "num_request_waiting": 2, "num_request_running": 32, "prefix_cache_score": 0.0}
    ttft, tpot = asked(taught, [busy, idle])
    assert ttft[1] < ttft[0]
    assert tpot[1] < tpot[0]


def test_status_tells_what_is_kept(taught: Api) -> None:
    found = taught.get("/data/status").json
    kept, test = found["training_data"], found["test_data"]
    assert kept["total_samples"] == kept["ttft_samples"] + kept["tpot_samples"] >= 2000
    assert test["ttft_samples"] > 0
    assert found["model_ready"] is True
    assert set(found["ensemble"]) == {
        "ensemble_mode", "ensemble_active", "min_samples_for_split", "ttft_noqueue_samples",
        "ttft_queued_samples", "tpot_noqueue_samples", "tpot_queued_samples",
    }  # fmt: skip
    assert sum(found["bucket_distribution"].values()) >= 2000
    assert all(name.startswith("queue_") for name in found["bucket_distribution"])
    assert {"ttft_scores_count", "tpot_scores_count"} == set(found["metrics"])
    by_prefix = taught.get("/debug/prefix_distribution").json
    assert by_prefix["0.00-0.25"]["count"] > 100


@pytest.fixture(scope="module")
def poisoned(start: Callable[..., Server]) -> Api:
    api = start(llm_d=True, fresh=True).api
    good = rows(300, 90, observed=True)
    assert api.post(ADD, {"entries": good}).status == 202
    wait_until(learnt(api, len(good)))
    return api


def kept(api: Api) -> dict[str, Any]:
    return dict(api.get("/v1/status").json["observations"])


def test_poison_is_taken_kept_apart_and_never_learnt(poisoned: Api) -> None:
    row = rows(1, 91, observed=True)[0]
    text = (
        '{"kv_cache_percentage": 0.5, "input_token_length": %s, "num_request_waiting": 0,'
        '"num_request_running": 1, "num_tokens_generated": 0, "prefix_cache_score": 0,'
        '"actual_ttft_ms": %s, "actual_tpot_ms": %s}'
    )
    poison = [
        text % ("500", "1e999", "0"), text % ("500", "Infinity", "0"), text % ("1" * 300, "5", "0"),
        text % ("100000000", "0.001", "0"), text % ("500", "0", "1e308"),
    ]  # fmt: skip
    before, law = kept(poisoned), poisoned.post("/predict", row).json
    for _ in range(20):
        body = ('{"entries": [' + ",".join(poison) + "]}").encode()
        answer = poisoned.post(ADD, body)
        assert (answer.status, answer.json["message"]) == (202, "Accepted 5 training samples.")
    assert poisoned.post(ADD, {"entries": rows(5, 92, observed=True)}).status == 202
    wait_until(lambda: sum(kept(poisoned)["quarantined"].values()) == 100)
    after = kept(poisoned)
    assert after["accepted"] == before["accepted"] + 110
    assert poisoned.post("/predict", row).json["ttft_ms"] == pytest.approx(law["ttft_ms"], rel=0.05)
    assert "lengthwise_quarantined_total{" in poisoned.get("/v1/metrics").text


def test_nan_is_refused(poisoned: Api) -> None:
    row = rows(1, 91, observed=True)[0]
    body = (
        b'{"entries": [' + repr(row).replace("'", '"').encode().replace(b"0.0", b"NaN", 1) + b"]}"
    )
    assert b"NaN" in body
    assert poisoned.post(ADD, body).status == 422


def test_flush(poisoned: Api) -> None:
    before = poisoned.get("/data/status").json["training_data"]
    assert before["total_samples"] > 0
    only = {"flush_training_data": True, "flush_test_data": False, "flush_metrics": False,
            "reason": "why not"}  # fmt: skip
    found = poisoned.post("/flush", only).json
    assert (found["success"], found["metrics_cleared"], found["reason"]) == (True, False, "why not")
    assert found["ttft_training_samples_flushed"] == before["ttft_samples"]
    assert found["ttft_test_samples_flushed"] == 0
    assert found["message"].startswith("Successfully flushed: ")
    assert poisoned.get("/data/status").json["training_data"]["total_samples"] == 0
    everything = poisoned.ask("POST", "/flush").json
    assert (everything["success"], everything["metrics_cleared"]) == (True, True)
    assert poisoned.get("/data/status").json["test_data"]["total_samples"] == 0
    nothing = dict.fromkeys(("flush_training_data", "flush_test_data", "flush_metrics"), False)
    assert poisoned.post("/flush", nothing).json["message"] == "No data flushed"
    assert poisoned.post("/flush", {"flush_metrics": "not_a_boolean"}).status == 422
    assert poisoned.post("/predict", rows(1, 1)[0]).status == 200
    again = poisoned.post(ADD, {"entries": rows(10, 9, observed=True)})
    assert again.status == 202
    assert poisoned.get("/data/status").json["training_data"]["total_samples"] == 20


def linear_rows(n: int, seed: int, rng_noise: bool) -> tuple[list[dict[str, Any]], Any]:
    """Rows whose times follow another law than ours, and these times, shape (2, n), ms.

    Straight in every field, TPOT in the prompt's length too, with noise of constant size; a cached
    prefix makes it slower. This is how llm-d's own tests make their data.
    """
    rng = np.random.default_rng(seed)
    kv, cached = rng.uniform(0.1, 0.9, n), rng.uniform(0, 1, n)
    length, waiting = rng.integers(60, 800, n), rng.integers(0, 9, n)
    running, in_flight = rng.integers(1, 5, n), rng.integers(0, 10_000, n)
    ttft = 95 + 2.0 * length + 3 * waiting + 4 * running + 50 * kv + 30 * cached + 0.05 * in_flight
    tpot = 9 + 0.5 * length + 5 * running + 100 * kv
    times = np.array([ttft, tpot])
    if rng_noise:
        times = np.maximum(1.0, times + rng.normal(0, [[20.0], [10.0]], (2, n)))
    found = [
        {
            "kv_cache_percentage": float(kv[i]), "input_token_length": int(length[i]),
            "num_request_waiting": int(waiting[i]), "num_request_running": int(running[i]),
            "num_tokens_generated": 4, "prefix_cache_score": float(cached[i]),
            "prefill_tokens_in_flight": int(in_flight[i]),
        }
        for i in range(n)
    ]  # fmt: skip
    return found, times


def test_a_law_that_is_not_of_our_form_is_learnt(start: Callable[..., Server]) -> None:
    api = start(llm_d=True, objective="quantile", fresh=True).api
    sent, times = linear_rows(3000, 5, True)
    for row, (ttft, tpot) in zip(sent, times.T.tolist(), strict=True):
        row |= {"actual_ttft_ms": ttft, "actual_tpot_ms": tpot}
    assert api.post(ADD, {"entries": sent}).status == 202
    wait_until(learnt(api, 6000))
    api.post("/reload")
    rows_, mean = linear_rows(400, 6, False)
    predicted = np.array(asked(api, rows_))
    quantile = mean + 1.2816 * np.array([[20.0], [10.0]])
    assert (np.abs(predicted / quantile - 1) < 0.15).mean() > 0.9
    noise = np.random.default_rng(7).normal(0, [[20.0], [10.0]], mean.shape)
    covered = (mean + noise <= predicted).mean(axis=1)
    assert (np.abs(covered - 0.9) <= 0.06).all()
    longer = [{**row, "input_token_length": row["input_token_length"] + 100} for row in rows_]
    assert (np.array(asked(api, longer)) > predicted).mean() > 0.99
