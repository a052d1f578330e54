"""Traps of printed results: contradictions, failures, what is not said, several in a file."""

import json
from pathlib import Path

import pandas as pd
import pytest
from printouts_engines import mlx_generate, ollama_verbose, trtllm
from printouts_llama import batched_bench, llama_bench, llama_benchy_concurrent
from printouts_serving import serving_block, vllm_console, vllm_console_of_2024
from printouts_tables import aiperf_csv, lmdeploy_throughput

from lengthwise.data.formats import llama_log
from lengthwise.data.importing import import_table
from lengthwise.data.report import ImportReport
from lengthwise.errors import ColumnError, FileFormatError, InputError, NothingUsableError


def imported(folder: Path, text: str) -> tuple[pd.DataFrame, ImportReport]:
    path = folder / "out.txt"
    path.write_text(text, encoding="utf-8")
    return import_table(path)


def rules(report: ImportReport) -> list[str]:
    return [flag.rule for flag in report.flags]


LLAMA_BENCH = """ggml_cuda_init: found 1 CUDA devices:
  Device 0: Some GPU, compute capability 9.0, VMM: yes
| model         |     size | params | backend | ngl | n_ubatch | fa |            test |             t/s |
| ------------- | -------: | -----: | ------- | --: | -------: | -: | --------------: | --------------: |
| llama 8B Q8_0 | 7.95 GiB | 8.03 B | CUDA    |  99 |     2048 |  1 |           pp512 | 5120.00 ± 10.00 |
| llama 8B Q8_0 | 7.95 GiB | 8.03 B | CUDA    |  99 |     2048 |  1 |           tg128 |   100.00 ± 0.50 |
| llama 8B Q8_0 | 7.95 GiB | 8.03 B | CUDA    |  99 |     2048 |  1 | pp2048 @ d32768 |  2048.00 ± 5.00 |
| llama 8B Q8_0 | 7.95 GiB | 8.03 B | CUDA    |  99 |     2048 |  1 |   tg32 @ d32768 |    50.00 ± 0.10 |

build: abc1234 (9000)
"""  # noqa: E501


def test_llama_bench_as_printed(tmp_path: Path) -> None:
    table, _ = imported(tmp_path, LLAMA_BENCH)
    assert table["latency_ms"].tolist() == [100.0, 10.0, 1000.0, 20.0]
    assert table["cached_tokens"].tolist()[2] == 32768
    assert table["context_len"].tolist()[3] == 32785
    labels = table[["precision", "engine", "engine_version", "hardware"]].drop_duplicates()
    assert labels.values.tolist() == [["q8_0", "llama.cpp", "b9000 (abc1234)", "Some GPU"]]
    assert table["relative_stddev"].iloc[1] == pytest.approx(0.005)


@pytest.mark.parametrize(
    ("text", "old", "new"),
    [
        (vllm_console(1.0)[0], "Total generated tokens:                  12800",
         "Total generated tokens:                  25600"),
        (trtllm(1.0)[0], "Output Length (tokens): 128", "Output Length (tokens): 99"),
        (batched_bench(1.0)[0], "12800.00", "9000.00"),
        (lmdeploy_throughput(1.0)[0], "300.000", "200.000"),
        (ollama_verbose(1.0)[0], "eval rate:            16.75", "eval rate:            99.99"),
    ],
    ids=["console", "trtllm", "batched", "lmdeploy", "ollama"],
)  # fmt: skip
def test_figures_that_contradict_each_other_are_flagged(
    text: str, old: str, new: str, tmp_path: Path
) -> None:
    assert old in text
    _, report = imported(tmp_path, text.replace(old, new))
    assert "figures disagree" in rules(report)


def test_a_run_in_which_all_failed_leaves_no_row(tmp_path: Path) -> None:
    counts = [("Successful requests", 0), ("Failed requests", 40), ("Benchmark duration (s)", 3.0)]
    block = serving_block(counts, {"TTFT": 0.0, "TPOT": 0.0, "ITL": 0.0}, ("Mean", "P99"))
    with pytest.raises(NothingUsableError, match="40 times failed request"):
        imported(tmp_path, block)
    good = vllm_console_of_2024(1.0)[0]
    table, report = imported(tmp_path, f"{good}\n{block}\n")
    assert len(table) == 1
    assert report.skipped["failed request (left out)"] == 40


