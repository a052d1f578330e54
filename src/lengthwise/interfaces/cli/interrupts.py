"""Ctrl-C and SIGTERM end a command within two seconds, whatever it is doing.

Python looks at signals between two of its own instructions, and a library can hold it for long or
swallow the interrupt. The number of a signal is therefore also read by a thread. It gives the
command time to end by itself, and more where it is saving what it has on a machine that is slow;
after that it calls the last words that were registered, removes half-written files and ends the
process. SIGTERM is an interrupt with another exit code: 143 instead of 130.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType

from lengthwise.data.output import discard_drafts

GRACE_S = 1.4
"""Time a command has to end by itself; what comes after takes less than the rest of 2 s."""

SAVING_S = 8.0
"""Time to end for a command that heard the interrupt and is saving."""

_ENDING = (signal.SIGINT, signal.SIGTERM)
_saving: list[object] = []
_hear_of_saving: list[Callable[[], None]] = []
_last_words: list[Callable[[], None]] = []


class Watch:
    """Watches over the end of this process; there is one, and it is never stopped.

    Attributes
    ----------
    number
        The signal that came, None for none.
    """

    def __init__(self) -> None:
        self.number: int | None = None
        self._watching = True
        self._read, write = os.pipe()
        os.set_blocking(write, False)
        signal.set_wakeup_fd(write, warn_on_full_buffer=False)
        signal.signal(signal.SIGTERM, _interrupt)
        threading.Thread(target=self._wait, name="interrupts", daemon=True).start()

    def stand_down(self) -> None:
        """Leave signals to the command from now on: it ends in its own time."""
        self._watching = False

    def code(self, code: int) -> int:
        """Return the exit code of a process that would end with ``code``."""
        return code if self.number is None else 128 + self.number

    def _wait(self) -> None:
        while data := os.read(self._read, 1):
            if self._watching and data[0] in _ENDING:
                self.number = data[0]
                came = time.monotonic()
                time.sleep(GRACE_S)
                while _saving and time.monotonic() - came < SAVING_S:
                    time.sleep(0.02)
                _end_now(data[0])


_watch: Watch | None = None


def watch() -> Watch:
    """Begin to watch, once; for the process of the command line only."""
    global _watch
    _watch = _watch or Watch()
    return _watch


def stand_down() -> None:
    """Let a command that handles signals by itself do so."""
    if _watch is not None:
        _watch.stand_down()


@contextmanager
def last_words(say: Callable[[], None]) -> Iterator[None]:
    """Have ``say`` called, in another thread, if the process must be ended inside the block."""
    _last_words.append(say)
    try:
        yield
    finally:
        _last_words.remove(say)


@contextmanager
def saving() -> Iterator[None]:
    """Save the results of an interrupted command inside the block, however slow the machine is."""
    mark = object()
    _saving.append(mark)
    for hear in _hear_of_saving:
        hear()
    try:
        yield
    finally:
        _saving.remove(mark)


def hear_of_saving(hear: Callable[[], None]) -> None:
    """Have ``hear`` called when results of an interrupted command begin to be saved."""
    _hear_of_saving.append(hear)


def _interrupt(number: int, frame: FrameType | None) -> None:
    if _watch is not None:
        _watch.number = number
    raise KeyboardInterrupt


def _end_now(number: int) -> None:
    for say in reversed(_last_words):
        with suppress(Exception):
            say()
    discard_drafts()
    for stream in (sys.stdout, sys.stderr):
        with suppress(Exception):
            stream.flush()
    os._exit(128 + number)
