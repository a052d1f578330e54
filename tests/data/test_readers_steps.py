"""Golden cells of the readers of step times; the expected values are read from the files anew."""

import csv
import gzip
import json
from pathlib import Path

import pytest

from lengthwise.data.datasets import fetch, table
from lengthwise.data.readers import distserve, own_openvino
from lengthwise.errors import FileFormatError, InputError


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream))


@pytest.mark.data
def test_splitwise_gives_a_prefill_and_a_decode_row_per_run(needs_data: Path) -> None:
    raw, got = rows_of(needs_data / "splitwise/perf_model.csv"), table("splitwise")
    prefill, decode = got[:840], got[840:].reset_index(drop=True)
    assert set(prefill["phase"]) == {"prefill"}
    assert set(decode["phase"]) == {"decode"}
    for i in (0, 411, 839):
        assert prefill["latency_ms"][i] == float(raw[i]["prompt_time"])
        assert decode["latency_ms"][i] == float(raw[i]["token_time"])
        assert prefill["isl"][i] == int(raw[i]["prompt_size"])
        assert decode["tp"][i] == int(raw[i]["tensor_parallel"])
    assert decode["context_len"][0] == 512 + 65  # mean of 513..640 is 576.5
    centre = prefill.query("isl == 512 and batch_size == 1 and osl == 128 and tp == 2")
    assert sorted(centre[centre["hardware"] == "a100-80gb"]["repeat"]) == list(range(15))


@pytest.mark.data
def test_splitwise_keeps_the_point_that_is_not_monotone(needs_data: Path) -> None:
    got = table("splitwise").query("phase == 'prefill' and tp == 2 and hardware == 'a100-80gb'")
    median = got.groupby("batch_size")["latency_ms"].median()
    assert median[64] < median[32]


@pytest.mark.data
def test_edgereasoning_prefill_holds_every_length_with_its_outlier(needs_data: Path) -> None:
    raw = json.loads((needs_data / "edgereasoning/prefill.json").read_text())["data"]
    got = table("edgereasoning").query("phase == 'prefill'")
    assert len(got) == 3 * 33
    eight = got[got["model"] == "DeepSeek-R1-Distill-Llama-8B"].reset_index(drop=True)
    assert eight["latency_ms"].tolist() == raw["DeepSeek_R1_Distill_Llama_8B"]["ttft_ms"]
    assert eight["isl"].tolist() == raw["DeepSeek_R1_Distill_Llama_8B"]["input_tokens"]
    assert eight.loc[eight["isl"] == 2561, "latency_ms"].item() == 22494.82


@pytest.mark.data
def test_edgereasoning_decode_is_the_mean_step_after_the_first_token(needs_data: Path) -> None:
    raw = json.loads((needs_data / "edgereasoning/decode_parameters.json").read_text())
    got = table("edgereasoning").query("phase == 'decode'")
    for model, runs in raw.items():
        if model == "_metadata":
            continue
        mine = got[got["model"] == model]
        assert len(mine) == sum(run["output_tokens"] > 1 for run in runs)
        run = next(run for run in runs if run["output_tokens"] == 1152)
        row = mine.query(f"isl == {run['input_tokens']} and osl == 1152").iloc[0]
        assert row["latency_ms"] == pytest.approx(1e3 * run["decode_time"] / 1151)
        assert row["context_len"] == run["input_tokens"] + 576
        assert row["power_w"] == pytest.approx(run["avg_decode_energy"] / run["decode_time"])


@pytest.mark.data
def test_edgereasoning_published_decode_law_reproduces_the_step_times(needs_data: Path) -> None:
    """The repository's own coefficients for 14B: 1.13e-6 s per context token plus 0.1866 s."""
    got = table("edgereasoning").query(
        "phase == 'decode' and model == 'DeepSeek-R1-Distill-Qwen-14B'"
    )
    law_ms = 1e3 * (1.130e-6 * got["context_len"].astype(float) + 0.1866)
    assert (law_ms / got["latency_ms"] - 1).abs().mean() < 0.003


@pytest.mark.data
def test_llamacpp_batched_rows(needs_data: Path) -> None:
    raw, got = rows_of(needs_data / "llamacpp_benches/batched_bench.csv"), table("llamacpp_benches")
    prefill, decode = got[:216], got[216:432].reset_index(drop=True)
    for i in (0, 100, 215):
        assert prefill["latency_ms"][i] == pytest.approx(1e3 * float(raw[i]["T_PP_s"]))
        assert decode["latency_ms"][i] == pytest.approx(1e3 * float(raw[i]["T_TG_s"]) / 32)
        assert decode["context_len"][i] == int(float(raw[i]["PP"])) + 17
        assert prefill["batch_size"][i] == int(float(raw[i]["B"]))
    assert set(got["hardware"]) == {"dgx-spark-gb10", "m2-ultra"}
    first = got[got["warmup"]]
    assert len(first) == 24
    assert set(zip(first["isl"], first["batch_size"], strict=True)) == {(512, 1)}


