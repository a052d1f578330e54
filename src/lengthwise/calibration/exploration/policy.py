"""What a policy is, and those that learn nothing: random, sweep, grid, uncertainty, information."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from lengthwise.calibration.exploration.campaign import Campaign
from lengthwise.units import FloatArray

STOP = -1
"""The choice to measure nothing more."""


class Policy(Protocol):
    """Chooses what to measure next."""

    name: str

    def choose(self, campaign: Campaign, rng: np.random.Generator) -> int:
        """Give the index of an allowed candidate, or ``STOP``."""
        ...

    def learn(self, before: FloatArray, reward: float) -> None:
        """Take in what a run brought; most policies ignore it.

        Parameters
        ----------
        before
            Features of the chosen candidate before the run, shape (``FEATURES``,).
        reward
            What the run brought, see :mod:`lengthwise.calibration.exploration.reward`.
        """
        ...


class Fixed:
    """Base of policies that do not learn."""

    name = "fixed"

    def learn(self, before: FloatArray, reward: float) -> None:
        """Learn nothing."""

    def choose(self, campaign: Campaign, rng: np.random.Generator) -> int:
        """Take the allowed candidate with the highest score."""
        return best(self.scores(campaign, rng), campaign)

    def scores(self, campaign: Campaign, rng: np.random.Generator) -> FloatArray:
        """Score the candidates, shape (m,)."""
        raise NotImplementedError


def best(scores: FloatArray, campaign: Campaign) -> int:
    """Give the allowed candidate with the highest score, or ``STOP`` when none is allowed."""
    masked = np.where(campaign.allowed, scores, -np.inf)
    choice = int(np.argmax(masked))
    return choice if np.isfinite(masked[choice]) else STOP


class Random(Fixed):
    """Any candidate, the seldom measured ones first."""

    name = "random"

    def scores(self, campaign: Campaign, rng: np.random.Generator) -> FloatArray:
        """Draw scores."""
        return np.asarray(rng.random(len(campaign.candidates)) - campaign.counts)


class Sweep(Fixed):
    """Up the lengths and batches from the smallest, as benchmark scripts do; then once more."""

    name = "sweep"

    def scores(self, campaign: Campaign, rng: np.random.Generator) -> FloatArray:
        """Give fewer tokens first."""
        points = campaign.candidates
        tokens = np.log(points.length * points.batch)
        return np.asarray(-tokens - 1e3 * campaign.counts)


class Grid(Fixed):
    """The candidate farthest from those measured, in doublings: a grid from coarse to fine."""

    name = "grid"

    def scores(self, campaign: Campaign, rng: np.random.Generator) -> FloatArray:
        """Give distances to the nearest measured point of the phase; round after round."""
        points = campaign.candidates
        where = np.log2(np.stack([points.length, points.batch], axis=1))
        low = campaign.counts.min() if campaign.counts.size else 0.0
        taken = np.flatnonzero(campaign.counts > low)
        if not len(taken):
            return np.asarray(-where.sum(axis=1))
        apart = np.linalg.norm(where[:, None] - where[None, taken], axis=2)
        apart[points.decode[:, None] != points.decode[None, taken]] = 100.0
        return np.asarray(apart.min(axis=1) - 1e3 * (campaign.counts - low))


class Uncertainty(Fixed):
    """The candidate predicted worst: largest standard deviation per second of measuring."""

    name = "uncertainty"

    def scores(self, campaign: Campaign, rng: np.random.Generator) -> FloatArray:
        """Give standard deviations of ln t over predicted seconds."""
        return np.asarray(np.sqrt(campaign.own_variance) / campaign.cost_s)


class Information(Fixed):
    """The candidate that narrows the intervals of the targets most, per second of measuring.

    As ``lengthwise suggest`` chooses (expected information per cost, MacKay 1992).
    """

    name = "information"

    def scores(self, campaign: Campaign, rng: np.random.Generator) -> FloatArray:
        """Give expected reductions of the mean width over predicted seconds."""
        return np.asarray(campaign.gain / campaign.cost_s)
