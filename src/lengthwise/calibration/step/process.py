"""Corrections as a Gaussian process: learn from many deployments, then from a few samples."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from scipy.linalg import cho_factor, cho_solve, solve_triangular

from lengthwise.calibration.step.kinship import LEVELS, Kin, Spreads, covariance, prior_variance
from lengthwise.calibration.step.scales import find_spreads
from lengthwise.units import FloatArray

BLOCK = 4096
ENOUGH_ROWS = 100
ENOUGH_DEPLOYMENTS = 4
FAR = 2.5
"""Standardised error from which a row is taken for an odd one and given less weight."""
_NAMES = [name for name, _, _ in LEVELS]
DEPLOYMENT, ARCHITECTURE = _NAMES.index("deployment"), _NAMES.index("architecture")


@dataclass(frozen=True)
class Process:
    """A Gaussian process with the rows it has learnt.

    Attributes
    ----------
    kin
        The rows, n of them.
    y
        Their corrections, natural logarithms, shape (n,).
    spreads
        Scales of the effects.
    noise
        Noise variance of each row, larger for odd ones, shape (n,).
    """

    kin: Kin
    y: FloatArray
    spreads: Spreads
    noise: FloatArray

    @classmethod
    def fit(
        cls, kin: Kin, y: FloatArray, spreads: Spreads | None = None, tolerance: float = 0.1
    ) -> Process:
        """Learn from rows; with many deployments their scales are learnt too.

        Parameters
        ----------
        kin, y
            Rows and their corrections.
        spreads
            Scales to start from; few rows keep them as they are.
        tolerance
            Error from which a row counts less, natural logarithm.
        """
        start = spreads or Spreads.usual()
        found = kin.labels[DEPLOYMENT]
        if len(kin) >= ENOUGH_ROWS and len(set(found)) >= ENOUGH_DEPLOYMENTS:
            start = find_spreads(kin, y, [found, kin.labels[ARCHITECTURE]], start,
                                 tolerance=tolerance)  # fmt: skip
        process = cls(kin, y, start, np.full(len(kin), start.noise**2))
        return process._weighted() if len(kin) >= ENOUGH_ROWS else process

    def _weighted(self) -> Process:
        """Give odd rows more noise, so that they do not bend the rest."""
        mean, variance = self.left_out(np.arange(len(self.kin)))
        far = np.abs(self.y - mean) / np.sqrt(variance)
        odd = np.maximum(far / FAR, 1.0) ** 2
        added = (odd - 1.0) * variance
        return Process(self.kin, self.y, self.spreads, self.noise + added)

    def more(self, kin: Kin, y: FloatArray) -> Process:
        """Learn further rows with the scales as they are."""
        noise = np.full(len(kin), self.spreads.noise**2)
        return Process(self.kin.join(kin), np.r_[self.y, y], self.spreads,
                       np.r_[self.noise, noise])  # fmt: skip

    def predict(self, kin: Kin) -> tuple[FloatArray, FloatArray]:
        """Correction of new rows and its variance, noise of a measurement included; shape (n,)."""
        means, variances = [], []
        for start in range(0, len(kin), BLOCK):
            part = kin.take(slice(start, start + BLOCK))
            cross = covariance(part, self.kin, self.spreads)
            means.append(cross @ self._weights)
            seen = solve_triangular(self.factor, cross.T, lower=True)
            left = prior_variance(part, self.spreads) - (seen**2).sum(axis=0)
            variances.append(np.maximum(left, 0.0) + self.spreads.noise**2)
        return np.concatenate(means), np.concatenate(variances)

    def left_out(self, groups: Any) -> tuple[FloatArray, FloatArray]:
        """Predict every row from the rows of the other groups, in closed form.

        Parameters
        ----------
        groups
            Label of each row, shape (n,); rows with the same label are left out together.

        Returns
        -------
        mean, variance
            Shape (n,); the variance includes the row's noise.
        """
        inverse = cho_solve((self.factor, True), np.eye(len(self.kin)))
        mean, variance = np.zeros(len(self.kin)), np.zeros(len(self.kin))
        for label in dict.fromkeys(np.asarray(groups).tolist()):
            rows = np.flatnonzero(np.asarray(groups) == label)
            block = np.linalg.inv(inverse[np.ix_(rows, rows)])
            mean[rows] = self.y[rows] - block @ self._weights[rows]
            variance[rows] = np.diag(block)
        return mean, variance

    @cached_property
    def factor(self) -> FloatArray:
        """Lower Cholesky factor of the covariance of the rows with their noise, shape (n, n)."""
        total = covariance(self.kin, self.kin, self.spreads)
        total[np.diag_indices(len(self.kin))] += self.noise
        factor, _ = cho_factor(total, lower=True)
        return np.asarray(np.tril(factor))

    @cached_property
    def _weights(self) -> FloatArray:
        return np.asarray(cho_solve((self.factor, True), self.y))

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON."""
        return {
            "settings": np.round(self.kin.settings, 5).tolist(),
            "shares": np.round(self.kin.shares, 5).tolist(),
            "labels": [list(map(str, x)) for x in self.kin.labels],
            "y": np.round(self.y, 6).tolist(), "noise": np.round(self.noise, 8).tolist(),
            "spreads": self.spreads.to_dict(),
        }  # fmt: skip

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Process:
        """Read :meth:`to_dict` back."""
        labels = tuple(np.array(x, dtype=object) for x in data["labels"])
        kin = Kin(np.asarray(data["settings"], float), np.asarray(data["shares"], float), labels)
        return cls(kin, np.asarray(data["y"], float), Spreads.from_dict(data["spreads"]),
                   np.asarray(data["noise"], float))  # fmt: skip
