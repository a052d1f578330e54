"""GuideLLM, AIPerf and genai-perf: the traps of their words, units and counts."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from exports import (
    CLIENT,
    UNIX,
    aiperf_line,
    as_aiperf,
    as_aiperf_summary,
    as_genai_perf,
    as_guidellm,
    as_guidellm_csv,
    good,
    guidellm_report,
    run,
    summary_blocks,
)

from lengthwise.data.importing import import_files, import_table
from lengthwise.data.report import ImportReport
from lengthwise.errors import InputError, NothingUsableError

REQUESTS = run()
DONE = good(REQUESTS)
TPOT_MS = [np.nan if r.tpot is None else r.tpot * 1e3 for r in DONE]


def imported(
    folder: Path, found: Any, name: str = "x", **options: Any
) -> tuple[pd.DataFrame, ImportReport]:
    path = folder / name
    path.write_text(found if isinstance(found, str) else json.dumps(found))
    return import_table(path, **options)


def rules(report: ImportReport) -> list[str]:
    return [flag.rule for flag in report.flags]


# GuideLLM


def test_tpot_leaves_the_first_token_out(tmp_path: Path) -> None:
    """Without timings the tool's ITL is our TPOT; without that, ours follows from its TPOT."""
    report = guidellm_report(REQUESTS)
    for request in report["benchmarks"][0]["requests"]["successful"]:
        del request["info"]["timings"]["first_token_iteration"]
    table, _ = imported(tmp_path, report)
    np.testing.assert_allclose(table["tpot_ms"], TPOT_MS, rtol=1e-9)
    for request in report["benchmarks"][0]["requests"]["successful"]:
        del request["inter_token_latency_ms"]
    table, _ = imported(tmp_path, report)
    np.testing.assert_allclose(table["tpot_ms"], TPOT_MS, rtol=1e-9)
    np.testing.assert_allclose(table["ttft_ms"], [r.ttft * 1e3 for r in DONE], rtol=1e-9)


def test_the_old_schema(tmp_path: Path) -> None:
    table, report = imported(tmp_path, as_guidellm(REQUESTS, old=True))
    assert report.format == "guidellm"
    np.testing.assert_allclose(table["tpot_ms"], TPOT_MS, atol=1e-3)
    assert table["concurrency"].unique().tolist() == [4]
    assert table["model"].unique().tolist() == ["Qwen/Qwen3-0.6B"]


@pytest.mark.parametrize("dump", ["json", "yaml"])
def test_yaml_and_json_are_the_same(dump: str, tmp_path: Path) -> None:
    report = guidellm_report(REQUESTS)
    if dump == "yaml":
        text = pytest.importorskip("yaml").safe_dump(report, sort_keys=False)
    else:
        text = json.dumps(report)
    table, _ = imported(tmp_path, text)
    np.testing.assert_allclose(table["tpot_ms"], TPOT_MS, atol=1e-3)


def test_requests_cut_off_are_left_out(tmp_path: Path) -> None:
    report = guidellm_report(REQUESTS)
    report["benchmarks"][0]["requests"]["incomplete"] = [{"request_id": "late"}]
    _, said = imported(tmp_path, report)
    assert said.skipped == {
        "failed request: 502 (left out)": 2, "request cut off when the run ended (left out)": 1,
    }  # fmt: skip


def test_a_sample_of_the_requests_is_said_to_be_one(tmp_path: Path) -> None:
    report = guidellm_report(REQUESTS)
    del report["benchmarks"][0]["requests"]["successful"][5:]
    table, said = imported(tmp_path, report)
    assert len(table) == 5
    assert "5 of 22 requests are in the file (a sample)" in said.assumptions


@pytest.mark.parametrize(
    ("strategy", "column", "value"),
    [
        ({"type_": "synchronous"}, "concurrency", 1),
        ({"type_": "concurrent", "streams": 8}, "concurrency", 8),
        ({"type_": "constant", "rate": 2.5}, "request_rate", 2.5),
        ({"type_": "poisson", "rate": 3.0, "max_concurrency": 64}, "request_rate", 3),
    ],
)
def test_load_comes_from_the_strategy(
    strategy: dict[str, Any], column: str, value: float, tmp_path: Path
) -> None:
    report = guidellm_report(REQUESTS)
    report["benchmarks"][0]["config"]["strategy"] = strategy
    assert imported(tmp_path, report)[0][column].unique().tolist() == [value]


