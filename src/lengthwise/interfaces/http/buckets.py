"""Token buckets that the workers of one service share: a table in a file of the state directory.

A bucket is one number, the time at which it will be full again (the generic cell rate algorithm),
so that a step is one read and one write. The table has a fixed size; where it is crowded the bucket
that is full soonest gives way. The clock is the machine's monotonic one, the same in all processes.
"""

from __future__ import annotations

import fcntl
import mmap
import os
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path
from struct import Struct
from time import monotonic

SLOTS = 8192
PROBED = 8
"""Places where a bucket may stand."""
_SLOT = Struct("<8sd")
_BYTES = SLOTS * _SLOT.size


class Buckets:
    """Buckets by name.

    Parameters
    ----------
    path
        File that the processes share; None, or one that cannot be made: only this process.

    Examples
    --------
    >>> buckets = Buckets()
    >>> [buckets.wait_s("a", 2.0, 2.0, now_s=9.0) for _ in range(3)]
    [0.0, 0.0, 0.5]
    """

    def __init__(self, path: Path | None = None) -> None:
        self._fd = -1 if path is None else _opened(path)
        self._table = mmap.mmap(self._fd, _BYTES)

    def wait_s(self, name: str, rate: float, burst: float, now_s: float | None = None) -> float:
        """Return the seconds this name must wait; 0 takes one from its bucket.

        Parameters
        ----------
        rate, burst
            What flows into the bucket per second, and what it holds.
        """
        now = monotonic() if now_s is None else now_s
        key = blake2b(name.encode("utf-8", "replace"), digest_size=8).digest()
        self._lock(fcntl.LOCK_EX)
        try:
            place, full_s = self._find(key)
            if not now <= full_s <= now + burst / rate + 1.0:  # of an earlier boot, or full
                full_s = now
            wait = full_s - now - (burst - 1.0) / rate
            if wait > 1e-9:
                return wait
            _SLOT.pack_into(self._table, place, key, full_s + 1.0 / rate)
            return 0.0
        finally:
            self._lock(fcntl.LOCK_UN)

    def empty(self, name: str, rate: float, burst: float) -> float:
        """Return the seconds until a bucket holds one again, taking nothing; 0 if it does."""
        key = blake2b(name.encode("utf-8", "replace"), digest_size=8).digest()
        now, full_s = monotonic(), self._find(key)[1]
        if not now <= full_s <= now + burst / rate + 1.0:
            return 0.0
        return max(0.0, full_s - now - (burst - 1.0) / rate)

    def close(self) -> None:
        """Let go of the table."""
        self._table.close()
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _find(self, key: bytes) -> tuple[int, float]:
        """Return the place of a key and its time; else the place that is full soonest, and 0."""
        first = int.from_bytes(key[:4], "little")
        best, soonest = 0, float("inf")
        for step in range(PROBED):
            place = (first + step) % SLOTS * _SLOT.size
            known, full_s = _SLOT.unpack_from(self._table, place)
            if known == key:
                return place, full_s
            if full_s < soonest:
                best, soonest = place, full_s
        return best, 0.0

    def _lock(self, kind: int) -> None:
        if self._fd >= 0:
            with suppress(OSError):
                fcntl.lockf(self._fd, kind)


def _opened(path: Path) -> int:
    """Open a file whose blocks are all there, so that a full disk cannot hurt later; -1: none."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError:
        return -1
    try:
        os.posix_fallocate(fd, 0, _BYTES)
    except OSError:
        os.close(fd)
        return -1
    return fd
