"""A measurement of a server that was killed, interrupted or damaged goes on where it was."""

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
from urllib.parse import urlsplit

import pandas as pd
import pytest

from lengthwise.data.table import load
from lengthwise.interfaces.cli.main import run

SWEEP = ("--isl", "32,64", "--osl", "4", "--concurrency", "1,2", "--requests", "12",
         "--warmup-requests", "1", "--quiet")  # fmt: skip
POINTS, SENT = 4, 13
"""Of the sweep: points, and requests of each."""

Lengthwise = Callable[..., tuple[int, str, str]]


@pytest.fixture
def lengthwise(capsys: pytest.CaptureFixture[str]) -> Lengthwise:
    """Run the command in this process; give exit code, stdout and stderr."""

    def measure(*words: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as stopped:
            run(["measure", *words])
        said = capsys.readouterr()
        assert "Traceback" not in said.err
        return int(stopped.value.code or 0), said.out, said.err

    return measure


def stopped_at(where: Path, count: int, kind: signal.Signals, *words: str) -> str:
    """Start the command as a user does and end it after ``count`` requests."""
    process = subprocess.Popen(
        [sys.executable, "-m", "lengthwise", "measure", *words], stderr=subprocess.PIPE, text=True
    )
    deadline = time.monotonic() + 60
    while not where.exists() or where.read_bytes().count(b"\n") < count:
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < deadline
        time.sleep(0.01)
    os.kill(process.pid, kind)
    return process.communicate(timeout=30)[1]


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def check_whole(table: Path, points: int = POINTS, sent: int = SENT) -> pd.DataFrame:
    """Check that a run holds each request of each point once, in all its files."""
    folder = table.with_suffix(".run")
    rows = load(table)
    counts = rows.groupby("point").agg(n=("repeat", "size"), warm=("warmup", "sum"))
    assert counts["n"].tolist() == [sent] * points
    assert counts["warm"].tolist() == [1] * points
    assert not rows.duplicated(["point", "repeat", "warmup"]).any()
    assert [row["request_id"] for row in lines(folder / "requests.jsonl")] == list(
        rows["request_id"]
    )
    gaps = pd.Series([gap["request_id"] for gap in lines(folder / "steps.jsonl")])
    assert gaps.value_counts().to_dict() == dict.fromkeys(rows["request_id"], 3)
    assert [line["point"] for line in lines(folder / "points.jsonl")] == list(range(points))
    summary = json.loads((folder / "summary.json").read_text())
    assert [p["requests"] for p in summary["points"]] == [sent - 1] * points
    assert len(pd.read_csv(folder / "summary.csv")) == points
    manifest = json.loads((folder / "run.json").read_text())
    assert (manifest["status"], manifest["rows"]) == ("complete", sent * points)
    return rows


def test_kill_9_loses_the_point_in_flight_and_resume_gives_the_whole(
    mock: Any, lengthwise: Lengthwise, tmp_path: Path
) -> None:
    server, table, whole = mock(), tmp_path / "t.csv", tmp_path / "whole.csv"
    requests = tmp_path / "t.run" / "requests.jsonl"
    command = (server.url, *SWEEP, "-o", str(table))
    stopped_at(requests, 2 * SENT + 5, signal.SIGKILL, *command)
    assert not table.exists()
    before = lines(requests)
    kept = len(lines(tmp_path / "t.run" / "points.jsonl"))
    assert kept in (2, 3)  # the kill may come late
    code, out, err = lengthwise(*command, "--resume", "--json")
    assert code == 0, err
    assert f"resuming: {kept} of {POINTS} points are there" in err
    rows = check_whole(table)
    ids = [row["request_id"] for row in before if row["point"] < kept]
    assert list(rows["request_id"][: len(ids)]) == ids
    again = {row["request_id"] for row in before} - set(ids)
    assert not again & set(rows["request_id"])
    parts = json.loads((tmp_path / "t.run" / "run.json").read_text())["parts"]
    assert len(parts) == 2
    assert all(part["seconds"] > 0 for part in parts)
    # Sent to the server: what was kept, what was in flight, and the rest, no prompt twice.
    truth = server.truth()
    assert set(rows["request_id"]) <= set(truth)
    sums = [one["checksum"] for name, one in truth.items() if name in set(rows["request_id"])]
    assert len(set(sums)) == len(sums)
    # An uninterrupted run has the same shape.
    assert lengthwise(server.url, *SWEEP, "-o", str(whole), "--json")[0] == 0
    other = check_whole(whole)
    assert list(other.columns) == list(rows.columns)
    note = "timing_note"  # a column without a note reads as numbers
    assert other.drop(columns=note).dtypes.tolist() == rows.drop(columns=note).dtypes.tolist()
    for column in ("point", "isl", "osl", "concurrency", "repeat", "status", "model", "error"):
        assert sorted(map(str, other[column])) == sorted(map(str, rows[column]))
    found, expected = json.loads(out), json.loads((tmp_path / "whole.run/summary.json").read_text())
    assert [p["point"] for p in found["points"]] == [p["point"] for p in expected["points"]]
    assert [set(p) for p in found["points"]] == [set(p) for p in expected["points"]]


def test_a_run_may_be_stopped_again_and_again(
    mock: Any, lengthwise: Lengthwise, tmp_path: Path
) -> None:
    table, requests = tmp_path / "t.parquet", tmp_path / "t.run" / "requests.jsonl"
    command = (mock().url, *SWEEP, "-o", str(table))
    said = stopped_at(requests, SENT + 3, signal.SIGINT, *command)
    assert "go on with --resume" in said
    assert len(load(table)) >= SENT + 3  # the requests of the point in flight are there for now
    stopped_at(requests, 2 * SENT + 3, signal.SIGKILL, *command, "--resume")
    assert lengthwise(*command, "--resume")[0] == 0
    check_whole(table)
    assert len(json.loads((tmp_path / "t.run" / "run.json").read_text())["parts"]) == 3


@pytest.fixture
def finished(mock: Any, lengthwise: Lengthwise, tmp_path: Path) -> tuple[Any, Path]:
    """Give a server and the table of a complete run."""
    server, table = mock(), tmp_path / "t.csv"
    assert lengthwise(server.url, *SWEEP, "-o", str(table))[0] == 0
    return server, table


def test_a_complete_run_is_told_again_without_the_server(
    finished: tuple[Any, Path], lengthwise: Lengthwise
) -> None:
    server, table = finished
    before, folder = load(table), table.with_suffix(".run")
    summary = (folder / "summary.json").read_text()
    server.stop()
    table.unlink()
    code, out, err = lengthwise(server.url, *SWEEP, "-o", str(table), "--resume")
    assert code == 0, err
    assert "nothing is left to measure: all 4 points are there" in err
    assert "TTFT p50 (ms)" in out
    pd.testing.assert_frame_equal(check_whole(table), before)
    assert (folder / "summary.json").read_text() == summary


def test_a_server_that_is_away_changes_nothing(
    finished: tuple[Any, Path], lengthwise: Lengthwise
) -> None:
    server, table = finished
    folder = table.with_suffix(".run")
    points = folder / "points.jsonl"
    points.write_text("".join(points.read_text().splitlines(keepends=True)[:2]))
    before = files(folder)
    server.stop()
    for more in (("--force",), ("--resume",)):
        code, _, err = lengthwise(server.url, *SWEEP, "-o", str(table), *more)
        assert code == 1
        assert "the server must answer" in err
        assert files(folder) == before


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("requests.jsonl", "torn"), ("requests.jsonl", "half"), ("requests.jsonl", "absent"),
        ("requests.jsonl", "zeros"), ("requests.jsonl", "further"), ("steps.jsonl", "torn"),
        ("steps.jsonl", "absent"), ("steps.jsonl", "further"), ("points.jsonl", "torn"),
        ("points.jsonl", "absent"), ("points.jsonl", "zeros"), ("points.jsonl", "further"),
    ],
)  # fmt: skip
def test_what_is_damaged_is_measured_again(
    finished: tuple[Any, Path], lengthwise: Lengthwise, name: str, damage: str
) -> None:
    server, table = finished
    path = table.with_suffix(".run") / name
    data = path.read_bytes()
    half = len(data) // 2
    if damage == "absent":
        path.unlink()
    else:
        path.write_bytes({
            "torn": data[:-9], "half": data[:half], "zeros": data[:-40] + b"\0" * 40,
            "further": data + b'{"point": 4, "reques',
        }[damage])  # fmt: skip
    code, _, err = lengthwise(server.url, *SWEEP, "-o", str(table), "--resume")
    assert code == 0, err
    check_whole(table)
    expected = {"torn": "3 of 4", "zeros": "3 of 4", "absent": "0 of 4"}.get(damage, " of 4")
    assert ("nothing is left" if damage == "further" else expected) in err


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        (("--osl", "5"), "the same points: points[0].osl is 5 and was 4"),
        (("--isl", "32"), "the same points: points are 2 and were 4"),
        (("--seed", "1"), "the same seed: seed is 1 and was 0"),
        (("--set", "hardware=h100"), "labels.hardware is h100 and was not set"),
        (("--model", "other"), "asked_model is other and was not set"),
        (("--timeout", "9s"), "timeout_s is 9.0 and was 600.0"),
    ],
)
def test_other_settings_are_refused(
    finished: tuple[Any, Path], lengthwise: Lengthwise, changed: tuple[str, ...], words: str
) -> None:
    server, table = finished
    before = files(table.with_suffix(".run"))
    code, _, err = lengthwise(server.url, *SWEEP, "-o", str(table), "--resume", *changed)
    assert code == 2
    rule, _, got = words.rpartition(": ")
    assert rule.rpartition("the same ")[2] in err
    assert got in err
    assert "repeat the command in" in err
    assert files(table.with_suffix(".run")) == before


