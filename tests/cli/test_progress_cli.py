"""Progress is shown on a terminal, and nowhere else."""

import os
import pty
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lengthwise.interfaces.cli.progress import busy

TABLE = "phase,isl,latency_ms\n" + "".join(
    f"prefill,{n},{3 + n / 100:.4f}\n" for n in (64, 100, 144, 256, 400, 900, 1600, 2500)
)
REPORT = ("report", "t.csv", "--formulations", "linear,power", "--no-ablation", "--json")


def on_a_terminal(folder: Path, *words: str) -> str:
    """Run a command whose stderr is a terminal; return what stands there in the end and before."""
    leader, follower = pty.openpty()
    subprocess.run([sys.executable, "-m", "lengthwise", *words], stdout=subprocess.DEVNULL,
                   stderr=follower, check=True, cwd=folder, timeout=120)  # fmt: skip
    os.close(follower)
    seen = os.read(leader, 1 << 16) if words else b""
    os.close(leader)
    return seen.decode()


def test_a_report_shows_its_fits_on_a_terminal(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(TABLE)
    seen = on_a_terminal(tmp_path, *REPORT)
    assert "1/2 fits, linear" in seen
    assert seen.endswith("\r\x1b[K")


def test_nothing_is_shown_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(TABLE)
    done = subprocess.run([sys.executable, "-m", "lengthwise", *REPORT], cwd=tmp_path, text=True,
                          capture_output=True, check=True)  # fmt: skip
    assert done.stderr == ""


class Terminal:
    def __init__(self) -> None:
        self.text = ""

    def isatty(self) -> bool:
        return True

    def write(self, text: str) -> int:
        self.text += text
        return len(text)

    def flush(self) -> None:
        pass


@pytest.mark.parametrize(("seconds", "quiet", "shown"), [(0.0, False, 0), (2.8, False, 1),
                                                         (2.8, True, 0)])  # fmt: skip
def test_work_over_two_seconds_says_so(
    seconds: float, quiet: bool, shown: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    with busy("fitting", quiet=quiet):
        time.sleep(seconds)
    assert ("fitting ... " in terminal.text) == bool(shown)
    assert terminal.text.endswith("\r\x1b[K") == bool(shown)
