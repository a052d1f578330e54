"""llm-d benchmark report: import, export, and there and back."""

import copy
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from lengthwise.data.export_llmd import llmd_reports, write_llmd
from lengthwise.data.formats import llmd_report
from lengthwise.data.formats.base import Document, Parsed
from lengthwise.data.table import prepare
from lengthwise.errors import InputError, MissingExtraError, NothingUsableError

YAML = """\
version: '0.2.1'
run:
  uid: 38b1f169
  eid: d9c5a5dd
  time: {start: '2026-02-01T10:00:00Z', end: '2026-02-01T10:01:00Z', duration: PT60S}
scenario:
  stack:
  - metadata: {label: epp-0, cfg_id: a}
    standardized: {kind: generic, tool: router, tool_version: '1'}
    native: {}
  - metadata: {label: vllm-p, cfg_id: b}
    standardized:
      kind: inference_engine
      tool: vllm
      tool_version: 0.11.0
      role: prefill
      model: {name: Qwen/Qwen3-0.6B}
      accelerator: {model: L4, count: 1, parallelism: {tp: 1, pp: 1, dp: 1, ep: 1}}
    native: {}
  - metadata: {label: vllm-d, cfg_id: c}
    standardized:
      kind: inference_engine
      tool: vllm
      tool_version: 0.11.0
      role: decode
      replicas: 2
      model: {name: Qwen/Qwen3-0.6B}
      accelerator:
        model: NVIDIA-H100-80GB-HBM3
        count: 8
        parallelism: {tp: 8, pp: 1, dp: 1, ep: 1}
    native: {args: {--dtype: bfloat16}}
  load:
    metadata: {schema_version: 0.0.1}
    standardized:
      tool: inference-perf
      tool_version: 0.3.0
      source: random
      stage: 3
      rate_qps: 10.0
      concurrency: .inf
      input_seq_len: {distribution: fixed, value: 2148}
    native: {}
results:
  request_performance:
    aggregate:
      requests:
        total: 500
        failures: 7
        incomplete: 1
        input_length: {units: count, mean: 2262.448, min: 2223.0, p50: 2262.0, max: 2328.0}
        output_length: {units: count, mean: 100.0}
      latency:
        time_to_first_token: {units: s, mean: 0.05, stddev: 0.01, p0p1: 0.02, p50: 0.04, p99p9: 0.2}
        time_per_output_token: {units: ms/token, mean: 8.0, p99: 9.0}
        inter_token_latency: {units: s/token, mean: 0.0081}
        normalized_time_per_output_token: {units: s/token, mean: 0.009}
        request_latency: {units: ms, mean: 842.0, p90: 900.0}
      throughput:
        output_token_rate: {units: tokens/s, mean: 1000.0}
"""


@pytest.fixture
def report() -> dict[str, Any]:
    return pytest.importorskip("yaml").safe_load(YAML)


def parse(tmp_path: Path, text: str) -> Parsed:
    path = tmp_path / "report.any"
    path.write_text(text)
    assert llmd_report.matches(Document(path))
    return llmd_report.read(Document(path))


def test_times_in_any_unit_become_milliseconds(tmp_path: Path) -> None:
    pytest.importorskip("yaml")
    row = prepare(parse(tmp_path, YAML).frame).iloc[0]
    assert row[["ttft_ms", "tpot_ms", "e2e_ms"]].tolist() == [50, 8, 842]
    assert row["ttft_p99p9_ms"] == 200
    assert row["tpot_p99_ms"] == 9
    assert row["e2e_p90_ms"] == 900
    assert (row["itl_mean_ms"], row["ntpot_mean_ms"]) == pytest.approx((8.1, 9))


def test_a_report_is_a_mean_of_its_requests(tmp_path: Path) -> None:
    pytest.importorskip("yaml")
    parsed = parse(tmp_path, YAML)
    row = prepare(parsed.frame).iloc[0]
    assert (row["statistic"], row["n_requests"]) == ("mean", 492)
    assert (row["isl"], row["isl_mean"], row["osl"]) == (2262, 2262.448, 100)
    assert dict(parsed.dropped) == {"failed request": 7, "incomplete request": 1}
    assert any("means of 492 requests" in text for text in parsed.assumptions)


def test_labels_are_those_of_the_engine_that_decodes(tmp_path: Path) -> None:
    pytest.importorskip("yaml")
    row = prepare(parse(tmp_path, YAML).frame).iloc[0]
    assert row["model"] == "Qwen/Qwen3-0.6B"
    assert (row["hardware"], row["tp"]) == ("NVIDIA-H100-80GB-HBM3", 8)
    assert (row["engine"], row["engine_version"], row["precision"]) == (
        "vllm", "0.11.0", "bfloat16",
    )  # fmt: skip
    assert (row["request_rate"], row["stage"]) == (10, 3)
    assert "concurrency" not in row
    assert row["timestamp"] == 1769940000