def test_another_server_at_the_same_address_is_refused(
    finished: tuple[Any, Path], mock: Any, lengthwise: Lengthwise
) -> None:
    server, table = finished
    points = table.with_suffix(".run") / "points.jsonl"
    points.write_text(points.read_text().splitlines(keepends=True)[0])
    server.stop()
    mock("--refuse-ids", "--port", str(urlsplit(server.url).port))
    before = files(table.with_suffix(".run"))
    code, _, err = lengthwise(server.url, *SWEEP, "-o", str(table), "--resume")
    assert code == 2
    assert "server.prompts is words and was ids" in err
    assert files(table.with_suffix(".run")) == before


@pytest.mark.parametrize(
    ("manifest", "words"),
    [
        (None, "a run to resume must have been started"),
        ('{"schema_version": 1, "url": "htt', "the manifest of a run must be JSON"),
        ("[1, 2]", "must have schema version 1"),
        ('{"schema_version": 99}', "99 in"),
        ('{"schema_version": 1, "engine": "openvino"}', "a resumed run must have the same url"),
    ],
)
def test_what_cannot_be_resumed_says_so(
    lengthwise: Lengthwise, tmp_path: Path, manifest: str | None, words: str
) -> None:
    if manifest is not None:
        (tmp_path / "t.run").mkdir()
        (tmp_path / "t.run" / "run.json").write_text(manifest)
    code, _, err = lengthwise("http://127.0.0.1:9", "-o", str(tmp_path / "t.csv"), "--resume")
    assert code == 2
    assert words in err
    assert "--resume" in err


