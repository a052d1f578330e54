"""inference-perf: requests, stages and summaries."""

import copy
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
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
    assert parsed.frame["osl_client"].tolist() == [32, 16]
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
    assert row["cached_tokens"] == 64
    assert row["ttft_p99_ms"] == 100
    assert any("means of 100 requests" in text for text in parsed.assumptions)
    assert dict(parsed.dropped) == {"failed request: 503 - Service Unavailable": 2}


def test_per_token_time_of_a_stage_is_recomputed_from_the_servers_count(tmp_path: Path) -> None:
    parsed = parse(tmp_path, STAGE)
    row = parsed.frame.iloc[0]
    assert row["tpot_ms"] == pytest.approx(150 / 15)
    assert row["tpot_tool_mean_ms"] == 5
    assert (row["osl"], row["osl_client"]) == (16, 32)
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


@pytest.fixture
def tool() -> str:
    """The real tool; it needs a newer Python than this package, so it may be anywhere."""
    found = os.environ.get("LENGTHWISE_INFERENCE_PERF") or shutil.which("inference-perf")
    if not found:
        pytest.skip("needs inference-perf: install it, or name it in LENGTHWISE_INFERENCE_PERF")
    return found


@pytest.fixture
def server() -> Iterator[str]:
    """A server whose times are known: TTFT 30 ms + 0.1 ms per prompt token, 8 ms per token."""
    pytest.importorskip("aiohttp")
    words = ["--port", "0", "--ttft-ms", "30", "--ttft-ms-per-token", "0.1", "--itl-ms", "8"]
    command = [sys.executable, "-m", "lengthwise.measurement.http.mock", *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield process.stdout.readline().split()[-1]
        process.terminate()


def tokenizer_of_letters(folder: Path) -> Path:
    """A tokenizer that makes a token of each letter, unlike the server."""
    folder.mkdir()
    vocabulary = {letter: index for index, letter in enumerate("abcdefghijklmnopqrstuvwxyz ")}
    split = {"type": "Split", "pattern": {"Regex": "."}, "behavior": "Isolated", "invert": False}
    model = {"type": "WordLevel", "vocab": vocabulary, "unk_token": "a"}
    whole = {"version": "1.0", "truncation": None, "padding": None, "added_tokens": [],
             "normalizer": None, "pre_tokenizer": split, "post_processor": None,
             "decoder": {"type": "Fuse"}, "model": model}  # fmt: skip
    (folder / "tokenizer.json").write_text(json.dumps(whole))
    kind = {"tokenizer_class": "PreTrainedTokenizerFast", "unk_token": "a"}
    (folder / "tokenizer_config.json").write_text(json.dumps(kind))
    return folder


def test_the_real_tool_on_a_server_of_known_times(tool: str, server: str, tmp_path: Path) -> None:
    config = {
        "load": {"type": "constant", "stages": [{"rate": 5, "duration": 3}], "num_workers": 1},
        "api": {"type": "completion", "streaming": True},
        "server": {"type": "vllm", "model_name": "mock-llm", "base_url": server,
                   "ignore_eos": True},
        "tokenizer": {"pretrained_model_name_or_path": str(tokenizer_of_letters(tmp_path / "t"))},
        "data": {"type": "random",
                 "input_distribution": {"min": 50, "max": 50, "mean": 50, "std_dev": 0,
                                        "total_count": 20},
                 "output_distribution": {"min": 16, "max": 16, "mean": 16, "std_dev": 0,
                                         "total_count": 20}},
        "report": {"request_lifecycle": {"per_request": True}},
        "storage": {"local_storage": {"path": str(tmp_path / "out")}},
    }  # fmt: skip
    (tmp_path / "config.yml").write_text(json.dumps(config))
    command = [tool, "--config_file", str(tmp_path / "config.yml")]
    environment = {**os.environ, "HF_HUB_OFFLINE": "1"}
    subprocess.run(command, check=True, capture_output=True, timeout=180, env=environment)
    one, stage = (
        prepare(inference_perf.read(Document(tmp_path / "out" / f"{name}_metrics.json")).frame)
        for name in ("per_request_lifecycle", "stage_0_lifecycle")
    )
    truth = 30 + 0.1 * one["isl"]
    assert ((one["ttft_ms"] - truth).median()) == pytest.approx(0, abs=15)
    assert one["tpot_ms"].median() == pytest.approx(8, rel=0.1)
    assert set(one["osl"]) == {16}
    assert (one["osl_client"] > 32).all()
    assert stage["tpot_ms"].iloc[0] == pytest.approx(one["tpot_ms"].mean(), rel=0.1)
    assert stage["tpot_tool_mean_ms"].iloc[0] < 4  # what the tool says
