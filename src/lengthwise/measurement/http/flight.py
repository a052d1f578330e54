"""How many requests of a client are on their way, and how many were while each one was."""

from __future__ import annotations

import time
from dataclasses import dataclass

Mark = tuple[float, int]
"""Request nanoseconds spent when a request left, and the time."""


@dataclass
class Flight:
    """Requests on their way.

    Examples
    --------
    >>> flight = Flight()
    >>> first, second = flight.leave_ground(0), flight.leave_ground(40)
    >>> flight.land(first, 100), flight.land(second, 140)
    (1.6, 1.6)
    """

    count: int = 0
    _spent: float = 0.0
    _at_ns: int = 0

    def leave_ground(self, now_ns: int | None = None) -> Mark:
        """Count a request that leaves now; keep the mark for :meth:`land`."""
        now_ns = self._advance(now_ns)
        self.count += 1
        return self._spent, now_ns

    def land(self, mark: Mark, now_ns: int | None = None) -> float:
        """Return the mean number on their way since ``mark``, this one included."""
        now_ns = self._advance(now_ns)
        self.count -= 1
        spent, left_ns = mark
        return (self._spent - spent) / (now_ns - left_ns) if now_ns > left_ns else 1.0

    def _advance(self, now_ns: int | None) -> int:
        now_ns = time.perf_counter_ns() if now_ns is None else now_ns
        self._spent += self.count * (now_ns - self._at_ns)
        self._at_ns = now_ns
        return now_ns
