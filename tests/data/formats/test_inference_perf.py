"""inference-perf: requests, stages and summaries."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from lengthwise.data.formats import inference_perf
from lengthwise.data.formats.base import Document, Parsed
from lengthwise.data.table import prepare
from lengthwise.errors import InputError

TTFT, ITL, TOKENS = 0.05, 0.01, 16


def request(start: float, *, server: int | None = TOKENS, client: int = 2 * TOKENS) -> dict:
    """A streamed request of 16 tokens; the client's tokenizer sees two tokens in each."""
    chunks = [start + TTFT + ITL * i for i in range(TOKENS)]
    usage = {"prompt_tokens": 512, "completion_tokens": server, "total_tokens": 528,
             "prompt_tokens_details": {"cached_tokens": 128}}  # fmt: skip
    return {
        "start_time": start, "end_time": chunks[-1] + 0.001,
        "request": json.dumps({"model": "Qwen/Qwen3-0.6B", "prompt": "x", "max_tokens": 16}),
        "response": "data: ...",
        "info": {
            "request_metrics": {"text": {"input_tokens": 512}, "image": None},
            "response_metrics": {
                "output_tokens": client, "server_usage": usage if server is not None else None,
                "chunk_times": chunks,
                "output_token_times": [t for t in chunks for _ in range(2)],
            },
            "lora_adapter": None, "labels": {},
        },
        "error": None,
    }  # fmt: skip


FAILED = {
    "start_time": 100.0, "end_time": 100.5, "request": "{}", "response": "",
    "info": {"request_metrics": {"text": {"input_tokens": 512}}, "response_metrics": None},
    "error": {"error_type": "HTTP Error 503", "error_msg": "busy"},
}  # fmt: skip


def parse(tmp_path: Path, data: Any) -> Parsed:
    path = tmp_path / "metrics.json"
    path.write_text(json.dumps(data))
    assert inference_perf.matches(Document(path))
    return inference_perf.read(Document(path))


def test_times_come_from_chunks_and_the_servers_count(tmp_path: Path) -> None:
    parsed = parse(tmp_path, [request(1000.0)])
    row = prepare(parsed.frame).iloc[0]
    assert row["ttft_ms"] == pytest.approx(50)
    assert row["tpot_ms"] == pytest.approx(10)
    assert row["e2e_ms"] == pytest.approx(201)
    assert (row["isl"], row["osl"], row["cached_tokens"]) == (512, 16, 128)
    assert (row["model"], row["clock"]) == ("Qwen/Qwen3-0.6B", "client")


def test_both_counts_are_kept_and_flagged(tmp_path: Path) -> None:
    parsed = parse(tmp_path, [request(1.0), request(2.0, client=16)])
    assert parsed.frame["output_tokens_client"].tolist() == [32, 16]
    assert parsed.frame["osl"].tolist() == [16, 16]
    (flag,) = parsed.flags
    assert (flag.rule, flag.rows) == ("token counts differ", (0,))
    assert "32 against 16" in flag.message


def test_a_difference_of_5_percent_is_not_flagged(tmp_path: Path) -> None:
    one = request(1.0, server=100, client=105)
    assert parse(tmp_path, [one]).flags == ()
    one["info"]["response_metrics"]["output_tokens"] = 106
    assert len(parse(tmp_path, [one]).flags) == 1


def test_without_the_servers_count_the_clients_is_used_and_said(tmp_path: Path) -> None:
    parsed = parse(tmp_path, [request(1.0, server=None)])
    assert parsed.frame["osl"].tolist() == [32]
    assert any("client's count" in text for text in parsed.assumptions)


def test_failed_requests_are_counted_by_reason(tmp_path: Path) -> None:
    empty = request(5.0, server=0)
    parsed = parse(tmp_path, [request(100.0), FAILED, empty])
    assert dict(parsed.dropped) == {"failed request: HTTP Error 503": 1, "no output token": 1}
    assert (parsed.rows_read, len(parsed.frame)) == (3, 1)


def test_concurrency_counts_overlapping_requests_failed_ones_too(tmp_path: Path) -> None:
    long_failure = {**FAILED, "start_time": 999.0, "end_time": 1001.0}
    parsed = parse(tmp_path, [request(1000.0), request(1000.001), long_failure, request(2000.0)])
    assert parsed.frame["concurrency"].tolist() == [3, 3, 1]


def test_chunks_without_text_are_no_tokens(tmp_path: Path) -> None:
    one = request(10.0)
    response = one["info"]["response_metrics"]
    body = [json.dumps({"choices": [{"delta": {"content": "a"}}]})] * TOKENS
    role = json.dumps({"choices": [{"delta": {"role": "assistant", "content": ""}}]})
    usage = json.dumps({"choices": [], "usage": {"completion_tokens": 16}})
    response["chunk_times"] = [10.02, *response["chunk_times"], 10.9]
    response["response_chunks"] = [role, *body, usage]
    row = parse(tmp_path, [one]).frame.iloc[0]
    assert row["ttft_ms"] == pytest.approx(50)
    assert row["tpot_ms"] == pytest.approx(10)