def test_json_and_json_lines(tmp_path: Path, report: dict[str, Any]) -> None:
    whole = parse(tmp_path, YAML).frame
    pd.testing.assert_frame_equal(parse(tmp_path, json.dumps(report, indent=1)).frame, whole)
    assert len(parse(tmp_path, 2 * (json.dumps(report) + "\n")).frame) == 2


def test_several_yaml_documents(tmp_path: Path) -> None:
    pytest.importorskip("yaml")
    assert len(parse(tmp_path, f"---\n{YAML}---\n{YAML}").frame) == 2


def test_without_tpot_the_mean_gap_is_used_and_said(tmp_path: Path, report: dict[str, Any]) -> None:
    aggregate = report["results"]["request_performance"]["aggregate"]
    del aggregate["latency"]["time_per_output_token"]
    parsed = parse(tmp_path, json.dumps(report))
    assert parsed.frame["tpot_ms"].tolist() == pytest.approx([8.1])
    assert any("inter-token latency" in text for text in parsed.assumptions)


def test_stages_without_requests_are_counted(tmp_path: Path, report: dict[str, Any]) -> None:
    failed, empty = copy.deepcopy(report), copy.deepcopy(report)
    failed["results"]["request_performance"]["aggregate"]["requests"]["total"] = 8
    empty["results"] = {"observability": {}}
    lines = "\n".join(json.dumps(one) for one in (report, failed, empty))
    parsed = parse(tmp_path, lines)
    assert len(parsed.frame) == 1
    assert parsed.dropped["stage without a successful request"] == 1
    assert parsed.dropped["report without request_performance.aggregate"] == 1


def test_yaml_without_pyyaml_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "yaml", None)
    with pytest.raises(MissingExtraError, match="pip install"):
        parse(tmp_path, YAML)
    with pytest.raises(MissingExtraError, match="pip install"):
        write_llmd(requests(), tmp_path / "out.yaml")


@pytest.mark.parametrize(
    ("old", "new"),
    [("version: '0.2.1'", "version: '0.1'"), ("units: ms/token", "units: weeks"),
     ("mean: 842.0", "mean: {}"), ("scenario:\n", "scenario: [\n")],
)  # fmt: skip
def test_damaged_reports_are_refused(tmp_path: Path, old: str, new: str) -> None:
    pytest.importorskip("yaml")
    with pytest.raises(InputError, match="Remedy"):
        parse(tmp_path, YAML.replace(old, new))


FIRST = """\
metrics:
  latency:
    request_latency: {units: s, mean: 31.2, p50: 30.8}
    time_to_first_token: {units: s, mean: 2.17}
    time_per_output_token: {units: ms/token, mean: 29.0}
  requests:
    failures: 3
    input_length: {units: count, mean: 7583.23}
    output_length: {units: count, mean: 922.125}
    total: 200
  throughput: {output_tokens_per_sec: 3502.4, requests_per_sec: 3.8}
  time: {duration: 22.3}
scenario:
  load:
    name: inference-perf
    args: {load: {stages: [{rate: 15.0}, {rate: 3.0}, {rate: 10.0}]}}
    metadata: {stage: 2}
  model: {name: unknown}
version: '0.1'
"""


def test_the_first_version(tmp_path: Path) -> None:
    pytest.importorskip("yaml")
    parsed = parse(tmp_path, FIRST)
    row = prepare(parsed.frame).iloc[0]
    assert row[["ttft_ms", "tpot_ms", "e2e_ms"]].tolist() == pytest.approx([2170, 29, 31200])
    assert (row["isl_mean"], row["n_requests"], row["request_rate"]) == (7583.23, 197, 10)
    assert "model" not in row
    assert dict(parsed.dropped) == {"failed request": 3}


@pytest.mark.parametrize("text", ["version: 0.2\n", "{}", '{"version": "0.2"}', "a,b\n1,2\n"])
def test_other_files_do_not_match(tmp_path: Path, text: str) -> None:
    path = tmp_path / "x"
    path.write_text(text)
    assert not llmd_report.matches(Document(path))


def requests() -> pd.DataFrame:
    """Two stages of one server, 50 requests each, and a prefill row that is no request."""
    rng = np.random.default_rng(0)
    stages = [
        pd.DataFrame({
            "phase": "request", "isl": isl, "osl": 64, "concurrency": load,
            "ttft_ms": 0.1 * isl + rng.normal(0, 1, 50), "tpot_ms": 8 + rng.normal(0, 0.1, 50),
            "timestamp": 1769940000 + np.arange(50.0), "clock": "client",
        }).assign(e2e_ms=lambda t: t["ttft_ms"] + 63 * t["tpot_ms"])
        for isl, load in ((512, 1), (2048, 8))
    ]  # fmt: skip
    step = pd.DataFrame({"phase": ["prefill"], "isl": [64], "latency_ms": [3.0]})
    return pd.concat([*stages, step], ignore_index=True).assign(
        model="Qwen/Qwen3-0.6B", hardware="H100", engine="vllm", engine_version="0.11.0",
        precision="bf16", tp=2,
    )  # fmt: skip


