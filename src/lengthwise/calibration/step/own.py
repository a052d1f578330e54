r"""A few samples of a deployment of one's own, on top of what many deployments say.

What is left after the pooled correction is an offset and a smooth change with the settings,

    k(x, x') = c^2 + r^2 exp(-|z - z'|^2 / 2)        within the deployment, 0 to any other

whose prior is as wide as left-out deployments have been off: one sample moves the whole deployment,
more bend it (Gaussian process regression; compare the hierarchical priors of few-shot calibration).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from lengthwise.calibration.step.kinship import Kin, Spreads, same, similarity
from lengthwise.calibration.step.process import DEPLOYMENT
from lengthwise.units import FloatArray

OFFSET, SMOOTH, NOISE = 0.2, 0.2, 0.03
"""c, r and the noise of a sample, natural logarithms."""
UNSEEN = 0.06
"""Sd that no number of samples takes away: settings between them, repeats on another day."""
STRETCH = 1.5
"""Length scales of the settings, in units of the usual ones."""
WIDEST = 1.0


@dataclass(frozen=True)
class OwnSamples:
    """Samples, their settings and what was left of them.

    Attributes
    ----------
    settings
        Shape (n, settings), natural logarithms.
    deployments
        Their deployments, shape (n,).
    left
        Natural logarithm of measured over predicted, shape (n,).
    spread
        Prior sd of a deployment nobody measured; 0: the usual one.
    """

    settings: FloatArray
    deployments: Any
    left: FloatArray
    spread: float

    @classmethod
    def of(cls, kin: Kin, left: FloatArray, spread: float) -> OwnSamples:
        """Keep samples."""
        usual = float(np.hypot(OFFSET, SMOOTH))
        wide = min(max(spread, usual), WIDEST) if spread else usual
        return cls(kin.settings, kin.labels[DEPLOYMENT], left, wide)

    def join(self, other: OwnSamples) -> OwnSamples:
        """Put further samples behind these."""
        return OwnSamples(np.vstack([self.settings, other.settings]),
                          np.r_[self.deployments, other.deployments],
                          np.r_[self.left, other.left], self.spread)  # fmt: skip

    @classmethod
    def none(cls, kin: Kin, spread: float) -> OwnSamples:
        """Start without a sample."""
        return cls.of(kin.take(slice(0, 0)), np.zeros(0), spread)

    def covariance_after(self, kin: Kin) -> FloatArray:
        """Give the covariance of what is left at rows, after these samples, shape (m, m)."""
        labels = kin.labels[DEPLOYMENT]
        prior = self._covariance(kin.settings, labels, kin.settings, labels)
        cross = self._covariance(kin.settings, labels, self.settings, self.deployments)
        inner = self._covariance(self.settings, self.deployments, self.settings, self.deployments)
        inner[np.diag_indices(len(self.left))] += NOISE**2
        return np.asarray(prior - cross @ np.linalg.solve(inner, cross.T))

    def predict(self, kin: Kin) -> tuple[FloatArray, FloatArray, Any]:
        """Give the shift, its sd with the noise of a measurement, and which rows have samples."""
        labels = kin.labels[DEPLOYMENT]
        inner = self._covariance(self.settings, self.deployments, self.settings, self.deployments)
        inner[np.diag_indices(len(self.left))] += NOISE**2
        cross = self._covariance(kin.settings, labels, self.settings, self.deployments)
        gain = np.linalg.solve(inner, cross.T)
        variance = self.spread**2 - np.einsum("ij,ji->i", cross, gain)
        sd = np.sqrt(np.maximum(variance, 0.0) + UNSEEN**2)
        return gain.T @ self.left, sd, (cross > 0).any(axis=1)

    def _covariance(self, a: FloatArray, ka: Any, b: FloatArray, kb: Any) -> FloatArray:
        scales = Spreads.usual().settings * STRETCH
        share = OFFSET**2 / (OFFSET**2 + SMOOTH**2)
        wave = share + (1.0 - share) * similarity(a, b, scales)
        return np.where(same(ka, kb), self.spread**2 * wave, 0.0)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON."""
        return {"settings": np.round(self.settings, 5).tolist(),
                "deployments": list(map(str, self.deployments)),
                "left": np.round(self.left, 6).tolist(), "spread": self.spread}  # fmt: skip

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> OwnSamples:
        """Read :meth:`to_dict` back."""
        return cls(np.asarray(data["settings"], float), np.array(data["deployments"], object),
                   np.asarray(data["left"], float), float(data["spread"]))  # fmt: skip
