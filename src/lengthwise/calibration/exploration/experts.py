r"""Which of several predictors to trust: Hedge with a fixed share, and Exp3.

    Hedge   w_k <- w_k exp(-eta l_k), then w <- (1 - a) w / sum w + a / K       all losses are seen
    Exp3    the same with l_k / p_k for the one that was drawn, p = (1 - g) w + g / K

Losses lie in [0, 1]. The share a lets another expert take over after a change (Herbster and Warmuth
1998); Exp3 is for when only the loss of the chosen one is known (Auer et al. 2002).
"""

from __future__ import annotations

import numpy as np

from lengthwise.errors import InputError
from lengthwise.units import FloatArray

RATE, SHARE = 4.0, 0.01
EXP3_RATE, EXPLORE = 0.15, 0.1
LARGEST = float(np.log(2.0))
"""Absolute ln error that counts as a loss of 1."""


def loss_of(log_error: FloatArray) -> FloatArray:
    """Turn ln errors into losses in [0, 1].

    >>> loss_of(np.log([1.0, 2.0, 100.0])).tolist()
    [0.0, 1.0, 1.0]
    """
    return np.asarray(np.minimum(np.abs(log_error) / LARGEST, 1.0))


class Hedge:
    """Weights over experts when every expert's loss is seen.

    Parameters
    ----------
    experts
        How many, K.
    rate, share
        How fast weights follow the losses, and how much of them is spread anew.

    Examples
    --------
    >>> hedge = Hedge(2)
    >>> for _ in range(20):
    ...     hedge.learn(np.array([0.1, 0.6]))
    >>> bool(hedge.weights[0] > 0.9)
    True
    """

    def __init__(self, experts: int, rate: float = RATE, share: float = SHARE) -> None:
        if experts < 1:
            raise InputError("there must be experts to choose from", got=str(experts))
        self.weights = np.full(experts, 1.0 / experts)
        self.rate, self.share = rate, share

    def combine(self, predictions: FloatArray) -> float:
        """Give the weighted mean of the experts' predictions of ln t, shape (K,)."""
        return float(self.weights @ predictions)

    def learn(self, losses: FloatArray, rounds: int = 1) -> None:
        """Take in the losses of all experts, shape (K,), or their sums over so many rounds."""
        w = self.weights * np.exp(-self.rate * (losses - losses.min()))
        spread = 1.0 - (1.0 - self.share) ** rounds
        self.weights = (1.0 - spread) * w / w.sum() + spread / len(w)


class Exp3:
    """Chooses one expert, and sees the loss of that one only.

    Examples
    --------
    >>> bandit, rng = Exp3(2), np.random.default_rng(0)
    >>> for _ in range(300):
    ...     k = bandit.draw(rng)
    ...     bandit.learn(k, [0.1, 0.6][k])
    >>> bool(bandit.probabilities[0] > 0.8)
    True
    """

    def __init__(
        self, experts: int, rate: float = EXP3_RATE, explore: float = EXPLORE, share: float = SHARE
    ) -> None:
        self._hedge = Hedge(experts, rate, share)
        self.explore = explore

    @property
    def probabilities(self) -> FloatArray:
        """Chance of each expert, shape (K,)."""
        w = self._hedge.weights
        return np.asarray((1.0 - self.explore) * w + self.explore / len(w))

    def draw(self, rng: np.random.Generator) -> int:
        """Choose an expert."""
        p = self.probabilities
        return int(rng.choice(len(p), p=p / p.sum()))

    def learn(self, chosen: int, loss: float) -> None:
        """Take in the loss of the expert that was chosen."""
        estimate = np.zeros(len(self._hedge.weights))
        estimate[chosen] = loss / self.probabilities[chosen]
        self._hedge.learn(estimate)
