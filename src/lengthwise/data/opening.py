"""The one way in which files are read: regular files only, gzip unpacked, never without a bound.

A pipe, a device or a folder is refused before a byte of it is read. What is packed is unpacked as
it is read, and refused where it grows beyond its limits; damage is a message wherever it shows.
A file that is absent or may not be read raises the usual :class:`OSError`: what it should have been
is known to the caller.
"""

from __future__ import annotations

import errno
import gzip
import io
import os
import stat
import zlib
from pathlib import Path
from typing import IO

from lengthwise.data import limits
from lengthwise.data.limits import FREE_BYTES, MIB, Limit
from lengthwise.errors import FileFormatError

_PART = 4 * MIB
_GZIP = b"\x1f\x8b"
_KINDS = (
    (stat.S_ISDIR, "a folder"), (stat.S_ISFIFO, "a pipe"), (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a disk"), (stat.S_ISSOCK, "a socket"),
)  # fmt: skip


def open_file(path: str | Path, limit: Limit = limits.TABLE, *, packed: bool = True
              ) -> io.BufferedReader:  # fmt: skip
    r"""Open a file to read its bytes, unpacked if it is gzip.

    Parameters
    ----------
    path
        A regular file, or a link to one.
    limit
        Bound on its size, unpacked.
    packed
        Whether gzip is unpacked.

    Raises
    ------
    FileFormatError
        If it is no regular file or too large; later, as it is read, if it unpacks to too much or is
        damaged.
    OSError
        If it is absent or may not be read.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "t.csv.gz")
    ...     _ = path.write_bytes(gzip.compress(b"isl\n512\n"))
    ...     with open_file(path) as file:
    ...         file.read()
    b'isl\n512\n'
    """
    file = _opened(path)
    try:
        size = os.fstat(file.fileno()).st_size
        if size > bytes_of(limit):
            limit.refuse(path, f"{size / MIB:,.0f} MB")
        if not packed or file.peek(2)[:2] != _GZIP:
            return file
        return io.BufferedReader(_Unpacked(file, path, size, limit), 1 << 16)
    except BaseException:
        file.close()
        raise


def open_text(path: str | Path, limit: Limit = limits.TABLE, *, newline: str | None = None
              ) -> IO[str]:  # fmt: skip
    """Open a file to read its UTF-8 text, with or without a mark; errors as :func:`open_file`."""
    return io.TextIOWrapper(open_file(path, limit), encoding="utf-8-sig", newline=newline)


def read_bytes(path: str | Path, limit: Limit = limits.DOCUMENT, *, packed: bool = True) -> bytes:
    """Read a whole file, unpacked if it is gzip; errors as :func:`open_file`."""
    most, parts = bytes_of(limit), []
    with open_file(path, limit, packed=packed) as file:
        while part := file.read(_PART):
            parts.append(part)
            most -= len(part)
            if most < 0:  # a file that grew, or one of the system that tells no size
                limit.refuse(path, "more")
    return parts[0] if len(parts) == 1 else b"".join(parts)


def read_text(path: str | Path, limit: Limit = limits.DOCUMENT) -> str:
    """Read a whole text file that is not packed, in UTF-8 with or without a mark.

    Raises
    ------
    FileFormatError, OSError
        As :func:`open_file`.
    UnicodeDecodeError
        If it is not UTF-8.
    """
    return read_bytes(path, limit, packed=False).decode("utf-8-sig")


def read_head(path: str | Path, size: int, limit: Limit = limits.TABLE) -> bytes:
    """Read the first bytes of a file, unpacked if it is gzip; errors as :func:`open_file`."""
    with open_file(path, limit) as file:
        return file.read(size)


def is_packed(path: str | Path) -> bool:
    """Whether a file is gzip, by its first bytes."""
    with _opened(path) as file:
        return file.read(2) == _GZIP


def bytes_of(limit: Limit) -> int:
    """Return a limit of size in bytes."""
    return limit.value * (MIB if limit.unit == "MB" else 1024)


def _opened(path: str | Path) -> io.BufferedReader:
    """Open without waiting for the other end of a pipe, and look at what was opened."""
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0)
    try:
        number = os.open(path, flags | getattr(os, "O_BINARY", 0) | getattr(os, "O_NOCTTY", 0))
    except ValueError:  # a NUL in the name
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path)) from None
    except OSError as error:
        if error.errno == errno.ENXIO:  # a socket cannot be opened
            raise _odd(path, "a socket") from None
        raise
    mode = os.fstat(number).st_mode
    if not stat.S_ISREG(mode):
        os.close(number)
        raise _odd(path, next((name for test, name in _KINDS if test(mode)), "no file"))
    return io.BufferedReader(io.FileIO(number, "rb"))


def _odd(path: str | Path, what: str) -> FileFormatError:
    pipe = what in ("a pipe", "a device")
    return FileFormatError(
        "what is read must be a regular file", got=f"{path}, which is {what}",
        remedy="write it to a file first and name that" if pipe else "name a file",
    )  # fmt: skip


class _Unpacked(io.RawIOBase):
    """The content of a gzip file, up to what its size allows."""

    def __init__(self, file: IO[bytes], path: str | Path, size: int, limit: Limit) -> None:
        self._file, self._path, self._limit = file, path, limit
        self._gzip = gzip.GzipFile(fileobj=file)
        self._most = max(FREE_BYTES, size * limits.UNPACKED.value)
        self._absolute = bytes_of(limit)
        self._read = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        try:
            count = self._gzip.readinto(buffer)
        except (OSError, EOFError, zlib.error) as error:
            raise FileFormatError(
                f"{self._path} must be readable to its end", got=str(error)[:200],
                remedy="the file is damaged or cut off: copy or write it again",
            ) from None  # fmt: skip
        self._read += count
        if self._read > self._absolute:
            self._limit.refuse(self._path, "more")
        if self._read > self._most:
            limits.UNPACKED.refuse(self._path, f"more than {self._most / MIB:,.0f} MB",
                                   "unpack it first")  # fmt: skip
        return count

    def close(self) -> None:
        if not self.closed:
            self._gzip.close()
            self._file.close()
        super().close()