def test_a_run_that_was_not_streamed_has_no_first_token(tmp_path: Path) -> None:
    counts = [("Successful requests", 10), ("Total generated tokens", 640)]
    times = {"TTFT": 900.0, "TPOT": 0.0, "ITL": 0.0, "E2EL": 900.0}
    table, _ = imported(tmp_path, serving_block(counts, times, ("Mean", "Median")))
    assert table["e2e_ms"].tolist() == [900.0]
    assert not {"ttft_ms", "tpot_ms"} & set(table.dropna(axis="columns", how="all"))


def test_two_tools_in_one_text_are_told_apart_by_the_option(tmp_path: Path) -> None:
    path = tmp_path / "page.md"
    path.write_text(llama_bench(1.0)[0] + vllm_console(1.0)[0], encoding="utf-8")
    with pytest.raises(FileFormatError, match="llama-bench or serving-console"):
        import_table(path)
    assert len(import_table(path, file_format="serving-console")[0]) == 2


def test_the_speed_of_all_is_not_that_of_one(tmp_path: Path) -> None:
    text = llama_benchy_concurrent(1.0)[0]
    lines = [line.split("|") for line in text.splitlines() if line.startswith("|")]
    total = "\n".join("|".join(cells[:4] + cells[7:]) for cells in lines)
    table, report = imported(tmp_path, total)
    assert table["tpot_ms"].isna().tolist() == [False, True]
    assert any("all requests together" in text for text in report.assumptions)


def test_speeds_without_lengths_are_counted_and_left_out(tmp_path: Path) -> None:
    text = "Prompt: 102.300 tokens-per-sec\nGeneration: 54.200 tokens-per-sec\n"
    with pytest.raises(NothingUsableError, match="generation without its lengths"):
        imported(tmp_path, text)
    table, report = imported(tmp_path, mlx_generate(1.0)[0] + text)
    assert len(table) == 2
    assert report.rows_read == 3


def test_a_latency_without_its_shape_is_asked_for(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="--set batch_size=N --set isl=N --set osl=N"):
        imported(tmp_path, "Avg latency: 2.5 seconds\n")


def test_requests_of_a_summary_are_in_flight_by_littles_law(tmp_path: Path) -> None:
    table, report = imported(tmp_path, aiperf_csv(1.0)[0])
    assert table[["concurrency", "load_from"]].values.tolist() == [[8.0, "measured"]]
    assert "batch_size" not in table.dropna(axis="columns", how="all")
    assert not any("batch_size is 1" in text for text in report.assumptions)


@pytest.mark.parametrize(
    ("log", "name"),
    [
        (2 * "  Device 0: A10G, VMM\n  Device 1: A10G, VMM\n", "A10G, A10G"),
        ("ggml_vulkan: 0 = AMD Radeon RX 7900 XTX (RADV) | uma: 0", "AMD Radeon RX 7900 XTX"),
        ("ggml_metal_init: picking default device: Apple M2 Max\n", "Apple M2 Max"),
        ("ggml_metal_device_init: GPU name:   Apple M4 Pro\n", "Apple M4 Pro"),
        ("nothing here", None),
    ],
)  # fmt: skip
def test_devices_of_every_backend(log: str, name: str | None) -> None:
    assert llama_log.devices(log) == name


def test_the_log_of_llama_cpp_names_model_and_precision() -> None:
    log = (
        "main: build = 6000 (abcdef12)\nprint_info: file type   = Q4_K - Medium\n"
        "print_info: general.name     = Qwen3 8B\n"
    )
    labels = llama_log.labels(log)
    assert labels["model"] == "Qwen3 8B"
    assert labels["precision"] == "q4_k_m"
    assert labels["engine_version"] == "b6000 (abcdef12)"


def test_a_report_of_requests_is_no_text(tmp_path: Path) -> None:
    """JSON that quotes a printed result is JSON."""
    path = tmp_path / "x.json"
    path.write_text(json.dumps({"log": vllm_console(1.0)[0]}))
    with pytest.raises(ColumnError, match="among log"):
        import_table(path)


def test_a_log_of_a_container_puts_its_name_before_each_line(tmp_path: Path) -> None:
    text, [first, _] = vllm_console(1.0)
    lines = [f"bench-1  | 2026-12-01T10:00:00Z {line}" for line in text.splitlines()]
    table, _ = imported(tmp_path, "\n".join(lines) + "\n")
    assert len(table) == 2
    assert table["ttft_ms"].iloc[0] == pytest.approx(first["ttft_ms"])
    assert table["concurrency"].iloc[0] == 8


def test_a_run_on_the_processor_is_not_of_the_accelerator_beside_it(tmp_path: Path) -> None:
    table, _ = imported(tmp_path, LLAMA_BENCH.replace("|  99 |", "|   0 |"))
    assert "hardware" not in table
