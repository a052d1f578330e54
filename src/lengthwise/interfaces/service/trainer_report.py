"""What a trainer says of itself: notes of versions, new events, facts of its process."""

from __future__ import annotations

import os
import resource
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from lengthwise.calibration.online.events import Event
from lengthwise.calibration.online.learner import OnlineLearner


class NewEvents:
    """Events of a learner that were not given before; the learner keeps the latest only.

    Examples
    --------
    >>> learner = OnlineLearner()
    >>> learner.events.append(Event(1.0, "drift", "ttft"))
    >>> events = NewEvents()
    >>> len(events.of(learner)), len(events.of(learner))
    (1, 0)
    """

    def __init__(self) -> None:
        self._last: Event | None = None

    def of(self, learner: OnlineLearner) -> list[Event]:
        """Events since the last call, oldest first."""
        new: list[Event] = []
        for event in reversed(learner.events):
            if event is self._last:
                break
            new.append(event)
        self._last = learner.events[-1] if learner.events else None
        return new[::-1]


def learnt_of(learner: OnlineLearner) -> int:
    """Count the rows a learner has learnt, of both targets.

    >>> learnt_of(OnlineLearner())
    0
    """
    return sum(int(rows) for rows in learner.law.learnt.values())


def note_of(learner: OnlineLearner) -> str:
    """Write what stands beside a version.

    >>> note_of(OnlineLearner())
    'prior, nothing learnt yet'
    """
    rows = learnt_of(learner)
    return f"learnt from {rows} observations" if rows else "prior, nothing learnt yet"


def process_facts() -> dict[str, Any]:
    """Give process id, time, CPU seconds and resident memory of this process."""
    use = resource.getrusage(resource.RUSAGE_SELF)
    resident = use.ru_maxrss * 1024  # the most there was, where the present is not known
    with suppress(OSError, ValueError, IndexError):
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        resident = pages * os.sysconf("SC_PAGE_SIZE")
    return {"pid": os.getpid(), "now_s": time.time(), "cpu_s": use.ru_utime + use.ru_stime,
            "rss_bytes": resident}  # fmt: skip


def say(text: str) -> None:
    """Write a line to stderr."""
    print(f"trainer: {text}", file=sys.stderr, flush=True)
