"""vLLM bench serve and SGLang serving: the traps of their arrays."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from exports import as_sglang, as_vllm, good, run, sglang_run, vllm_run

from lengthwise.data.importing import import_table
from lengthwise.data.report import ImportReport
from lengthwise.errors import InputError

REQUESTS = run()


def imported(folder: Path, text: str, **options: Any) -> tuple[pd.DataFrame, ImportReport]:
    path = folder / "result.json"
    path.write_text(text)
    return import_table(path, **options)


def rules(report: ImportReport) -> list[str]:
    return [flag.rule for flag in report.flags]


@pytest.mark.parametrize("between", ["\n", "", "\n\n"])
def test_appended_runs_are_all_read(between: str, tmp_path: Path) -> None:
    runs = [json.dumps(vllm_run(REQUESTS, max_concurrency=c), indent=2) for c in (1, 8)]
    table, report = imported(tmp_path, between.join(runs))
    assert table["concurrency"].value_counts()[1] == 22  # a limit of 1 is a fact, one of 8 not
    assert table["load_from"].value_counts().to_dict() == {"measured": 22}
    assert report.skipped == {"failed request: Bad Gateway (left out)": 4}


def test_old_files_take_the_end_from_the_gaps(tmp_path: Path) -> None:
    table, _ = imported(tmp_path, as_vllm(REQUESTS, old=True))
    np.testing.assert_allclose(table["e2e_ms"], [r.e2e * 1e3 for r in good(REQUESTS)], rtol=1e-9)
    assert "client_queue_ms" not in table


def test_latency_wins_over_the_gaps_where_it_is_there(tmp_path: Path) -> None:
    late = vllm_run(REQUESTS)
    late["latencies"] = [x + 0.5 if x else x for x in late["latencies"]]
    table, _ = imported(tmp_path, json.dumps(late))
    wanted = [(r.e2e + 0.5) * 1e3 for r in good(REQUESTS)]
    np.testing.assert_allclose(table["e2e_ms"], wanted, rtol=1e-9)
    several = table["osl"] > 1
    tpot = [r.tpot * 1e3 for r in good(REQUESTS) if r.tpot is not None]
    np.testing.assert_allclose(table["tpot_ms"][several], tpot, rtol=1e-9)


def test_wait_at_the_client_and_in_the_engine_are_two_columns(tmp_path: Path) -> None:
    n = len(REQUESTS)
    text = as_vllm(REQUESTS, server_queue_times=[0.004] * n, server_ttfts=[0.02] * n)
    table, _ = imported(tmp_path, text)
    assert table["client_queue_ms"].unique().tolist() == pytest.approx([2.0])
    assert table["queue_ms"].unique().tolist() == pytest.approx([4.0])
    assert table["ttft_server_ms"].unique().tolist() == pytest.approx([20.0])


def test_engine_queue_may_be_unknown_for_some(tmp_path: Path) -> None:
    times = [None, *[0.004] * (len(REQUESTS) - 1)]
    table, _ = imported(tmp_path, as_vllm(REQUESTS, server_queue_times=times))
    assert table["queue_ms"].isna().tolist() == [True] + [False] * (len(table) - 1)


@pytest.mark.parametrize("save", [as_vllm, as_sglang])
def test_several_tokens_in_a_chunk(save: Any, tmp_path: Path) -> None:
    """Speculative decoding: every gap brings two tokens, so a gap is twice a token's time."""
    chunked = json.loads(save(REQUESTS))
    chunked["output_lens"] = [2 * n - 1 if n else 0 for n in chunked["output_lens"]]
    table, report = imported(tmp_path, json.dumps(chunked))
    row = int(np.argmax(table["osl"] > 10))
    request = good(REQUESTS)[row]
    assert table["tpot_ms"][row] == pytest.approx(request.tpot * 1e3 / 2)
    assert table["itl_mean_ms"][row] == pytest.approx(request.tpot * 1e3)
    flag = next(flag for flag in report.flags if flag.rule == "tokens in chunks")
    assert flag.count == (table["osl"] > 1).sum()


@pytest.mark.parametrize(("accepted", "severity"), [(1.9, "info"), (None, "warning")])
def test_chunks_without_a_known_cause_are_a_warning(
    accepted: float | None, severity: str, tmp_path: Path
) -> None:
    """A client that was told no counts believes its own tokenizer: 13 tokens for each of 1."""
    run = json.loads(as_sglang(REQUESTS, accept_length=accepted))
    run["output_lens"] = [13 * n for n in run["output_lens"]]
    _, report = imported(tmp_path, json.dumps(run))
    flag = next(flag for flag in report.flags if flag.rule == "tokens in chunks")
    assert flag.severity == severity
    assert ("--map osl=chunks" in flag.remedy) == (severity == "warning")


