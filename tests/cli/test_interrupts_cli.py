"""Ctrl-C, in real processes: every command that can take long ends at once and keeps what it has."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import pandas as pd
import pytest

from lengthwise.data import datasets

LIMIT_S = 3.0
"""Two seconds, and one more because these tests share their cores."""
LONG_S = 60.0

needs_engine = pytest.mark.skipif(find_spec("openvino_genai") is None, reason="needs openvino")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tables that take a while to fit."""
    folder = tmp_path_factory.mktemp("interrupted")
    table = datasets.table("own-openvino-cpu")
    table[table["repeat"] < 2].to_csv(folder / "big.csv", index=False)
    return folder


class Running:
    """A command in a process of its own; what it says goes to files."""

    def __init__(self, folder: Path, words: tuple[str, ...], **environment: str) -> None:
        self.said = folder / "said.txt"
        with self.said.open("wb") as said:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "lengthwise", *words], cwd=folder, stdout=said, stderr=said,
                env={**os.environ, **environment}, start_new_session=True,
            )  # fmt: skip

    def wait_for(self, text: str) -> None:
        self.wait_until(lambda: re.search(text, self.text()) is not None, text)

    def wait_for_cpu(self, seconds: float) -> None:
        """Wait until it has worked for so long: there is nothing else to see."""
        ticks = os.sysconf("SC_CLK_TCK")

        def worked() -> bool:
            stat = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
            return (int(stat[11]) + int(stat[12])) / ticks >= seconds

        self.wait_until(worked, f"{seconds} s of work")

    def wait_until(self, test: object, what: str) -> None:
        assert callable(test)
        end = time.monotonic() + LONG_S
        while not test():
            assert self.process.poll() is None, (
                f"ended with {self.process.returncode} before {what}"
            )
            assert time.monotonic() < end, f"no {what} in {self.text()}"
            time.sleep(0.02)

    def text(self) -> str:
        return self.said.read_text(errors="replace")

    def interrupt(self, number: int = signal.SIGINT) -> tuple[int, str]:
        """Send the signal; give exit code and all that was said."""
        begun = time.monotonic()
        self.process.send_signal(number)
        code = self.process.wait(LONG_S)
        assert time.monotonic() - begun < LIMIT_S
        assert "Traceback" not in self.text()
        return code, self.text()


@contextmanager
def running(folder: Path, *words: str, **environment: str) -> Iterator[Running]:
    command = Running(folder, words, **environment)
    try:
        yield command
    finally:
        if command.process.poll() is None:
            command.process.kill()
            command.process.wait()


@pytest.fixture
def here(folder: Path, tmp_path: Path) -> Path:
    os.link(folder / "big.csv", tmp_path / "big.csv")
    return tmp_path


def test_a_fit_leaves_no_law(here: Path) -> None:
    with running(here, "fit", "big.csv", "-o", "law.json") as command:
        command.wait_for_cpu(1.5)
        code, said = command.interrupt()
    assert code == 130
    assert "interrupted: law.json was not written" in said
    assert {path.name for path in here.iterdir()} == {"big.csv", "said.txt"}


def test_an_evaluation_keeps_the_fits_that_were_done(here: Path) -> None:
    words = ("evaluate", "big.csv", "--formulations", "linear,hachiya-patias", "-o", "scores.json")
    with running(here, *words) as command:
        command.wait_for_cpu(2.5)
        code, said = command.interrupt()
    assert code == 130
    assert "cover only what was done" in said
    assert not (here / "scores.json").exists()
    kept = json.loads((here / "scores.partial.json").read_text())
    assert kept["partial"]
    assert {point["formulation"] for point in kept["points"]} == {"linear"}


def test_an_ablation_does_not_go_on(here: Path) -> None:
    words = ("evaluate", "big.csv", "--ablation", "--json", "-o", "terms.json")
    with running(here, *words) as command:
        command.wait_for_cpu(3.0)
        code, said = command.interrupt()
    assert code == 130
    kept = here / "terms.partial.json"
    assert not (here / "terms.json").exists()
    assert json.loads(kept.read_text())["partial"] if kept.exists() else "not written" in said


