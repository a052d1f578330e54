"""Run a policy on a deployment until the seconds are spent, and score it at every budget."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lengthwise.calibration.exploration.campaign import Campaign
from lengthwise.calibration.exploration.deployment import Deployment
from lengthwise.calibration.exploration.features import features
from lengthwise.calibration.exploration.law import Prior
from lengthwise.calibration.exploration.policy import STOP, Policy
from lengthwise.calibration.exploration.reward import narrowing
from lengthwise.units import FloatArray

BUDGETS = (0.05, 0.10, 0.20, 0.40)
"""Seconds of measuring, as shares of those of everything measurable once."""


@dataclass
class Trial:
    """A deployment under measurement: the campaign, and what the policy cannot see.

    Attributes
    ----------
    deployment
        Gives readings and the truth.
    index
        Points of the deployment that are candidates, shape (m,).
    campaign
        What the policy sees.
    """

    deployment: Deployment
    index: np.ndarray[tuple[int], np.dtype[np.intp]]
    campaign: Campaign

    @classmethod
    def begin(
        cls, deployment: Deployment, prior: Prior, rng: np.random.Generator,
        budget: float = BUDGETS[-1],
    ) -> Trial:  # fmt: skip
        """Start with the first runs, which are the same for every policy."""
        index = np.flatnonzero(deployment.measurable)
        most = np.array([float(len(deployment.readings[i])) for i in index])
        campaign = Campaign(
            deployment.points.take(index), deployment.points, budget * deployment.total_s,
            prior, deployment.weight, np.minimum(most, 5.0),
        )  # fmt: skip
        trial = cls(deployment, index, campaign)
        for first in campaign.firsts():
            trial.measure(first, rng)
        return trial

    def measure(self, candidate: int, rng: np.random.Generator) -> None:
        """Measure a candidate: one reading, and its seconds."""
        i = int(self.index[candidate])
        reading = self.deployment.read(i, rng)
        self.campaign.record(candidate, reading, self.deployment.run_s(i, reading))

    @property
    def error(self) -> float:
        """Mean absolute ln(predicted / read) over the targets now."""
        return self.deployment.error(self.campaign.law.predict(self.deployment.points))


def play(
    policy: Policy, deployment: Deployment, prior: Prior, seed: int,
    budgets: tuple[float, ...] = BUDGETS,
) -> tuple[FloatArray, Trial]:  # fmt: skip
    """Run a policy once.

    Returns
    -------
    errors
        Error of the law made of the runs that were over within each budget, shape (budgets,).
    trial
        As it ended.

    Examples
    --------
    >>> from lengthwise.calibration.exploration.policy import Information
    >>> from lengthwise.calibration.exploration.simulated import simulate
    >>> errors, trial = play(Information(), simulate(2), Prior.vague(), seed=0)
    >>> errors.shape, bool(errors[-1] < 0.2)
    ((4,), True)
    """
    rng = np.random.default_rng(seed)
    trial = Trial.begin(deployment, prior, rng, budgets[-1])
    limits = np.array(budgets) * deployment.total_s
    errors = np.full(len(budgets), trial.error)
    while (choice := policy.choose(trial.campaign, rng)) != STOP:
        state, before, width = (
            trial.campaign,
            features(trial.campaign)[choice],
            trial.campaign.width,
        )
        spent = state.spent_s
        trial.measure(choice, rng)
        policy.learn(before, narrowing(width, state.width, spent, state.spent_s))
        errors[limits >= state.spent_s] = trial.error
    return errors, trial