@pytest.mark.data
def test_llamacpp_speeds_at_depth(needs_data: Path) -> None:
    raw = rows_of(needs_data / "llamacpp_benches/llama_bench.csv")
    got = table("llamacpp_benches").query("source == 'llamacpp_benches/llama_bench.csv'")
    prefill = got[got["phase"] == "prefill"].reset_index(drop=True)
    deep = raw[8]
    assert (deep["kind"], deep["depth"]) == ("pp", "32768")
    assert prefill["latency_ms"][4] == pytest.approx(1e3 * 2048 / float(deep["ts"]))
    assert prefill["isl"][4] == 32768 + 2048
    assert prefill["cached_tokens"][4] == 32768
    decode = got[got["phase"] == "decode"].reset_index(drop=True)
    assert decode["latency_ms"][4] == pytest.approx(1e3 / float(raw[9]["ts"]))
    assert decode["context_len"][4] == 32768 + 17
    assert set(got["precision"]) == {"mxfp4", "q8_0", "q4_0"}


@pytest.mark.data
def test_llm_pilot_tokens_follow_the_first_token(needs_data: Path) -> None:
    name = "raw_sample_llama-7b_gpu1_h100_u8.csv.gz"
    with gzip.open(needs_data / "ibm_llm_pilot" / name, "rt", newline="") as stream:
        first = next(csv.DictReader(stream))
    gaps = json.loads(first["latency_ms_per_token"])[2:]
    got = table("ibm_llm_pilot_tokens")
    mine = got[got["source"] == f"ibm_llm_pilot/{name}"]
    request = mine[mine["request"] == 0]
    assert request["latency_ms"].tolist() == gaps
    assert request["output_index"].tolist() == list(range(1, len(gaps) + 1))
    assert request["context_len"].iloc[0] == int(first["n_input_tokens"]) + 1
    assert mine["batch_size"].between(1, 8).all()
    assert (got.loc[got["concurrency"] == 1, "batch_size"] == 1).all()


@pytest.mark.data
def test_distserve_coefficients(needs_data: Path) -> None:
    raw = json.loads((needs_data / "distserve/profiler-a100-80g.distserve.json").read_text())
    got = distserve.coefficients(fetch("distserve"))
    assert got["facebook/opt-13b"][1]["prefill"][1] == pytest.approx(0.10191, abs=1e-5)
    assert got["facebook/opt-66b"][4]["decoding_largebs"] == tuple(
        raw["facebook/opt-66b"]["4"]["decoding_largebs"]
    )
    assert got["facebook/opt-13b"][2]["threshold"] == 95
    vllm = distserve.coefficients(fetch("distserve"), engine="vllm")
    assert vllm["facebook/opt-13b"][1]["prefill"][0] == pytest.approx(22.0522, abs=1e-4)


def test_distserve_refuses_other_engines_and_damaged_files(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="distserve"):
        distserve.coefficients(tmp_path, engine="tgi")
    with pytest.raises(FileFormatError, match=r"must hold profiler-a100-80g\.vllm.*Remedy"):
        distserve.coefficients(tmp_path, engine="vllm")
    (tmp_path / "profiler-a100-80g.vllm.json").write_text('{"m": {"1": {"prefill": [1, 2, 3]}}}')
    with pytest.raises(FileFormatError, match="must map model and tp"):
        distserve.coefficients(tmp_path, engine="vllm")


def test_own_measurements_are_complete_and_uncontended() -> None:
    got = table("own-openvino-cpu")
    settled = got[~got["warmup"]]
    per_point = settled[settled["phase"] == "prefill"].groupby(["model", "isl", "batch_size"])
    assert (per_point.size() >= 5).all()
    assert sorted(got["isl"].unique()) == [32 * 2**i for i in range(10)]
    wall_over_cpu = settled["latency_ms"] / settled["cpu_ms"]
    assert wall_over_cpu.median() == pytest.approx(1, abs=0.01)
    assert (wall_over_cpu > 1.05).mean() < 0.005


def test_own_measurements_agree_with_their_manifest() -> None:
    got, manifest = table("own-openvino-cpu"), own_openvino.manifest(fetch("own-openvino-cpu"))
    assert manifest["rows"] == len(got)
    assert set(manifest["models"]) == set(got["model"])
    assert set(got["engine_version"]) == {manifest["versions"]["openvino-genai"]}
    decode = got[got["phase"] == "decode"]
    assert (decode["context_len"] == decode["isl"] + decode["output_index"]).all()
