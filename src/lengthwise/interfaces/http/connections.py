"""Connections of one worker: how many there are, which rests longest, how much waits to be taken.

Beyond the limit a new connection takes the place of the one that has rested longest: one whose
request is not complete, or that waits for the next. So idle connections never keep a probe out.
Where all are busy, a reserve stays for probes.
"""

from __future__ import annotations

import resource
from contextlib import suppress
from typing import Protocol

ONLY_PROBES = "lengthwise.only_probes"
"""In the state of a request: the service has no room for anything but probes."""
ANSWER = "lengthwise.answer"
"""In the state of a request: a list that holds the length of the last answer of its connection."""
RESERVE = 32
"""Connections beyond the limit, on which only probes are answered."""
OTHER_FILES = 128
"""Open files that a worker needs beside its connections."""


class Resting(Protocol):
    """What is known of a connection here."""

    def drop(self) -> None:
        """Close at once."""


class Connections:
    """See the module.

    Parameters
    ----------
    most
        Connections that are answered as usual.
    most_unsent
        Bytes of answers that clients have not taken, of all connections.

    Examples
    --------
    >>> Connections(8, 1 << 20).added(None)
    True
    """

    def __init__(self, most: int, most_unsent: int) -> None:
        self.most, self._most_unsent = most, most_unsent
        self._resting: dict[Resting, None] = {}
        self._count = self._unsent = 0

    def added(self, connection: Resting | None) -> bool:
        """Count a new connection; False where it must be closed."""
        if self._count >= self.most and self._resting:
            longest = next(iter(self._resting))
            del self._resting[longest]
            longest.drop()
        if self._count >= self.most + RESERVE:
            return False
        self._count += 1
        if connection is not None:
            self._resting[connection] = None
        return True

    @property
    def full(self) -> bool:
        """Whether there are more connections than are answered as usual."""
        return self._count > self.most

    def removed(self, connection: Resting) -> None:
        """Forget a connection that is closed."""
        self._count -= 1
        self._resting.pop(connection, None)

    def busy(self, connection: Resting) -> None:
        """Note that a request is complete and being answered."""
        self._resting.pop(connection, None)

    def rests(self, connection: Resting) -> None:
        """Note that the connection waits for its client."""
        self._resting[connection] = None

    def holds(self, size: int) -> bool:
        """Count bytes that wait to be taken; False where they are too many."""
        self._unsent += size
        return self._unsent <= self._most_unsent

    def taken(self, size: int) -> None:
        """Count bytes that were taken, or are no longer kept."""
        self._unsent -= size


def room_for(most: int) -> int:
    """Return how many connections the open files of this process allow, at most ``most``.

    The soft limit is raised where the hard one allows.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = most + RESERVE + OTHER_FILES
    if soft != resource.RLIM_INFINITY and soft < wanted:
        unlimited = hard == resource.RLIM_INFINITY
        with suppress(ValueError, OSError):
            resource.setrlimit(
                resource.RLIMIT_NOFILE, (wanted if unlimited else min(wanted, hard), hard)
            )
        soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if soft == resource.RLIM_INFINITY:
        return most
    return max(1, min(most, soft - RESERVE - OTHER_FILES))
