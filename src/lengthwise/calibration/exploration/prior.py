"""The prior of the light law, learnt from deployments by expectation and maximisation."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lengthwise.calibration.exploration.deployment import Deployment
from lengthwise.calibration.exploration.law import Prior, fit

ROUNDS = 8
RIDGE = 0.25
"""Variance added to every logarithm: the next deployment may be unlike all of these."""


def learn_prior(deployments: Sequence[Deployment]) -> Prior:
    """Fit mean and covariance of the coefficients' logarithms over deployments.

    Examples
    --------
    >>> from lengthwise.calibration.exploration.simulated import simulate
    >>> prior = learn_prior([simulate(seed) for seed in range(12)])
    >>> bool(np.linalg.det(prior.covariance) < np.linalg.det(Prior.vague().covariance))
    True
    """
    prior = Prior.vague()
    for _ in range(ROUNDS):
        laws = [fit(prior, d.points, d.truth) for d in deployments]
        modes = np.stack([law.u for law in laws])
        mean = modes.mean(axis=0)
        apart = (modes - mean).T @ (modes - mean) / len(laws)
        inside = np.mean([law.covariance for law in laws], axis=0)
        prior = Prior(mean, apart + inside + RIDGE / ROUNDS * np.eye(len(mean)))
    return Prior(prior.mean, prior.covariance + RIDGE * np.eye(len(prior.mean)))
