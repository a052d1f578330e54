import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from typer.testing import CliRunner

from lengthwise.data.datasets import describe, names
from lengthwise.errors import InputError
from lengthwise.interfaces.cli.datasets import app


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Give a machine without local copies and with an empty cache."""
    monkeypatch.delenv("LENGTHWISE_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def run(*arguments: object) -> Any:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_list_shows_every_dataset_in_aligned_columns(alone: None) -> None:
    result = run("list")
    assert result.exit_code == 0
    header, *lines = result.stdout.splitlines()
    assert [line.split()[0] for line in lines] == names()
    column = header.index("licence")
    assert all(line[column:].startswith(describe(line.split()[0]).licence) for line in lines)
    assert "ships" in lines[0]
    assert "needs LENGTHWISE_DATA" in lines[names().index("splitwise")]


def test_list_as_json_holds_licence_and_bytes(alone: None) -> None:
    entries = json.loads(run("list", "--json").stdout)
    assert [entry["name"] for entry in entries] == names()
    own, splitwise = entries[0], entries[names().index("splitwise")]
    assert own["available"] is True
    assert splitwise["available"] is False
    assert splitwise["licence"] == "MIT"
    assert len(splitwise["files"][0]["sha256"]) == 64


def test_local_copies_are_marked(
    alone: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    folder = tmp_path / "splitwise"
    folder.mkdir()
    (folder / "perf_model.csv").write_text("")
    monkeypatch.setenv("LENGTHWISE_DATA", str(tmp_path))
    assert json.loads(run("show", "splitwise", "--json").stdout)["available"] is True


def test_show_gives_citation_and_pinned_addresses(alone: None) -> None:
    text = run("show", "hat").stdout
    assert "Wang et al., HAT" in text
    assert "raw.githubusercontent.com/mit-han-lab/hardware-aware-transformers/35d12828" in text
    assert "no download: " in run("show", "splitwise").stdout
    assert "a download whose SHA-256 differs is refused" in run("show", "distserve").stdout


def test_fetch_prints_the_folder(alone: None) -> None:
    folder = json.loads(run("fetch", "own-openvino-cpu", "--json").stdout)
    assert folder["files"][0] == f"{folder['folder']}/openvino_cpu.parquet"
    assert run("fetch", "own-openvino-cpu").stdout.strip() == folder["folder"]


@pytest.mark.parametrize("suffix", ["parquet", "csv"])
def test_table_writes_the_measurement_table(alone: None, tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"own.{suffix}"
    result = run("table", "own-openvino-cpu", "-o", path, "--json")
    assert json.loads(result.stdout)["phases"] == {"decode": 4304, "prefill": 538}
    back = pd.read_parquet(path) if suffix == "parquet" else pd.read_csv(path)
    assert len(back) == 4842
    again = ("table", "own-openvino-cpu", "-o", path)
    assert "is not replaced" in str(run(*again).exception)
    assert "4,842 rows" in run(*again, "--force").stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("show", "splitwize"), "splitwise"),
        (("fetch", "splitwise"), "set LENGTHWISE_DATA"),
        (("table", "distserve", "-o", "x.parquet"), "coefficients"),
        (("table", "azure_traces", "-o", "x.parquet"), "without latencies"),
    ],
)
def test_bad_requests_name_the_remedy(alone: None, arguments: tuple[str, ...], words: str) -> None:
    error = run(*arguments).exception
    assert isinstance(error, InputError)
    assert words in str(error)


def test_the_installed_command_reports_bad_names_without_a_traceback(alone: None) -> None:
    command = [sys.executable, "-m", "lengthwise", "data"]
    listed = subprocess.run([*command, "list"], capture_output=True, text=True, check=True)
    assert "own-openvino-cpu" in listed.stdout
    bad = subprocess.run([*command, "show", "splitwize"], capture_output=True, text=True)
    assert (bad.returncode, bad.stdout) == (2, "")
    assert "splitwise" in bad.stderr
    assert "Traceback" not in bad.stderr
