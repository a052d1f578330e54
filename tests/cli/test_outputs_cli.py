"""Where results go: what a command may replace, what it must not, and how it ends."""

from __future__ import annotations

import json
import os
import resource
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from shutil import copytree

import numpy as np
import pandas as pd
import pytest

from lengthwise.interfaces.cli.main import run

FIT = ("fit", "mine.csv", "--formulation", "linear", "-o")
EVALUATE = ("evaluate", "mine.csv", "--formulations", "linear", "-o")
PREDICT = ("predict", "law.json", "--phase", "prefill", "--isl", "512", "-o")
PREDICT_TABLE = ("predict", "law.json", "--table", "points.csv", "-o")
IMPORT = ("import", "mine.csv", "-o")
EXPORT = ("export", "requests.csv", "-o")
COMPARE = ("compare", "law.json", "other.json", "--plot")
REPORT = ("report", "law.json", "-o")
REPORT_FIGURES = ("report", "law.json", "--plots")
DATASET = ("data", "table", "own-mixed-cpu", "-o")
MEASURE = ("measure", "openvino", "-o")
DOCTOR = ("doctor", "-o")
DEMO = ("demo", "--recorded", "--report")
STUDY = ("study", "per-token", "mine.csv", "-o")
FORCE = ("--force",)

KEPT = [
    # the output is a file that is read, whatever it is called
    (FIT, "mine.csv", 2), (FIT, "./mine.csv", 2), (EVALUATE, "mine.csv", 2),
    (("evaluate", "mine", "-o"), "twin", 2),
    (("evaluate", "mine", *FORCE, "-o"), "link-to-mine", 2),
    (("fit", "mine", *FORCE, "-o"), "twin", 2), (("fit", "mine", *FORCE, "-o"), "sub/../mine", 2),
    (IMPORT, "mine.csv", 2), ((*IMPORT[:2], *FORCE, "-o"), "sub/../mine.csv", 2),
    (PREDICT_TABLE, "points.csv", 2), ((*PREDICT_TABLE[:4], *FORCE, "-o"), "points.csv", 2),
    (PREDICT, "law.json", 2), (EXPORT, "requests.csv", 2), (COMPARE, "law.json", 2),
    (REPORT, "law.html", 2),  # its content as JSON would be law.json
    (("fit", "mine.csv", "--formulation", "step", "--prior", "law.json", "-o"), "law.json", 2),
    (("measure", "http://127.0.0.1:9", "--trace", "points.csv", *FORCE, "-o"), "points.csv", 2),
    ((*STUDY[:2], "study/predictions.csv", "-o"), "study", 2),
    # a file that is not of our making, or that holds measurements
    (FIT, "notes.json", 2), (EVALUATE, "notes.json", 2), (EVALUATE, "law.json", 2),
    (FIT, "scores.json", 2), (REPORT, "notes.html", 2), (COMPARE, "photo.png", 2),
    (REPORT, "notes.htm", 2), (REPORT_FIGURES, "figures", 2),
    (PREDICT, "precious.csv", 2), (IMPORT, "precious.csv", 2), (DATASET, "precious.csv", 2),
    (MEASURE, "precious.csv", 2), (MEASURE, "begun.csv", 2), (EXPORT, "notes.yaml", 2),
    (DOCTOR, "machine.toml", 2), (DEMO, "precious.html", 2), (STUDY, "study", 2),
    (FIT, "link-to-notes", 2),
    # nothing that can be written to
    (FIT, "sub", 2), (EVALUATE, "sub", 2), (IMPORT, "sub", 2), (FIT, "link-to-sub", 2),
    (REPORT, "sub", 2), (MEASURE, "sub", 2), (REPORT_FIGURES, "notes.json", 2), (STUDY, "-", 2),
    (FIT, "nowhere/law.json", 2), (REPORT, "nowhere/r.html", 2), (PREDICT, "nowhere/p.csv", 2),
    (FIT, "loop", 2), (FIT, "/proc/law.json", 2), (IMPORT, "/proc/t.csv", 2),
    (EVALUATE, "x" * 300, 2), (FIT, "socket", 2),
    # an ending that the command does not write
    (FIT, "law.csv", 2), (EVALUATE, "scores.parquet", 2), (IMPORT, "t.pdf", 2),
    (PREDICT, "p.json", 2), (REPORT, "r.pdf", 2), (COMPARE, "c.txt", 2), (DOCTOR, "m.txt", 2),
    (EXPORT, "e.csv", 2), (MEASURE, "t.xlsx", 2), (DATASET, "t", 2),
    # the disk is full, a gate is missed, standard output is asked for twice
    (FIT, "/dev/full", 1), (EVALUATE, "/dev/full", 1), (PREDICT, "/dev/full", 1),
    (IMPORT, "/dev/full", 1), (("fit", "mine.csv", "--max-mape", "0.001", "-o"), "law.json", 3),
    (("fit", "mine.csv", "--max-mape", "0.001", "-o"), "new.json", 3),
    (("import", "useless.csv", *FORCE, "-o"), "precious.csv", 1),
    ((*EVALUATE[:-1], "--json", "-o"), "-", 2),
]  # fmt: skip

