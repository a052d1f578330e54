"""The five sources of public curves become tables in which every curve is a deployment."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from lengthwise.data import datasets
from lengthwise.data.identity import deployment_of
from lengthwise.data.readers.curves import read_curves
from lengthwise.data.table import prepare
from lengthwise.data.work import work_of

CURVES = {
    "ik_llama_sweep_bench": 613, "ds4_speed_bench": 18, "minference": 11, "krisdcosta_edge": 96,
    "turboquant_plus": 5,
}  # fmt: skip


@pytest.mark.data
@pytest.mark.parametrize("name", CURVES)
def test_each_curve_is_one_deployment_of_one_kind(needs_data: Path, name: str) -> None:
    table = prepare(datasets.table(name))
    assert table["curve_id"].nunique() == CURVES[name]
    assert deployment_of(table).nunique() == CURVES[name]
    assert (table.groupby("curve_id")[["kind", "phase", "setup"]].nunique() == 1).all(axis=None)
    assert (table["setup"] == table["hardware"] + "|" + table["model"]).all()


@pytest.mark.data
@pytest.mark.parametrize("name", CURVES)
def test_x_is_where_the_step_lies(needs_data: Path, name: str) -> None:
    table = prepare(datasets.table(name))
    for kind, rows in table.groupby("kind"):
        work = work_of(rows)
        if kind == "chunk":
            assert (work.new_tokens < work.context_len).any()
            middle = work.context_len - work.new_tokens / 2
        else:
            assert kind == "decode" or work.is_fresh.all()
            middle = work.context_len
        np.testing.assert_array_equal(middle, rows["x_len"])


@pytest.mark.data
def test_a_time_to_first_token_of_one_prompt_is_a_prefill(needs_data: Path) -> None:
    table = datasets.table("minference")
    first = table[table["curve_kind"] == "ttft"]
    assert set(first["phase"]) == {"prefill"}
    assert first["latency_ms"].iloc[0] == 4100.0
    assert len(first) == 28


@pytest.mark.data
def test_the_build_of_the_source_is_kept(needs_data: Path) -> None:
    table = datasets.table("ik_llama_sweep_bench")
    assert table["engine_build"].nunique() == 8
    assert set(table["clock"]) == {"server"}


def test_a_file_of_curves_is_read_without_its_environment(tmp_path: Path) -> None:
    raw = pd.DataFrame({
        "phase": ["prefill", "request"], "latency_ms": [9.0, np.nan], "ttft_ms": [np.nan, 7.0],
        "isl": [64.0, 64.0], "model": "m", "hardware": "h", "engine": "e",
        "engine_version": ["1", "1"], "timestamp": "2026", "clock": "engine", "source": "s",
        "curve_id": ["a", "b"], "curve_kind": ["prefill", "ttft"], "x_len": [64, 64],
        "y_ms": [9.0, 7.0],
    })  # fmt: skip
    raw.to_parquet(tmp_path / "c.parquet")
    table = read_curves(tmp_path / "c.parquet")
    assert table["latency_ms"].tolist() == [9.0, 7.0]
    assert table["engine_version"].tolist() == ["a", "b"]
    assert table["engine_build"].tolist() == ["1", "1"]
    assert table["source"].unique().tolist() == ["curves/c.parquet"]
