"""Ctrl-C, in real processes: commands that take long end at once and keep what they have."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path

import pandas as pd
import pytest

from lengthwise.data import datasets

LIMIT_S = 2.0
"""With a core to run on; where more wants to run than there are cores, so many times more."""
LONG_S = 60.0

needs_engine = pytest.mark.skipif(find_spec("openvino_genai") is None, reason="needs openvino")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tables that take a while to fit."""
    folder = tmp_path_factory.mktemp("interrupted")
    table = datasets.table("own-openvino-cpu")
    table = table[table["repeat"] < 2]
    many = [table.assign(hardware=f"cpu-{n}") for n in range(8)]
    pd.concat(many, ignore_index=True).to_csv(folder / "big.csv", index=False)
    return folder


class Running:
    """A command in a process of its own, its stderr a terminal, as progress is shown on one."""

    def __init__(self, folder: Path, words: tuple[str, ...], **environment: str) -> None:
        self._printed, self._said = folder / "printed.txt", b""
        self._terminal, its_end = os.openpty()
        with self._printed.open("wb") as printed:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "lengthwise", *words], cwd=folder, stdout=printed,
                stderr=its_end, env={**os.environ, **environment}, start_new_session=True,
            )  # fmt: skip
        os.close(its_end)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        with suppress(OSError):  # the other end is closed
            while data := os.read(self._terminal, 4096):
                self._said += data

    def wait_for(self, text: str) -> None:
        """Wait until it has said this, a regular expression."""
        self.wait_until(lambda: re.search(text, self.text()) is not None, text)

    def wait_until(self, test: Callable[[], bool], what: str) -> None:
        end = time.monotonic() + LONG_S
        while not test():
            assert self.process.poll() is None, f"ended before {what}: {self.text()}"
            assert time.monotonic() < end, f"no {what} in {self.text()}"
            time.sleep(0.02)

    def has_open(self, name: str) -> bool:
        found = Path(f"/proc/{self.process.pid}/fd")
        with suppress(OSError):
            return any(os.readlink(link).endswith(f"/{name}") for link in found.iterdir())
        return False

    def text(self) -> str:
        return self._said.decode(errors="replace").replace("\r\n", "\n")

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self._reader.join(LONG_S)
        os.close(self._terminal)

    def interrupt(self, number: int = signal.SIGINT) -> tuple[int, str]:
        """Send the signal; give exit code and all that was said."""
        begun = time.monotonic()
        self.process.send_signal(number)
        code = self.process.wait(LONG_S)
        crowd = max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))
        assert time.monotonic() - begun < LIMIT_S * crowd
        self._reader.join(LONG_S)
        assert "Traceback" not in self.text()
        return code, self.text()


@contextmanager
def running(folder: Path, *words: str, **environment: str) -> Iterator[Running]:
    command = Running(folder, words, **environment)
    try:
        yield command
    finally:
        command.close()


@pytest.fixture
def here(folder: Path, tmp_path: Path) -> Path:
    os.link(folder / "big.csv", tmp_path / "big.csv")
    return tmp_path


def test_a_fit_leaves_no_law(here: Path) -> None:
    with running(here, "fit", "big.csv", "-o", "law.json") as command:
        command.wait_for("fitting")
        code, said = command.interrupt()
    assert code == 130
    assert "interrupted: law.json was not written" in said
    assert {path.name for path in here.iterdir()} == {"big.csv", "printed.txt"}


def test_an_evaluation_keeps_the_fits_that_were_done(here: Path) -> None:
    words = ("evaluate", "big.csv", "--formulations", "linear,hachiya-patias", "-o", "scores.json")
    with running(here, *words) as command:
        command.wait_for(r"\d+/\d+ fits")
        code, said = command.interrupt()
    assert code == 130
    assert "interrupted" in said
    assert not (here / "scores.json").exists()
    kept = json.loads((here / "scores.partial.json").read_text())
    assert kept["partial"]
    assert {point["formulation"] for point in kept["points"]} == {"linear"}


def test_an_ablation_does_not_go_on(here: Path) -> None:
    words = ("evaluate", "big.csv", "--ablation", "--json", "-o", "terms.json")
    with running(here, *words) as command:
        command.wait_for(r"\d+/\d+ fits")
        code, said = command.interrupt()
    assert code == 130
    assert "interrupted" in said
    assert not (here / "terms.json").exists()
    assert json.loads((here / "terms.partial.json").read_text())["partial"]


def test_a_report_says_that_it_is_not_complete(here: Path) -> None:
    words = ("report", "big.csv", "--formulations", "linear,hachiya-patias", "-o", "r.html")
    with running(here, *words) as command:
        command.wait_for(r"\d+/\d+ fits")
        code, _ = command.interrupt()
    assert code == 130
    assert not (here / "r.html").exists()
    assert "Not complete." in (here / "r.partial.html").read_text()
    assert json.loads((here / "r.partial.json").read_text())["partial"]


def test_an_import_keeps_the_files_that_were_read(here: Path) -> None:
    rows = pd.DataFrame({"phase": "prefill", "isl": [64, 128], "latency_ms": [1.0, 2.0]})
    rows.to_csv(here / "one.csv", index=False)
    (here / "two.csv").write_text("phase,isl,latency_ms\n" + "prefill,64,1.0\n" * 3_000_000)
    with running(here, "import", "one.csv", "two.csv", "-o", "all.csv", "--json") as command:
        command.wait_until(lambda: command.has_open("two.csv"), "the second file")
        code, said = command.interrupt()
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
def test_an_engine_that_does_not_come_back_is_left(here: Path) -> None:
    """A prompt that takes long: its library gives no way to stop it."""
    words = ("measure", "openvino", "--isl", "16,32768", "--repeats", "9", "--seed", "4",
             "-o", "t.csv")  # fmt: skip
    with running(here, *words) as command:
        steps = here / "t.run" / "steps.jsonl"
        command.wait_until(lambda: steps.is_file() and steps.stat().st_size > 0, "a visit")
        time.sleep(0.3)
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
        command.wait_for("\n")
        code, said = command.interrupt()
    assert code == 130
    assert "study was not written" in said


def test_a_service_ends(here: Path) -> None:
    with running(here, "serve", "--port", "0", "--state", "state") as command:
        command.wait_until(lambda: (here / "printed.txt").stat().st_size > 0, "its first line")
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
