"""vLLM latency, throughput and forward; SGLang one_batch: batches of known shape."""

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from lengthwise.data.importing import import_table
from lengthwise.data.report import ImportReport
from lengthwise.data.work import work_of
from lengthwise.errors import InputError

LATENCY = {"avg_latency": 0.51, "latencies": [0.5, 0.52],
           "percentiles": {"10": 0.5, "50": 0.51, "99": 0.52}}  # fmt: skip


def imported(
    folder: Path, found: Any, name: str = "x.json", **options: Any
) -> tuple[pd.DataFrame, ImportReport]:
    path = folder / name
    path.write_text(found if isinstance(found, str) else json.dumps(found))
    return import_table(path, **options)


def test_latency_asks_for_what_the_file_does_not_hold(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="--set batch_size=N --set isl=N --set osl=N"):
        imported(tmp_path, LATENCY)
    given = {"batch_size": "8", "isl": "32", "osl": "128"}
    table, report = imported(tmp_path, LATENCY, constants=given)
    assert table["e2e_ms"].tolist() == [500, 520]
    assert table[["batch_size", "isl", "osl"]].iloc[0].tolist() == [8, 32, 128]
    assert report.rows_kept == 2


def test_latency_reads_the_file_name_and_says_so(tmp_path: Path) -> None:
    name = "latency_llama8B_tp2_bs4_in1024_out128.json"
    table, report = imported(tmp_path, LATENCY | {"std_latency": 0.01}, name)
    assert table[["batch_size", "isl", "osl", "tp"]].iloc[0].tolist() == [4, 1024, 128, 2]
    assert "batch_size=4 is taken from the file name" in report.assumptions


def test_throughput_is_kept_and_no_latency(tmp_path: Path) -> None:
    found = {"elapsed_time": 12.5, "num_requests": 100, "total_num_tokens": 51200,
             "requests_per_second": 8.0, "tokens_per_second": 4096.0}  # fmt: skip
    table, report = imported(tmp_path, found)
    assert (table["elapsed_ms"][0], table["tokens_per_s"][0]) == (12500, 4096)
    assert report.rows_kept == 0
    assert report.flags[0].rule == "no latency"


def case(name: str, us: float, *requests: tuple[int, int], drafts: int = 0, spread: float = 0.1
         ) -> dict[str, Any]:  # fmt: skip
    return {
        "case": name, "median_us": us,
        "requests": [{"query_len": q, "kv_len": k, "num_draft_tokens": drafts, "chunked": False}
                     for q, k in requests],
        "ranks": [{"num_tokens": sum(q for q, _ in requests), "kv_blocks": 9, "routing": "default",
                   "latency_us": {"timer": "cuda_graph", "median": us, "sample_spread_pct": spread,
                                  "mean": us, "std": 1.0, "min": us, "p90": us, "count": 30,
                                  "samples_us": [us]},
                   "graph_vs_eager": {"max_abs": 0.0, "relative_rms": 0.0}}],
    }  # fmt: skip


def test_forward_shapes_become_phases_with_exact_sums(tmp_path: Path) -> None:
    table, report = imported(tmp_path, [
        case("prefill", 8000, (512, 512), (512, 512)), case("hit", 4000, (512, 2048)),
        case("decode", 900, (1, 1000), (1, 3000)), case("mix", 9000, (512, 512), (1, 1000)),
        case("verify", 950, (4, 400), drafts=3), case("ragged", 5000, (100, 100), (300, 300)),
    ])  # fmt: skip
    assert report.format == "vllm-forward"
    assert table["phase"].tolist() == ["prefill", "prefill", "decode", "mixed", "mixed", "mixed"]
    assert table["latency_ms"].tolist() == [8, 4, 0.9, 9, 0.95, 5]
    assert table.loc[0, ["isl", "cached_tokens", "batch_size"]].tolist() == [512, 0, 2]
    assert table.loc[1, ["isl", "cached_tokens", "batch_size"]].tolist() == [2048, 1536, 1]
    assert table.loc[2, ["context_len", "batch_size"]].tolist() == [2000, 2]
    sums = ["sum_query_len", "sum_context_len", "sum_query_x_context", "batch_size"]
    assert table.loc[3, sums].tolist() == [513, 1512, 512 * 512 + 1000, 2]
    assert table.loc[4, sums].tolist() == [4, 400, 1600, 1]
    assert table.loc[5, sums].tolist() == [400, 400, 100**2 + 300**2, 2]


def test_a_mixed_step_is_the_work_of_its_parts(tmp_path: Path) -> None:
    cases = [case("p", 1, (512, 2048)), case("d", 1, (1, 900)), case("m", 1, (512, 2048), (1, 900))]
    table, _ = imported(tmp_path, cases)
    work = [work_of(table.iloc[[i]]) for i in range(3)]
    for name in ("attention_pairs", "new_tokens", "kv_tokens"):
        parts = getattr(work[0], name)[0] + getattr(work[1], name)[0]
        assert getattr(work[2], name)[0] == pytest.approx(parts)


def test_unstable_timing_is_flagged(tmp_path: Path) -> None:
    _, report = imported(tmp_path, [case("a", 9, (8, 8)), case("b", 9, (9, 9), spread=0.6)])
    assert next((f.rule, f.rows) for f in report.flags) == ("unstable timing", (1,))


ONE_BATCH = {
    "run_name": "default", "batch_size": 4, "input_len": 256, "output_len": 32,
    "prefill_latency": 0.05, "prefill_throughput": 20480.0, "median_decode_latency": 0.006,
    "median_decode_throughput": 666.0, "total_latency": 0.24, "overall_throughput": 4800.0,
}  # fmt: skip


def test_one_batch_is_a_prefill_and_a_median_decode(tmp_path: Path) -> None:
    lines = [ONE_BATCH, {k: v for k, v in ONE_BATCH.items() if "decode" not in k}]
    table, report = imported(tmp_path, "\n".join(map(json.dumps, lines)))
    assert report.format == "sglang-one-batch"
    assert table["phase"].tolist() == ["prefill", "decode", "prefill"]
    assert table["latency_ms"].tolist() == [50, 6, 50]
    # Decodes 1..31 have contexts 257..287, of which 272 is the middle one.
    assert table["context_len"][1] == 272
    assert table["isl"][0] == 256
    assert table["batch_size"].unique().tolist() == [4]


def test_one_batch_server_is_a_request(tmp_path: Path) -> None:
    line = {
        "run_name": "x", "batch_size": 8, "input_len": 1024, "output_len": 16, "latency": 0.85,
        "input_throughput": 1.0, "output_throughput": 1.0, "overall_throughput": 1.0,
        "last_ttft": 0.1, "last_gen_throughput": 160.0, "acc_length": -1.0, "cache_hit_rate": 0.5,
    }  # fmt: skip
    table, report = imported(tmp_path, json.dumps(line))
    row = table.iloc[0]
    assert (row["ttft_ms"], row["e2e_ms"]) == (100, 850)
    assert row["tpot_ms"] == pytest.approx(50)
    assert (row["batch_size"], row["cached_tokens"]) == (8, 512)
    assert any("last sequence of the batch" in text for text in report.assumptions)
