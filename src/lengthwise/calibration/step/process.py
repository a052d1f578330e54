"""Corrections as a Gaussian process over the rows of many deployments."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from scipy.linalg import cho_factor, cho_solve, solve_triangular

from lengthwise.calibration.step.kinship import LEVELS, Kin, Spreads, covariance, prior_variance
from lengthwise.calibration.step.thinning import thinned
from lengthwise.units import FloatArray

BLOCK = 4096
MANY = 100
"""Rows from which odd ones are given less weight."""
FAR = 2.5
"""Standardised error from which a row is taken for an odd one."""
MOST = 1000
"""Rows on which the noise is chosen."""
NOISES = (0.05, 0.1, 0.2, 0.3)
"""Noise is chosen among these, by the error on left-out deployments."""
_NAMES = [name for name, _, _ in LEVELS]
DEPLOYMENT, ARCHITECTURE, HARDWARE = (
    _NAMES.index(name) for name in ("deployment", "architecture", "hardware")
)


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
    def fit(cls, kin: Kin, y: FloatArray) -> Process:
        """Learn from rows; the noise is chosen on left-out deployments, or layouts if they are few.

        Learning all scales from the data was tried: by marginal likelihood, and by the error on
        left-out deployments with its gradient. Both were better on the deployments they were chosen
        on and worse on the next ones than the usual scales.
        """
        best = cls._with_noise(kin, y, _best_noise(kin, y))
        return best._weighted() if len(kin) >= MANY else best

    @classmethod
    def _with_noise(cls, kin: Kin, y: FloatArray, noise: float) -> Process:
        return cls(kin, y, replace(Spreads.usual(), noise=noise), np.full(len(kin), noise**2))

    def _weighted(self) -> Process:
        """Give odd rows more noise, so that they do not bend the rest."""
        mean, sd = self.left_out(np.arange(len(self.kin)))
        odd = np.maximum(np.abs(self.y - mean) / sd / FAR, 1.0) ** 2
        return replace(self, noise=self.noise + (odd - 1.0) * sd**2)

    def predict(self, kin: Kin) -> tuple[FloatArray, FloatArray]:
        """Give the correction of new rows and its sd, noise of a measurement included; (n,)."""
        means, variances = [], []
        for start in range(0, len(kin), BLOCK):
            part = kin.take(slice(start, start + BLOCK))
            cross = covariance(part, self.kin, self.spreads)
            means.append(cross @ self._weights)
            seen = solve_triangular(self.factor, cross.T, lower=True)
            left = prior_variance(part, self.spreads) - (seen**2).sum(axis=0)
            variances.append(np.maximum(left, 0.0) + self.spreads.noise**2)
        return np.concatenate(means), np.sqrt(np.concatenate(variances))

    def covariance_after(self, kin: Kin) -> FloatArray:
        """Give the covariance of the corrections of rows, after those learnt, shape (m, m)."""
        seen = solve_triangular(self.factor, covariance(self.kin, kin, self.spreads), lower=True)
        return np.asarray(covariance(kin, kin, self.spreads) - seen.T @ seen)

    def left_out(self, groups: Any) -> tuple[FloatArray, FloatArray]:
        """Predict every row from the rows of the other groups, in closed form.

        With A = (K + N)^-1 and w = A y, rows g are missed by (A_gg)^-1 w_g (Rasmussen and Williams
        2006, section 5.4.2, for groups).

        Parameters
        ----------
        groups
            Label of each row, shape (n,); rows with the same label are left out together.

        Returns
        -------
        mean, sd
            Shape (n,); the sd includes the usual noise of a row.
        """
        inverse = self._inverse
        mean, variance = np.zeros(len(self.kin)), np.zeros(len(self.kin))
        labels = np.asarray(groups)
        for label in dict.fromkeys(labels.tolist()):
            rows = np.flatnonzero(labels == label)
            block = np.linalg.inv(inverse[np.ix_(rows, rows)])
            mean[rows] = self.y[rows] - block @ self._weights[rows]
            variance[rows] = np.diag(block) - self.noise[rows] + self.spreads.noise**2
        return mean, np.sqrt(np.maximum(variance, self.spreads.noise**2))

    @property
    def typical_sd(self) -> float:
        """Prior sd of a row that shares nothing with the rows learnt."""
        spreads = self.spreads
        return float(np.sqrt((spreads.offset**2 + spreads.smooth**2).sum() / 2.0))

    @cached_property
    def factor(self) -> FloatArray:
        """Lower Cholesky factor of the covariance of the rows with their noise, shape (n, n)."""
        total = covariance(self.kin, self.kin, self.spreads)
        total[np.diag_indices(len(self.kin))] += self.noise
        factor, _ = cho_factor(total, lower=True)
        return np.asarray(np.tril(factor))

    @cached_property
    def _inverse(self) -> FloatArray:
        return np.asarray(cho_solve((self.factor, True), np.eye(len(self.kin))))

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


def _best_noise(kin: Kin, y: FloatArray) -> float:
    groups = _groups(kin)
    if len(set(groups)) < 2:
        return NOISES[0]
    chosen = thinned(groups, MOST)
    part, left, labels = kin.take(chosen), y[chosen], groups[chosen]
    tried = [Process._with_noise(part, left, noise).left_out(labels)[0] for noise in NOISES]
    return NOISES[int(np.argmin([np.abs(mean - left).mean() for mean in tried]))]


def _groups(kin: Kin) -> Any:
    """Give what is left out to choose the noise: deployments, or their layouts when few."""
    deployments = kin.labels[DEPLOYMENT]
    if len(set(deployments)) >= 3:
        return deployments
    pairs = zip(deployments, kin.settings[:, 3:].round(3).tolist(), strict=True)
    return np.array([f"{label} {degrees}" for label, degrees in pairs], dtype=object)
