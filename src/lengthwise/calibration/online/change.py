"""Repair a law after a change: move its level first, set it free only if that is not enough."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from lengthwise.calibration.online import refit
from lengthwise.calibration.online.memory import LOG_Y, SEQUENCE, SHIFT, place
from lengthwise.calibration.online.model import Model
from lengthwise.formulations.online import terms
from lengthwise.formulations.online.context import Frame
from lengthwise.units import FloatArray

if TYPE_CHECKING:
    from lengthwise.calibration.online.target import Note, TargetLearner

LEAST = 5
"""Rows since the change that may move a level."""
BEFORE, LATEST = 500, 20
EXPLAINED, UNCURED = 0.4, 500
LEAST_JUMP = {"page_hinkley": float(np.log(1.22)), "adwin": float(np.log(1.35))}
"""Smaller changes are the filter's to follow: load that comes and goes makes such waves, slow ones
above all."""
DEPENDENT = 3.0
"""Long-run over short-run spread from which changes have to be larger still."""
SHOWN = 64
"""Rows since the change, the newest, that may show an older law to be right again."""
LEVEL_SD, POD_SD = 0.07, 0.05
"""What remains uncertain about levels and pods after the move."""
FREE_SD = 0.5
"""Standard deviation of log coefficients that are set free."""


def repair(learner: TargetLearner, by: str, now: float, note: Note) -> None:
    """Move levels by the median residual of the rows since the change, and say so."""
    detector = learner.detector
    assert detector is not None
    since = learner.seen - detector.change_point()
    block = _rows(learner, since - BEFORE)
    jump, after = _jump(learner, block, since)
    least = LEAST_JUMP[by] * max(1.0, learner.long_run / DEPENDENT)
    if by == "page_hinkley" and abs(jump) < least and learner.seen - since > LATEST:
        since = learner.seen - LATEST
        jump, after = _jump(learner, block, since)
    factor = float(np.exp(jump))
    if abs(jump) < least:
        learner.follow(jump, slow=by == "adwin")
        return
    older = learner.shelf.fitting(learner.model, block[:, after][:, -SHOWN:], Frame())
    if older is not None and after.sum() >= LEAST:
        learner.doubt.give_way(learner, older, now, note)
        return
    again = learner.explained_at >= 0 and learner.seen - learner.explained_at < UNCURED
    if not again and _explained(learner, block[:, after], jump):
        learner.explained_at = learner.seen
        learner.follow(jump)
        learner.soon = learner.since_fit
        return
    note(now, "drift", learner.target,
         {"detector": by, "factor": factor, "rows_since_change": learner.seen - since})  # fmt: skip
    if (kept := learner.history.before(since)) is not None:
        kept.trust = learner.model.trust
        learner.model = kept  # what the filter made of the change bent the law's shape
    moved = _move(learner.model, block[:, after])
    learner.unconfirmed()
    learner.shift += jump
    for memory in (learner.memory, learner.holdout):
        memory.data[SHIFT, memory.data[SEQUENCE] >= since] = learner.shift
    learner.residuals.forget(learner.seen - since)
    learner.shadow = None
    learner.restart()
    learner.ladder.climb()
    note(now, "widened", learner.target, {"widen": learner.ladder.widen})
    note(now, "offset_refitted", learner.target, {"factor": float(np.exp(moved)),
                                                  "version": learner.version})  # fmt: skip


def reset(learner: TargetLearner) -> None:
    """Let all coefficients move and forget rows from before the last change."""
    model = learner.model
    k = model.theta.shape[1]
    free = FREE_SD**2 * (np.eye(k) + 1.0)
    model.covariance[:, :k, :k] += free
    for memory in (learner.memory, learner.holdout):
        memory.keep(np.flatnonzero(memory.data[SHIFT] == learner.shift))
    learner.restart()


def _explained(learner: TargetLearner, block: FloatArray, jump: float) -> bool:
    """Whether the law fitted anew to all rows has the jump in it: a load never seen, no change."""
    new = refit.challenger(learner.model, learner.memory, Frame(), learner.shift, learner.prior,
                           learner.residuals.sd, correct=False)  # fmt: skip
    return abs(_median(new.model, block)) < EXPLAINED * abs(jump)


def _jump(learner: TargetLearner, block: FloatArray, since: int) -> tuple[float, Any]:
    after = block[SEQUENCE] >= since
    before = _median(learner.anchor, block[:, ~after])
    return _median(learner.anchor, block[:, after]) - before, after


def _rows(learner: TargetLearner, since: int) -> FloatArray:
    """Rows from a sequence number on, learnt and held out."""
    parts = [m.data[:, m.data[SEQUENCE] >= since] for m in (learner.memory, learner.holdout)]
    return np.concatenate(parts, axis=1)


def _residual(model: Model, block: FloatArray) -> tuple[FloatArray, Any]:
    context = place(block, Frame())
    physics, _ = model.physics(terms.matrix(model.target, context.rows), context.types)
    extra = model.extra(context)
    return block[LOG_Y] - physics - model.offset[context.pods] - extra, context.types


def _median(model: Model, block: FloatArray) -> float:
    return float(np.median(_residual(model, block)[0])) if block.shape[1] >= LEAST else 0.0


def _move(model: Model, block: FloatArray) -> float:
    """Move the level of every type that has rows; gives the median move of the rows."""
    residual, types = _residual(model, block)
    if not len(residual):
        return 0.0
    for kind in np.unique(types):
        own = residual[types == kind]
        if len(own) >= LEAST:
            model.level[kind] += np.median(own)
            model.covariance[kind, -1, -1] += LEVEL_SD**2
    model.level[0] += np.median(residual)
    model.variance[1:] += POD_SD**2
    return float(np.median(residual))
