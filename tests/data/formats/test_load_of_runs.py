"""Requests in flight, as files of tools tell them: by times, by Little's law, or not at all."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from lengthwise.data.export_llmd import llmd_reports
from lengthwise.data.importing import import_table

LENGTHS = (256, 512, 1024, 2048)


def vllm(step_s: float, every_s: float, **other: Any) -> dict[str, Any]:
    """A detailed run of eight requests of 64 tokens, sent every so many seconds."""
    sizes = [*LENGTHS, *LENGTHS]
    ttfts = [0.02 + 2e-5 * n for n in sizes]
    itls = [[step_s + 1e-6 * n / 256] * 63 for n in sizes]
    times = [t + sum(gaps) for t, gaps in zip(ttfts, itls, strict=True)]
    return {
        "backend": "vllm", "endpoint_type": "vllm", "model_id": "org/model-8b", "num_prompts": 8,
        "request_rate": 1 / every_s, "max_concurrency": None, "completed": 8,
        "duration": 7 * every_s + times[-1], "total_token_throughput": 1.0, "mean_ttft_ms": 40.0,
        "total_input_tokens": sum(sizes), "total_output_tokens": 512,
        "mean_tpot_ms": 1e3 * step_s, "mean_e2el_ms": 1e3 * sum(times) / 8,
        "input_lens": sizes, "output_lens": [64] * 8, "ttfts": ttfts, "itls": itls,
        "start_times": [100.0 + every_s * i for i in range(8)], "errors": [""] * 8, **other,
    }  # fmt: skip


def without(run: dict[str, Any], *names: str) -> dict[str, Any]:
    return {key: value for key, value in run.items() if key not in names}


def table_of(tmp_path: Path, *runs: Any) -> pd.DataFrame:
    path = tmp_path / "result.jsonl"
    path.write_text("\n".join(json.dumps(run) for run in runs) + "\n")
    return import_table(path)[0]


def test_a_limit_beside_a_rate_is_no_concurrency(tmp_path: Path) -> None:
    """A request every 2 s that lasts 0.7 s never meets another, whatever the limit."""
    table = table_of(tmp_path, vllm(0.01, 2.0, max_concurrency=64))
    assert set(table["concurrency"]) == {1.0}
    assert set(table["load_from"]) == {"measured"}
    assert set(table["request_rate"]) == {0.5}


def test_two_rates_are_two_loads(tmp_path: Path) -> None:
    table = table_of(tmp_path, vllm(0.01, 2.0), vllm(0.04, 0.05))
    slow, fast = table["concurrency"][:8], table["concurrency"][8:]
    assert set(slow) == {1.0}
    assert fast.between(7.0, 8.0).all()


DETAILS = ("ttfts", "itls", "input_lens", "output_lens", "errors", "start_times")


@pytest.mark.parametrize(
    ("run", "concurrency", "how"),
    [
        pytest.param(without(vllm(0.01, 2.0, max_concurrency=64), "start_times"), 1.0, "measured",
                     id="no start times: Little's law over the requests"),
        pytest.param(without(vllm(0.04, 0.05), *DETAILS), 7.1, "measured",
                     id="means alone: Little's law"),
        pytest.param(without(vllm(0.04, 0.05), *DETAILS, "mean_e2el_ms"), 7.1, "measured",
                     id="means without E2E: from TTFT and TPOT"),
        pytest.param(without(vllm(0.04, 0.05), *DETAILS, "duration"), None, "rate",
                     id="nothing but the rate"),
        pytest.param(without(vllm(0.04, 0.05, max_concurrency=4), *DETAILS, "duration"), None,
                     "rate", id="a rate and a limit"),
        pytest.param(without(vllm(0.04, 0.05, request_rate="inf", max_concurrency=4),
                             "start_times"), 4.0, "cap", id="a limit alone"),
        pytest.param(without(vllm(0.04, 0.05, request_rate="inf", max_concurrency=64),
                             "start_times"), 8.0, "cap", id="a limit above what was sent"),
        pytest.param(vllm(0.04, 1e-4, request_rate="inf", max_concurrency=8), 8.0, None,
                     id="a limit that was reached is a closed loop"),
        pytest.param(vllm(0.01, 2.0, request_rate="inf", max_concurrency=8), 1.0, "measured",
                     id="a limit that was not reached"),
        pytest.param(vllm(0.04, 0.05, max_concurrency=1), 1.0, None, id="one at a time"),
    ],
)  # fmt: skip
def test_how_the_load_of_a_run_is_known(
    run: dict[str, Any], concurrency: float | None, how: str | None, tmp_path: Path
) -> None:
    table = table_of(tmp_path, run)
    found = table["concurrency"].tolist() if "concurrency" in table else [None] * len(table)
    assert found == [concurrency and pytest.approx(concurrency, rel=0.05)] * len(table)
    told = table["load_from"].tolist() if "load_from" in table else [None] * len(table)
    assert [x if isinstance(x, str) else None for x in told] == [how] * len(table)
    assert "batch_size" not in table


def test_a_rate_that_grows_is_measured_too(tmp_path: Path) -> None:
    ramp = {"ramp_up_strategy": "linear", "ramp_up_start_rps": 1, "ramp_up_end_rps": 4}
    table = table_of(tmp_path, vllm(0.04, 0.05, **ramp))
    assert table["concurrency"].between(7, 8).all()
    assert "request_rate" not in table
    table = table_of(tmp_path, without(vllm(0.04, 0.05, **ramp), *DETAILS, "duration"))
    assert table["request_rate"].tolist() == [2.5]
    assert table["load_from"].tolist() == ["rate"]


def block(value: float, unit: str) -> dict[str, Any]:
    return {"unit": unit, "avg": value, "p50": value, "p99": value}


def summary(config: dict[str, Any], **other: Any) -> dict[str, Any]:
    """A summary as genai-perf and AIPerf write it: 19.5 requests/s of 400 ms, or 7.8 in flight."""
    return {
        "request_latency": block(400.0, "ms"), "time_to_first_token": block(40.0, "ms"),
        "inter_token_latency": block(10.0, "ms"), "request_throughput": block(19.5, "requests/sec"),
        "output_sequence_length": block(37.0, "tokens"), "request_count": block(100.0, "requests"),
        "input_sequence_length": block(512.0, "tokens"), "input_config": config, **other,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("config", "concurrency", "how"),
    [
        ({"perf_analyzer": {"stimulus": {"concurrency": 16}}}, 16.0, None),
        ({"perf_analyzer": {"stimulus": {"request_rate": 20.0}}}, 7.8, "measured"),
        ({"concurrency": 64, "request_rate": 20.0}, 7.8, "measured"),
    ],
)
def test_genai_perf(
    config: dict[str, Any], concurrency: float, how: str | None, tmp_path: Path
) -> None:
    table = table_of(tmp_path, summary({"model_names": ["m"], **config}))
    assert table["concurrency"].tolist() == [concurrency]
    assert table.get("load_from", pd.Series([None])).tolist() == [how]


@pytest.mark.parametrize(
    ("load", "concurrency"),
    [({"concurrency": 16}, 16.0), ({"concurrency": 64, "request_rate": 20.0}, 7.8),
     ({"request_rate": 20.0}, 7.8)],
)  # fmt: skip
def test_aiperf_summary(load: dict[str, Any], concurrency: float, tmp_path: Path) -> None:
    config = {"endpoint": {"model_names": ["m"]}, "loadgen": load}
    table = table_of(tmp_path, summary(config, aiperf_version="0.3"))
    assert table["concurrency"].tolist() == [concurrency]


def test_sglang_states_the_mean_it_reached(tmp_path: Path) -> None:
    run = {
        "backend": "sglang", "dataset_name": "random", "request_rate": 20.0, "max_concurrency": 64,
        "random_input_len": 512, "random_output_len": 64, "duration": 10.0, "completed": 200,
        "total_input_tokens": 102400, "total_output_tokens": 12800, "concurrency": 7.83,
        "mean_ttft_ms": 40.0, "mean_tpot_ms": 6.0, "mean_e2e_latency_ms": 400.0,
        "median_e2e_latency_ms": 400.0,
    }  # fmt: skip
    assert table_of(tmp_path, run)["concurrency"].tolist() == [7.83]
    closed = {**run, "request_rate": float("inf"), "max_concurrency": 8}
    assert table_of(tmp_path, closed)["concurrency"].tolist() == [8]


def test_inference_perf_stage_of_a_rate(tmp_path: Path) -> None:
    def stage(**load: float) -> dict[str, Any]:
        good = {
            "count": 100, "latency": {"request_latency": {"mean": 0.4},
                                      "time_to_first_token": {"mean": 0.04}},
            "throughput": {"requests_per_sec": 19.5}, "prompt_len": {"mean": 512.0},
            "output_len": {"mean": 37.0},
        }  # fmt: skip
        return {"load_summary": load, "successes": good, "failures": {"count": 0}}

    open_loop = table_of(tmp_path, stage(count=100, requested_rate=20.0))
    assert open_loop["concurrency"].tolist() == [7.8]
    assert open_loop["request_rate"].tolist() == [20.0]
    closed = table_of(tmp_path, stage(count=100, requested_rate=100.0, concurrency=8))
    assert closed["concurrency"].tolist() == [8]


def test_a_report_of_llm_d_has_a_stage_for_each_rate(tmp_path: Path) -> None:
    table = table_of(tmp_path, vllm(0.01, 2.0), vllm(0.04, 0.05))
    reports = llmd_reports(table)
    loads = [report["scenario"]["load"]["standardized"] for report in reports]
    assert sorted(load["rate_qps"] for load in loads) == [0.5] * 4 + [20.0] * 4  # by length
    assert not any("concurrency" in load for load in loads)
