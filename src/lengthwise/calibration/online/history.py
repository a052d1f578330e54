"""Copies of a law from time to time: a change is noticed only after it began."""

from __future__ import annotations

from typing import Any

from lengthwise.calibration.online.model import Model

EVERY, MOST = 64, 5
"""Rows between copies, and how many are kept."""


class History:
    """Copies of a law, oldest first.

    Attributes
    ----------
    kept
        Rows learnt, and the law after them.
    """

    def __init__(self) -> None:
        self.kept: list[tuple[int, Model]] = []

    def keep(self, seen: int, model: Model) -> None:
        """Copy the law, unless that was done a moment ago."""
        if not self.kept or seen - self.kept[-1][0] >= EVERY:
            self.kept = [*self.kept[1 - MOST :], (seen, model.copy())]

    def before(self, row: int) -> Model | None:
        """Give a copy of the newest law that had learnt no row from ``row`` on."""
        fitting = [model for seen, model in self.kept if seen <= row]
        return fitting[-1].copy() if fitting else None

    def to_list(self) -> list[Any]:
        """Plain JSON."""
        return [[seen, model.to_dict()] for seen, model in self.kept]

    @classmethod
    def from_list(cls, data: Any) -> History:
        """Read :meth:`to_list` back."""
        history = cls()
        history.kept = [(int(seen), Model.from_dict(model)) for seen, model in data]
        return history