def test_a_report_says_that_it_is_not_complete(here: Path) -> None:
    words = ("report", "big.csv", "--formulations", "linear,hachiya-patias", "-o", "r.html")
    with running(here, *words) as command:
        command.wait_for_cpu(2.5)
        code, _ = command.interrupt()
    assert code == 130
    assert not (here / "r.html").exists()
    assert "Not complete." in (here / "r.partial.html").read_text()
    assert json.loads((here / "r.partial.json").read_text())["partial"]


def test_an_import_keeps_the_files_that_were_read(here: Path) -> None:
    rows = pd.DataFrame({"phase": "prefill", "isl": [64, 128], "latency_ms": [1.0, 2.0]})
    rows.to_csv(here / "one.csv", index=False)
    os.mkfifo(here / "two.csv")
    with running(here, "import", "one.csv", "two.csv", "-o", "all.csv", "--json") as command:
        hold = None  # opening it succeeds when somebody reads, and nobody ever writes
        end = time.monotonic() + LONG_S
        while hold is None and time.monotonic() < end:
            try:
                hold = os.open(here / "two.csv", os.O_WRONLY | os.O_NONBLOCK)
            except OSError:
                time.sleep(0.02)
        assert hold is not None
        code, said = command.interrupt()
        os.close(hold)
    assert code == 130
    assert "interrupted: 1 of 2 files were read" in said
    assert not (here / "all.csv").exists()
    assert len(pd.read_csv(here / "all.partial.csv")) == 2


@needs_engine
def test_a_measured_engine_keeps_its_visits(here: Path) -> None:
    words = ("measure", "openvino", "--isl", "64-512*2", "--repeats", "400", "-o", "t.csv")
    with running(here, *words) as command:
        steps = here / "t.run" / "steps.jsonl"
        command.wait_until(lambda: steps.is_file() and steps.stat().st_size > 0, "a visit")
        code, said = command.interrupt()
    assert code == 130
    assert "go on with --resume" in said
    assert len(pd.read_csv(here / "t.csv"))
    assert json.loads((here / "t.run" / "run.json").read_text())["status"] == "interrupted"


@needs_engine
def test_a_demo_ends(here: Path) -> None:
    with running(here, "demo", "--report", "demo.html") as command:
        command.wait_for("loading a small model")
        code, said = command.interrupt()
    assert code == 130
    assert "demo.html was not written" in said


def test_a_study_ends(here: Path) -> None:
    table = datasets.table("own-transformers-cpu").head(4000)
    table.to_csv(here / "events.csv", index=False)
    with running(here, "study", "per-token", "events.csv", "-o", "study") as command:
        command.wait_for_cpu(2.0)
        code, said = command.interrupt()
    assert code == 130
    assert "study was not written" in said


def test_a_service_ends(here: Path) -> None:
    with running(here, "serve", "--port", "0", "--state", "state") as command:
        command.wait_for("lengthwise serves")
        code, _ = command.interrupt()
    assert code == 130


@pytest.mark.parametrize(("number", "ended"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_server_that_does_not_answer_is_left(here: Path, number: int, ended: int) -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        url = f"http://127.0.0.1:{deaf.getsockname()[1]}"
        with running(here, "measure", url, "-o", "t.csv") as command:
            deaf.settimeout(LONG_S)
            held, _ = deaf.accept()
            code, said = command.interrupt(number)
            held.close()
    assert code == ended
    assert "t.csv was not written" in said
    assert not (here / "t.run").exists()


def test_a_download_ends(here: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        proxy = f"http://127.0.0.1:{deaf.getsockname()[1]}"
        silent = {"HTTPS_PROXY": proxy, "https_proxy": proxy, "LENGTHWISE_DATA": "",
                  "XDG_CACHE_HOME": str(here / "cache")}  # fmt: skip
        with running(here, "data", "fetch", "distserve", **silent) as command:
            deaf.settimeout(LONG_S)
            held, _ = deaf.accept()
            code, said = command.interrupt()
            held.close()
    assert code == 130
    assert said.endswith("interrupted\n")
