"""The number of the last acknowledged row, kept beside the database.

SQLite goes back to the last whole commit when its write-ahead log was cut, without a word. This
file knows how far it had been: what the database lacks at the next start was lost.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from zlib import crc32

FILE = "service.acknowledged"
_LENGTH = 32


class Acknowledged:
    """See the module.

    Parameters
    ----------
    path
        The file; made when first written.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     kept = Acknowledged(Path(folder) / FILE)
    ...     kept.write(12)
    ...     kept.write(7)
    ...     kept.close()
    ...     kept.read()
    12
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._fd: int | None = None

    def read(self) -> int | None:
        """Return the number; None when the file is absent or damaged."""
        try:
            return _parsed(self.path.read_bytes()[: _LENGTH + 1])
        except OSError:
            return None

    def write(self, last: int) -> None:
        """Write a number unless a higher one is there; a disk that is full is no reason to stop."""
        with suppress(OSError):
            if last > (_parsed(os.pread(self._opened(), _LENGTH + 1, 0)) or 0):
                os.pwrite(self._opened(), _written(last), 0)

    def reset(self, last: int) -> None:
        """Write a number, also a lower one."""
        with suppress(OSError):
            os.pwrite(self._opened(), _written(last), 0)

    def close(self) -> None:
        """Close the file."""
        fd, self._fd = self._fd, None
        if fd is not None:
            os.close(fd)

    def _opened(self) -> int:
        if self._fd is None:
            self._fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        return self._fd


def _written(last: int) -> bytes:
    digits = f"{last:020d}"
    return f"{digits} {crc32(digits.encode()):010d}\n".encode()


def _parsed(data: bytes) -> int | None:
    digits = data[:20]
    if len(data) != _LENGTH or not digits.isdigit() or data != _written(int(digits)):
        return None
    return int(digits)
