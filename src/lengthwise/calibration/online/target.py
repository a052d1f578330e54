"""Learn one target: predict each row before learning it, then filter, remember, fit again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from lengthwise.calibration.online import change, kalman, refit, trial
from lengthwise.calibration.online.batch import Batch
from lengthwise.calibration.online.drift import Detector
from lengthwise.calibration.online.history import History
from lengthwise.calibration.online.ladder import REFIT_AFTER, Ladder
from lengthwise.calibration.online.memory import LOG_Y, SEQUENCE, SHIFT, Memory, place
from lengthwise.calibration.online.model import Model
from lengthwise.calibration.online.pace import Pace
from lengthwise.calibration.online.residuals import Residuals
from lengthwise.calibration.online.settings import LearnerSettings
from lengthwise.calibration.online.trial import Shadow
from lengthwise.calibration.online.weighing import Weighing
from lengthwise.formulations.online import terms
from lengthwise.formulations.online.context import Frame
from lengthwise.formulations.online.target import TargetLaw
from lengthwise.units import FloatArray

Note = Callable[[float, str, str, dict[str, Any]], None]
"""Takes time, kind, target and detail of an event."""
WATCH_FROM = 400
"""Rows learnt before changes are looked for: a young law changes by itself."""
RECENT = 300
"""Rows over which the error is told."""
SUMMARY_EVERY = 256
FOLLOW_SD = 0.05
"""How far a level may at least move after a small change, standard deviation."""


class TargetLearner:
    """State of one target.

    Attributes
    ----------
    model, anchor
        Law in use, and the law as it stood when detectors last began.
    version
        Promotions, roll-backs and repairs so far.
    seen, learnt
        Rows observed, and those learnt from (one in ``holdout_every`` only judges).
    """

    def __init__(self, target: str, settings: LearnerSettings, law: TargetLaw, known: bool) -> None:
        self.target, self.settings = target, settings
        self.model = Model.start(target, law, known)
        self.prior = (self.model.theta[0].copy(), self.model.covariance[0, :-1, :-1].copy())
        self.memory, self.holdout = Memory(settings.memory), Memory(settings.holdout)
        self.residuals, self.ladder = Residuals(), Ladder()
        self.detector = Detector() if settings.drift else None
        self.anchor = self.model.copy()
        self.anchored = 1, 1
        self.history = History()
        self.shadow: Shadow | None = None
        self.shift = 0.0
        self.seen = self.learnt = self.version = self.fits = self.since_fit = 0
        self.soon = self.explained_at = -1
        self.unsummed = self.followed = 0
        self.errors = np.empty(0)
        self.weighing, self.pace = Weighing(), Pace()

    @property
    def error(self) -> float | None:
        """Median absolute relative error of the last rows, before they were learnt."""
        return float(np.median(self.errors)) if self.fits and len(self.errors) >= 30 else None

    @property
    def ready(self) -> bool:
        """Whether enough was learnt and the error is known."""
        return self.learnt >= self.settings.min_rows and self.error is not None

    @property
    def long_run(self) -> float:
        """Long-run over short-run standard deviation of residuals, at least 1."""
        return max(float(np.sqrt(self.detector.variance)), 1.0) if self.detector else 1.4

    def models(self) -> list[Model]:
        """All models kept."""
        past = [model for _, model in self.history.kept]
        return [self.model, self.anchor, *past, *([self.shadow.model] if self.shadow else [])]

    def fit_labels(self, types: int, pods: int) -> None:
        """Make room for new pod types and pods."""
        for model in self.models():
            model.fit_labels(types, pods)

    def law(self) -> TargetLaw:
        """Build what workers answer from."""
        spread = self.residuals.spread(self.model.gamma, self.ladder.widen)
        return self.model.law(spread, self.pace.recent)

    @property
    def until_fit(self) -> int:
        """Rows to learn before the next fit."""
        s = self.settings
        due = max(s.refit_first, s.refit_growth * self.learnt) if self.fits else s.refit_first
        due = min(due, s.refit_most)
        due = min(due, self.soon) if self.soon >= 0 else due
        return max(int(due) - self.since_fit, 0)

    def observe(
        self, block: FloatArray, time_s: FloatArray, frame: Frame, rng: np.random.Generator,
        note: Note,
    ) -> int:  # fmt: skip
        """Learn rows of a memory block, shape (15, n), up to the next fit; gives how many."""
        n = min(int(block.shape[1]), max(self.until_fit, 1))
        block = block[:, :n]
        block[SEQUENCE] = self.seen + np.arange(n)
        batch = Batch(self.target, block, time_s[:n], frame)
        done = 0
        while done < n:
            done += self._block(batch, done, min(done + self.settings.block, n), rng, note)
        if self.unsummed >= SUMMARY_EVERY:
            self.summarise(frame)
        return n

    def _block(
        self, batch: Batch, start: int, stop: int, rng: np.random.Generator, note: Note
    ) -> int:
        """Learn one block; ends at the row in which a change is found."""
        at = slice(start, stop)
        types, pods = batch.context.types[at], batch.context.pods[at]
        extra, log_y = batch.extra(self.model), batch.log_y[at]
        physics, share = self.model.physics(batch.x[at], types)
        plain = log_y - physics - self.model.offset[pods]
        used = self.model.trust * extra[at] if extra is not None else 0.0
        sd = self.residuals.sd[batch.context.cell[at]]
        m, by = self._look(batch, at, used, plain - used, sd)
        self.history.keep(self.seen, self.model)
        at, residual, sd = slice(start, start + m), (plain - used)[:m], sd[:m]
        now = float(batch.time_s[at.stop - 1])
        if extra is not None:
            self._weigh(plain[:m], extra[at], now, note)
        self._keep_score(batch, at, residual)
        served = residual - self.residuals.middle()[batch.context.cell[at]]
        self.pace.learn(served, sd * self.long_run, now)
        learn = self._remember(batch.block[:, at], rng)
        if len(learn):
            noise = sd[learn] * self.long_run
            self.pace.moved(kalman.update(self.model, share[learn], residual[learn], noise,
                                          types[learn], pods[learn]))  # fmt: skip
        self._judge(batch.block[:, at], batch, now, note)
        if by:
            change.repair(self, by, now, note)
        else:
            self._climb(residual / sd, now, note)
        return m

    def _look(
        self, batch: Batch, at: slice, used: Any, now: FloatArray, sd: FloatArray
    ) -> tuple[int, str]:
        """Rows of the block before the law changes (all of them, mostly), and who saw a change.

        A type or a pod that came after the detectors began is watched by the law as it is ``now``.
        """
        rows = at.stop - at.start
        if self.detector is None or not self.fits or self.learnt < WATCH_FROM:
            return rows, ""
        types, pods = batch.context.types[at], batch.context.pods[at]
        physics, _ = self.anchor.physics(batch.x[at], types)
        residual = batch.log_y[at] - physics - self.anchor.offset[pods] - used
        new = (types >= self.anchored[0]) | (pods >= self.anchored[1])
        position, by = self.detector.update(np.where(new, now, residual) / sd)
        return (position + 1 if by else rows), by

    def _keep_score(self, batch: Batch, at: slice, residual: FloatArray) -> None:
        error = np.abs(np.expm1(self.pace.recent.level - residual))
        self.errors = np.append(self.errors, error)[-RECENT:]
        cell, load = batch.context.cell[at], batch.load[at]
        length, log_y = batch.context.rows.input_tokens[at], batch.log_y[at]
        if batch.inside is not None:
            here = batch.inside[at]
            cell, load, length = cell[here], load[here], length[here]
            residual, log_y = residual[here], log_y[here]
        if self.fits and len(residual):
            self.residuals.adapt(cell, residual - self.pace.recent.level)
        self.residuals.add(length, load, residual, log_y)
        self.unsummed += len(residual)

    def _remember(self, block: FloatArray, rng: np.random.Generator) -> Any:
        """Put rows into memory or among those held out; gives positions of the former."""
        block[SHIFT] = self.shift
        hold = block[SEQUENCE] % self.settings.holdout_every == 0
        self.memory.add(block[:, ~hold], rng)
        if hold.any():
            self.holdout.add(block[:, hold], None)
        learn = np.flatnonzero(~hold)
        self.seen += len(hold)
        self.learnt += len(learn)
        self.since_fit += len(learn)
        return learn

    def _weigh(self, plain: FloatArray, extra: FloatArray, now: float, note: Note) -> None:
        """Use as much of the correction as wins on rows that it was not learnt from."""
        turned = self.weighing.learn(plain, extra)
        self.model.trust = self.weighing.share
        if turned:
            note(now, f"correction_{turned}", self.target, {"share": self.model.trust})

    def _judge(self, block: FloatArray, batch: Batch, now: float, note: Note) -> None:
        """Compare the law with the one before it on rows held out; go back if it is worse."""
        hold = block[SEQUENCE] % self.settings.holdout_every == 0
        if self.shadow is None or not hold.any():
            return
        context = place(block[:, hold], batch.frame)
        verdict = self.shadow.judge(
            self.model, context, terms.matrix(self.target, context.rows), block[LOG_Y][hold]
        )
        if verdict == "rolled_back":
            rows = self.shadow.rows
            detail = {"rows": rows, "error_before": self.shadow.before / rows,
                      "error_after": self.shadow.after / rows}  # fmt: skip
            self.model = self.shadow.model
            self.restart()
            note(now, "rolled_back", self.target, detail | {"version": self.version})
        if verdict:
            self.shadow = None

    def _climb(self, z: FloatArray, now: float, note: Note) -> None:
        """Go one rung up or down after a change."""
        kind = self.ladder.judge(z, self.long_run)
        if kind == "covariance_reset":
            change.reset(self)
            self.soon = self.since_fit + REFIT_AFTER
        if kind:
            note(now, kind, self.target, {"widen": self.ladder.widen})

    def follow(self, jump: float, slow: bool = False) -> None:
        """Let the filter follow a small change, of the log level; detectors begin again.

        After a ``slow`` one only the detector of slow changes does: a fast one may be under way.
        """
        self.followed += 1
        self.model.covariance[:, -1, -1] += max(FOLLOW_SD, 0.5 * abs(jump)) ** 2
        if slow and self.detector is not None:
            self.detector.restart_slow()
            return
        self.version -= 1
        self.restart()

    def restart(self) -> None:
        """Count a new version and let detectors begin from the law as it is."""
        self.version += 1
        self.anchor, self.history = self.model.copy(), History()
        self.pace.restart()
        self.anchored = len(self.model.theta), len(self.model.offset)
        if self.detector is not None:
            self.detector.settle()
            self.detector.reset()

    def refit(self, frame: Frame, now: float, note: Note) -> None:
        """Fit again from memory; the new law is promoted only if it wins on rows held out."""
        self.since_fit, self.soon = 0, -1
        new = refit.challenger(
            self.model,
            self.memory,
            frame,
            self.shift,
            self.prior,
            self.residuals.sd,
            self.settings.correction,
        )
        before, after = (
            trial.held_out_loss(m, self.holdout, frame, self.shift) for m in (self.model, new.model)
        )
        self.fits += 1
        detail = {"error_before": before, "error_after": after, "rows": len(self.memory),
                  "correction": new.model.correction is not None}  # fmt: skip
        if not after < (1 - trial.MARGIN) * before:
            note(now, "kept", self.target, detail)
            return
        self.shadow = Shadow(self.model)
        self.model = new.model
        self.weighing = Weighing()
        self.residuals.replace(new.context, new.residual, new.log_y)
        self.restart()
        note(now, "promoted", self.target, detail | {"version": self.version})

    def summarise(self, frame: Frame) -> None:
        """Compute quantiles anew."""
        self.unsummed = 0
        middle = self.residuals.middle().mean()
        self.residuals.summarise(frame)
        self.pace.moved(float(self.residuals.middle().mean() - middle))
        if self.detector is not None and self.ladder.rung == 0:
            self.detector.settle()
