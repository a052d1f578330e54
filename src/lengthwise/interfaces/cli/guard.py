"""A command that runs an engine is done by a child process; its parent can always end.

A step of an engine is one call into native code. It can take minutes, and some engines keep
Python's lock meanwhile, so that no thread can run either. The parent waits, passes on signals that
were sent to it alone (those of a terminal reach the child by themselves), and ends a child that has
not ended in time. What was measured is in the run directory, and the parent makes the table of it.

The child dies with its parent. Linux only; elsewhere a command runs unguarded.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from lengthwise.interfaces.cli.interrupts import GRACE_S, SAVING_S, hear_of_saving

ENGINES = ("openvino", "llamacpp", "transformers")
HARD_S = GRACE_S + 0.2
"""When a child is ended that has not even begun to save."""

_SENT_BY_A_PROCESS = 0
"""Greatest ``si_code`` of a signal that a process sent; the terminal's are of the kernel."""
_DIES_WITH_PARENT = 1
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGCHLD)

_to_parent: int | None = None


def needs_guard(words: Sequence[str]) -> bool:
    """Whether a command line runs an engine in its own process.

    >>> needs_guard(["measure", "openvino"]), needs_guard(["measure", "http://127.0.0.1:8000"])
    (True, False)
    """
    if sys.platform != "linux" or {"-h", "--help"} & {*words}:
        return False
    if words[:1] == ["demo"]:
        return "--recorded" not in words
    return words[:1] in (["measure"], ["study"]) and any(word in ENGINES for word in words)


def guard() -> int | None:
    """Fork; returns None in the child, and in the parent its exit code once the child has ended."""
    global _to_parent
    read, write = os.pipe()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    parent = os.getpid()
    child = os.fork()
    if child:
        os.close(write)
        os.set_blocking(read, False)
        import lengthwise.data.table  # noqa: F401  # a rescue must be quick; the child loads now

        return _Parent(child, read).wait()
    os.close(read)
    _die_with(parent)
    _to_parent = write
    hear_of_saving(lambda: _tell("saving", ""))
    signal.pthread_sigmask(signal.SIG_SETMASK, before)
    return None


def tell_run(output: Path, run: Path) -> None:
    """Tell a guarding parent where the measurement is kept."""
    _tell(str(output), str(run))


def _tell(*words: str) -> None:
    if _to_parent is not None:
        with suppress(OSError):
            os.write(_to_parent, (json.dumps(words) + "\n").encode())


def _die_with(parent: int) -> None:
    import ctypes

    ctypes.CDLL(None).prctl(_DIES_WITH_PARENT, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(128 + signal.SIGKILL)


class _Parent:
    """Waits for the child; signals are blocked and taken one by one."""

    def __init__(self, child: int, read: int) -> None:
        self._child, self._read = child, read
        self._came: float | None = None
        self._number, self._lines = 0, b""

    def wait(self) -> int:
        """Return the exit code of the child, or that of the signal that ended it."""
        while (status := os.waitpid(self._child, os.WNOHANG)) == (0, 0):
            if self._came is not None and time.monotonic() - self._came > self._allowed_s():
                return self._end()
            found = signal.sigtimedwait(_SIGNALS, 60.0 if self._came is None else 0.05)
            if found is not None and found.si_signo != signal.SIGCHLD:
                self._signalled(found)
        code = os.waitstatus_to_exitcode(status[1])
        return code if code >= 0 else 128 - code

    def _signalled(self, found: signal.struct_siginfo) -> None:
        self._number = found.si_signo
        if found.si_code <= _SENT_BY_A_PROCESS:
            os.kill(self._child, found.si_signo)
        if self._came is None:
            self._came = time.monotonic()

    def _told(self) -> list[list[str]]:
        """Read what the child said so far, and keep it."""
        with suppress(BlockingIOError):
            self._lines += os.read(self._read, 65536)
        return [json.loads(line) for line in self._lines.splitlines()]

    def _allowed_s(self) -> float:
        return SAVING_S if ["saving", ""] in self._told() else HARD_S

    def _end(self) -> int:
        os.kill(self._child, signal.SIGKILL)
        os.waitpid(self._child, 0)
        runs = [told for told in self._told() if told[0] != "saving"]
        if runs:
            from lengthwise.interfaces.cli.measure_engine import rescue

            rescue(Path(runs[-1][0]), Path(runs[-1][1]))
        else:
            print("interrupted", file=sys.stderr)
        return 128 + self._number
