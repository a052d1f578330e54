"""Standard output and stderr that bear a reader who leaves, as in ``lengthwise ... | head -1``.

What nobody reads any more is thrown away and the command goes on, so that files are written and the
exit code says what became of the work. A full disk behind standard output is an error like any
other.
"""

from __future__ import annotations

import os
import re
import sys
from typing import Any, TextIO

from lengthwise.errors import OutputError, printable

_OWN = re.compile(r"(\r\x1b\[2?K|\x1b\[[0-9;]*m)")
"""What is sent to a terminal on purpose: clearing a line that is written again, and colours."""


class TolerantStream:
    """A text stream that falls silent when its reader leaves.

    Parameters
    ----------
    stream
        Where text goes.
    name
        What it is called in an error; errors of a stream without a name are passed over.
    """

    def __init__(self, stream: TextIO, name: str = "") -> None:
        self._stream, self._name = stream, name

    def write(self, text: str) -> int:
        """Write a text without what a terminal would obey; returns its length."""
        try:
            self._stream.write(self._safe(text))
            return len(text)
        except OSError as error:
            self._left(error)
            return len(text)

    def flush(self) -> None:
        """Pass on what was written."""
        try:
            self._stream.flush()
        except OSError as error:
            self._left(error)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def _safe(self, text: str) -> str:
        if not (self._stream.isatty() or "FORCE_COLOR" in os.environ):
            return printable(text)
        parts = _OWN.split(text)
        parts[::2] = map(printable, parts[::2])
        return "".join(parts)

    def _left(self, error: OSError) -> None:
        """Send everything to nowhere from now on, what is still held back included."""
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self._stream.fileno())
        os.close(nowhere)
        if self._name and not isinstance(error, BrokenPipeError):
            raise OutputError(self._name, error)


def tolerate() -> None:
    """Make the streams of this process tolerant; those that were closed lead nowhere."""
    for name, called in (("stdout", "standard output"), ("stderr", "")):
        stream = getattr(sys, name) or open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
        setattr(sys, name, TolerantStream(stream, called))