def test_requests_that_were_not_streamed_have_e2e_only(tmp_path: Path) -> None:
    one = request(10.0)
    for name in ("chunk_times", "output_token_times"):
        del one["info"]["response_metrics"][name]
    frame = prepare(parse(tmp_path, [one]).frame)
    assert "ttft_ms" not in frame
    assert frame["e2e_ms"].tolist() == pytest.approx([201])


def test_older_files_without_chunk_times(tmp_path: Path) -> None:
    one = request(10.0)
    times = one["info"]["response_metrics"]["output_token_times"]
    one["info"] = {"input_tokens": 512, "output_tokens": 16, "output_token_times": times}
    parsed = parse(tmp_path, [one])
    row = prepare(parsed.frame).iloc[0]
    assert row["ttft_ms"] == pytest.approx(50)
    assert row["tpot_ms"] == pytest.approx(10)
    assert any("distinct output_token_times" in text for text in parsed.assumptions)


def block(mean: float) -> dict[str, float]:
    return {"mean": mean, "min": mean / 2, "max": mean * 2, "p0.1": mean / 2, "median": mean,
            "p99": 2 * mean, "p99.9": 2 * mean}  # fmt: skip


STAGE = {
    "benchmark_time_seconds": 10.2,
    "load_summary": {"count": 102, "schedule_delay": block(0.001), "send_duration": 10.0,
                     "requested_rate": 10.0, "achieved_rate": 10.2},
    "successes": {
        "count": 100,
        "latency": {"request_latency": block(0.2), "normalized_time_per_output_token": block(0.006),
                    "time_per_output_token": block(0.005), "time_to_first_token": block(0.05),
                    "inter_token_latency": {**block(0.005), "median": 0.0}},
        "throughput": {"input_tokens_per_sec": 1.0},
        "prompt_tokens": {"total": 51200, "cached": 6400, "uncached": 44800, **block(512.4)},
        "output_len": block(32.0), "output_tokens": {"total": 1600, **block(16.0)},
        "token_count_mismatches": 100,
    },
    "failures": {"count": 2, "request_latency": None, "prompt_tokens": None,
                 "by_label": {"503 - Service Unavailable": {"count": 2, "messages": []}}},
}  # fmt: skip


def test_a_stage_is_one_mean_row(tmp_path: Path) -> None:
    parsed = parse(tmp_path, STAGE)
    row = prepare(parsed.frame).iloc[0]
    assert (row["statistic"], row["n_requests"]) == ("mean", 100)
    assert (row["ttft_ms"], row["e2e_ms"]) == (50, 200)
    assert (row["isl"], row["isl_mean"], row["osl"]) == (512, 512.4, 16)
    assert row["request_rate"] == 10
    assert row["ttft_p99_ms"] == 100
    assert any("means of 100 requests" in text for text in parsed.assumptions)
    assert dict(parsed.dropped) == {"failed request: 503 - Service Unavailable": 2}


def test_per_token_time_of_a_stage_is_recomputed_from_the_servers_count(tmp_path: Path) -> None:
    parsed = parse(tmp_path, STAGE)
    row = parsed.frame.iloc[0]
    assert row["tpot_ms"] == pytest.approx(150 / 15)
    assert row["tpot_tool_mean_ms"] == 5
    assert (row["osl"], row["output_tokens_client"]) == (16, 32)
    assert [flag.rule for flag in parsed.flags] == ["token counts differ"]


def test_per_token_time_is_the_tools_when_counts_agree(tmp_path: Path) -> None:
    stage = copy.deepcopy(STAGE)
    stage["successes"]["output_len"] = block(16.0)
    stage["successes"]["latency"]["time_per_output_token"] = block(0.0101)
    stage["load_summary"]["concurrency"] = 8
    parsed = parse(tmp_path, stage)
    row = prepare(parsed.frame).iloc[0]
    assert row["tpot_ms"] == pytest.approx(10.1)
    assert row["concurrency"] == 8
    assert parsed.flags == ()


def test_a_stage_where_all_failed_has_no_row(tmp_path: Path) -> None:
    stage = copy.deepcopy(STAGE)
    stage["successes"] = {"count": 0, "latency": {}}
    stage["failures"]["count"] = 3
    parsed = parse(tmp_path, stage)
    assert len(parsed.frame) == 0
    assert sum(parsed.dropped.values()) == parsed.rows_read == 3


@pytest.mark.parametrize(
    "damage",
    [
        lambda r: r.update(start_time="soon"),
        lambda r: r.pop("end_time"),
        lambda r: r["info"]["response_metrics"].update(chunk_times="x"),
        lambda r: r["info"]["response_metrics"]["server_usage"].update(completion_tokens=[1]),
        lambda r: r["info"]["response_metrics"]["server_usage"].update(completion_tokens=-3),
        lambda r: r["info"].update(response_metrics={"output_tokens": {}}),
    ],
)
def test_damaged_records_are_refused(tmp_path: Path, damage: Any) -> None:
    broken = request(1.0)
    damage(broken)
    with pytest.raises(InputError, match="Remedy"):
        parse(tmp_path, [request(0.0), broken])


@pytest.mark.parametrize("data", [[], {}, [1], [{"start_time": 1}], {"load_summary": {}}])
def test_other_files_do_not_match(tmp_path: Path, data: Any) -> None:
    path = tmp_path / "x.json"
    path.write_text(json.dumps(data))
    assert not inference_perf.matches(Document(path))
