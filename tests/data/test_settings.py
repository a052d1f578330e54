"""Settings outside the columns of a deployment: part of it, or named in a warning."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from lengthwise.data.checks import check_table
from lengthwise.data.identity import deployment_of
from lengthwise.data.importing import import_files, import_table
from lengthwise.data.table import prepare

LENGTHS = (512, 1024, 2048, 4096)


def bench(factor: float, **settings: Any) -> list[dict[str, Any]]:
    """A sweep of prompts as llama-bench writes it, slower by a factor."""
    base = {
        "build_commit": "abc1234", "build_number": 9000, "cpu_info": "cpu", "gpu_info": "gpu",
        "backends": "CUDA", "model_filename": "models/m-Q8_0.gguf", "model_type": "llama 8B Q8_0",
        "n_batch": 2048, "n_ubatch": 512, "n_threads": 8, "type_k": "f16", "type_v": "f16",
        "n_gpu_layers": 99, "flash_attn": 1, "split_mode": "layer", "no_kv_offload": False,
        "test_time": "2026-01-01T00:00:00Z", "n_gen": 0, "n_depth": 0,
    }  # fmt: skip
    tests = []
    for n in LENGTHS:
        samples = [factor * (2e5 * n + 2 * n * n) + 1e3 * k for k in range(3)]
        tests.append({**base, "n_prompt": n, "avg_ns": sum(samples) / 3, "stddev_ns": 1e3,
                      "avg_ts": 1.0, "samples_ns": samples, **settings})  # fmt: skip
    return tests


def lines(path: Path, objects: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(one) + "\n" for one in objects))
    return path


@pytest.mark.parametrize(
    ("name", "one", "two"),
    [
        ("n_gpu_layers", 99, 10),
        ("n_threads", 8, 4),
        ("flash_attn", 1, 0),
        ("type_k", "f16", "q8_0"),
        ("n_ubatch", 512, 128),
        ("split_mode", "layer", "row"),
        ("no_kv_offload", False, True),
        ("backends", "CUDA", "Vulkan"),
    ],
)
def test_a_sweep_of_a_setting_is_a_sweep_of_deployments(
    name: str, one: Any, two: Any, tmp_path: Path
) -> None:
    records = [*bench(1.0, **{name: one}), *bench(6.0, **{name: two})]
    table, report = import_table(lines(tmp_path / "runs.jsonl", records))
    assert deployment_of(table).nunique() == 2
    assert table["settings"].str.startswith(f"{name}=").all()
    assert table.groupby("settings")["latency_ms"].median().nunique() == 2
    assert any(f"differ in {name} are of different deployments" in x for x in report.assumptions)


def test_settings_of_two_files_are_compared(tmp_path: Path) -> None:
    paths = [
        lines(tmp_path / f"{layers}.jsonl", bench(factor, n_gpu_layers=layers))
        for layers, factor in ((99, 1.0), (10, 6.0))
    ]
    assert "settings" not in import_table(paths[0])[0]  # it tells nothing apart
    table, _ = import_files(paths)
    assert set(table["settings"]) == {"n_gpu_layers=99", "n_gpu_layers=10"}
    apart = [import_table(path)[0] for path in paths]
    assert set(prepare(pd.concat(apart))["settings"]) == {"n_gpu_layers=99", "n_gpu_layers=10"}


def test_several_settings_are_all_named(tmp_path: Path) -> None:
    records = [
        *bench(1.0), *bench(2.0, flash_attn=0), *bench(6.0, flash_attn=0, n_gpu_layers=10),
    ]  # fmt: skip
    table, _ = import_table(lines(tmp_path / "runs.jsonl", records))
    assert set(table["settings"]) == {
        "n_gpu_layers=99, flash_attn=1", "n_gpu_layers=99, flash_attn=0",
        "n_gpu_layers=10, flash_attn=0",
    }  # fmt: skip


def vllm(step_ms: float, **metadata: Any) -> dict[str, Any]:
    sizes = [64, 128, 256, 512] * 3
    return {
        "backend": "vllm", "endpoint_type": "vllm", "model_id": "m", "num_prompts": 12,
        "request_rate": "inf", "max_concurrency": 1, "completed": 12, "duration": 9.0,
        "total_token_throughput": 1.0, "mean_ttft_ms": 40.0, "input_lens": sizes,
        "output_lens": [9] * 12, "ttfts": [step_ms * (2e-3 + 1e-5 * n) for n in sizes],
        "itls": [[step_ms * 1e-3 * (1 + 0.01 * (i % 3))] * 8 for i in range(12)],
        "errors": [""] * 12, **metadata,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("name", "one", "two"),
    [
        ("cuda_graphs", "on", "off"),
        ("kv_cache_dtype", "auto", "fp8"),
        ("enforce_eager", False, True),
        ("attention_backend", "FLASH_ATTN", "FLASHINFER"),
        ("max_num_seqs", 256, 16),
        ("label", "run-a", "run-b"),
        ("variant", "old", "new"),
        ("node", "n17", "n18"),
    ],
)
def test_metadata_of_a_run_tells_deployments_apart(
    name: str, one: Any, two: Any, tmp_path: Path
) -> None:
    path = lines(tmp_path / "runs.jsonl", [vllm(5.0, **{name: one}), vllm(15.0, **{name: two})])
    table, _ = import_table(path)
    assert table["settings"].nunique() == 2
    medians = table.groupby("settings")["tpot_ms"].median()
    assert sorted(medians.round(1)) == [pytest.approx(5.05, abs=0.1), pytest.approx(15.15, abs=0.2)]


def test_metadata_that_changes_nothing_is_no_deployment(tmp_path: Path) -> None:
    path = lines(tmp_path / "runs.jsonl", [vllm(5.0, node="n17"), vllm(5.0, node="n18")])
    assert "settings" not in import_table(path)[0]


def sweep(**columns: Any) -> pd.DataFrame:
    """Two sweeps of a table, the second three times as slow, each point twice."""
    n = np.tile(np.repeat(LENGTHS, 2), 2)
    slow = np.repeat([1.0, 3.0], len(n) // 2)
    noise = np.tile([1.0, 1.01], len(n) // 2)
    rows = {"phase": "prefill", "isl": n, "latency_ms": 0.1 * n * slow * noise}
    return prepare(pd.DataFrame(rows | {name: np.where(slow == 1, *ends)
                                        for name, ends in columns.items()}))  # fmt: skip


@pytest.mark.parametrize("name", ["driver", "source", "run_name", "host", "clock"])
def test_an_unknown_column_that_tells_rows_apart_is_named(name: str) -> None:
    flags = [f for f in check_table(sweep(**{name: ("a", "b")})) if f.rule == "unlike repeats"]
    assert len(flags) == 1
    assert f"{name} tells them apart (a is fastest, b slowest)" in flags[0].message
    assert "differ 3 times" in flags[0].message
    assert f"--map settings={name}" in flags[0].remedy


def test_no_column_is_blamed_for_noise_or_by_being_unique() -> None:
    rng = np.random.default_rng(0)
    table = sweep().assign(
        driver=rng.choice(["a", "b"], 16), request_id=[f"r{i}" for i in range(16)],
        seed=rng.integers(0, 3, 16), itl_p99_ms=lambda t: t["latency_ms"],
    )  # fmt: skip
    assert not [f for f in check_table(table) if f.rule == "unlike repeats"]


def test_a_limit_that_was_varied_to_reach_a_batch_is_no_setting() -> None:
    rows = pd.DataFrame({"phase": "decode", "context_len": 512, "batch_size": [1, 2, 4, 8],
                         "max_num_seqs": [1, 2, 4, 8], "latency_ms": [5.0, 6, 7, 8]})  # fmt: skip
    assert "settings" not in prepare(rows)


def test_a_column_can_be_made_a_setting(tmp_path: Path) -> None:
    path = tmp_path / "mine.csv"
    sweep(driver=("550", "560")).drop(columns="batch_size").to_csv(path, index=False)
    table, report = import_table(path)
    assert [f.rule for f in report.flags].count("unlike repeats") == 1
    table, report = import_table(path, maps=["settings=driver"])
    assert deployment_of(table).nunique() == 2
    assert not [f for f in report.flags if f.rule == "unlike repeats"]
