"""Names of llm-d's metrics, and what they say after learning."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from http_api import Api, Server

LINE = re.compile(r'[a-z_]+\{([a-z_]+="[^"]*"(,[a-z_]+="[^"]*")*)?\} -?[0-9.e+-]+')


def test_every_name_of_the_contract_is_there(taught: Api, objective: str) -> None:
    answer = taught.get("/metrics")
    assert answer.headers["content-type"] == "text/plain; version=0.0.4"
    lines = answer.text.splitlines()
    assert not [line for line in lines if not LINE.fullmatch(line)]
    values = {line.rsplit(" ", 1)[0]: float(line.rsplit(" ", 1)[1]) for line in lines}
    assert values['model_type{type="lightgbm"}'] == 1
    assert values[f'objective_type{{type="{objective}"}}'] == 1
    assert values["model_quantile{}"] == 0.9
    assert values["ensemble_active{}"] == 0
    assert values["ensemble_mode{}"] == 1
    assert values['ttft_importance{feature="prefix_cache_score"}'] > 0
    counts = {k: v for k, v in values.items() if k.startswith("training_samples_count{")}
    assert len(counts) == 800
    assert sum(counts.values()) >= 2000
    for name in ("queue", "cache", "prefix"):
        total = sum(v for k, v in values.items() if k.startswith(f"training_samples_{name}_total"))
        assert total == sum(counts.values())
    assert 0 <= values["prefix_score_min{}"] <= values["prefix_score_mean{}"] <= 1
    assert "prefix_score_std{}" in values
    assert any(k.startswith("avg_ttft_by_prefix{") for k in values)
    assert any(k.startswith("median_ttft_by_prefix{") for k in values)
    for target in ("ttft", "tpot"):
        if objective == "mean":
            assert values[f'{target}_mae{{idx="0"}}'] <= values[f'{target}_rmse{{idx="0"}}']
        else:
            covered = values[f'{target}_coverage_percent{{idx="4"}}']
            assert 70 <= covered <= 100
            assert values[f'{target}_violation_rate_percent{{idx="4"}}'] == 100 - covered
            assert values[f'{target}_quantile_loss{{idx="0"}}'] > 0
    if objective == "quantile":
        assert values["target_coverage_percent{}"] == 90
        assert values["target_violation_rate_percent{}"] == pytest.approx(10)


def test_other_model_types_get_what_their_client_reads(start: Callable[..., Server]) -> None:
    ridge = start(llm_d=True, model_type="bayesian_ridge", trainer=False).api
    text = ridge.get("/metrics").text
    assert re.search(r'^ttft_coef\{feature="input_token_length"\} 0\.\d', text, re.M)
    assert re.search(r"^tpot_intercept\{\} ", text, re.M)
    assert ridge.get("/status").json["models_exist"].keys() >= {"ttft_scaler", "tpot_scaler"}
    assert ridge.get("/model/ttft/lgb/txt").status == 404
    forest = start(llm_d=True, model_type="xgboost", trainer=False).api
    assert forest.get("/model/ttft/xgb/json").json == []
    assert forest.get("/model/tpot/lgb/importances").status == 404