@pytest.mark.parametrize("strategy", [
    {"type_": "poisson", "rate": 3.0, "max_concurrency": 64},
    {"type_": "throughput", "max_concurrency": 32},
    {"type_": "throughput", "max_concurrency": None},
])  # fmt: skip
def test_a_limit_that_was_not_reached_is_no_load(strategy: dict[str, Any], tmp_path: Path) -> None:
    report = guidellm_report(REQUESTS)
    report["benchmarks"][0]["config"]["strategy"] = strategy
    table = imported(tmp_path, report)[0]
    assert set(table["load_from"]) == {"measured"}
    assert 2 < table["concurrency"].median() < 10
    report["benchmarks"][0]["requests"] = None
    assert imported(tmp_path, report)[0]["concurrency"].tolist() == [3.5]  # mean by the tool


def test_waiting_at_the_client_is_outside_ttft(tmp_path: Path) -> None:
    table, _ = imported(tmp_path, as_guidellm(REQUESTS))
    assert table["client_queue_ms"].to_numpy() == pytest.approx(3, abs=1e-3)
    assert table["timestamp"].to_numpy() == pytest.approx(UNIX + np.array([r.start for r in DONE]))


def test_a_response_that_was_not_streamed_has_no_first_token(tmp_path: Path) -> None:
    report = guidellm_report(REQUESTS[:1])
    request = report["benchmarks"][0]["requests"]["successful"][0]
    for name in ("first_token_iteration", "last_token_iteration"):
        request["info"]["timings"][name] = None
    for name in ("time_to_first_token_ms", "inter_token_latency_ms", "time_per_output_token_ms"):
        request[name] = None
    table, _ = imported(tmp_path, report)
    assert "ttft_ms" not in table
    assert table["e2e_ms"].tolist() == pytest.approx([REQUESTS[0].e2e * 1e3])


def test_csv_names_model_and_percentiles_and_counts_failures(tmp_path: Path) -> None:
    table, report = imported(tmp_path, as_guidellm_csv(REQUESTS), "benchmarks.csv")
    ttft = np.array([r.ttft * 1e3 for r in DONE])
    assert table["model"][0] == "m"
    for name, q in (("ttft_p0p1_ms", 0.1), ("ttft_p50_ms", 50), ("ttft_p99p9_ms", 99.9)):
        assert table[name][0] == pytest.approx(np.percentile(ttft, q))
    assert report.skipped["failed request (left out)"] == len(REQUESTS) - len(DONE)


def test_csv_of_a_run_in_which_all_failed_says_so(tmp_path: Path) -> None:
    """It has no columns of latency at all."""
    failed = [r for r in REQUESTS if r.failed]
    with pytest.raises(NothingUsableError, match=f"{len(failed)} times failed request"):
        imported(tmp_path, as_guidellm_csv(failed), "benchmarks.csv")


def test_an_answer_that_was_not_streamed_has_no_chunks(tmp_path: Path) -> None:
    report = guidellm_report(REQUESTS)
    for request in report["benchmarks"][0]["requests"]["successful"]:
        timings = request["info"]["timings"]
        for name in ("first_request", "first_token", "first_output_token", "last_token"):
            timings[f"{name}_iteration"] = None
        timings |= {"request_iterations": 0, "token_iterations": 0}
        for name in ("time_to_first_token", "inter_token_latency"):
            request[f"{name}_ms"] = None  # time_per_output_token_ms is there nevertheless
    table, _ = imported(tmp_path, report)
    np.testing.assert_allclose(table["e2e_ms"], [r.e2e * 1e3 for r in DONE])
    assert not {"ttft_ms", "tpot_ms", "chunks"} & set(table.dropna(axis="columns", how="all"))


