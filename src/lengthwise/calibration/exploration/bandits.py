r"""Contextual bandits over candidates: LinUCB (Li et al. 2010) and linear Thompson sampling.

The reward of a run (``narrowing``) is linear in the candidate's features f, with an unknown row of
weights that has a Gaussian posterior A^{-1} b, A = I/L + sum f f', b = sum f r:

    LinUCB     f' A^{-1} b + a sqrt(f' A^{-1} f)
    Thompson   f' w,   w drawn from N(A^{-1} b, v^2 A^{-1})

Both go on learning during a campaign. ``trained`` is a posterior from earlier campaigns.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from lengthwise.calibration.exploration.campaign import Campaign
from lengthwise.calibration.exploration.features import FEATURES, features
from lengthwise.calibration.exploration.network import read
from lengthwise.calibration.exploration.policy import best
from lengthwise.units import FloatArray

LOOSE = 1.0
"""Variance of the weights before anything was learnt."""
NOISE = 0.5
"""Standard deviation of the rewards around the linear form."""
OPTIMISM = 0.5
"""Standard deviations of the reward that LinUCB adds."""


class LinearBandit:
    """What the two bandits share: a Gaussian posterior of the weights of the reward.

    Parameters
    ----------
    trained
        ``precision`` and ``moment`` of earlier campaigns, see `to_dict`.
    """

    name = "linear"

    def __init__(self, trained: Mapping[str, Any] | None = None) -> None:
        self.precision = np.eye(FEATURES) / LOOSE
        self.moment = np.zeros(FEATURES)
        if trained is not None:
            self.precision = read(trained, "precision", (FEATURES, FEATURES))
            self.moment = read(trained, "moment", (FEATURES,))

    def learn(self, before: FloatArray, reward: float) -> None:
        """Take in the reward of a run and the features its candidate had, shape (``FEATURES``,)."""
        self.precision = self.precision + np.outer(before, before) / NOISE**2
        self.moment = self.moment + before * reward / NOISE**2

    def choose(self, campaign: Campaign, rng: np.random.Generator) -> int:
        """Take the allowed candidate with the highest score."""
        return best(self.scores(features(campaign), rng), campaign)

    def scores(self, f: FloatArray, rng: np.random.Generator) -> FloatArray:
        """Score candidates by their features (m, ``FEATURES``), shape (m,)."""
        raise NotImplementedError

    def to_dict(self) -> dict[str, Any]:
        """Plain values of the posterior."""
        return {"precision": np.round(self.precision, 4).tolist(),
                "moment": np.round(self.moment, 4).tolist()}  # fmt: skip


class LinUCB(LinearBandit):
    """Optimism: the upper end of what the reward may be.

    Examples
    --------
    >>> bandit, f = LinUCB(), np.eye(FEATURES)[:2]
    >>> for _ in range(50):
    ...     bandit.learn(f[0], 1.0)
    ...     bandit.learn(f[1], 0.0)
    >>> int(np.argmax(bandit.scores(f, np.random.default_rng(0))))
    0
    """

    name = "linucb"

    def scores(self, f: FloatArray, rng: np.random.Generator) -> FloatArray:
        """Give upper ends of the reward, shape (m,)."""
        covariance = np.linalg.inv(self.precision)
        sd = np.sqrt(np.einsum("ij,jk,ik->i", f, covariance, f))
        return np.asarray(f @ (covariance @ self.moment) + OPTIMISM * sd)


class Thompson(LinearBandit):
    """Chance: the reward under weights drawn from their posterior.

    Examples
    --------
    >>> bandit = Thompson()
    >>> bandit.scores(np.eye(FEATURES)[:2], np.random.default_rng(0)).shape
    (2,)
    """

    name = "thompson"

    def scores(self, f: FloatArray, rng: np.random.Generator) -> FloatArray:
        """Draw weights and give the rewards under them, shape (m,)."""
        root = np.linalg.cholesky(np.linalg.inv(self.precision))
        w = np.linalg.solve(self.precision, self.moment) + root @ rng.standard_normal(FEATURES)
        return np.asarray(f @ w)
