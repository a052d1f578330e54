"""Real tools measure real servers, and what they save is imported.

The figures after import are compared with the truth of a server whose times are known, and with
what the tool itself has printed for llama.cpp. A tool that is not installed is skipped; see
:mod:`real` for how to name it.
"""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
import real
from real import CONCURRENCY, ISL, ITL_MS, OSL, REQUESTS, TTFT_MS, Server

from lengthwise.data.importing import import_table

WARM_UP = 3


@pytest.fixture(params=["known times", "llama.cpp"])
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    start = real.mock_server if request.param == "known times" else real.llama_server
    with start() as found:
        yield found


@pytest.fixture
def tokenizer(tmp_path: Path) -> Path:
    return real.write_tokenizer(tmp_path / "tokenizer")


def check_truth(table: pd.DataFrame, server: Server) -> None:
    """Compare a table of requests with the times the server was told to take."""
    assert (table["osl"] == OSL).all()
    if server.known:
        assert table["tpot_ms"].median() == pytest.approx(ITL_MS, rel=0.15)
        assert TTFT_MS < table["ttft_ms"].median() < TTFT_MS + 30
    assert (table["e2e_ms"] >= table["ttft_ms"] + (OSL - 1) * table["tpot_ms"] - 1e-3).all()


def test_aiperf(server: Server, tokenizer: Path, tmp_path: Path) -> None:
    program = real.tool("LENGTHWISE_AIPERF", "aiperf")
    out = tmp_path / "out"
    real.run(
        *program, "profile", "--model", server.model, "--url", server.url, "--endpoint-type",
        "chat", "--streaming", "--concurrency", CONCURRENCY, "--request-count", REQUESTS,
        "--warmup-request-count", WARM_UP, "--isl", ISL, "--osl", OSL, "--ui", "none",
        "--artifact-dir", out, "--tokenizer", tokenizer, "--extra-inputs", "ignore_eos:true",
        HF_HUB_OFFLINE="",  # it does not find a local folder otherwise
    )  # fmt: skip
    table, report = import_table(out, constants={"hardware": "this machine"})
    lost = (n for why, n in report.skipped.items() if why.startswith("failed request"))
    failed = sum(lost)  # it reuses closed connections
    assert report.rows_kept == len(table) == REQUESTS - failed
    assert failed <= 2
    assert report.skipped["warmup request (left out)"] == WARM_UP
    check_truth(table, server)
    assert (table["osl_client"] > OSL).all()
    assert "token counts differ" in [flag.rule for flag in report.flags]
    printed = json.loads((out / "profile_export_aiperf.json").read_text())
    assert table["ttft_ms"].mean() == pytest.approx(printed["time_to_first_token"]["avg"])
    assert table["e2e_ms"].mean() == pytest.approx(printed["request_latency"]["avg"])
    tool_says = printed["inter_token_latency"]["avg"]
    assert tool_says < 0.6 * table["tpot_ms"].mean()  # what the client's count makes


def test_guidellm(server: Server, tokenizer: Path, tmp_path: Path) -> None:
    program = real.tool("LENGTHWISE_GUIDELLM", "guidellm")
    path = "completions" if server.known else "chat/completions"
    kinds = ["json", "csv", "yaml"]
    outputs = [f"--output=kind={kind},path={tmp_path / f'b.{kind}'}" for kind in kinds]
    real.run(
        *program, "run", "--backend",
        f"kind=openai_http,target={server.url},model={server.model},validate_backend=false,"
        f"request_format=/v1/{path}",
        "--profile", f"kind=concurrent,streams={CONCURRENCY}",
        "--constraint", f"kind=max_requests,count={REQUESTS}",
        "--tokenizer", f"kind=hf_auto,model={tokenizer}",
        "--data", f"kind=synthetic_text,prompt_tokens={ISL},output_tokens={OSL}",
        *outputs, "--disable-console",
    )  # fmt: skip
    table, report = import_table(tmp_path / "b.json")
    assert report.format == "guidellm"
    assert report.rows_kept == REQUESTS
    check_truth(table, server)
    assert set(table["concurrency"]) == {CONCURRENCY}
    assert set(table["model"]) == {server.model}
    saved = json.loads((tmp_path / "b.json").read_text())["benchmarks"][0]["metrics"]
    means, _ = import_table(tmp_path / "b.csv")
    for column, name, factor in (
        ("ttft_ms", "time_to_first_token_ms", 1), ("tpot_ms", "inter_token_latency_ms", 1),
        ("e2e_ms", "request_latency", 1e3),
    ):  # fmt: skip
        printed = factor * saved[name]["successful"]["mean"]
        assert table[column].mean() == pytest.approx(printed)
        assert means[column][0] == pytest.approx(printed)
    assert means["model"][0] == server.model
    assert means["n_requests"][0] == REQUESTS
    pytest.importorskip("yaml")
    again, _ = import_table(tmp_path / "b.yaml")
    assert again["ttft_ms"].tolist() == pytest.approx(table["ttft_ms"].tolist())