def test_a_run_whose_server_died_goes_on(mock: Any, lengthwise: Lengthwise, tmp_path: Path) -> None:
    table = tmp_path / "t.csv"
    server = mock("--die-after", str(2 * SENT + 8))
    code, _, err = lengthwise(server.url, *SWEEP, "-o", str(table))
    assert code == 1
    assert "go on with --resume" in err
    mock("--port", str(urlsplit(server.url).port))
    code, _, err = lengthwise(server.url, *SWEEP, "-o", str(table), "--resume")
    assert code == 0, err
    assert "resuming: 2 of 4" in err
    check_whole(table)


def test_points_that_end_by_time_and_traces_resume_too(
    mock: Any, lengthwise: Lengthwise, tmp_path: Path
) -> None:
    server, table, trace = mock(), tmp_path / "t.csv", tmp_path / "trace.jsonl"
    timed = (server.url, "--isl", "32,64", "--osl", "4", "--duration", "400ms", "-o", str(table))
    stopped_at(tmp_path / "t.run" / "points.jsonl", 1, signal.SIGKILL, *timed)
    assert lengthwise(*timed, "--resume")[0] == 0
    rows = load(table)
    assert set(rows["isl"]) == {32, 64}
    assert len(lines(tmp_path / "t.run" / "requests.jsonl")) == len(rows)
    asked = [{"timestamp": 5 * i, "input_length": 20 + i, "output_length": 3} for i in range(9)]
    trace.write_text("".join(json.dumps(row) + "\n" for row in asked))
    replay = (server.url, "--trace", str(trace), "-o", str(tmp_path / "r.csv"))
    assert lengthwise(*replay)[0] == 0
    trace.write_text("".join(json.dumps(row | {"input_length": 33}) + "\n" for row in asked))
    code, _, err = lengthwise(*replay, "--resume")
    assert code == 2
    assert "a resumed run must have the same" in err


def test_a_new_run_leaves_nothing_of_the_last_one(
    finished: tuple[Any, Path], lengthwise: Lengthwise
) -> None:
    server, table = finished
    code, _, _ = lengthwise(server.url, "--isl", "16", "--osl", "4", "--requests", "3",
                            "--warmup-requests", "1", "-o", str(table), "--force")  # fmt: skip
    assert code == 0
    check_whole(table, 1, 4)


def test_the_same_command_twice_sends_no_prompt_twice(
    finished: tuple[Any, Path], lengthwise: Lengthwise
) -> None:
    server, table = finished
    assert lengthwise(server.url, *SWEEP, "-o", str(table), "--force")[0] == 0
    sums = [one["checksum"] for one in server.truth().values() if one["isl"] == 64]
    assert len(set(sums)) == len(sums) >= 4 * SENT
