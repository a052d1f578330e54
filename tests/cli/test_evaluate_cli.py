"""The evaluate command: figures, JSON twin, gate, bad input."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from lengthwise.interfaces.cli.main import run


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """Two deployments whose prefill time is exactly linear in length."""
    rows = [
        {"phase": "prefill", "hardware": name, "isl": n, "latency_ms": 5.0 + slope * n}
        for name, slope in (("fast", 0.1), ("slow", 0.3))
        for n in (64, 128, 256, 512, 1024, 2048, 4096)
    ]
    path = tmp_path / "table.csv"
    pd.DataFrame(rows).to_csv(path, index=False)
    return path


def lengthwise(*args: object) -> int:
    with pytest.raises(SystemExit) as stopped:
        run([str(arg) for arg in args])
    return int(stopped.value.code or 0)


def test_the_summary_names_formulations_and_ranks_the_right_one_first(
    table: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert lengthwise("evaluate", table, "--formulations", "power,linear") == 0
    out = capsys.readouterr().out
    assert "trained on lengths up to max/4" in out
    assert out.index("linear") < out.index("power")


def test_the_json_twin_has_every_point_and_no_nan(
    table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "result.json"
    code = lengthwise("evaluate", table, "--formulations", "linear", "--json", "-o", file)
    assert code == 0
    printed = json.loads(capsys.readouterr().out, parse_constant=pytest.fail)
    assert printed == json.loads(file.read_text(), parse_constant=pytest.fail)
    assert {p["group"] for p in printed["points"]} == {"fast | prefill", "slow | prefill"}
    assert printed["overall"][0]["mape_percent"] < 0.01
    assert printed["overall"][0]["noise_percent"] is None


def test_each_deployment_is_shown_when_asked(
    table: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = lengthwise("evaluate", table, "--formulations", "linear", "--per-deployment")
    assert code == 0
    assert "slow | prefill" in capsys.readouterr().out


def test_a_gate_that_is_not_met_exits_with_3_after_the_figures(
    table: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ("--formulations", "power,linear", "--max-mape", "0.001")
    assert lengthwise("evaluate", table, *options) == 3
    captured = capsys.readouterr()
    assert "median MAPE of power must be at most 0.001 %" in captured.err
    assert "linear" in captured.out
    assert lengthwise("evaluate", table, "--formulations", "linear", "--max-mape", "1") == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--formulations", "nonsense"], "registered"),
        (["--formulations", ","], "at least one formulation"),
        (["--factor", "1"], "factor must be more than 1"),
        (["--level", "90"], "level must lie"),
        (["--split", "nonsense"], "nonsense"),
        (["--metric", "nonsense"], "metric must be one of"),
        (["--max-mape", "-1"], "positive percentage"),
        (["--split", "random", "--folds", "1"], "folds must be"),
        (["--split", "random", "--seed", "-1"], "seed must be"),
        (["--ablation", "--max-mape", "5"], "takes no --max-mape"),
        (["--ablation", "--per-deployment"], "takes no --per-deployment"),
        (["-o", "no/such/folder/x.json"], "folder to write to must exist"),
        (["-o", "."], "the output must be a file"),
    ],
)
def test_bad_options_exit_with_2_and_say_what_to_do(
    table: Path, options: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert lengthwise("evaluate", table, *options) == 2
    assert message in capsys.readouterr().err


def test_a_table_that_cannot_be_split_exits_with_1_and_the_reason(
    table: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert lengthwise("evaluate", table, "--split", "batch") == 1
    assert "distinct batch values" in capsys.readouterr().err


def test_skipped_groups_are_named(table: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one = pd.DataFrame({"phase": ["prefill"], "hardware": "few", "isl": 9, "latency_ms": 1.0})
    pd.concat([pd.read_csv(table), one]).to_csv(table, index=False)
    assert lengthwise("evaluate", table, "--formulations", "linear") == 0
    assert "skipped few | prefill" in capsys.readouterr().out


def test_the_ablation_lists_all_eight_subsets(
    table: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pd.read_csv(table).query("hardware == 'fast' and isl != 512").to_csv(table, index=False)
    assert lengthwise("evaluate", table, "--ablation", "--json") == 0
    rows = json.loads(capsys.readouterr().out)["table"]
    assert [row["terms"] for row in rows] == [
        "none", "+E1", "+E2", "+E3", "+E1+E2", "+E1+E3", "+E2+E3", "all",
    ]  # fmt: skip
