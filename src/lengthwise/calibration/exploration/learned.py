"""The policy learnt by reinforcement, and the weights and the prior that ship."""

from __future__ import annotations

import json
from functools import lru_cache
from importlib.resources import files
from typing import Any

import numpy as np

from lengthwise.calibration.exploration.campaign import Campaign
from lengthwise.calibration.exploration.features import features
from lengthwise.calibration.exploration.law import Prior
from lengthwise.calibration.exploration.network import Network, read
from lengthwise.calibration.exploration.policy import STOP
from lengthwise.units import FloatArray

FILE = "learned.json"
SCHEMA_VERSION = 1


class Learned:
    """Takes the action that the network finds most probable.

    Parameters
    ----------
    network
        Weights; those that ship by default.

    Examples
    --------
    >>> from lengthwise.calibration.exploration.points import Points
    >>> ahead = Points.of("prefill", [256, 1024, 4096])
    >>> Learned().choose(Campaign(ahead, ahead, 10.0), np.random.default_rng(0)) in (-1, 0, 1, 2)
    True
    """

    name = "reinforcement"

    def __init__(self, network: Network | None = None) -> None:
        self.network = Network.from_dict(shipped()["network"]) if network is None else network

    def choose(self, campaign: Campaign, rng: np.random.Generator) -> int:
        """Give the most probable candidate, or ``STOP``."""
        p = self.network.probabilities(features(campaign), campaign.allowed)
        choice = int(np.argmax(p))
        return STOP if choice == len(p) - 1 else choice

    def learn(self, before: FloatArray, reward: float) -> None:
        """Learn nothing: the weights are fixed after training."""


@lru_cache(maxsize=1)
def shipped() -> dict[str, Any]:
    """Read what ships: ``prior``, ``network``, ``bandits`` and ``provenance``.

    >>> shipped()["schema_version"]
    1
    """
    found: dict[str, Any] = json.loads(
        files("lengthwise.calibration.exploration").joinpath(FILE).read_text(encoding="utf-8")
    )
    return found


def shipped_prior() -> Prior:
    """Give the prior learnt from the deployments that policies may learn on.

    >>> shipped_prior().mean.shape
    (6,)
    """
    data = shipped()["prior"]
    return Prior(read(data, "mean", (6,)), read(data, "covariance", (6, 6)))