def test_one_report_per_load_stage() -> None:
    reports = llmd_reports(requests())
    assert [r["scenario"]["load"]["standardized"]["concurrency"] for r in reports] == [1, 8]
    assert len({r["run"]["eid"] for r in reports}) == 1
    assert len({r["run"]["uid"] for r in reports}) == 2
    (engine,) = reports[0]["scenario"]["stack"]
    assert engine["standardized"]["accelerator"] == {
        "model": "H100", "count": 2, "parallelism": {"dp": 1, "ep": 1, "pp": 1, "tp": 2},
    }  # fmt: skip


def test_all_statistics_in_the_units_of_the_format() -> None:
    table = requests()
    aggregate = llmd_reports(table)[0]["results"]["request_performance"]["aggregate"]
    assert aggregate["requests"]["total"] == 50
    block = aggregate["latency"]["time_to_first_token"]
    assert set(block) == {
        "units", "mean", "stddev", "min", "p0p1", "p1", "p5", "p10", "p25", "p50", "p75", "p90",
        "p95", "p99", "p99p9", "max",
    }  # fmt: skip
    seconds = table["ttft_ms"][:50] / 1000
    assert block["units"] == "s"
    assert block["mean"] == pytest.approx(seconds.mean())
    assert block["p99p9"] == pytest.approx(np.percentile(seconds, 99.9))
    assert aggregate["latency"]["time_per_output_token"]["units"] == "s/token"
    assert aggregate["requests"]["input_length"]["units"] == "count"


@pytest.mark.parametrize("name", ["out.yaml", "out.jsonl"])
def test_there_and_back(tmp_path: Path, name: str) -> None:
    if name.endswith("yaml"):
        pytest.importorskip("yaml")
    table = requests()
    assert write_llmd(table, tmp_path / name) == 2
    parsed = parse(tmp_path, (tmp_path / name).read_text())
    back = prepare(parsed.frame)
    truth = table[table["phase"] == "request"].groupby("isl")
    for column in ("ttft_ms", "tpot_ms", "e2e_ms"):
        assert back[column].tolist() == pytest.approx(truth[column].mean().tolist())
        p90 = truth[column].quantile(0.9).tolist()
        assert back[column.replace("_ms", "_p90_ms")].tolist() == pytest.approx(p90)
    assert back["isl"].tolist() == [512, 2048]
    assert back["concurrency"].tolist() == [1, 8]
    assert back["n_requests"].tolist() == [50, 50]
    assert back["timestamp"].tolist() == [1769940000] * 2
    labels = ["model", "hardware", "engine", "engine_version", "precision", "tp"]
    assert back.loc[0, labels].tolist() == ["Qwen/Qwen3-0.6B", "H100", "vllm", "0.11.0", "bf16", 2]


def test_means_pass_through(tmp_path: Path, report: dict[str, Any]) -> None:
    first = parse(tmp_path, json.dumps(report)).frame
    (again,) = llmd_reports(first)
    new = again["results"]["request_performance"]["aggregate"]["latency"]
    assert new["time_to_first_token"] == pytest.approx(
        {"units": "s", "mean": 0.05, "stddev": 0.01, "p0p1": 0.02, "p50": 0.04, "p99p9": 0.2}
    )
    second = parse(tmp_path, json.dumps(again)).frame
    same = [name for name in first if name not in ("run_id", "experiment_id", "load_tool")]
    pd.testing.assert_frame_equal(second[same], first[same])


def test_requests_of_random_lengths_are_one_stage() -> None:
    table = requests().iloc[:50].assign(isl=np.arange(500, 550))
    (report,) = llmd_reports(table)
    assert report["scenario"]["load"]["standardized"]["input_seq_len"] == pytest.approx({
        "distribution": "other", "value": 524.5, "std_dev": np.std(np.arange(50)), "min": 500,
        "max": 549,
    })  # fmt: skip


def test_failed_and_warm_up_requests() -> None:
    table = requests().iloc[:50].assign(warmup=False)
    table.loc[0, "warmup"] = True
    table.loc[1, ["ttft_ms", "tpot_ms", "e2e_ms"]] = np.nan
    (report,) = llmd_reports(table)
    counts = report["results"]["request_performance"]["aggregate"]["requests"]
    assert (counts["total"], counts["failures"]) == (49, 1)


def test_what_cannot_be_written_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NothingUsableError, match="request rows"):
        llmd_reports(requests().iloc[100:])
    with pytest.raises(InputError, match=r"\.yaml"):
        write_llmd(requests(), tmp_path / "out.json")
    with pytest.raises(InputError, match="folder to write to must exist"):
        write_llmd(requests(), tmp_path / "no" / "out.jsonl")
