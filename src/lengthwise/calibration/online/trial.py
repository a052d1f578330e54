"""Judge laws on rows that neither learnt: promotion, roll-back, and trust in the correction."""

from __future__ import annotations

from typing import Any

import numpy as np

from lengthwise.calibration.online.memory import LOG_Y, SEQUENCE, SHIFT, Memory
from lengthwise.calibration.online.model import Model
from lengthwise.formulations.online import terms
from lengthwise.formulations.online.context import Context, Frame
from lengthwise.units import FloatArray

FARTHEST = 2.0
"""Log errors count up to this: a factor of 7."""
LEAST = 10
"""Rows that make a length class count."""
NEWER, FEWEST = 0.5, 20
"""Share of the rows held out that judges a challenger, and how many at least: the newer ones."""
MARGIN = 0.005
"""Share of the loss by which a challenger must win."""
WORSE, ENOUGH, LONGEST = 0.05, 60, 400
"""A promoted law goes if it loses by ``WORSE`` after ``ENOUGH`` rows; ``LONGEST`` end the trial."""


def loss(error: FloatArray, length: Any) -> float:
    """Mean absolute log error, half over all rows and half over doublings of the prompt.

    >>> loss(np.array([0.1] * 98 + [1.0] * 20), np.array([100] * 98 + [9000] * 20)) > 0.35
    True
    """
    size = np.minimum(np.abs(error), FARTHEST)
    classes = np.log2(1.0 + np.asarray(length)).astype(int)
    counts = np.bincount(classes)
    sums = np.bincount(classes, size)
    full = counts >= LEAST
    balanced = float((sums[full] / counts[full]).mean()) if full.any() else float(size.mean())
    return 0.5 * float(size.mean()) + 0.5 * balanced


def held_out_loss(model: Model, holdout: Memory, frame: Frame, shift: float) -> float:
    """Loss of a model on the newer rows held out."""
    context = holdout.context(frame)
    data = holdout.data
    log_y = data[LOG_Y] + shift - data[SHIFT]
    x = terms.matrix(model.target, context.rows)
    error = log_y - model.log_median(context, x)
    newest = np.argsort(data[SEQUENCE])[-max(int(NEWER * len(log_y)), FEWEST) :]
    return loss(error[newest], data[0][newest])


class Shadow:
    """The law before a promotion, judged beside its successor on rows held out.

    Parameters
    ----------
    model
        The law that was in use.
    """

    def __init__(self, model: Model) -> None:
        self.model = model
        self.rows, self.before, self.after = 0, 0.0, 0.0

    def judge(self, now: Model, context: Context, x: FloatArray, log_y: FloatArray) -> str:
        """Count rows; "rolled_back" if the old law was better, "over" if the trial is."""
        self.model.fit_labels(len(now.theta), len(now.offset))
        old, new = (
            np.minimum(np.abs(log_y - m.log_median(context, x)), FARTHEST).sum()
            for m in (self.model, now)
        )
        self.rows, self.before, self.after = self.rows + len(log_y), self.before + old, (
            self.after + new
        )  # fmt: skip
        if self.rows >= ENOUGH and self.after > (1 + WORSE) * self.before:
            return "rolled_back"
        return "over" if self.rows >= LONGEST else ""