WRITTEN = [
    # a new file, also where a dangling link leads
    (FIT, "new.json", "new.json"), (FIT, "law", "law"), (FIT, "dangling", "made-by-link.json"),
    (PREDICT, "new.csv", "new.csv"), (PREDICT_TABLE, "new.csv.gz", "new.csv.gz"),
    (IMPORT, "sub/t.jsonl", "sub/t.jsonl"), (EXPORT, "e.yaml", "e.yaml"),
    # a file of the same kind, an empty one, and whatever is asked for
    (FIT, "law.json", "law.json"), (FIT, "link-to-law", "law.json"),
    (EVALUATE, "scores.json", "scores.json"), (PREDICT, "predictions.csv", "predictions.csv"),
    (COMPARE, "picture.png", "picture.png"), (FIT, "empty", "empty"),
    ((*FIT[:-1], *FORCE, "-o"), "notes.json", "notes.json"),
    ((*FIT[:-1], *FORCE, "-o"), "link-to-notes", "notes.json"),
    ((*IMPORT[:-1], *FORCE, "-o"), "precious.csv", "precious.csv"),
]  # fmt: skip


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with everything a command may meet."""
    folder = tmp_path_factory.mktemp("made")
    length = np.repeat(2.0 ** np.arange(7, 14), 2)
    rows = pd.DataFrame({"phase": "prefill", "model": "m", "isl": length,
                         "latency_ms": 5 + length / 100})  # fmt: skip
    rows.to_csv(folder / "mine.csv", index=False)
    rows.to_csv(folder / "mine", index=False)
    rows.to_csv(folder / "precious.csv", index=False)
    rows.assign(latency_ms=np.nan).to_csv(folder / "useless.csv", index=False)
    rows[["phase", "model", "isl"]].to_csv(folder / "points.csv", index=False)
    requests = {"phase": "request", "isl": 512, "osl": 9, "ttft_ms": [40, 60], "e2e_ms": [90, 110]}
    pd.DataFrame(requests).to_csv(folder / "requests.csv", index=False)
    before = Path.cwd()
    os.chdir(folder)
    try:
        for words, output in ((FIT, "law.json"), (FIT, "other.json"), (EVALUATE, "scores.json"),
                              (PREDICT, "predictions.csv"), (COMPARE, "picture.png")):  # fmt: skip
            assert code_of(*words, output) == 0
    finally:
        os.chdir(before)
    for name in ("notes.json", "notes.html", "notes.yaml", "machine.toml", "precious.html"):
        (folder / name).write_text("my own\n")
    (folder / "notes.htm").write_text("my own\n")
    (folder / "photo.png").write_bytes(b"\x89PNG\r\n\x1a\nmine")
    (folder / "empty").touch()
    for name in ("sub", "figures", "begun.run", "study"):
        (folder / name).mkdir()
    (folder / "figures" / "overview-1.png").write_bytes(b"mine")
    (folder / "begun.run" / "run.json").write_text("{}")
    (folder / "study" / "study.json").write_text("mine")
    (folder / "study" / "predictions.csv").write_text("mine")
    return folder


@pytest.fixture
def folder(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it, with links, as the working directory."""
    here = tmp_path / "here"
    copytree(made, here)
    monkeypatch.chdir(here)
    os.link("mine", "twin")
    links = {"link-to-law": "law.json", "link-to-notes": "notes.json", "link-to-mine": "mine",
             "link-to-sub": "sub", "dangling": "made-by-link.json", "loop": "loop"}  # fmt: skip
    for name, to in links.items():
        os.symlink(to, name)
    os.mknod("socket", stat.S_IFSOCK | 0o600)
    return here


