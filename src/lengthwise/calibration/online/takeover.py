"""Put another law in the place of the one in use: an older one, or one of the latest rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from lengthwise.calibration.online.gate import LEAST, MOST, WIDE
from lengthwise.calibration.online.ladder import Ladder
from lengthwise.calibration.online.memory import LOG_Y, SEQUENCE, SHIFT, Memory, place
from lengthwise.calibration.online.model import Model
from lengthwise.calibration.online.trusted import Trusted, errors_of
from lengthwise.calibration.online.weighing import Weighing
from lengthwise.formulations.online.context import Frame
from lengthwise.units import FloatArray

if TYPE_CHECKING:
    from lengthwise.calibration.online.target import TargetLearner

MAJORITY = 0.6
"""Share of the rows that must lie near a law for the others to be forgotten."""
HOLD_OUT = 10
"""One row in so many is held out of those a law was fitted to."""


def return_to(learner: TargetLearner, older: Trusted) -> None:
    """Go back to a law that was trusted; what was learnt since is forgotten."""
    now = learner.model
    learner.model = older.model.copy()
    learner.model.fit_labels(len(now.theta), len(now.offset))
    for memory in (learner.memory, learner.holdout):
        memory.keep(np.flatnonzero(memory.data[SEQUENCE] < older.seen))
    learner.shift = older.shift
    learner.residuals = older.residuals.tables()
    _fill(learner, learner.memory.data, Frame())
    learner.shelf.kept = [one for one in learner.shelf.kept if one.seen <= older.seen]
    _begin(learner)


def begin_from(learner: TargetLearner, model: Model, rows: FloatArray, frame: Frame) -> None:
    """Go on with a law fitted to rows, shape (15, n); all other rows are forgotten."""
    learner.model = model
    rows = rows.copy()
    n = rows.shape[1]
    rows[SEQUENCE], rows[SHIFT] = learner.seen - n + np.arange(n), learner.shift
    hold = np.arange(n) % HOLD_OUT == 0
    learner.memory, learner.holdout = (Memory(m.size) for m in (learner.memory, learner.holdout))
    learner.memory.add(rows[:, ~hold], None)
    learner.holdout.add(rows[:, hold], None)
    learner.fits = max(learner.fits, 1)
    learner.begun = max(learner.learnt - n, 0)
    learner.soon = learner.since_fit
    _fill(learner, rows, frame)
    learner.residuals.working = type(learner.residuals)().working
    learner.residuals.summarise(frame)
    _begin(learner)
    learner.unconfirmed()


def purge(learner: TargetLearner, model: Model) -> None:
    """Forget rows that a law just fitted finds far, unless they are so many that it is wrong."""
    for memory in (learner.memory, learner.holdout):
        rows = memory.data
        off = errors_of(model, rows, Frame()) + learner.shift - rows[SHIFT]
        scale = 1.4826 * float(np.median(np.abs(off))) if len(off) else 0.0
        near = np.abs(off) <= float(np.clip(WIDE * scale, LEAST, MOST))
        if not near.all() and near.mean() >= MAJORITY:
            memory.keep(np.flatnonzero(near))


def _fill(learner: TargetLearner, rows: FloatArray, frame: Frame) -> None:
    """Take residuals from rows that the law knows."""
    if rows.shape[1]:
        residual = errors_of(learner.model, rows, frame) + learner.shift - rows[SHIFT]
        learner.residuals.replace(place(rows, frame), residual, rows[LOG_Y])


def _begin(learner: TargetLearner) -> None:
    learner.shadow, learner.weighing, learner.ladder = None, Weighing(), Ladder()
    learner.gate.forget()
    learner.restart()
