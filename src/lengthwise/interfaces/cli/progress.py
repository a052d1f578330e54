"""Progress of long work on stderr: one line that is overwritten, on a terminal only."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from lengthwise.evaluation.protocol import Progress

Quiet = Annotated[bool, typer.Option("--quiet", help="No progress.")]
SHOWN_AFTER_S = 2.0
EVERY_S = 0.5
_CLEAR = "\r\x1b[K"


def fits_shown(quiet: bool) -> Progress | None:
    """Return what shows the fits of an evaluation; None without a terminal or with ``--quiet``."""
    if quiet or not sys.stderr.isatty():
        return None

    def report(name: str, done: int, total: int) -> None:
        text = "" if done == total else f"{done}/{total} fits, {name}"
        print(f"{_CLEAR}{text}", end="", file=sys.stderr, flush=True)

    return report


@contextmanager
def busy(what: str, quiet: bool) -> Iterator[None]:
    """Say what is at work and for how long, once it takes over two seconds.

    Parameters
    ----------
    what
        Such as ``fitting``.
    quiet
        Say nothing; nor is anything said without a terminal.
    """
    if quiet or not sys.stderr.isatty():
        yield
        return
    done = threading.Event()
    ticking = threading.Thread(target=_tick, args=(what, done), daemon=True)
    ticking.start()
    try:
        yield
    finally:
        done.set()
        ticking.join()


def _tick(what: str, done: threading.Event) -> None:
    start = time.monotonic()
    if done.wait(SHOWN_AFTER_S):
        return
    while not done.wait(EVERY_S):
        passed = time.monotonic() - start
        print(f"{_CLEAR}{what} ... {passed:.0f} s", end="", file=sys.stderr, flush=True)
    print(_CLEAR, end="", file=sys.stderr, flush=True)
