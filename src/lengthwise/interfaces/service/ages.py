"""How old rows are, by a clock that only runs while the service does.

The wall clock may be set to any time; what it says must not make rows old. The trainer counts the
seconds it lives, and remembers now and then which row was the last one at that time.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

LONGEST_STEP_S = 300.0
"""A longer pause (a suspended machine) counts as this."""
MARKS = 64
"""Marks in the time that rows are kept."""


class Ages:
    """Age of rows in seconds of service.

    Examples
    --------
    >>> ages = Ages({"lived_s": 900.0, "marks": [[0.0, 10], [500.0, 20]]})
    >>> ages.old(last=30, keep_s=600.0), ages.old(last=30, keep_s=300.0)
    (10, 20)
    """

    def __init__(self, data: Any = None) -> None:
        known: Mapping[str, Any] = {"lived_s": 0.0, "marks": []}
        known = data if isinstance(data, Mapping) else known
        self._lived_s = float(known["lived_s"])
        self._marks = [(float(at_s), int(last)) for at_s, last in known["marks"]]
        self._seen_s = time.monotonic()

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON."""
        return {"lived_s": self._lived_s, "marks": [list(mark) for mark in self._marks]}

    def old(self, last: int, keep_s: float) -> int:
        """Return the last row that is older than ``keep_s``; 0 when none is.

        Parameters
        ----------
        last
            The last row there is now.
        keep_s
            Seconds of service that a row is kept.
        """
        now_s = time.monotonic()
        self._lived_s += min(max(now_s - self._seen_s, 0.0), LONGEST_STEP_S)
        self._seen_s = now_s
        if not self._marks or self._lived_s - self._marks[-1][0] >= keep_s / MARKS:
            self._marks.append((self._lived_s, last))
        gone = [mark for mark in self._marks if self._lived_s - mark[0] >= keep_s]
        if gone:
            self._marks = self._marks[len(gone) - 1 :]
        return gone[-1][1] if gone else 0
