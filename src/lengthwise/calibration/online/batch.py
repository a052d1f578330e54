"""Rows of one call, prepared once for the blocks in which they are learnt."""

from __future__ import annotations

from typing import Any

from lengthwise.calibration.online.memory import LOG_Y, place
from lengthwise.calibration.online.model import Model
from lengthwise.formulations.online import terms
from lengthwise.formulations.online.context import SLACK, Frame, load
from lengthwise.units import FloatArray


class Batch:
    """Rows of a memory block with their terms.

    Parameters
    ----------
    block
        Shape (15, n).
    time_s
        Shape (n,).
    """

    def __init__(self, target: str, block: FloatArray, time_s: FloatArray, frame: Frame) -> None:
        self.block, self.time_s, self.frame = block, time_s, frame
        self.context = place(block, frame)
        self.x = terms.matrix(target, self.context.rows)
        self.log_y: FloatArray = block[LOG_Y]
        self.load = load(self.context.rows)
        distance = self.context.distance
        self.inside: Any = None if distance is None else distance <= SLACK
        self._extra: FloatArray | None = None
        self._of: Any = self

    def extra(self, model: Model) -> FloatArray | None:
        """Log correction of all rows, whether or not it is trusted; None if there is none."""
        if self._of is not model.correction:
            self._of = model.correction
            self._extra = None if self._of is None else self._of.at(self.context)
        return self._extra
