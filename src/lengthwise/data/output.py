"""The one way in which files are written: whole or not at all, and only onto what is a file.

A regular file is replaced by a new one that was written beside it and is on the disk before the old
one goes; mode and, where the system allows it, owner stay, and links are followed to the file they
name. A device or a pipe is written to and stays what it is. ``-`` is standard output.

What a command may replace is decided before its work begins, by
:mod:`lengthwise.data.output_check`; this module writes.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
import stat
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path
from typing import IO, TextIO

from lengthwise.errors import FileFormatError, InputError, OutputError

STDOUT = "-"
_IN_MEMORY = 64 << 20
"""Bytes for a pipe that are gathered in memory; more are gathered on the disk."""

_DESCRIPTOR = re.compile(r"/(?:dev|proc/self)/fd/(\d+)")
_NAMED = {"/dev/stdout": 1, "/dev/stderr": 2}

_drafts: set[Path] = set()
"""Files being written, for whoever has to end this process at once."""

_standard_output: ContextVar[TextIO | None] = ContextVar("standard_output", default=None)


@contextmanager
def opened(path: str | Path) -> Iterator[IO[bytes]]:
    r"""Open an output to write bytes to; it appears whole when the block ends, else not at all.

    Parameters
    ----------
    path
        A file that is absent or will be replaced, a device, a pipe, or ``-``.

    Raises
    ------
    InputError
        If it is a folder, or nothing that can be written to.
    OutputError
        If the disk is full, or the system refuses for another reason.

    Examples
    --------
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with opened(Path(folder, "law.json")) as file:
    ...         _ = file.write(b"{}\n")
    ...     Path(folder, "law.json").read_bytes(), os.listdir(folder)
    (b'{}\n', ['law.json'])
    """
    try:
        with _through(path) if is_stream(path) else _replacing(Path(path)) as file:
            yield file
    except OSError as error:
        raise OutputError(path, error) from None


def write_text(path: str | Path, text: str) -> None:
    """Write a text file in UTF-8; errors are those of :func:`opened`."""
    with opened(path) as file:
        file.write(text.encode())


def is_standard(path: str | Path) -> bool:
    """Whether an output is standard output, under any of its names.

    >>> is_standard("-"), is_standard("/dev/stdout"), is_standard("law.json")
    (True, True, False)
    """
    return str(path) == STDOUT or descriptor_of(path) == 1


def is_stream(path: str | Path) -> bool:
    """Whether an output is written to as it is: standard output, a device, a pipe.

    >>> is_stream("-"), is_stream("/dev/null"), is_stream("law.json")
    (True, True, False)
    """
    if str(path) == STDOUT or descriptor_of(path) is not None:
        return True
    try:
        mode = os.stat(path).st_mode
    except OSError:
        return False
    return stat.S_ISCHR(mode) or stat.S_ISFIFO(mode)


def descriptor_of(path: str | Path) -> int | None:
    """Return the descriptor that a path such as ``/dev/fd/3`` stands for, None for other paths."""
    found = _DESCRIPTOR.fullmatch(str(path))
    return int(found[1]) if found else _NAMED.get(str(path))


def target_of(path: str | Path) -> Path:
    """Return the file that is written for a path: where links lead, dangling ones too."""
    return Path(os.path.realpath(path))


@contextmanager
def taking_standard_output() -> Iterator[None]:
    """Keep standard output for a result: what is printed inside the block goes to stderr."""
    before = sys.stdout
    token = _standard_output.set(before)
    sys.stdout = sys.stderr
    try:
        yield
    finally:
        sys.stdout = before
        _standard_output.reset(token)


def discard_drafts() -> None:
    """Remove what was being written; for the moment before a process is ended at once."""
    for draft in [*_drafts]:
        with suppress(OSError):
            draft.unlink()


@contextmanager
def _replacing(path: Path) -> Iterator[IO[bytes]]:
    target = target_of(path)
    before = _replaced(target)
    draft = target.with_name(f".{target.name[:40]}.{secrets.token_hex(4)}.part")
    _drafts.add(draft)
    try:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
        with os.fdopen(os.open(draft, flags, 0o666), "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        if before is not None:
            _take_over(draft, before)
        os.replace(draft, target)
    finally:
        draft.unlink(missing_ok=True)
        _drafts.discard(draft)


def _replaced(target: Path) -> os.stat_result | None:
    """Look at the file that will be replaced; None where there is none."""
    if not target.parent.is_dir():
        raise FileFormatError("the folder to write to must exist", got=str(target.parent),
                         remedy="make it first")  # fmt: skip
    try:
        before = target.stat()
    except FileNotFoundError:
        return None
    check_kind(target, before.st_mode)
    return before


def check_kind(path: Path, mode: int) -> None:
    """Refuse what is neither a file nor a character device nor a pipe.

    Raises
    ------
    InputError
        For a folder, a disk or a socket.
    """
    if stat.S_ISDIR(mode):
        raise InputError("the output must be a file", got=f"the folder {str(path)!r}",
                         remedy="add the name of a file")  # fmt: skip
    if not (stat.S_ISREG(mode) or stat.S_ISCHR(mode) or stat.S_ISFIFO(mode)):
        what = "a disk" if stat.S_ISBLK(mode) else "a socket"
        raise InputError("the output must be a file", got=f"{path}, which is {what}",
                         remedy="name a file")  # fmt: skip


def _take_over(draft: Path, before: os.stat_result) -> None:
    """Give a new file the owner, where that is allowed, and the mode of the old one."""
    now = draft.stat()
    if (now.st_uid, now.st_gid) != (before.st_uid, before.st_gid):
        with suppress(OSError):
            os.chown(draft, before.st_uid, before.st_gid)
    draft.chmod(stat.S_IMODE(before.st_mode))


@contextmanager
def _through(path: str | Path) -> Iterator[IO[bytes]]:
    """Gather what is written, so that nothing goes out of work that fails; then pass it on."""
    with tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY) as gathered:
        yield gathered
        gathered.seek(0)
        if is_standard(path):
            _to_standard_output(gathered)
            return
        number = descriptor_of(path)
        with open(path, "wb") if number is None else os.fdopen(os.dup(number), "wb") as file:
            shutil.copyfileobj(gathered, file)


def _to_standard_output(gathered: IO[bytes]) -> None:
    stream = _standard_output.get() or sys.stdout
    with suppress(BrokenPipeError):  # the reader has seen enough, as in "| head -1"
        stream.flush()
        shutil.copyfileobj(gathered, stream.buffer)
        stream.flush()