def check_serving(path: Path, server: Server, tool_name: str, e2e: str) -> None:
    """Compare a run of vLLM's or SGLang's client with its own means and with the truth."""
    table, report = import_table(path)
    assert report.format == tool_name
    assert report.rows_kept == REQUESTS
    check_truth(table, server)
    assert set(table["chunks"]) == {OSL}
    assert set(table["concurrency"]) == {CONCURRENCY}
    printed = json.loads(path.read_text().splitlines()[0])
    assert table["ttft_ms"].mean() == pytest.approx(printed["mean_ttft_ms"])
    assert table["tpot_ms"].mean() == pytest.approx(printed["mean_tpot_ms"], rel=0.02)
    assert table["e2e_ms"].mean() == pytest.approx(printed[f"mean_{e2e}_ms"], rel=0.01)


def test_vllm(server: Server, tokenizer: Path, tmp_path: Path) -> None:
    """A completion of llama.cpp tells vLLM's client no counts, so there it is a chat."""
    program = real.tool("LENGTHWISE_VLLM_BENCH", "vllm", "bench", "serve")
    kind = (
        ["openai", "/v1/completions"] if server.known else ["openai-chat", "/v1/chat/completions"]
    )
    real.run(
        *program, "--backend", kind[0], "--endpoint", kind[1], "--base-url", server.url,
        "--model", server.model, "--tokenizer", tokenizer, "--dataset-name", "random",
        "--random-input-len", ISL, "--random-output-len", OSL, "--num-prompts", REQUESTS,
        "--max-concurrency", CONCURRENCY, "--ignore-eos", "--save-result", "--save-detailed",
        "--percentile-metrics", "ttft,tpot,itl,e2el", "--result-dir", tmp_path,
        "--result-filename", "run.json",
    )  # fmt: skip
    check_serving(tmp_path / "run.json", server, "vllm-serve", "e2el")


def test_sglang(server: Server, tokenizer: Path, tmp_path: Path) -> None:
    program = real.tool("LENGTHWISE_SGLANG_BENCH")
    path = tmp_path / "run.jsonl"
    words = [
        *program, "--backend", "sglang-oai", "--base-url", server.url, "--model", server.model,
        "--tokenizer", tokenizer, "--dataset-name", "random-ids", "--random-input-len", ISL,
        "--random-output-len", OSL, "--random-range-ratio", 1.0, "--num-prompts", REQUESTS,
        "--max-concurrency", CONCURRENCY, "--output-details",
    ]  # fmt: skip
    real.run(*words, "--output-file", path)
    check_serving(path, server, "sglang-serving", "e2e_latency")
    table, report = import_table(path)
    assert "engine" not in table  # a protocol, no engine
    assert "token counts differ" in [flag.rule for flag in report.flags]
    if not server.known:
        whole = tmp_path / "whole.jsonl"
        real.run(*words, "--disable-stream", "--output-file", whole)
        table, _ = import_table(whole)
        assert json.loads(whole.read_text())["mean_ttft_ms"] > 0  # what the tool believes
        assert not {"ttft_ms", "tpot_ms"} & set(table.dropna(axis="columns", how="all"))


