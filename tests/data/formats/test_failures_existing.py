"""A request that failed is in no mean, whatever way a file has to say so."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from exports import (
    aiperf_line,
    as_aiperf_summary,
    as_inference_perf,
    as_llmperf,
    guidellm_report,
    run,
    sglang_run,
    vllm_run,
)
from versions_clients import CLIENTS, Version

from lengthwise.data.importing import import_table
from lengthwise.errors import NothingUsableError
from lengthwise.interfaces.cli import main as cli

REQUESTS = run(failed=0)
FAILED = [r for r in run(n=8, failed=3) if r.failed]
SERVING = [v for v in CLIENTS if v.__name__.startswith(("vllm", "sglang"))]


def vllm(change: Callable[[dict[str, Any]], object]) -> str:
    found = vllm_run(REQUESTS)
    change(found)
    return json.dumps(found)


def sglang(change: Callable[[dict[str, Any]], object]) -> str:
    found = sglang_run(REQUESTS)
    change(found)
    return json.dumps(found)


def put(name: str, value: Any) -> Callable[[dict[str, Any]], object]:
    return lambda found: found[name].__setitem__(1, value)


def add(name: str, value: Any) -> Callable[[dict[str, Any]], object]:
    return lambda found: found.update({name: ["stop", value, *["stop"] * (len(REQUESTS) - 2)]})


def inference_perf(**change: Any) -> str:
    records = json.loads(as_inference_perf(REQUESTS))
    records[1] |= {k: v for k, v in change.items() if k != "chunks"}
    if "chunks" in change:
        response = records[1]["info"]["response_metrics"]
        response["response_chunks"] = [change["chunks"]] * len(response["chunk_times"])
    return json.dumps(records)


def aiperf(change: Callable[[dict[str, Any]], object]) -> str:
    lines = [aiperf_line(r, client=1) for r in REQUESTS]
    change(lines[1])
    return "".join(json.dumps(line) + "\n" for line in lines)


def no_tokens(line: dict[str, Any]) -> None:
    for name in ("output_sequence_length", "usage_completion_tokens"):
        line["metrics"][name]["value"] = 0


def guidellm(tokens: int | None, error: str | None = None) -> str:
    report = guidellm_report(REQUESTS)
    requests = report["benchmarks"][0]["requests"]
    requests["successful"][1]["output_tokens"] = tokens
    if error:
        one = requests["successful"].pop(1)
        requests["errored"] = [{**one, "info": {"status": "errored", "error": error}}]
    return json.dumps(report)


def llmperf(**change: Any) -> str:
    records = json.loads(as_llmperf(REQUESTS))
    records[1] |= change
    return json.dumps(records)


BROKEN = '{"object": "error", "message": "engine died", "code": 500}'
ABORTED = '{"choices": [{"delta": {"content": ""}, "finish_reason": "abort"}]}'
EVENT = 'data: {"error": {"message": "CUDA error", "type": "InternalServerError"}}'
KINDS: dict[str, tuple[str, str]] = {
    "vllm 429": (vllm(put("errors", "Too Many Requests")), "Too Many Requests"),
    "vllm traceback": (vllm(put("errors", "Traceback\n  x\nTimeoutError: 600 s")), "TimeoutError"),
    "vllm ttft 0": (vllm(put("ttfts", 0.0)), "failed request"),
    "vllm no tokens": (vllm(put("output_lens", 0)), "empty answer"),
    "sglang abort": (sglang(add("finish_reasons", "abort")), "abort"),
    "sglang no tokens": (sglang(put("output_lens", 0)), "empty answer"),
    "inference-perf body": (inference_perf(response=BROKEN), "error in the answer"),
    "inference-perf event": (inference_perf(chunks=EVENT), "error in the answer"),
    "inference-perf abort": (inference_perf(chunks=ABORTED), "error in the answer"),
    "inference-perf 429": (inference_perf(error={"error_type": "429"}), "429"),
    "aiperf 429": (aiperf(lambda one: one.update(error={"code": 429, "type": "Busy"})), "Busy"),
    "aiperf cancelled": (aiperf(lambda one: one["metadata"].update(was_cancelled=True)),
                         "cancelled"),
    "aiperf no tokens": (aiperf(no_tokens), "empty answer"),
    "guidellm no tokens": (guidellm(0), "empty answer"),
    "guidellm error": (guidellm(3, "429 Too Many Requests"), "429 Too Many Requests"),
    "llmperf 429": (llmperf(error_code=429), "429"),
    "llmperf no first token": (llmperf(ttft_s=0), "no first token"),
    "llmperf no tokens": (llmperf(number_output_tokens=0), "no output token"),
}  # fmt: skip


def written(folder: Path, text: str) -> Path:
    path = folder / "result"
    path.write_text(text)
    return path


@pytest.mark.parametrize("kind", KINDS)
def test_a_failure_is_left_out_and_labelled(kind: str, tmp_path: Path) -> None:
    text, label = KINDS[kind]
    given = {"concurrency": "4"} if kind.startswith("llmperf") else None
    table, report = import_table(written(tmp_path, text), constants=given)
    assert len(table) == len(REQUESTS) - 1
    assert sum(report.skipped.values()) == 1
    assert label in next(iter(report.skipped))
    left = [r.e2e * 1e3 for i, r in enumerate(REQUESTS) if i != 1]
    assert table["e2e_ms"].mean() == pytest.approx(sum(left) / len(left), rel=1e-5)


@pytest.mark.parametrize("version", SERVING, ids=lambda version: version.__name__)
def test_a_run_of_failures_leaves_no_row_of_zeros(version: Version, tmp_path: Path) -> None:
    file = version(FAILED)
    with pytest.raises(NothingUsableError, match=r"failed request|without a successful request"):
        import_table(written(tmp_path, file.text))


def test_a_summary_of_failures_names_them(tmp_path: Path) -> None:
    lost = [{"error_details": {"code": 429, "type": "Too Many Requests"}, "count": 7}]
    found = {"aiperf_version": "0.13.0", "error_summary": lost, "request_count": None}
    with pytest.raises(NothingUsableError, match="7 times failed request: Too Many Requests"):
        import_table(written(tmp_path, json.dumps(found)))
    some = {**json.loads(as_aiperf_summary(REQUESTS)), "error_summary": lost}
    _, report = import_table(written(tmp_path, json.dumps(some)))
    assert "7 requests failed and are in no mean" in report.assumptions


def test_the_command_ends_with_1_and_says_why(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = written(tmp_path, json.dumps(vllm_run(FAILED)))
    with pytest.raises(SystemExit) as left:
        cli.run(["import", str(path), "-o", str(tmp_path / "t.csv")])
    assert left.value.code == 1
    assert "3 times failed request: Bad Gateway" in capsys.readouterr().err
    assert not (tmp_path / "t.csv").exists()
