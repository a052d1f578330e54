"""The commands fit and predict: what they print, write and refuse, and their exit codes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from lengthwise.interfaces.cli.counts import parse_counts
from lengthwise.interfaces.cli.main import run


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table of one deployment in two phases, and its law."""
    n = np.array([64, 128, 256, 512, 1024, 2048, 4096], dtype=float)
    prefill = pd.DataFrame({"phase": "prefill", "isl": n, "latency_ms": 5 + 0.1 * n + 1e-6 * n**2})
    decode = pd.DataFrame({"phase": "decode", "context_len": n, "latency_ms": 8 + 1e-3 * n})
    folder = tmp_path_factory.mktemp("cli")
    pd.concat([prefill, decode]).assign(hardware="h100").to_csv(folder / "t.csv", index=False)
    assert lengthwise("fit", folder / "t.csv", "-o", folder / "law.json") == 0
    return folder


def lengthwise(*args: object) -> int:
    with pytest.raises(SystemExit) as stopped:
        run([str(arg) for arg in args])
    return int(stopped.value.code or 0)


def answer(capsys: pytest.CaptureFixture[str], *args: object) -> Any:
    capsys.readouterr()
    assert lengthwise("predict", *args, "--json") == 0
    return json.loads(capsys.readouterr().out, parse_constant=pytest.fail)


def refused(capsys: pytest.CaptureFixture[str], code: int, *args: object) -> str:
    assert lengthwise(*args) == code
    text = capsys.readouterr().err
    assert "Traceback" not in text
    assert "Remedy" in text
    return text


