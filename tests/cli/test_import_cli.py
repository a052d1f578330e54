"""``lengthwise import`` and the frame of the command line, as a user runs them."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from lengthwise.data.table import load
from lengthwise.interfaces.cli import main as cli

FOREIGN = "gpu,prompt,t,n\nh100,512,0.02,1\nh100,1024,0.04,1\nh100,2048,,1\n"
MAPS = ["--map", "isl=prompt", "--map", "latency_ms=t*1000", "--set", "phase=prefill",
        "--map", "hardware=gpu"]  # fmt: skip


def lengthwise(
    *words: str, cwd: Path | None = None, **env: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "lengthwise", *words], capture_output=True, text=True, timeout=60,
        env=os.environ | env, cwd=cwd,
    )  # fmt: skip


@pytest.fixture
def foreign(tmp_path: Path) -> Path:
    path = tmp_path / "foreign.csv"
    path.write_text(FOREIGN)
    return path


def run(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as left:
        cli.run([str(word) for word in words])
    streams = capsys.readouterr()
    return int(left.value.code or 0), streams.out, streams.err


def test_import_writes_every_row_and_reports(
    foreign: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = run(capsys, "import", foreign, *MAPS, "-o", tmp_path / "t.parquet")
    assert code == 0
    assert "3 rows read, 2 usable" in out
    assert "1 row not usable: time missing" in out
    assert "512 to 2,048" in out
    assert "wrote 3 rows, 2 usable" in err
    assert load(tmp_path / "t.parquet")["latency_ms"].tolist()[:2] == [20.0, 40.0]


def test_json_is_the_whole_of_stdout(foreign: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "import", foreign, *MAPS, "--json")
    said = json.loads(out)
    assert code == 0
    assert (said["rows"], said["usable"]) == (3, 2)
    assert said["files"][0]["skipped"] == {"time missing": 1}
    assert said["files"][0]["unknown_columns"] == ["gpu", "prompt", "t", "n"]


def test_many_files_become_one_table(foreign: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.csv"
    other.write_text(FOREIGN)
    done = lengthwise("import", str(foreign), str(other), *MAPS, "-o", str(tmp_path / "t.csv"))
    assert done.returncode == 0, done.stderr
    assert pd.read_csv(tmp_path / "t.csv")["source"].value_counts().to_dict() == {
        "foreign.csv": 3, "other.csv": 3,
    }  # fmt: skip


def test_nothing_usable_is_exit_code_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "t.csv"
    path.write_text("phase,isl,latency_ms\nprefill,512,-1\n")
    code, out, err = run(capsys, "import", path)
    assert code == 1
    assert "0 usable" in out
    assert err.startswith("error: an import needs at least one usable row")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["import", "absent.csv"], "the file must exist"),
        (["import"], "Missing argument"),
        (["import", "a.csv", "--set", "model"], "--set model"),
        (["import", "a.csv", "--format", "pdf"], "pdf"),
        (["imprt"], "did you mean import"),
        (["--wrong"], "No such option"),
    ],
)
def test_usage_errors_are_exit_code_2(
    words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = run(capsys, *words)
    assert code == 2
    assert message in err
    assert "Traceback" not in err
    assert out == ""


def test_a_mistaken_unit_is_answered_with_the_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "t.csv"
    path.write_text("phase,isl,latency_s\nprefill,512,0.02\n")
    code, _, err = run(capsys, "import", path)
    assert code == 2
    assert "--map latency_ms=latency_s*1000" in err


@pytest.mark.parametrize("place", [0, 2])
def test_debug_shows_the_traceback(place: int) -> None:
    words = ["import", "absent.csv"]
    words.insert(place, "--debug")
    done = lengthwise(*words)
    assert done.stderr.startswith("Traceback")
    assert done.returncode == 2


def test_no_colour_codes_in_a_pipe(foreign: Path) -> None:
    done = lengthwise("import", str(foreign), *MAPS)
    assert "\x1b" not in done.stdout + done.stderr
    assert done.returncode == 0


def test_narrow_terminal(foreign: Path) -> None:
    done = lengthwise("import", foreign.name, *MAPS, cwd=foreign.parent, COLUMNS="60")
    assert max(map(len, done.stdout.splitlines())) <= 60


def test_help_lists_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "--help")
    assert code == 0
    for name in ("import", "data", "fit", "predict", "evaluate", "report", "compare", "demo"):
        assert f"\n  {name} " in out


def test_interrupt_is_exit_code_130(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "_load", interrupted)
    assert run(capsys, "fit")[::2] == (130, "interrupted\n")


def test_an_unexpected_error_is_short(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("the cat is on the keyboard")

    monkeypatch.setattr(cli, "_load", broken)
    code, out, err = run(capsys, "fit")
    assert (code, out) == (1, "")
    assert "RuntimeError: the cat is on the keyboard" in err
    assert "--debug" in err
    assert "Traceback" not in err


def test_requests_are_exported_as_llmd_reports_and_come_back(tmp_path: Path) -> None:
    pytest.importorskip("yaml")
    rows = {"phase": "request", "isl": 512, "osl": 64, "ttft_ms": [50.0, 60.0], "concurrency": 2,
            "tpot_ms": 8.0, "e2e_ms": [554.0, 564.0], "model": "m"}  # fmt: skip
    pd.DataFrame(rows).to_csv(tmp_path / "t.csv", index=False)
    assert lengthwise("export", "t.csv", "-o", "r.yaml", cwd=tmp_path).returncode == 0
    done = lengthwise("import", "r.yaml", "-o", "back.csv", "--map", "isl=isl_mean",
                      "--map", "osl=osl_mean", cwd=tmp_path)  # fmt: skip
    assert done.returncode == 0, done.stderr
    back = pd.read_csv(tmp_path / "back.csv")
    assert back["ttft_ms"].tolist() == pytest.approx([55.0])
    assert back["tpot_ms"].tolist() == pytest.approx([8.0])
