"""Batches as they were sent, made into rows to learn from and rows to set aside."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lengthwise.calibration.online.quarantine import reasons
from lengthwise.formulations.online.rows import RouterRows
from lengthwise.interfaces.service import rows as reading
from lengthwise.interfaces.service.clock import LivedTime
from lengthwise.interfaces.service.store import Entry, Rejected, Stored

Floats = NDArray[np.float64]
UNREADABLE = "the body cannot be read"
LONGEST = 1000
"""Bytes shown of a body that cannot be read."""


@dataclass(frozen=True)
class Lesson:
    """Rows to learn from, (n,) each, and what was set aside.

    ``numbered`` holds all rows, ``places`` where those to learn from stand among them.
    """

    router: RouterRows
    ttft_s: Floats
    tpot_s: Floats
    time_s: Floats
    rejected: list[Rejected]
    numbered: list[tuple[int, Entry]]
    places: Any

    @property
    def rows(self) -> int:
        """Rows to learn from."""
        return len(self.ttft_s)

    def not_believed(self, why: Any) -> list[Rejected]:
        """Rows that the learner set aside, with its reasons, object array (n,)."""
        return [
            _rejected(self.numbered[self.places[i]], str(why[i])) for i in np.flatnonzero(why != "")
        ]


def lesson_of(batches: Sequence[Stored], clock: LivedTime) -> Lesson:
    """Read batches; a row the quarantine names is set aside with its reason."""
    numbered: list[tuple[int, Entry]] = []
    times: list[float] = []
    rejected: list[Rejected] = []
    for batch in batches:
        try:
            found = [] if batch.fault else reading.numbered(batch)
        except reading.UNREADABLE:
            found = []
            rejected += set_aside(batch, UNREADABLE)
        if batch.fault:
            rejected += set_aside(batch, batch.fault)
        numbered += found
        times += [clock.at(batch.received_s)] * len(found)
    fields = [entry.fields for _, entry in numbered]
    columns = reading.columns(fields)
    ttft_s, tpot_s = reading.targets(fields)
    why = reasons(columns, ttft_s, tpot_s)
    fine = why == ""
    rejected += [_rejected(numbered[i], str(why[i])) for i in np.flatnonzero(~fine)]
    router = RouterRows.of({name: values[fine] for name, values in columns.items()})
    time_s = np.array(times, dtype=np.float64)
    return Lesson(router, ttft_s[fine], tpot_s[fine], time_s[fine], rejected, numbered,
                  np.flatnonzero(fine))  # fmt: skip


def set_aside(batch: Stored, reason: str) -> list[Rejected]:
    """Set a whole batch aside: row by row, or its body when that cannot be read."""
    try:
        if not batch.fault:
            return [_rejected(item, reason) for item in reading.numbered(batch)]
    except reading.UNREADABLE:
        pass
    row = {"rows": batch.count, "body": batch.body[:LONGEST].decode("utf-8", "replace")}
    return [Rejected(batch.last, reason, batch.received_s, row)]


def _rejected(item: tuple[int, Entry], reason: str) -> Rejected:
    sequence, entry = item
    row: dict[str, Any] = dict(entry.fields)
    return Rejected(sequence, reason, entry.received_s, row)
