"""Processes the service starts, and how they learn that it is gone.

A child gets its settings as one line on standard input (they hold secrets, which arguments and the
environment would show) and keeps that pipe open: when it ends, the parent has ended or wants the
child to end, and the child finishes. So no child outlives its parent, however the parent dies.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress

from lengthwise.interfaces.service.settings import ServiceSettings

BACK_OFF_S, LONGEST_BACK_OFF_S = 0.5, 30.0
STEADY_S = 30.0
"""A child that lived this long was well: the next restart is quick again."""


class Child:
    """A process kept alive.

    Parameters
    ----------
    module
        Run with ``python -m``; begins with :func:`settings_from_parent`.
    settings
        What it is told.
    arguments, fds
        Arguments and open files it gets.
    """

    def __init__(
        self, module: str, settings: ServiceSettings, arguments: Sequence[str] = (),
        fds: Sequence[int] = (),
    ) -> None:  # fmt: skip
        self._command = [sys.executable, "-m", module, *arguments]
        self._settings, self._fds = settings, tuple(fds)
        self._process: subprocess.Popen[bytes] | None = None
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self.restarts = 0

    @property
    def pid(self) -> int | None:
        """Process id while it runs."""
        process = self._process
        return process.pid if process is not None and process.poll() is None else None

    def start(self) -> None:
        """Start it, and start it again whenever it ends."""
        self._spawn()
        self._thread = threading.Thread(target=self._keep, name="keeper", daemon=True)
        self._thread.start()

    def end(self) -> None:
        """Tell it to end; does not wait."""
        self._stop.set()
        with self._lock:
            process = self._process
        if process is not None:
            if process.stdin is not None:
                with suppress(OSError):
                    process.stdin.close()
            with suppress(ProcessLookupError):
                process.terminate()

    def stop(self, grace_s: float = 15.0) -> None:
        """Tell it to end, wait, and kill it when it does not."""
        self.end()
        process = self._process
        if process is not None:
            try:
                process.wait(grace_s)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        if self._thread is not None:
            self._thread.join()

    def _spawn(self) -> None:
        environment = {**os.environ, "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "1")}
        with self._lock:
            if self._stop.is_set():
                return
            self._process = subprocess.Popen(
                self._command, stdin=subprocess.PIPE, pass_fds=self._fds, env=environment
            )
            assert self._process.stdin is not None
            with suppress(OSError):  # it died at once; the keeper sees it
                self._process.stdin.write(self._settings.to_json().encode() + b"\n")
                self._process.stdin.flush()

    def _keep(self) -> None:
        wait_s, began = BACK_OFF_S, time.monotonic()
        while not self._stop.wait(0.1):
            process = self._process
            if process is None or process.poll() is None:
                continue
            if time.monotonic() - began > STEADY_S:
                wait_s = BACK_OFF_S
            name = self._command[2].rpartition(".")[2]
            print(f"{name} ended with code {process.returncode}; started again in {wait_s:g} s",
                  file=sys.stderr, flush=True)  # fmt: skip
            if process.stdin is not None:
                with suppress(OSError):
                    process.stdin.close()
            if self._stop.wait(wait_s):
                return
            wait_s, began = min(2 * wait_s, LONGEST_BACK_OFF_S), time.monotonic()
            self.restarts += 1
            self._spawn()


def settings_from_parent(when_gone: Callable[[], None]) -> ServiceSettings:
    """Read the settings in a child; ``when_gone`` is called when the parent is no more.

    Parameters
    ----------
    when_gone
        Called in a thread of its own.
    """
    line = sys.stdin.buffer.readline()
    if not line:
        raise SystemExit("this process is started by lengthwise serve")

    def watch() -> None:
        with suppress(OSError, ValueError):
            while os.read(0, 4096):
                pass
        when_gone()

    threading.Thread(target=watch, name="parent", daemon=True).start()
    return ServiceSettings.from_json(line.decode())
