"""How much of the learned correction to use: Hedge over shares of it.

On recorded and simulated streams Hedge was better than any fixed choice of a correction
(``benchmarks/exploration.py``). Here its experts use none, half or all of the correction; their
mean is what is used. Rows judge before they are learnt, so a correction that has ceased to help
fades.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from lengthwise.calibration.exploration.experts import Hedge, loss_of
from lengthwise.units import FloatArray

SHARES = np.array([0.0, 0.5, 1.0])
START = np.array([0.01, 0.04, 0.95])
"""Weights at a promotion: a correction is only promoted if it won on rows held out."""
RATE, SPREAD = 1.0, 0.0003
"""How fast weights follow the losses of single rows, and the share of them spread anew by a row."""
OFF, ON = 0.3, 0.6
"""Shares at which the correction counts as off, and on again."""


class Weighing:
    """Running weights over the shares.

    Examples
    --------
    >>> weighing = Weighing()
    >>> residual, harm = np.zeros(400), np.full(400, 0.2)
    >>> weighing.learn(residual, harm), weighing.share < 0.1
    ('off', True)
    """

    def __init__(self, weights: FloatArray | None = None, on: bool = True) -> None:
        self._hedge = Hedge(len(SHARES), RATE, SPREAD)
        self._hedge.weights = START.copy() if weights is None else weights
        self.on = on

    @property
    def share(self) -> float:
        """Share of the correction to use, 0 to 1."""
        return self._hedge.combine(SHARES)

    def learn(self, plain: FloatArray, extra: FloatArray) -> str:
        """Judge shares by rows.

        Parameters
        ----------
        plain, extra
            Log error without the correction, and the correction; shape (n,).

        Returns
        -------
        str
            "on" or "off" if the correction has just become that, else empty.
        """
        errors = plain[:, None] - extra[:, None] * SHARES
        self._hedge.learn(loss_of(errors).sum(axis=0), len(plain))
        share, before = self.share, self.on
        self.on = share > (OFF if before else ON)
        return "" if self.on == before else "on" if self.on else "off"

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON."""
        return {"weights": self._hedge.weights.tolist(), "on": self.on}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Weighing:
        """Read :meth:`to_dict` back."""
        weights = np.asarray(data["weights"], float)
        if weights.shape != SHARES.shape or not (weights >= 0).all() or not weights.sum() > 0:
            raise ValueError(f"weights over shares are {len(SHARES)} numbers, none negative")
        return cls(weights / weights.sum(), bool(data["on"]))