def code_of(*words: str) -> int:
    with pytest.raises(SystemExit) as ended:
        run(words)
    return ended.value.code if isinstance(ended.value.code, int) else 1


def content(folder: Path) -> dict[str, tuple[int, object]]:
    """Kind, target or bytes of everything below a folder."""
    found: dict[str, tuple[int, object]] = {}
    for path in folder.rglob("*"):
        mode = path.lstat().st_mode
        data = os.readlink(path) if path.is_symlink() else path.is_file() and path.read_bytes()
        found[str(path.relative_to(folder))] = (stat.S_IFMT(mode), data)
    return found


@pytest.mark.parametrize(("words", "output", "code"), KEPT)
def test_nothing_is_lost(folder: Path, words: tuple[str, ...], output: str, code: int) -> None:
    before, device = content(folder), os.stat("/dev/full")
    assert code_of(*words, output) == code
    assert content(folder) == before
    assert os.stat("/dev/full").st_rdev == device.st_rdev


@pytest.mark.parametrize(("words", "output", "target"), WRITTEN)
def test_a_file_is_written_whole(
    folder: Path, words: tuple[str, ...], output: str, target: str
) -> None:
    before = content(folder)
    assert code_of(*words, output) == 0
    after = content(folder)
    changed = {name for name in after if after[name] != before.get(name)}
    assert changed <= {target}
    assert target in changed or output in ("law.json", "link-to-law", "scores.json",
                                           "predictions.csv", "picture.png")  # fmt: skip
    assert stat.S_ISREG(after[target][0])
    assert set(before) <= set(after)


@pytest.mark.parametrize("words", [FIT, EVALUATE, PREDICT, IMPORT])
def test_a_device_stays_one(folder: Path, words: tuple[str, ...]) -> None:
    before = content(folder)
    assert code_of(*words, "/dev/null") == 0
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)
    assert content(folder) == before


@pytest.mark.parametrize("words", [FIT, PREDICT_TABLE, IMPORT])
def test_a_pipe_is_written_to(folder: Path, words: tuple[str, ...]) -> None:
    os.mkfifo("pipe")
    got: list[bytes] = []
    reader = threading.Thread(target=lambda: got.append(Path("pipe").read_bytes()), daemon=True)
    reader.start()
    assert code_of(*words, "pipe") == 0
    reader.join(10)
    assert got[0].startswith(b"{" if words is FIT else b"phase,")
    assert stat.S_ISFIFO(os.stat("pipe").st_mode)