def test_fit_shows_a_line_per_law(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert lengthwise("fit", folder / "t.csv", "--formulation", "linear") == 0
    out, err = capsys.readouterr()
    assert "2 laws, 14 of 14 rows used" in out
    assert "h100" in out
    assert "64–4,096" in out
    assert "not saved" in err


def test_the_json_twin_of_fit_has_errors_and_coefficients(
    folder: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    code = lengthwise("fit", folder / "t.csv", "--json", "-o", tmp_path / "l.json", "--e3", "off")
    assert code == 0
    printed = json.loads(capsys.readouterr().out, parse_constant=pytest.fail)
    one = next(law for law in printed["laws"] if law["phase"] == "prefill")
    assert one["in_range_percent"] < 5
    assert one["noise_percent"] is None
    assert "E3 off" in one["terms"]
    assert {c["name"] for c in one["coefficients"]} >= {"alpha_1", "alpha_2"}
    assert Path(printed["law"]).exists()


def test_flags_of_the_table_go_to_stderr(
    folder: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    table = pd.read_csv(folder / "t.csv")
    table.loc[0, "latency_ms"] = -1
    table.to_csv(tmp_path / "t.csv", index=False)
    assert lengthwise("fit", tmp_path / "t.csv", "--formulation", "linear") == 0
    out, err = capsys.readouterr()
    assert "time not positive" in err
    assert "13 of 14 rows used" in out


def test_the_gate_has_its_own_exit_code(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fit = ("fit", folder / "t.csv", "--formulation", "linear", "--max-mape")
    assert lengthwise(*fit, 50) == 0
    assert "at most 0.001 %" in refused(capsys, 3, *fit, 0.001)
    assert "max-mape must be" in refused(capsys, 2, *fit, -5)


def test_nothing_usable_exits_with_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "t.csv").write_text("phase,isl,latency_ms\nprefill,64,-1\nprefill,128,0\n")
    assert "usable" in refused(capsys, 1, "fit", tmp_path / "t.csv")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--formulation", "magic"), "choose one of"),
        (("--formulation", "linear", "--e1", "power"), "terms of hachiya-patias"),
        (("-o", "no/such/folder/law.json"), "folder to write to"),
        (("-o", "."), "the output must be a file"),
        (("--formulation", "gaussian-process", "-o", "law.json"), "keep the table and fit again"),
    ],
)
def test_bad_usage_of_fit_exits_with_two(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path, words: tuple[str, ...], message: str,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    assert message in refused(capsys, 2, "fit", folder / "t.csv", *words)


def test_a_single_point_answers_for_itself_and_for_nobody_else(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "t.csv").write_text("phase,isl,latency_ms\nprefill,128,10\n")
    assert lengthwise("fit", tmp_path / "t.csv", "-o", tmp_path / "law.json") == 0
    assert lengthwise("predict", tmp_path / "law.json", "--isl", 128) == 0
    assert "from 1 point (1 row) up to 128 tokens" in capsys.readouterr().out
    message = refused(capsys, 2, "predict", tmp_path / "law.json", "--isl", 128, "--tp", 4)
    assert "needs one with at least three points to learn from" in message


def test_offsets_can_be_asked_for(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert lengthwise("fit", folder / "t.csv", "--e3", "offset") == 0
    assert "residual" not in capsys.readouterr().out


def test_a_step_is_answered_in_a_few_lines(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert lengthwise("predict", folder / "law.json", "--phase", "prefill", "--isl", 16384) == 0
    out = capsys.readouterr().out
    assert "prefill of 16,384 tokens, batch 1" in out
    assert "90 % interval" in out
    assert "extrapolated: 4 times the longest length measured; bound by compute" in out
    assert "points (7 rows) up to 4,096 tokens of h100" in out
    assert len(out.strip().splitlines()) <= 5


def test_a_request_is_answered_by_its_three_times(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert lengthwise("predict", folder / "law.json", "--isl", 1000, "--osl", 100) == 0
    out = capsys.readouterr().out
    assert all(f"\n  {name}" in out for name in ("TTFT", "TPOT", "E2E", "prefill:", "decode:"))
    one = answer(capsys, folder / "law.json", "--isl", 1000, "--osl", 100)
    assert one["e2e_ms"] == pytest.approx(one["ttft_ms"] + 99 * one["tpot_ms"])
    single = answer(capsys, folder / "law.json", "--isl", 1000, "--osl", 1)
    assert single["tpot_ms"] is None


def test_a_grid_is_answered_by_a_table(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    grid = ("--isl", "128-1024*2", "--batch-size", "1,4")
    assert lengthwise("predict", folder / "law.json", *grid) == 0
    assert len([line for line in capsys.readouterr().out.splitlines() if " ms " in line]) == 8
    rows = answer(capsys, folder / "law.json", *grid, "--level", 0.5)
    assert [row["isl"] for row in rows] == [128, 128, 256, 256, 512, 512, 1024, 1024]
    assert all(row["lo_ms"] < row["latency_ms"] < row["hi_ms"] for row in rows)


def test_too_long_is_refused_unless_allowed(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    far = ("predict", folder / "law.json", "--isl", 65536)
    text = refused(capsys, 1, *far)
    assert "measure prefill at isl=" in text
    assert "16 times" in text
    assert lengthwise(*far, "--allow-extrapolation") == 0


def test_an_unknown_deployment_is_answered_with_a_warning(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert lengthwise("predict", folder / "law.json", "--isl", 100, "--hardware", "b200") == 0
    out, err = capsys.readouterr()
    assert "warning: no measured deployment has these labels" in err
    assert "outside the batches or lengths" in out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--isl", "8"), "needs a law file, or a model and hardware"),
        (("--model", "config.json", "--hardware", "h100_sxm", "--isl", "8"), "must exist"),
        (("LAW",), "needs a length"),
        (("LAW", "--isl", "8kb"), "--isl must be whole numbers"),
        (("LAW", "--isl", "1-9*1"), "--isl must be whole numbers"),
        (("LAW", "--isl", "1-99999999"), "at most"),
        (("LAW", "--isl", "1-1000", "--batch-size", "1-1000"), "at most 10,000 points"),
        (("LAW", "--isl", "0"), "isl must be"),
        (("LAW", "--phase", "decode", "--isl", "64"), "needs --context-len"),
        (("LAW", "--isl", "64", "--osl", "0"), "osl must be"),
        (("LAW", "--isl", "64", "--cached-tokens", "64"), "cached_tokens"),
        (("LAW", "--isl", "64", "--level", "90"), "level"),
        (("LAW", "--table", "t.csv"), "needs a file to go to"),
        (("LAW", "--table", "t.csv", "--isl", "5", "-o", "o.csv"), "holds the points itself"),
        (("LAW", "--table", "missing.csv", "-o", "o.csv"), "must exist"),
        (("missing.json", "--isl", "64"), "missing.json"),
    ],
)
def test_bad_usage_of_predict_exits_with_two(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch,
    words: tuple[str, ...], message: str,
) -> None:  # fmt: skip
    monkeypatch.chdir(folder)
    named = ["law.json" if word == "LAW" else word for word in words]
    assert message in refused(capsys, 2, "predict", *named)


def test_a_table_is_streamed_to_a_table(
    folder: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "p.csv").write_text("isl,osl\n100,10\n200,\n300,5\n")
    out = tmp_path / "o.parquet"
    code = lengthwise("predict", folder / "law.json", "--table", tmp_path / "p.csv", "-o", out)
    err = capsys.readouterr().err
    assert code == 0
    assert "2 of 3 rows predicted" in err
    assert "1 not: request rows need osl" in err
    assert pd.read_parquet(out)["e2e_ms"].notna().tolist() == [True, False, True]


def test_a_table_without_any_answer_exits_with_one(
    folder: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "p.csv").write_text("phase,isl\nprefill,-5\n")
    words = ("predict", folder / "law.json", "--table", tmp_path / "p.csv")
    assert "at least one row" in refused(capsys, 1, *words, "-o", tmp_path / "o.csv")
    assert "isl must be positive" in (tmp_path / "o.csv").read_text()


def test_it_works_as_a_program(folder: Path) -> None:
    words = [sys.executable, "-m", "lengthwise", "predict", str(folder / "law.json"), "--json"]
    done = subprocess.run([*words, "--isl", "512"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0
    assert json.loads(done.stdout)["latency_ms"] > 0
    far = subprocess.run([*words, "--isl", "999999"], capture_output=True, text=True, timeout=60)
    assert (far.returncode, far.stdout) == (1, "")
    assert far.stderr.startswith("error: prefill of h100 is answered up to 8 times")


def test_a_range_with_steps() -> None:
    assert parse_counts("100-300+100, 7", "--isl") == [100, 200, 300, 7]
    assert parse_counts("1_000", "--isl") == [1000]