def test_csv_with_three_header_rows_and_a_missing_metric(tmp_path: Path) -> None:
    text = as_guidellm_csv(REQUESTS)
    table, report = imported(tmp_path, text, "benchmarks.csv")
    assert (report.format, table["statistic"].tolist()) == ("guidellm", ["mean"])
    assert table["ttft_p50_ms"][0] < table["e2e_p50_ms"][0]
    short = "\n".join(text.splitlines()[:3])
    with pytest.raises(InputError, match="three header rows and a benchmark"):
        imported(tmp_path, short, "benchmarks.csv")


# AIPerf


def test_both_counts_are_kept_and_the_servers_wins(tmp_path: Path) -> None:
    table, report = imported(tmp_path, as_aiperf(REQUESTS))
    assert (table["osl_client"] == CLIENT * table["osl"]).all()
    assert (table["isl_client"] == CLIENT * table["isl"]).all()
    assert rules(report).count("token counts differ") == 2
    assert "token counts differ" not in rules(imported(tmp_path, as_aiperf(REQUESTS, 1))[1])


def test_without_usage_the_clients_count_is_all_there_is(tmp_path: Path) -> None:
    line = aiperf_line(REQUESTS[0])
    line["metrics"] = {k: v for k, v in line["metrics"].items() if not k.startswith("usage")}
    table, _ = imported(tmp_path, line)
    assert table["osl"].tolist() == [CLIENT * REQUESTS[0].osl]


def test_warm_up_and_cancelled_lines_are_left_out(tmp_path: Path) -> None:
    gone = aiperf_line(REQUESTS[0])
    gone["metadata"]["was_cancelled"] = True
    text = as_aiperf(REQUESTS) + json.dumps(gone) + "\n"
    _, report = imported(tmp_path, text)
    assert report.skipped == {
        "warmup request (left out)": 3, "failed request: Bad Gateway (left out)": 2,
        "cancelled request (left out)": 1,
    }  # fmt: skip


def test_error_may_be_absent_or_null(tmp_path: Path) -> None:
    lines = [aiperf_line(REQUESTS[0]), aiperf_line(REQUESTS[1]) | {"error": None}]
    assert len(imported(tmp_path, "\n".join(map(json.dumps, lines)))[0]) == 2


@pytest.mark.parametrize(("unit", "per_ms"), [("ms", 1), ("sec", 1e-3), ("us", 1e3), ("ns", 1e6)])
def test_units_are_read(unit: str, per_ms: float, tmp_path: Path) -> None:
    line = aiperf_line(REQUESTS[0])
    for name in ("time_to_first_token", "request_latency"):
        line["metrics"][name] = {"value": line["metrics"][name]["value"] * per_ms, "unit": unit}
    table, _ = imported(tmp_path, line)
    assert table["ttft_ms"][0] == pytest.approx(REQUESTS[0].ttft * 1e3)
    assert table["e2e_ms"][0] == pytest.approx(REQUESTS[0].e2e * 1e3)


def test_a_unit_nobody_knows_is_refused(tmp_path: Path) -> None:
    line = aiperf_line(REQUESTS[0])
    line["metrics"]["request_latency"]["unit"] = "fortnights"
    with pytest.raises(InputError, match="fortnights"):
        imported(tmp_path, line)


def test_a_summary_with_a_wrong_count_is_computed_again(tmp_path: Path) -> None:
    requests = [r for r in DONE if r.osl == 64]
    right, wrong = (
        imported(tmp_path, as_aiperf_summary(requests, client))[0]["tpot_ms"][0]
        for client in (1, 2)
    )
    assert wrong == pytest.approx(right, rel=1e-9)
    assert "token counts differ" in rules(imported(tmp_path, as_aiperf_summary(requests, 2))[1])


def aiperf_csv(summary: str) -> str:
    """The same summary as the tool writes it as CSV."""
    blocks = {k: v for k, v in json.loads(summary).items() if isinstance(v, dict) and "avg" in v}
    names = {"request_latency": "Request Latency (ms)", "request_count": "Request Count",
             "time_to_first_token": "Time to First Token (ms)",
             "inter_token_latency": "Inter Token Latency (ms)"}  # fmt: skip
    several = [f"{names[k]},{v['avg']:.2f}" for k, v in blocks.items() if k in names and "p99" in v]
    count = f"Request Count,{blocks['request_count']['avg']:.2f}"
    return "\n".join(["Metric,avg", *several, "", "Metric,Value", count]) + "\n"