def test_genai_perf(tmp_path: Path, tokenizer: Path) -> None:
    program = real.tool("LENGTHWISE_GENAI_PERF", "genai-perf")
    beside = str(Path(program[0]).parent)
    with real.mock_server() as server:
        real.run(
            *program, "profile", "-m", server.model, "--endpoint-type", "completions",
            "--streaming", "-u", server.url, "--concurrency", CONCURRENCY, "--request-count",
            REQUESTS, "--tokenizer", tokenizer, "--synthetic-input-tokens-mean", ISL,
            "--output-tokens-mean", OSL, "--extra-inputs", f"max_tokens:{OSL}",
            "--artifact-dir", tmp_path / "out", PATH=f"{beside}{os.pathsep}{os.environ['PATH']}",
        )  # fmt: skip
    table, report = import_table(next((tmp_path / "out").rglob("*_genai_perf.json")))
    assert report.format == "genai-perf"
    row = table.iloc[0]
    assert (row["model"], row["concurrency"]) == (server.model, CONCURRENCY)
    assert TTFT_MS < row["ttft_ms"] < TTFT_MS + 30
    assert row["tpot_ms"] < ITL_MS / 2  # four letters a token, by a foreign tokenizer
    assert "token counts differ" in [flag.rule for flag in report.flags]


OPTIMUM = """
import sys
from optimum_benchmark import (
    Benchmark, BenchmarkConfig, InferenceConfig, ProcessConfig, PyTorchConfig)
from transformers import LlamaConfig, LlamaForCausalLM

if __name__ == "__main__":
    model, out = sys.argv[1:]
    LlamaForCausalLM(LlamaConfig(
        vocab_size=512, hidden_size=64, intermediate_size=128, num_hidden_layers=2,
        num_attention_heads=4)).save_pretrained(model)
    config = BenchmarkConfig(
        name="x", launcher=ProcessConfig(),
        scenario=InferenceConfig(
            latency=True, memory=False, iterations=3, duration=0, warmup_runs=1,
            input_shapes={"batch_size": 2, "sequence_length": 32},
            generate_kwargs={"max_new_tokens": 8, "min_new_tokens": 8}),
        backend=PyTorchConfig(
            model=model, device="cpu", task="text-generation", library="transformers"))
    Benchmark(config=config, report=Benchmark.launch(config)).save_json(out)
"""


def test_optimum_benchmark(tmp_path: Path, tokenizer: Path) -> None:
    python = real.tool("LENGTHWISE_OPTIMUM")
    (tmp_path / "run.py").write_text(OPTIMUM)
    path = tmp_path / "benchmark.json"
    real.run(*python, tmp_path / "run.py", tokenizer, path)
    table, report = import_table(path)
    assert report.format == "optimum-benchmark"
    prefill, decode = (table[table["phase"] == phase] for phase in ("prefill", "decode"))
    assert (len(prefill), len(decode)) == (3, 3 * 7)
    assert set(table["isl"]) == {32}
    assert set(table["batch_size"]) == {2}
    assert decode["context_len"].tolist() == [*range(33, 40)] * 3
    saved = json.loads(path.read_text())["report"]
    assert prefill["latency_ms"].tolist() == pytest.approx(
        [1e3 * value for value in saved["prefill"]["latency"]["values"]]
    )
    for repeat, whole in enumerate(saved["decode"]["latency"]["values"]):
        steps = decode[decode["repeat"] == repeat]["latency_ms"].sum()
        assert 0.5 * 1e3 * whole < steps <= 1e3 * whole


def test_a_torch_trace_of_the_cpu(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    profiler = pytest.importorskip("torch.profiler")
    layer, path = torch.nn.Linear(64, 64), tmp_path / "trace.json"
    with profiler.profile(activities=[profiler.ProfilerActivity.CPU]) as recorded:
        for step in range(3):
            with profiler.record_function(f"decode context_len={33 + step} batch_size=2"):
                layer(torch.ones(2, 64))
    recorded.export_chrome_trace(str(path))
    if torch.cuda.is_available():
        pytest.skip("a trace of the host of a machine with a device is refused")
    table, report = import_table(path)
    assert report.format == "chrome-trace"
    assert table["context_len"].tolist() == [33, 34, 35]
    assert (table["latency_ms"] >= table["operator_ms"]).all()
