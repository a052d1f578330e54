"""Processes the service starts are kept alive, and end with it."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from lengthwise.interfaces.service.child import Child
from lengthwise.interfaces.service.settings import ServiceSettings

CHILD = """
import sys, threading, pathlib
from lengthwise.interfaces.service.child import settings_from_parent
gone = threading.Event()
settings = settings_from_parent(gone.set)
settings.state.joinpath("pids").open("a").write(f"{__import__('os').getpid()}\\n")
gone.wait(60)
settings.state.joinpath("ended").write_text("well")
"""
PARENT = """
import sys, time, pathlib
from lengthwise.interfaces.service.child import Child
from lengthwise.interfaces.service.settings import ServiceSettings
Child("kept_child", ServiceSettings(state=pathlib.Path(sys.argv[1]))).start()
time.sleep(60)
"""


def until(holds: Callable[[], bool], seconds: float = 20.0) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if holds():
            return True
        time.sleep(0.05)
    return False


def pids(state: Path) -> list[int]:
    file = state / "pids"
    return [int(line) for line in file.read_text().split()] if file.exists() else []


def test_a_killed_child_is_started_again_and_stopped_at_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "kept_child.py").write_text(CHILD)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    child = Child("kept_child", ServiceSettings(state=tmp_path))
    child.start()
    try:
        assert until(lambda: len(pids(tmp_path)) == 1)
        os.kill(pids(tmp_path)[0], signal.SIGKILL)
        assert until(lambda: len(pids(tmp_path)) == 2)
        assert child.pid == pids(tmp_path)[1]
        assert child.restarts == 1
    finally:
        child.stop()
    assert child.pid is None


def test_a_child_ends_when_its_parent_is_killed(tmp_path: Path) -> None:
    (tmp_path / "kept_child.py").write_text(CHILD)
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, str(tmp_path)],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
    )
    try:
        assert until(lambda: len(pids(tmp_path)) == 1)
    finally:
        parent.kill()
        parent.wait()
    assert until(lambda: (tmp_path / "ended").exists())


def test_settings_are_not_in_the_arguments_of_a_child(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "kept_child.py").write_text(CHILD)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    child = Child("kept_child", ServiceSettings(state=tmp_path, tokens={"topsecret": "read"}))
    child.start()
    try:
        assert until(lambda: len(pids(tmp_path)) == 1)
        process = Path(f"/proc/{child.pid}")
        if process.exists():
            shown = (process / "cmdline").read_bytes() + (process / "environ").read_bytes()
            assert b"topsecret" not in shown
    finally:
        child.stop()
