"""Rows that were sent before, number for number: a replay says nothing new."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import blake2b
from typing import Any

import numpy as np

from lengthwise.units import FloatArray

ALLOWED, ALLOWED_FIRST, FIRST = 3, 120, 400
"""Times one row may come, and while fewer than ``FIRST`` rows came: probes are alike."""
KEPT = 8192
"""Rows remembered in each of two generations."""
REASON = "the same row, number for number, came too often: a replay?"


class Repeats:
    """How often each of the latest rows came.

    Examples
    --------
    >>> repeats = Repeats()
    >>> sum(repeats.too_many(np.ones((3, 200))))
    80
    """

    def __init__(self) -> None:
        self._new: dict[str, int] = {}
        self._old: dict[str, int] = {}
        self.rows = 0

    def too_many(self, rows: FloatArray) -> list[bool]:
        """Count rows, columns of shape (k, m), and tell which came too often."""
        found = []
        for row in np.ascontiguousarray(rows.T):
            key = blake2b(row.tobytes(), digest_size=8).hexdigest()
            count = self._new.get(key) or self._old.get(key, 0)
            self._new[key] = count + 1
            found.append(count >= (ALLOWED if self.rows >= FIRST else ALLOWED_FIRST))
            self.rows += 1
        if len(self._new) > KEPT:
            self._old, self._new = self._new, {}
        return found

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON: rows that came more than once."""
        both = {**self._old, **self._new}
        return {"rows": self.rows, "counts": {k: n for k, n in both.items() if n > 1}}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Repeats:
        """Read :meth:`to_dict` back."""
        repeats = cls()
        repeats.rows = int(data["rows"])
        repeats._old = {str(k): int(n) for k, n in data["counts"].items()}
        return repeats