@pytest.mark.parametrize(
    ("words", "beginning"),
    [(FIT, '{\n "kind": "lengthwise-law"'), (IMPORT, "phase,"), (PREDICT, "phase,"),
     (EVALUATE, '{\n "kind": "lengthwise-evaluation"'), (REPORT, "<!doctype html>")],
)  # fmt: skip
@pytest.mark.parametrize("name", ["-", "/dev/stdout"])
def test_a_dash_is_standard_output(
    folder: Path, words: tuple[str, ...], beginning: str, name: str,
    capsysbinary: pytest.CaptureFixture[bytes],
) -> None:  # fmt: skip
    before = content(folder)
    assert code_of(*words, name) == 0
    said = capsysbinary.readouterr()
    assert said.out.decode().startswith(beginning)
    assert "wrote" not in said.out.decode()
    assert content(folder) == before


@contextmanager
def small_disk(limit: int) -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize(
    ("words", "output"),
    [(FIT, "law.json"), (EVALUATE, "scores.json"), (PREDICT, "predictions.csv"),
     ((*IMPORT[:-1], *FORCE, "-o"), "precious.csv"), (FIT, "link-to-law"),
     (IMPORT, "new.parquet"), (PREDICT_TABLE, "new.parquet")],
)  # fmt: skip
def test_a_full_disk_leaves_the_old_file_whole(
    folder: Path, words: tuple[str, ...], output: str, capsys: pytest.CaptureFixture[str]
) -> None:
    before = content(folder)
    with small_disk(100):
        assert code_of(*words, output) == 1
    assert content(folder) == before
    assert "File too large" in capsys.readouterr().err


def test_mode_and_owner_stay(folder: Path) -> None:
    law = folder / "law.json"
    law.chmod(0o640)
    mine = os.geteuid() == 0
    if mine:
        os.chown(law, 12345, 23456)
    assert code_of(*FIT, "law.json") == 0
    status = law.stat()
    assert stat.S_IMODE(status.st_mode) == 0o640
    assert not mine or (status.st_uid, status.st_gid) == (12345, 23456)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
@pytest.mark.parametrize("closed", ["law.json", "."])
def test_rights_are_respected(folder: Path, closed: str) -> None:
    before = content(folder)
    Path(closed).chmod(0o444 if closed != "." else 0o555)
    try:
        assert code_of(*FIT, "law.json") == 2
        assert content(folder) == before
    finally:
        Path(closed).chmod(0o755)


def test_a_refusal_comes_before_the_work(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The table does not exist either: the output is looked at first."""
    for words in (("fit", "no.csv", "-o", "law.csv"), ("report", "no.csv", "-o", "x.pdf"),
                  ("evaluate", "no.csv", "-o", "notes.json")):  # fmt: skip
        assert code_of(*words) == 2
        assert "no.csv" not in capsys.readouterr().err


def test_a_missed_gate_says_that_no_law_is_left(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("fit", "mine.csv", "--max-mape", "0.001", "-o", "new.json")
    assert code_of(*words, "--json") == 3
    said = capsys.readouterr()
    assert json.loads(said.out)["law"] is None
    assert "new.json was not written" in said.err


@pytest.mark.parametrize("stderr_too", [False, True])
def test_a_reader_who_leaves_is_no_error(folder: Path, stderr_too: bool) -> None:
    """The file is written though nobody reads on; nothing is said of it."""
    words = [sys.executable, "-m", "lengthwise", *FIT, "new.json"]
    reading, writing = os.pipe()
    os.close(reading)
    errors = writing if stderr_too else subprocess.PIPE
    done = subprocess.run(words, stdout=writing, stderr=errors, cwd=folder, timeout=60)
    os.close(writing)
    assert done.returncode == 0
    assert (folder / "new.json").is_file()
    assert stderr_too or b"Broken pipe" not in done.stderr


def test_a_full_disk_behind_standard_output_is_said(folder: Path) -> None:
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "lengthwise", "data", "list"], stdout=full,
            stderr=subprocess.PIPE, timeout=60,
        )  # fmt: skip
    assert done.returncode == 1
    assert b"standard output must be writable" in done.stderr
    assert b"Traceback" not in done.stderr
