"""lengthwise measure with a real engine: interrupted, killed, resumed, refused."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from lengthwise.interfaces.cli.main import run
from lengthwise.measurement.random_model import PRESETS, write_gguf

COMMAND = [sys.executable, "-m", "lengthwise", "measure"]
SWEEP = ["openvino", "--isl", "64-512*2", "--repeats", "60", "--decode-steps", "4"]


def start(
    *args: str, limit: Callable[[], None] | None = None
) -> subprocess.Popen[str]:  # fmt: skip
    return subprocess.Popen(
        [*COMMAND, *args], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        preexec_fn=limit, env=os.environ | {"OMP_NUM_THREADS": "1"},
    )  # fmt: skip


def measure(*args: str, limit: Callable[[], None] | None = None) -> tuple[int, str, str]:
    process = start(*args, limit=limit)
    out, err = process.communicate(timeout=120)
    return process.returncode, out, err


def wait_for_visits(steps: Path, visits: int) -> None:
    for _ in range(600):
        if steps.exists() and steps.read_text().count("\n") >= 5 * visits:
            return
        time.sleep(0.05)
    pytest.fail("the sweep did not start")


@pytest.fixture(autouse=True)
def _openvino() -> None:
    pytest.importorskip("openvino_genai")


def test_a_sweep_ends_in_a_table_that_can_be_fitted(tmp_path: Path) -> None:
    table = tmp_path / "t.parquet"
    code, out, err = measure("openvino", "--isl", "64-512*2", "--batch", "1,2", "--repeats", "3",
                             "--set", "hardware=here", "-o", str(table))  # fmt: skip
    assert code == 0, err
    assert "prefill" in out
    assert max(map(len, out.splitlines())) <= 100
    rows = pd.read_parquet(table)
    assert set(rows["hardware"]) == {"here"}
    run_folder = tmp_path / "t.run"
    manifest = json.loads((run_folder / "run.json").read_text())
    assert manifest["status"] == "complete"
    assert manifest["plan"]["repeats"] == 3
    assert manifest["machine"]["versions"]["openvino-genai"]
    assert len((run_folder / "steps.jsonl").read_text().splitlines()) == len(rows)
    assert f"to look at: {run_folder / 'report.html'}" in err
    assert "Prefill step" in (run_folder / "report.html").read_text()
    with pytest.raises(SystemExit) as stopped:
        run(["fit", str(table), "-o", str(tmp_path / "law.json")])
    assert not stopped.value.code


@pytest.mark.slow
def test_kill_9_loses_one_visit_at_most_and_resume_completes(tmp_path: Path) -> None:
    table = tmp_path / "t.csv"
    process = start(*SWEEP, "-o", str(table))
    wait_for_visits(tmp_path / "t.run" / "steps.jsonl", 12)
    process.kill()
    process.communicate()
    assert not table.exists()
    kept = (tmp_path / "t.run" / "steps.jsonl").read_text().count("\n")
    code, out, err = measure(*SWEEP, "-o", str(table), "--resume", "--json")
    assert code == 0, err
    found = json.loads(out)
    visits = 2 + 4 + 60 * 5 + 1
    assert found["rows"] == 5 * visits
    assert "resuming: " in err
    resumed = int(err.split("resuming: ")[1].split(" of ")[0])
    assert kept // 5 - 1 <= resumed <= visits
    manifest = json.loads((tmp_path / "t.run" / "run.json").read_text())
    assert [part["seconds"] > 0 for part in manifest["parts"]] == [True, True]
    assert manifest["seconds"] == pytest.approx(sum(p["seconds"] for p in manifest["parts"]))


@pytest.fixture
def finished(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> tuple[list[str], Path]:
    """Give the words and the run directory of a short complete run."""
    words = ["measure", "openvino", "--isl", "64", "--repeats", "1", "--decode-steps", "2",
             "--quiet", "-o", str(tmp_path / "t.csv")]  # fmt: skip
    with pytest.raises(SystemExit) as stopped:
        run(words)
    assert not stopped.value.code
    capfd.readouterr()
    return [*words, "--resume"], tmp_path / "t.run"


def test_a_complete_run_is_told_again_without_loading(
    finished: tuple[list[str], Path], capfd: pytest.CaptureFixture[str]
) -> None:
    words, folder = finished
    steps = folder / "steps.jsonl"
    before = steps.read_text()
    steps.write_text(before + '{"visit": 7, "visit_rows": 3, "pha')  # torn
    with pytest.raises(SystemExit) as stopped:
        run(words)
    assert not stopped.value.code
    err = capfd.readouterr().err
    assert "nothing is left to measure: all 6 visits are there" in err
    assert "loading" not in err
    assert steps.read_text() == before
    assert len(pd.read_csv(folder.with_suffix(".csv"))) == before.count("\n") == 18


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (["--isl", "32"], "the same plan, but got plan.shapes[0].isl is 32 and was 64"),
        (["--threads", "2"], "the same options, but got options.threads is 2 and was 1"),
        (["--set", "hardware=h100"], "but got labels.hardware is h100 and was cpu-"),
    ],
)
def test_a_resumed_run_must_ask_for_the_same(
    finished: tuple[list[str], Path], capfd: pytest.CaptureFixture[str], change: list[str],
    message: str,
) -> None:  # fmt: skip
    words, folder = finished
    steps = folder / "steps.jsonl"
    steps.write_text("".join(steps.read_text().splitlines(keepends=True)[:-4]))
    before = {path.name: path.read_text() for path in folder.iterdir()}
    with pytest.raises(SystemExit) as stopped:
        run([*words, *change])
    assert stopped.value.code == 2
    err = capfd.readouterr().err
    assert message in err
    assert "Traceback" not in err
    assert {path.name: path.read_text() for path in folder.iterdir()} == before


def test_ctrl_c_keeps_what_was_measured(tmp_path: Path) -> None:
    table = tmp_path / "t.csv"
    process = start(*SWEEP, "-o", str(table))
    wait_for_visits(tmp_path / "t.run" / "steps.jsonl", 10)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "go on with --resume" in err
    assert len(pd.read_csv(table)) >= 50
    assert "Not complete." in (tmp_path / "t.run" / "report.html").read_text()
    assert json.loads((tmp_path / "t.run" / "run.json").read_text())["status"] == "interrupted"


def test_a_full_disk_ends_with_a_message_and_the_partial_table(tmp_path: Path) -> None:
    def small_files() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (45_000, 45_000))

    table = tmp_path / "t.parquet"
    model = tmp_path / "m.gguf"
    write_gguf(PRESETS["random-llama-19m"], model)
    code, _, err = measure(*SWEEP, "--model", str(model), "-o", str(table), limit=small_files)
    assert code == 1, err
    assert "File too large" in err
    assert "Traceback" not in err
    assert len(pd.read_parquet(table)) >= 20


def test_a_dry_run_writes_nothing(tmp_path: Path) -> None:
    code, out, err = measure("openvino", "--isl", "64,512", "--dry-run", "--json",
                             "-o", str(tmp_path / "t.csv"))  # fmt: skip
    assert code == 0, err
    assert json.loads(out)["estimated_s"] > 0
    assert list(tmp_path.iterdir()) == []


def test_a_budget_is_kept(tmp_path: Path) -> None:
    start_s = time.monotonic()
    code, _, err = measure("openvino", "--isl", "64-1024*2", "--repeats", "500", "--budget", "3s",
                           "-o", str(tmp_path / "t.csv"))  # fmt: skip
    assert code == 0
    assert "the budget is used up" in err
    assert time.monotonic() - start_s < 40


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["tgi"], "the engine must be one of openvino, llamacpp, transformers, or a URL"),
        (["openvino", "--isl", "zero"], "--isl must be whole numbers"),
        (["openvino", "--isl", "64", "--set", "hardware"], "--set must be NAME=VALUE"),
        (["openvino", "--isl", "64", "--budget", "soon"], "--budget must be a positive time"),
        (["openvino", "--isl", "64", "--threads", "0"], "--threads must be at least 1"),
        (["openvino", "--mixed", "4"], "--mixed must be RUNNINGxCONTEXT"),
        (["openvino", "--isl", "64", "--resume"], "a run to resume must have been started"),
        (["openvino", "--isl", "64", "--engine-set", "chunk=few"], "chunk of openvino must be"),
        (["openvino", "--isl", "64", "-o", "nowhere/t.csv"], "the folder to write to must exist"),
    ],
)
def test_wrong_usage_is_answered(
    args: list[str], message: str, capsys: pytest.CaptureFixture[str],
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as stopped:
        run(["measure", *args])
    assert stopped.value.code == 2
    assert message in capsys.readouterr().err