def test_the_remedy_for_foreign_counts_gives_the_truth(tmp_path: Path) -> None:
    run = json.loads(as_vllm(REQUESTS))
    run["output_lens"] = [13 * n for n in run["output_lens"]]
    maps = ["osl=chunks", "tpot_ms=itl_mean_ms"]
    table, _ = imported(tmp_path, json.dumps(run), maps=maps)
    wanted = [(r.osl, r.tpot * 1e3) for r in good(REQUESTS) if r.osl > 1]
    found = table[table["osl"] > 1][["osl", "tpot_ms"]].to_numpy()
    np.testing.assert_allclose(found, wanted)


@pytest.mark.parametrize("save", [as_vllm, as_sglang])
def test_an_empty_chunk_at_the_end_is_no_token(save: Any, tmp_path: Path) -> None:
    """llama.cpp says why it stopped in a chunk without text, which vLLM's client times too."""
    run = json.loads(save(REQUESTS))
    run["itls"] = [[*gaps, 1e-5] if n else [] for gaps, n in
                   zip(run["itls"], run["output_lens"], strict=True)]  # fmt: skip
    table, report = imported(tmp_path, json.dumps(run))
    plain, _ = imported(tmp_path, save(REQUESTS))
    for column in ("ttft_ms", "tpot_ms", "itl_mean_ms", "chunks"):
        np.testing.assert_allclose(table[column], plain[column])
    assert "tokens in chunks" not in [flag.rule for flag in report.flags]


@pytest.mark.parametrize("save", [as_vllm, as_sglang])
def test_a_run_that_was_not_streamed_has_no_ttft(save: Any, tmp_path: Path) -> None:
    """Both clients then call the time of the whole answer ttft."""
    one = json.loads(save(REQUESTS))
    one["itls"] = [[] for _ in REQUESTS]
    one["ttfts"] = [0.0 if r.failed else r.e2e for r in REQUESTS]
    one.pop("latencies", None)
    table, report = imported(tmp_path, json.dumps(one))
    np.testing.assert_allclose(table["e2e_ms"], [r.e2e * 1e3 for r in good(REQUESTS)])
    for column in ("ttft_ms", "tpot_ms"):
        assert column not in table or table[column].isna().all()
    assert any("not streamed" in text for text in report.assumptions)


def test_means_of_a_run_that_was_not_streamed_have_no_ttft(tmp_path: Path) -> None:
    run = json.loads(as_sglang(REQUESTS, detailed=False))
    run |= {key: 0.0 for key in run if key.endswith(("_itl_ms", "_tpot_ms"))}
    run["mean_ttft_ms"] = run["mean_e2e_latency_ms"]
    table, _ = imported(tmp_path, json.dumps(run))
    assert table["e2e_ms"][0] == run["mean_e2e_latency_ms"]
    assert not [name for name in table if str(name).startswith(("ttft", "tpot", "itl"))]


@pytest.mark.parametrize(
    ("backend", "info", "engine"),
    [("sglang", None, "sglang"), ("sglang-oai", {"tp_size": 2}, "sglang"),
     ("sglang-oai", None, None), ("vllm", None, None)],
)  # fmt: skip
def test_the_engine_is_sglang_only_where_that_is_sure(
    backend: str, info: Any, engine: str | None, tmp_path: Path
) -> None:
    """sglang-oai is the client's default way to speak to any OpenAI-compatible server."""
    table, _ = imported(tmp_path, as_sglang(REQUESTS, backend=backend, server_info=info))
    assert (table["engine"][0] if "engine" in table else None) == engine


def test_no_limit_and_no_rate_means_all_at_once(tmp_path: Path) -> None:
    table, report = imported(tmp_path, as_vllm(REQUESTS, max_concurrency=None))
    assert table["concurrency"].between(1, len(REQUESTS)).all()
    assert table["concurrency"].max() > 1
    assert "batch_size" not in table
    assert any("all requests were sent at once" in text for text in report.assumptions)


def test_a_rate_is_a_rate_and_inf_is_none(tmp_path: Path) -> None:
    table, _ = imported(tmp_path, as_vllm(REQUESTS, request_rate=2.5, max_concurrency=None))
    assert table["request_rate"].unique().tolist() == [2.5]
    assert set(table["load_from"]) == {"measured"}
    ramp = as_vllm(REQUESTS, request_rate=2.5, ramp_up_strategy="linear", max_concurrency=8)
    assert "request_rate" not in imported(tmp_path, ramp)[0]


