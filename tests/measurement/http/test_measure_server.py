"""The command, against a mock server: files, exit codes, interruption."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from lengthwise.data.table import load
from lengthwise.errors import InputError, LengthwiseError, NothingUsableError, pip_install
from lengthwise.interfaces.cli.measure_server import measure_server

Arguments = Callable[..., dict[str, Any]]

PROGRAM = """
import json, sys
from pathlib import Path
from lengthwise.interfaces.cli.measure_server import measure_server
given = json.loads(sys.argv[2])
sys.exit(measure_server(sys.argv[1], **{**given, "output": Path(given["output"])}))
"""


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_sweep_gives_a_table_and_a_run(
    mock: Any, arguments: Arguments, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = arguments(
        isl=[64, 128], concurrency=[2], request_rate=[50.0], warmup_requests=1, scrape=True,
        labels={"hardware": "box", "tp": "2"}, quiet=False,
    )  # fmt: skip
    assert measure_server(mock().url, **given) == 0
    table = load(tmp_path / "table.parquet")
    assert len(table) == 4 * 7
    assert table["warmup"].sum() == 4
    open_loop = table[table["request_rate"].notna()]
    assert set(open_loop["load_from"]) == {"measured"}
    assert open_loop["concurrency"].between(1.0, 6.0).all()
    assert set(table["isl"]) == {64, 128}
    assert (table["osl"] == 8).all()
    assert set(table["model"] + table["hardware"] + table["clock"]) == {"mock-llmboxclient"}
    assert (table["tp"] == 2).all()
    timed = table[table["timing_note"] == ""]  # on a busy machine chunks may come together
    assert len(timed) > 3
    expected = timed["ttft_ms"] + timed["tpot_ms"] * (timed["osl"] - 1)
    assert (timed["e2e_ms"] >= expected - 1e-6).all()
    run = tmp_path / "table.run"
    requests, steps = lines(run / "requests.jsonl"), lines(run / "steps.jsonl")
    assert {r["request_id"] for r in requests} == set(table["request_id"])
    assert len(steps) == 28 * 7
    assert {s["output_index"] for s in steps if "output_index" in s} == set(range(1, 8))
    manifest = json.loads((run / "run.json").read_text())
    assert manifest["status"] == "complete"
    assert manifest["server"]["model"] == "mock-llm"
    summary = json.loads((run / "summary.json").read_text())
    assert [p["server"]["ttft_ms"]["n"] for p in summary["points"]] == [7] * 4
    assert len(pd.read_csv(run / "summary.csv")) == 4
    said = capsys.readouterr()
    assert "TTFT p50 (ms)" in said.out
    assert "point 4 of 4" in said.err
    assert len(load(run / "requests.jsonl")) == 28  # what a killed run leaves is a table too


def test_a_single_point_shows_every_metric(
    mock: Any, arguments: Arguments, capsys: pytest.CaptureFixture[str]
) -> None:
    url = mock("--error-share", "0.5", "--seed", "3").url
    assert measure_server(url, **arguments(requests=30, endpoint="completions")) == 0
    said = capsys.readouterr().out
    for words in ("TTFT (ms)", "TPOT (ms)", "ITL (ms)", "E2E (ms)", "client queue", "throughput"):
        assert words in said
    assert "*" in said
    assert "failed with http_500, for example: injected error" in said


def test_json_is_the_only_thing_on_stdout(
    mock: Any, arguments: Arguments, capsys: pytest.CaptureFixture[str]
) -> None:
    url = mock("--tokens-per-chunk", "4").url
    assert measure_server(url, **arguments(as_json=True)) == 0
    found = json.loads(capsys.readouterr().out)
    (point,) = found["points"]
    assert point["metrics"]["e2e_ms"]["n"] == 6
    assert any("use tpot_ms" in text for text in point["warnings"])


def test_failed_requests_stay_in_the_table_without_times(
    mock: Any, arguments: Arguments, tmp_path: Path
) -> None:
    given = arguments(requests=40, concurrency=[4])
    assert measure_server(mock("--disconnect-share", "0.3", "--seed", "1").url, **given) == 0
    table = load(tmp_path / "table.parquet")
    failed = table["status"] == "error"
    assert 2 <= failed.sum() <= 30
    assert set(table.loc[failed, "error"]) == {"disconnect"}
    assert table.loc[failed, ["ttft_ms", "tpot_ms", "e2e_ms"]].isna().all().all()
    assert table.loc[~failed, "e2e_ms"].notna().all()


def test_a_server_that_dies_leaves_a_partial_table(
    mock: Any, arguments: Arguments, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = arguments(requests=500, concurrency=[2])
    assert measure_server(mock("--die-after", "20").url, **given) == 1
    said = capsys.readouterr().err
    assert "the server must stay up" in said
    assert "Traceback" not in said
    assert 10 <= (load(tmp_path / "table.parquet")["status"] == "ok").sum() <= 20
    assert json.loads((tmp_path / "table.run" / "run.json").read_text())["status"] == "failed"


def test_a_full_disk_ends_with_a_message(
    mock: Any, arguments: Arguments, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("needs /dev/full")
    run = tmp_path / "table.run"
    run.mkdir()
    (run / "requests.jsonl").symlink_to("/dev/full")
    assert measure_server(mock().url, **arguments()) == 1
    assert "No space left" in capsys.readouterr().err
    assert len(load(tmp_path / "table.parquet")) >= 1


def test_nothing_usable_is_an_error(mock: Any, arguments: Arguments, tmp_path: Path) -> None:
    url = mock("--stall-share", "0.99", "--seed", "2", "--after", "3").url  # the probe asks for 2
    given = arguments(requests=2, osl=[8], timeout_s=0.5, endpoint="completions")
    with pytest.raises((NothingUsableError, LengthwiseError), match=r"timeout"):
        measure_server(url, **given)


@pytest.mark.parametrize("kind", [signal.SIGINT, signal.SIGKILL])
def test_interrupted_runs_keep_what_was_measured(
    mock: Any, arguments: Arguments, tmp_path: Path, kind: signal.Signals
) -> None:
    url = mock("--ttft-ms", "20").url
    given = arguments(requests=100_000, concurrency=[2])
    words = json.dumps({**given, "output": str(given["output"])})
    process = subprocess.Popen([sys.executable, "-c", PROGRAM, url, words], stderr=subprocess.PIPE)
    path = tmp_path / "table.run" / "requests.jsonl"
    deadline = time.monotonic() + 30
    while not path.exists() or path.read_bytes().count(b"\n") < 20:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    os.kill(process.pid, kind)
    said = process.communicate(timeout=30)[1].decode()
    text = path.read_text()
    assert text.endswith("\n")  # every line is whole
    assert len(lines(path)) >= 20
    if kind == signal.SIGINT:
        assert process.returncode == 130
        assert "interrupted" in said
        assert "Traceback" not in said
        assert len(load(tmp_path / "table.parquet")) == len(lines(path))
        manifest = json.loads((tmp_path / "table.run" / "run.json").read_text())
        assert manifest["status"] == "interrupted"


def test_a_dry_run_sends_nothing(
    arguments: Arguments, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = arguments(isl=[8, 16], request_rate=[2.0], requests=10, dry_run=True)
    assert measure_server("http://127.0.0.1:9", **given) == 0
    assert "2 requests/s poisson" in capsys.readouterr().out
    assert list(tmp_path.iterdir()) == []


def test_a_trace_is_replayed(mock: Any, arguments: Arguments, tmp_path: Path) -> None:
    path = tmp_path / "trace.jsonl"
    rows = [{"timestamp": 20 * i, "input_length": 10 + i, "output_length": 3} for i in range(12)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert measure_server(mock().url, **arguments(trace=path, requests=None)) == 0
    table = load(tmp_path / "table.parquet").sort_values("repeat")
    assert table["isl"].tolist() == list(range(10, 22))
    assert (table["osl"] == 3).all()


@pytest.mark.parametrize(
    ("url", "changed", "error", "words"),
    [
        ("http://127.0.0.1:9", {}, LengthwiseError, "the server must answer"),
        ("ftp://host", {}, InputError, "http://"),
        ("http://key:secret@host", {}, InputError, "LENGTHWISE_API_KEY"),
        ("http://host:99999", {}, InputError, "http://"),
        ("http://host", {"endpoint": "embed"}, InputError, "auto, completions, chat"),
        ("http://host", {"timeout_s": 0.0}, InputError, "timeout"),
    ],
)
def test_bad_input_is_refused_with_a_remedy(
    arguments: Arguments, url: str, changed: dict[str, Any], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words) as caught:
        measure_server(url, **arguments(**changed))
    assert "secret" not in str(caught.value)


def test_the_key_comes_from_the_environment_and_is_kept_nowhere(
    mock: Any, arguments: Arguments, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LENGTHWISE_API_KEY", "sk-private")
    server = mock("--key", "sk-private")
    assert measure_server(server.url, **arguments()) == 0
    for path in (tmp_path / "table.run").iterdir():
        assert "sk-private" not in path.read_text()
    monkeypatch.delenv("LENGTHWISE_API_KEY")
    with pytest.raises(LengthwiseError, match="LENGTHWISE_API_KEY"):
        measure_server(server.url, **arguments())


def test_the_run_has_a_page_to_look_at(
    mock: Any, arguments: Arguments, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("jinja2")
    assert measure_server(mock().url, **arguments(isl=[64, 128], labels={"hardware": "box"})) == 0
    page = tmp_path / "table.run" / "report.html"
    assert f"to look at: {page}" in capsys.readouterr().err
    text = page.read_text()
    for words in ("mock-llm", "box", "Time to first token", "prompt length (tokens)", "<svg",
                  "table.parquet, 12 rows", "lengthwise 0."):  # fmt: skip
        assert words in text


@pytest.mark.parametrize("hindrance", ["no jinja2", "no page"])
def test_a_page_that_cannot_be_written_costs_nothing(
    mock: Any, arguments: Arguments, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch, hindrance: str,
) -> None:  # fmt: skip
    run = tmp_path / "table.run"
    if hindrance == "no jinja2":
        monkeypatch.setitem(sys.modules, "jinja2", None)
        expected = pip_install("report")
    else:
        monkeypatch.setitem(sys.modules, "lengthwise.reporting.run_page", None)
        expected = "no report.html: ModuleNotFoundError"
    assert measure_server(mock().url, **arguments(as_json=True)) == 0
    said = capsys.readouterr()
    assert json.loads(said.out)["report"] is None
    (line,) = (line for line in said.err.splitlines() if "report.html" in line)
    assert expected in line
    assert len(load(tmp_path / "table.parquet")) == 6
    assert json.loads((run / "run.json").read_text())["status"] == "complete"
