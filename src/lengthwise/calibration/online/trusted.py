"""Laws that were trusted for a while: where to return to when what came after proves false."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from lengthwise.calibration.online.memory import LOG_Y, place
from lengthwise.calibration.online.model import Model
from lengthwise.calibration.online.residuals import Residuals
from lengthwise.formulations.online import terms
from lengthwise.formulations.online.context import Frame
from lengthwise.units import FloatArray

MOST = 6
GROWTH, FARTHEST = 0.3, 2000
"""Rows between two copies: this share of all rows, and that many at most."""
BETTER, FITS = 0.4, 2.0
"""An old law returns if its median error is below this share of that of the law in use, and at most
so many of its own robust standard deviations."""
ANY = 0.3
"""Where a law's own spread is large it does not fit well enough to return."""


@dataclass
class Trusted:
    """One law that was trusted.

    Attributes
    ----------
    seen, trust
        Rows observed and rows explained when it was copied.
    model, residuals, shift
        What it consists of.
    """

    seen: int
    trust: int
    model: Model
    residuals: Residuals
    shift: float

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON."""
        return {"seen": self.seen, "trust": self.trust, "model": self.model.to_dict(),
                "residuals": self.residuals.to_dict(), "shift": self.shift}  # fmt: skip

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Trusted:
        """Read :meth:`to_dict` back."""
        return cls(int(data["seen"]), int(data["trust"]), Model.from_dict(data["model"]),
                   Residuals.from_dict(data["residuals"]), float(data["shift"]))  # fmt: skip


class Shelf:
    """Trusted laws, oldest first."""

    def __init__(self) -> None:
        self.kept: list[Trusted] = []

    def keep(self, seen: int, trust: int, model: Model, residuals: Residuals, shift: float) -> None:
        """Copy a law, unless that was done not long ago."""
        if not self.kept or seen - self.kept[-1].seen >= min(GROWTH * seen, FARTHEST):
            one = Trusted(seen, trust, model.copy(), residuals.tables(), shift)
            self.kept = [*self.kept[1 - MOST :], one]

    def fitting(self, now: Model, block: FloatArray, frame: Frame) -> Trusted | None:
        """Find the newest law that explains rows, shape (15, n), far better than the one now."""
        if not self.kept:
            return None
        worst = float(np.median(np.abs(errors_of(now, block, frame))))
        for one in reversed(self.kept):
            one.model.fit_labels(len(now.theta), len(now.offset))
            error = float(np.median(np.abs(errors_of(one.model, block, frame))))
            own = min(FITS * float(np.median(one.residuals.sd)), ANY)
            if error < BETTER * worst and error < own:
                return one
        return None

    def to_list(self) -> list[Any]:
        """Plain JSON."""
        return [one.to_dict() for one in self.kept]

    @classmethod
    def from_list(cls, data: Any) -> Shelf:
        """Read :meth:`to_list` back."""
        shelf = cls()
        shelf.kept = [Trusted.from_dict(one) for one in data]
        return shelf


def errors_of(model: Model, block: FloatArray, frame: Frame) -> FloatArray:
    """Log errors of a law on rows of a memory block, shape (n,)."""
    context = place(block, frame)
    found: FloatArray = block[LOG_Y] - model.log_median(
        context, terms.matrix(model.target, context.rows)
    )
    return found