def test_labels_come_from_metadata_and_set_wins(tmp_path: Path) -> None:
    text = as_vllm(REQUESTS, hardware="h100", tensor_parallel_size="2", node="n17")
    table, report = imported(tmp_path, text)
    assert (table["model"][0], table["hardware"][0], table["tp"][0]) == (
        "Qwen/Qwen3-0.6B", "h100", 2,
    )  # fmt: skip
    assert table["node"][0] == "n17"
    assert not any("not in the file" in text for text in report.assumptions)
    table, _ = imported(tmp_path, text, constants={"hardware": "h200", "model": "mine"})
    assert (table["hardware"][0], table["model"][0]) == ("h200", "mine")


def test_hardware_is_not_in_the_file_and_the_report_says_so(tmp_path: Path) -> None:
    _, report = imported(tmp_path, as_vllm(REQUESTS))
    assert any("--set hardware=NAME" in text for text in report.assumptions)


def test_sglang_names_the_engine(tmp_path: Path) -> None:
    table, _ = imported(tmp_path, as_sglang(REQUESTS))
    assert (table["engine"][0], table["engine_version"][0], table["tp"][0]) == (
        "sglang", "0.5.23", 2,
    )  # fmt: skip
    assert "precision" not in table


def test_sglang_lines_and_a_trace_for_a_rate(tmp_path: Path) -> None:
    text = as_sglang(REQUESTS, request_rate="trace") + as_sglang(REQUESTS, max_concurrency=16)
    table, _ = imported(tmp_path, text)
    assert sorted(table["concurrency"].unique()) == [3.2, 4]  # 16 was a limit, 3.2 what ran


def test_sglang_counts_that_differ_in_sum_are_flagged(tmp_path: Path) -> None:
    total = sum(r.osl for r in good(REQUESTS))
    off = as_sglang(REQUESTS, total_output_tokens_retokenized=2 * total)
    assert "token counts differ" in rules(imported(tmp_path, off)[1])
    near = as_sglang(REQUESTS, total_output_tokens_retokenized=round(1.04 * total))
    assert "token counts differ" not in rules(imported(tmp_path, near)[1])


def test_sglang_prefix_hits(tmp_path: Path) -> None:
    table, _ = imported(tmp_path, as_sglang(REQUESTS, cached_tokens=[16] * len(REQUESTS)))
    assert table["cached_tokens"].unique().tolist() == [16]


def test_means_can_be_used_when_the_user_says_so(tmp_path: Path) -> None:
    text = as_vllm(REQUESTS, detailed=False)
    table, report = imported(tmp_path, text, maps=["isl=isl_mean", "osl=osl_mean"])
    assert report.rows_kept == 1
    assert "means only" not in rules(report)
    assert table["statistic"].tolist() == ["mean"]


def test_lists_of_different_length_are_refused(tmp_path: Path) -> None:
    torn = vllm_run(REQUESTS)
    torn["output_lens"] = torn["output_lens"][:-1]
    with pytest.raises(InputError, match="23 output_lens and 24 ttfts"):
        imported(tmp_path, json.dumps(torn))


def test_a_sweep_folder_is_its_runs_and_not_their_summaries(tmp_path: Path) -> None:
    for clients in (1, 8):
        folder = tmp_path / f"SERVE-tp=1/BENCH-max_concurrency={clients}"
        folder.mkdir(parents=True)
        runs = []
        for number in (0, 1):
            runs.append(vllm_run(run(seed=number), max_concurrency=clients, run_number=number))
            (folder / f"run={number}.json").write_text(json.dumps(runs[-1]))
        (folder / "summary.json").write_text(json.dumps(runs))
    (tmp_path / "summary.csv").write_text(",max_concurrency\n0,1\n")
    (folder / "run=2.json").write_text('{"run_number": 2, "error": "server died"}')
    table, report = import_table(tmp_path)
    assert "not read: run=2.json" in report.assumptions
    assert len(table) == 4 * len(good(REQUESTS))
    assert report.format == "vllm-serve"
    assert table["run_number"].value_counts().to_dict() == {0: 44, 1: 44}


def test_sglang_run_is_not_vllm(tmp_path: Path) -> None:
    assert imported(tmp_path, json.dumps(sglang_run(REQUESTS)))[1].format == "sglang-serving"
