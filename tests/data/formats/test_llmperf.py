"""llmperf: individual responses and summary."""

import json
from pathlib import Path
from typing import Any

import pytest

from lengthwise.data.formats import llmperf
from lengthwise.data.formats.base import Document, Parsed
from lengthwise.data.table import prepare
from lengthwise.errors import InputError

ONE = {
    "error_code": None, "error_msg": "", "inter_token_latency_s": 0.02, "ttft_s": 0.11,
    "end_to_end_latency_s": 2.0, "request_output_throughput_token_per_s": 50.0,
    "number_total_tokens": 650, "number_output_tokens": 100, "number_input_tokens": 550,
}  # fmt: skip
FAILED = {
    **ONE,
    "error_code": 429,
    "error_msg": "slow down",
    "ttft_s": 0,
    "number_output_tokens": 0,
}


def statistics(name: str, mean: float) -> dict[str, float]:
    return {
        **{f"results_{name}_quantiles_p{p}": mean * p / 50 for p in (25, 50, 75, 90, 95, 99)},
        f"results_{name}_mean": mean, f"results_{name}_min": mean / 2,
        f"results_{name}_max": mean * 2, f"results_{name}_stddev": mean / 10,
    }  # fmt: skip


SUMMARY = {
    "version": "2023-08-31", "name": "m_550_100_summary", "model": "meta-llama/Llama-2-7b-chat-hf",
    "mean_input_tokens": 550, "stddev_input_tokens": 150, "mean_output_tokens": 100,
    "num_concurrent_requests": 4, **statistics("inter_token_latency_s", 0.02),
    **statistics("ttft_s", 0.11), **statistics("end_to_end_latency_s", 2.0),
    **statistics("number_input_tokens", 550.4), **statistics("number_output_tokens", 100.0),
    "results_num_requests_started": 52, "results_error_rate": 0.04, "results_number_errors": 2,
    "results_error_code_frequency": "{429: 2}", "results_num_completed_requests": 50,
    "timestamp": 1769940000,
}  # fmt: skip


def parse(tmp_path: Path, data: Any) -> Parsed:
    path = tmp_path / "x.json"
    path.write_text(json.dumps(data))
    assert llmperf.matches(Document(path))
    return llmperf.read(Document(path))


def test_per_token_time_leaves_the_first_token_out(tmp_path: Path) -> None:
    row = prepare(parse(tmp_path, [ONE]).frame).iloc[0]
    assert row["tpot_ms"] == pytest.approx((2000 - 110) / 99)
    assert (row["ttft_ms"], row["e2e_ms"]) == (110, 2000)
    assert (row["isl"], row["osl"], row["clock"]) == (550, 100, "client")


def test_failed_requests_are_counted(tmp_path: Path) -> None:
    parsed = parse(tmp_path, [ONE, FAILED, {**ONE, "number_output_tokens": 0}])
    assert dict(parsed.dropped) == {"failed request: 429": 1, "no output token": 1}
    assert (len(parsed.frame), parsed.rows_read) == (1, 3)


def test_one_token_has_no_time_per_token(tmp_path: Path) -> None:
    frame = prepare(parse(tmp_path, [{**ONE, "number_output_tokens": 1}, ONE]).frame)
    assert frame["tpot_ms"].isna().tolist() == [True, False]


def test_it_is_said_who_counted_and_what_is_missing(tmp_path: Path) -> None:
    parsed = parse(tmp_path, [ONE])
    said = " ".join(parsed.assumptions)
    assert parsed.needs == ("concurrency",)
    assert "inter_token_latency_s" in said
    assert "tokenizer" in said


def test_load_and_model_come_from_the_summary_beside(tmp_path: Path) -> None:
    (tmp_path / "m_550_100_summary.json").write_text(json.dumps(SUMMARY))
    path = tmp_path / "m_550_100_individual_responses.json"
    path.write_text(json.dumps([ONE, ONE]))
    parsed = llmperf.read(Document(path))
    assert parsed.needs == ()
    frame = prepare(parsed.frame)
    assert frame["concurrency"].tolist() == [4, 4]
    assert frame["model"].unique().tolist() == ["meta-llama/Llama-2-7b-chat-hf"]


def test_summary_is_one_mean_row(tmp_path: Path) -> None:
    parsed = parse(tmp_path, SUMMARY)
    row = prepare(parsed.frame).iloc[0]
    assert (row["statistic"], row["n_requests"], row["concurrency"]) == ("mean", 50, 4)
    assert row["tpot_ms"] == pytest.approx((2000 - 110) / 99)
    assert (row["isl"], row["isl_mean"]) == (550, 550.4)
    assert row["ttft_p99_ms"] == pytest.approx(110 * 99 / 50)
    assert row["model"] == "meta-llama/Llama-2-7b-chat-hf"
    assert dict(parsed.dropped) == {"failed request: error": 2}
    assert any("means of 50 requests" in text for text in parsed.assumptions)
    assert not [name for name in parsed.frame if "inter_token" in name]


def test_summary_without_success_has_no_row(tmp_path: Path) -> None:
    parsed = parse(tmp_path, {**SUMMARY, "results_num_completed_requests": 0})
    assert (len(parsed.frame), parsed.rows_read) == (0, 2)


@pytest.mark.parametrize(
    "data",
    [[{**ONE, "ttft_s": "fast"}], [ONE, 5], [{**ONE, "number_output_tokens": -1}],
     {**SUMMARY, "results_ttft_s_mean": {}}],
)  # fmt: skip
def test_damaged_files_are_refused(tmp_path: Path, data: Any) -> None:
    with pytest.raises(InputError, match="Remedy"):
        parse(tmp_path, data)


@pytest.mark.parametrize("data", [[], {}, [{"ttft_s": 1}], {"results_ttft_s_mean": 1}])
def test_other_files_do_not_match(tmp_path: Path, data: Any) -> None:
    path = tmp_path / "x.json"
    path.write_text(json.dumps(data))
    assert not llmperf.matches(Document(path))
