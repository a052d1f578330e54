"""A campaign of measurements: what was measured, what the law knows now, what a run would bring."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np

from lengthwise.calibration.exploration.deployment import contexts, run_seconds
from lengthwise.calibration.exploration.gain import variance_after
from lengthwise.calibration.exploration.law import LightLaw, Prior, drift, fit, worth
from lengthwise.calibration.exploration.points import BoolArray, Points
from lengthwise.units import FloatArray

MOST_READINGS = 5
"""Times the same point is measured at most."""


class Campaign:
    """State of a campaign; policies look at it and choose the next candidate.

    Parameters
    ----------
    candidates
        Points that may be measured, m.
    targets
        Points asked about, n.
    budget_s
        Seconds to spend on measuring.
    prior
        What is known of deployments before measuring.
    weight
        How much each target counts, shape (n,); equal by default.
    most
        How often each candidate may be measured, shape (m,); ``MOST_READINGS`` by default.

    Examples
    --------
    >>> ahead = Points.of("prefill", [256, 1024, 4096])
    >>> campaign = Campaign(ahead, ahead, budget_s=10.0)
    >>> before = campaign.width
    >>> campaign.record(1, step_s=0.1, seconds=0.5)
    >>> campaign.width < before, campaign.left_s
    (True, 9.5)
    """

    def __init__(
        self, candidates: Points, targets: Points, budget_s: float, prior: Prior | None = None,
        weight: FloatArray | None = None, most: FloatArray | None = None,
    ) -> None:  # fmt: skip
        self.candidates, self.targets, self.budget_s = candidates, targets, float(budget_s)
        self.prior = Prior.vague() if prior is None else prior
        n, m = len(targets), len(candidates)
        self.weight = np.full(n, 1.0 / n) if weight is None else weight
        self.most = np.full(m, float(MOST_READINGS)) if most is None else most
        self.taken: list[int] = []
        self.log_step_s: list[float] = []
        self.spent_s = 0.0
        self.law = LightLaw(self.prior.mean, self.prior.covariance, 0.1, np.zeros(2), np.zeros(2))

    def record(self, candidate: int, step_s: float, seconds: float) -> None:
        """Take a reading in: seconds of the step, and seconds that measuring it took."""
        self.taken.append(candidate)
        self.log_step_s.append(float(np.log(step_s)))
        self.spent_s += seconds
        where = self.candidates.take(np.array(self.taken))
        self.law = fit(self.prior, where, np.array(self.log_step_s), self.law.u)
        for name in ("counts", "cost_s", "variance", "own_variance", "gain", "allowed"):
            self.__dict__.pop(name, None)

    @property
    def left_s(self) -> float:
        """Seconds left."""
        return self.budget_s - self.spent_s

    @cached_property
    def counts(self) -> FloatArray:
        """How often each candidate was measured, shape (m,)."""
        return np.bincount(self.taken, minlength=len(self.candidates)).astype(float)

    @cached_property
    def cost_s(self) -> FloatArray:
        """Seconds that each candidate is predicted to take, shape (m,)."""
        step = np.exp(np.clip(self.law.predict(self.candidates), -20.0, 20.0))
        fill = np.exp(np.clip(self.law.predict(contexts(self.candidates)), -20.0, 20.0))
        return run_seconds(self.candidates, step, np.where(self.candidates.decode, fill, 0.0))

    @cached_property
    def allowed(self) -> BoolArray:
        """Whether each candidate may still be measured within the budget, shape (m,)."""
        return np.asarray((self.counts < self.most) & (self.cost_s <= self.left_s))

    @cached_property
    def variance(self) -> FloatArray:
        """Variance of ln t at the targets, shape (n,)."""
        return self.law.variance(self.targets)

    @cached_property
    def own_variance(self) -> FloatArray:
        """Variance of ln t at the candidates, shape (m,)."""
        return self.law.variance(self.candidates)

    @property
    def width(self) -> float:
        """Mean standard deviation of ln t over the targets: what the intervals scale with."""
        return float(self.weight @ np.sqrt(self.variance))

    @cached_property
    def gain(self) -> FloatArray:
        """Reduction of ``width`` expected from one more reading of each candidate, shape (m,)."""
        law = self.law
        g, h = law.gradient(self.targets), law.gradient(self.candidates)
        across = g @ law.covariance @ h.T
        own = np.einsum("ij,jk,ik->i", h, law.covariance, h) + law.spread**2 / self._news
        now = np.einsum("ij,jk,ik->i", g, law.covariance, g)[:, None]
        phase = self.candidates.decode.astype(int)
        rows = np.arange(len(self.candidates))
        longest = np.tile(law.longest, (len(rows), 1))
        largest = np.tile(law.largest, (len(rows), 1))
        longest[rows, phase] = np.maximum(longest[rows, phase], self.candidates.length)
        largest[rows, phase] = np.maximum(largest[rows, phase], self.candidates.batch)
        after = variance_after(now, across, own) + drift(self.targets, longest, largest).T
        return np.asarray(np.maximum(self.width - self.weight @ np.sqrt(after), 0.0))

    @property
    def _news(self) -> FloatArray:
        """How much one more reading adds, of what a first one adds, shape (m,)."""
        k = self.counts
        return np.asarray((k + 1.0) * worth(k + 1.0) - k * worth(k))

    def firsts(self) -> Sequence[int]:
        """Give the first runs of every policy: the smallest candidate of each phase."""
        size = self.candidates.length * self.candidates.batch
        out = []
        for phase in (False, True):
            mine = np.flatnonzero(self.candidates.decode == phase)
            if len(mine):
                out.append(int(mine[np.argmin(size[mine])]))
        return out
