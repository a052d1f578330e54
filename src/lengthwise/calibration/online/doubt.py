"""When most rows contradict the law: whether they are wrong, or the law is.

The latest rows, believed or not, are kept. When half of them are set aside, or when the law leaves
them unexplained, three things may be true. An older law explains them: it returns. A law fitted to
them alone explains those that came after: it takes over once the evidence outweighs what speaks for
the law in use, which is the rows it has explained. Or nothing explains them: then they are noise.

A law that is far less usual for a server than the other (by the prior of its coefficients: no
hardware is a thousand times slower than the rest) needs much evidence, and one that is far more
usual little.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from lengthwise.calibration.online import refit, takeover
from lengthwise.calibration.online.memory import SHIFT, WIDTH, Memory
from lengthwise.calibration.online.model import Model
from lengthwise.calibration.online.packing import pack, unpack
from lengthwise.calibration.online.trusted import Trusted, errors_of
from lengthwise.formulations.online.context import CELLS, Frame
from lengthwise.units import FloatArray

if TYPE_CHECKING:
    from lengthwise.calibration.online.target import Note, TargetLearner

KEPT, LOOK, RETURN = 192, 48, 64
"""Rows kept, rows between two looks, and rows by which an older law is judged."""
JUDGED = 0.34
"""Share of the rows kept, the newest, by which a law fitted to the others is judged."""
MOST_ASIDE = 0.5
"""Share of the latest rows set aside from which the law is in doubt."""
BADLY, TRY, TRY_SHARE = 0.1, 192, 0.1
"""Median error from which a law of the latest rows is tried now and then, every so many rows or
after this share of all."""
EXPLAINED, UNEXPLAINED = 0.35, 0.45
"""Log error up to which a row speaks for a law, and median from which a law explains nothing."""
BETTER, FITS = 0.5, 0.5
"""A new law must halve the median error, and come below this one."""
SHARE, FEWEST, MOST = 0.6, 96, 4000
"""Rows that outweigh a law: this share of those that it has explained, within bounds."""
USUAL, APART = 12.0, 1.65
"""Difference of the squared distance from the prior that makes a law the more usual one, where the
two are a factor of 5 apart (ln): a law of few rows always lies nearer to the prior."""


@dataclass
class _Found:
    model: Model
    rows: FloatArray


class Doubt:
    """The latest rows, and what speaks for and against the law in use.

    Attributes
    ----------
    trust
        Rows the law has explained.
    against
        Rows in a row that a law fitted to the latest ones explains far better.
    """

    def __init__(self) -> None:
        self._rows = np.empty((WIDTH, 0))
        self.trust = self.against = self._since = self._waited = self._tried_at = 0

    def note(self, block: FloatArray, explained: int, shift: float) -> None:
        """Remember rows, shape (15, m), of which so many were explained."""
        self._rows = np.concatenate([self._rows, block], axis=1)[:, -KEPT:]
        self._rows[SHIFT] = shift
        self.trust += explained
        self._since += block.shape[1]

    def settle(self, learner: TargetLearner, frame: Frame, now: float, note: Note) -> None:
        """Look whether another law has to take over, now and then, when the law is in doubt."""
        if self._since < LOOK:
            return
        self._waited += self._since
        self._since = 0
        latest = self._rows[:, -RETURN:]
        doubted = latest.shape[1] == RETURN and _in_doubt(learner)
        if doubted:
            older = learner.shelf.fitting(learner.model, latest, frame)
            if older is not None:
                self.give_way(learner, older, now, note)
                return
        if self._rows.shape[1] < FEWEST or not (doubted or self._may_be_better(learner)):
            self.against = self._waited = 0
            return
        found = self._fresh(learner, frame)
        self.against = self.against + self._waited if found is not None else 0
        self._waited = 0
        if found is None:
            return
        if self.against >= self._needed(learner, found.model):
            self._adopt(learner, found, frame, now, note)

    def _may_be_better(self, learner: TargetLearner) -> bool:
        """Whether it is time to see if a law of the latest rows is better, doubted or not."""
        if (learner.error or 0.0) < BADLY or self._rows_to_go(learner):
            return False
        self._tried_at = learner.seen
        return True

    def _rows_to_go(self, learner: TargetLearner) -> int:
        wait = 0 if self.against else max(TRY, int(TRY_SHARE * learner.seen))
        return max(self._tried_at + wait - learner.seen, 0)

    def _fresh(self, learner: TargetLearner, frame: Frame) -> _Found | None:
        """Fit a law to the older of the rows kept; None unless it explains the newer ones."""
        rows = self._rows
        cut = round((1 - JUDGED) * rows.shape[1])
        memory = Memory(KEPT)
        memory.add(rows[:, :cut], None)
        start = learner.model.copy()
        start.offset[:] = 0.0
        new = refit.challenger(start, memory, Frame(), learner.shift, learner.prior,
                               np.full(CELLS, 0.2), correct=False).model  # fmt: skip
        newer = rows[:, cut:]
        before, after = (
            float(np.median(np.abs(errors_of(m, newer, Frame())))) for m in (learner.model, new)
        )
        if not (after < BETTER * before and after < FITS):
            return None
        return _Found(new, rows)

    def _needed(self, learner: TargetLearner, new: Model) -> float:
        old, fresh = (unusual(m, learner.prior) for m in (learner.model, new))
        before, after = (errors_of(m, self._rows, Frame()) for m in (learner.model, new))
        if old > fresh + USUAL and abs(float(np.median(before - after))) > APART:
            return FEWEST
        return float(np.clip(SHARE * self.trust, FEWEST, MOST))

    def give_way(self, learner: TargetLearner, older: Trusted, now: float, note: Note) -> None:
        """Return to an older law."""
        detail = {"rows": RETURN, "to_rows": older.seen, "why": "what came after it proved false"}
        note(now, "rolled_back", learner.target, detail)
        takeover.return_to(learner, older)
        self.trust, self.against = older.trust, 0

    def _adopt(
        self, learner: TargetLearner, found: _Found, frame: Frame, now: float, note: Note
    ) -> None:
        note(now, "replaced", learner.target, {"rows": self.against, "explained": self.trust})
        errors = np.abs(errors_of(found.model, found.rows, Frame()))
        fine = found.rows[:, errors < EXPLAINED]
        takeover.begin_from(learner, found.model, fine, frame)
        self.trust, self.against = fine.shape[1], 0

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON."""
        return {"rows": pack(self._rows), "trust": self.trust, "against": self.against,
                "since": self._since, "waited": self._waited,
                "tried_at": self._tried_at}  # fmt: skip

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Doubt:
        """Read :meth:`to_dict` back."""
        doubt = cls()
        doubt._rows = unpack(data["rows"])
        if doubt._rows.ndim != 2 or len(doubt._rows) != WIDTH:
            raise ValueError(f"rows in doubt hold {WIDTH} numbers each")
        doubt.trust, doubt.against = int(data["trust"]), int(data["against"])
        doubt._since = int(data["since"])
        doubt._waited, doubt._tried_at = int(data["waited"]), int(data["tried_at"])
        return doubt

    def relabel(self, row: int, moved: Any) -> None:
        """Give labels new positions."""
        self._rows[row] = moved[self._rows[row].astype(int)]


def _in_doubt(learner: TargetLearner) -> bool:
    """Whether most of the latest rows are set aside, or explained badly."""
    if learner.gate.far_of(LOOK) > MOST_ASIDE:
        return True
    return learner.fits > 0 and learner.gate.typical(RETURN) > UNEXPLAINED


def unusual(model: Model, prior: tuple[FloatArray, FloatArray]) -> float:
    """Squared distance of a law's coefficients from their prior.

    >>> from lengthwise.formulations.online import terms
    >>> from lengthwise.formulations.online.target import TargetLaw
    >>> model = Model.start("tpot", TargetLaw.cold("tpot"), known=False)
    >>> unusual(model, terms.prior("tpot"))
    0.0
    """
    mean, covariance = prior
    gap = model.theta[0] + model.level[0] - mean
    return float(gap @ np.linalg.solve(covariance, gap))
