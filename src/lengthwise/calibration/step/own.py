r"""A few samples of a deployment of one's own, on top of what many deployments say.

What is left after the pooled correction is an offset, slopes over the settings and a smooth change,

    k(x, x') = c^2 + sum_i s_i^2 z_i z'_i + r^2 exp(-|z - z'|^2 / 2)

within the deployment, 0 to any other, z being the logarithms of the settings (Gaussian process
regression; compare the hierarchical priors of few-shot calibration). One sample moves the whole
deployment, more bend it.

Requests and steps differ: under load anything may be left over, as much as left-out deployments
were off; of single steps the law has the shape about right, with slopes over batch and context that
are a little off and bumps where an engine changes kernels.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from lengthwise.calibration.step.kinship import SETTINGS, Kin, Spreads, same, similarity
from lengthwise.calibration.step.process import DEPLOYMENT
from lengthwise.units import FloatArray

NOISE = 0.03
"""Noise of a sample, natural logarithm."""
UNSEEN = 0.06
"""Sd that no number of samples takes away: settings between them, repeats on another day."""
WIDEST = 1.0
MIDDLE = np.log([8.0, 1024.0, 256.0, 1.0, 1.0, 1.0])
"""Settings around which slopes turn, in the order of :data:`kinship.SETTINGS`."""


@dataclass(frozen=True)
class Shape:
    """What is left of a deployment, before a sample.

    Attributes
    ----------
    offset, smooth
        c and r, natural logarithms.
    slopes, scales
        s and the length scales of the settings, by name; per factor e of the setting.
    widened
        Whether all of it grows with how far left-out deployments were off.
    """

    offset: float
    smooth: float
    slopes: Mapping[str, float]
    scales: Mapping[str, float]
    widened: bool

    @property
    def usual(self) -> float:
        """Prior sd in the middle of the settings."""
        return float(np.hypot(self.offset, self.smooth))

    def covariance(self, a: FloatArray, b: FloatArray) -> FloatArray:
        """Prior covariance within a deployment, settings of shape (n, 6) and (m, 6)."""
        slopes = np.array([self.slopes.get(name, 0.0) for name in SETTINGS])
        scales = np.array([self.scales[name] for name in SETTINGS])
        line = ((a - MIDDLE) * slopes) @ ((b - MIDDLE) * slopes).T
        return np.asarray(self.offset**2 + line + self.smooth**2 * similarity(a, b, scales))


def _stretched(by: float) -> dict[str, float]:
    return dict(zip(SETTINGS, (by * Spreads.usual().settings).tolist(), strict=True))


SHAPES = {
    "requests": Shape(0.2, 0.2, {}, _stretched(1.5), widened=True),
    "steps": Shape(0.2, 0.05, {"concurrency": 0.05, "isl": 0.025},
                   _stretched(1.0) | {"concurrency": 0.7, "isl": 0.7}, widened=False),
}  # fmt: skip
"""Those of steps were chosen on left-out layouts of Splitwise's other device family."""


def shape_of(quantity: str) -> str:
    """Name the shape of ``ttft``, ``tpot`` (of requests), ``prefill`` or ``decode`` (steps)."""
    return "requests" if quantity in ("ttft", "tpot") else "steps"


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
        Prior sd in the middle of the settings.
    shape
        Name in :data:`SHAPES`.
    """

    settings: FloatArray
    deployments: Any
    left: FloatArray
    spread: float
    shape: str

    @classmethod
    def of(cls, quantity: str, kin: Kin, left: FloatArray, spread: float) -> OwnSamples:
        """Keep samples; ``spread`` is how far left-out deployments were off, 0 if unknown."""
        name = shape_of(quantity)
        usual = SHAPES[name].usual
        wide = min(max(spread, usual), WIDEST) if spread and SHAPES[name].widened else usual
        return cls(kin.settings, kin.labels[DEPLOYMENT], left, wide, name)

    def join(self, other: OwnSamples) -> OwnSamples:
        """Put further samples behind these."""
        return OwnSamples(np.vstack([self.settings, other.settings]),
                          np.r_[self.deployments, other.deployments],
                          np.r_[self.left, other.left], self.spread, self.shape)  # fmt: skip

    @classmethod
    def none(cls, quantity: str, kin: Kin, spread: float) -> OwnSamples:
        """Start without a sample."""
        return cls.of(quantity, kin.take(slice(0, 0)), np.zeros(0), spread)

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
        prior = np.diag(self._covariance(kin.settings, labels, kin.settings, labels))
        variance = prior - np.einsum("ij,ji->i", cross, gain)
        sd = np.sqrt(np.maximum(variance, 0.0) + UNSEEN**2)
        return gain.T @ self.left, sd, same(labels, self.deployments).any(axis=1)

    def _covariance(self, a: FloatArray, ka: Any, b: FloatArray, kb: Any) -> FloatArray:
        shape = SHAPES[self.shape]
        within = (self.spread / shape.usual) ** 2 * shape.covariance(a, b)
        return np.where(same(ka, kb), within, 0.0)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON."""
        return {"settings": np.round(self.settings, 5).tolist(),
                "deployments": list(map(str, self.deployments)),
                "left": np.round(self.left, 6).tolist(), "spread": self.spread,
                "shape": self.shape}  # fmt: skip

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> OwnSamples:
        """Read :meth:`to_dict` back."""
        settings, left = (np.asarray(data[name], float) for name in ("settings", "left"))
        return cls(settings, np.array(data["deployments"], object), left, float(data["spread"]),
                   str(data.get("shape", "requests")))  # fmt: skip