def test_a_folder_counts_nothing_twice(tmp_path: Path) -> None:
    (tmp_path / "profile_export.jsonl").write_text(as_aiperf(REQUESTS))
    (tmp_path / "profile_export_aiperf.json").write_text(as_aiperf_summary(REQUESTS))
    (tmp_path / "inputs.json").write_text('{"data": [{"session_id": "a", "payloads": []}]}')
    (tmp_path / "profile_export_aiperf.csv").write_text(aiperf_csv(as_aiperf_summary(REQUESTS)))
    phase = tmp_path / "phases" / "warmup"
    phase.mkdir(parents=True)
    (phase / "profile_export_aiperf.json").write_text(as_aiperf_summary(REQUESTS[:3]))
    table, report = import_table(tmp_path)
    assert len(table) == len(DONE)
    assert report.skipped["summary of requests that are read (left out)"] == 1
    assert any("inputs.json, profile_export_aiperf.csv" in text for text in report.assumptions)


def test_files_in_one_command_count_nothing_twice_either(tmp_path: Path) -> None:
    for name, text in (("a", as_aiperf(REQUESTS)), ("b", as_aiperf_summary(REQUESTS))):
        (tmp_path / name).write_text(text)
    table, reports = import_files([tmp_path / "b", tmp_path / "a"])
    assert len(table) == len(DONE)
    assert [report.rows_kept for report in reports] == [0, len(DONE)]


def test_a_summary_of_another_run_is_kept(tmp_path: Path) -> None:
    (tmp_path / "a").write_text(as_aiperf(REQUESTS))
    (tmp_path / "b").write_text(as_aiperf_summary(run(seed=9)))
    table, _ = import_files([tmp_path / "a", tmp_path / "b"])
    assert len(table) == len(DONE) + 1


# genai-perf


@pytest.mark.parametrize("unit", ["ms", "sec", "ns"])
def test_genai_perf_units(unit: str, tmp_path: Path) -> None:
    table, report = imported(tmp_path, as_genai_perf(REQUESTS, unit))
    assert report.format == "genai-perf"
    assert table["ttft_ms"][0] == pytest.approx(np.mean([r.ttft for r in DONE]) * 1e3)
    assert table["e2e_p99_ms"][0] == pytest.approx(
        np.percentile([r.e2e for r in DONE], 99) * 1e3
    )  # fmt: skip
    assert (table["model"][0], table["concurrency"][0]) == ("Qwen/Qwen3-0.6B", 4)


def test_genai_perf_wrapped(tmp_path: Path) -> None:
    wrapped = {"run": {"genai_perf": json.loads(as_genai_perf(REQUESTS))}, "note": "x"}
    assert imported(tmp_path, wrapped)[1].format == "genai-perf"


def test_genai_perf_without_streaming_has_no_ttft(tmp_path: Path) -> None:
    blocks = summary_blocks(REQUESTS, 1)
    del blocks["time_to_first_token"], blocks["inter_token_latency"]
    table, _ = imported(tmp_path, {**blocks, "input_config": {"model": "m"}})
    assert "ttft_ms" not in table
    assert table["e2e_ms"].notna().all()


@pytest.mark.parametrize(("asked", "flagged"), [(16, True), (64, False), (None, False)])
def test_genai_perf_counted_more_than_was_asked_for(
    asked: int | None, flagged: bool, tmp_path: Path
) -> None:
    """It has no count but that of its own tokenizer; the server made 16 tokens."""
    found = json.loads(as_genai_perf(REQUESTS))
    found["output_sequence_length"]["avg"] = 64.0
    found["input_config"]["input"] = {"output_tokens": {"mean": asked, "stddev": 0}}
    _, report = imported(tmp_path, found)
    assert ("token counts differ" in rules(report)) == flagged
    assert any("own tokenizer" in text for text in report.assumptions)
