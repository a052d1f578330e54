"""The law of one target: physical terms times a pod's offset and a learned correction.

median of y = [sum_k exp(theta_k) x_k] * exp(offset of the pod + correction)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from lengthwise.formulations.online import terms
from lengthwise.formulations.online.context import Context, Frame, array
from lengthwise.formulations.online.correction import Correction
from lengthwise.formulations.online.recent import NOTHING, Recent
from lengthwise.formulations.online.spread import Spread
from lengthwise.units import FloatArray

LARGEST_LOG = 60.0
"""No coefficient or offset of a law file has a larger logarithm."""
SMALLEST, LARGEST = 1e-9, 1e9
"""Seconds between which every answer lies: finite numbers for any row that is accepted."""


@dataclass(frozen=True)
class TargetLaw:
    """Law of TTFT or of TPOT.

    Attributes
    ----------
    target
        "ttft" or "tpot".
    theta
        Log coefficients by pod type, shape (types, k).
    covariance
        Of the log coefficients, shape (types, k, k).
    offset, offset_variance
        Log factor of every pod and its variance, shape (pods,); the first is that of a new pod.
    spread
        Quantiles of the residual.
    correction
        Learned tables, or None.
    recent
        What recent rows say on top.
    """

    target: str
    theta: FloatArray
    covariance: FloatArray
    offset: FloatArray
    offset_variance: FloatArray
    spread: Spread
    correction: Correction | None = None
    recent: Recent = NOTHING

    @classmethod
    def cold(cls, target: str) -> TargetLaw:
        """Law before any data: the priors of the terms."""
        mean, covariance = terms.prior(target)
        zero = np.zeros(1)
        # the wide priors of single terms would count twice: the cold spread covers them
        return cls(target, mean[None], 1e-4 * covariance[None], zero, zero, Spread.cold())

    @cached_property
    def _coefficients(self) -> FloatArray:
        coefficients: FloatArray = np.exp(self.theta)
        return coefficients

    @cached_property
    def _root(self) -> FloatArray:
        """Scaled square root A of the covariance: variance = |A x / y|^2, shape (types, k, k)."""
        values, vectors = np.linalg.eigh(self.covariance)
        root = vectors * np.sqrt(np.maximum(values, 0.0))[:, None, :]
        scaled: FloatArray = self._coefficients[:, :, None] * root
        return scaled

    def median(self, context: Context, now_s: float | None = None) -> tuple[FloatArray, FloatArray]:
        """Median and variance of what the law does not know, each (n,); now, if a time is given."""
        x = terms.matrix(self.target, context.rows)
        if context.several:
            y, variance = np.empty(len(x)), np.empty(len(x))
            for kind in np.unique(context.types):
                at = context.types == kind
                y[at], variance[at] = self._physics(x[at], int(kind))
        else:
            y, variance = self._physics(x, int(context.types[0]) if len(x) else 0)
        factor = self.offset.take(context.pods)
        if self.correction is not None:
            factor += self.correction.at(context)
        if now_s is not None:
            factor += self.recent.at(now_s)
        y *= np.exp(factor, out=factor)
        variance += self.offset_variance.take(context.pods)
        if context.distance is not None:
            out = self.spread.gamma * context.distance
            variance += np.multiply(out, out, out=out)
        return np.clip(y, SMALLEST, LARGEST, out=y), variance

    def _physics(self, x: FloatArray, kind: int) -> tuple[FloatArray, FloatArray]:
        y: FloatArray = x @ self._coefficients[kind]
        part = x @ self._root[kind]
        part /= y[:, None]
        variance: FloatArray = np.einsum("ij,ij->i", part, part)
        return y, variance

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON."""
        return {
            "theta": self.theta.tolist(), "covariance": self.covariance.tolist(),
            "offset": self.offset.tolist(),
            "offset_variance": self.offset_variance.tolist(), "spread": self.spread.to_dict(),
            "correction": None if self.correction is None else self.correction.to_dict(),
            "recent": self.recent.to_dict(),
        }  # fmt: skip

    @classmethod
    def from_dict(cls, target: str, data: Mapping[str, Any], frame: Frame) -> TargetLaw:
        """Read :meth:`to_dict` back."""
        k, types, pods = len(terms.TERMS[target]), len(frame.types), len(frame.pods)
        correction = data["correction"]
        return cls(
            target, array(data["theta"], (types, k), -LARGEST_LOG, LARGEST_LOG),
            array(data["covariance"], (types, k, k)),
            array(data["offset"], (pods,), -LARGEST_LOG, LARGEST_LOG),
            array(data["offset_variance"], (pods,), 0.0, LARGEST_LOG),
            Spread.from_dict(data["spread"]),
            None if correction is None else Correction.from_dict(correction),
            Recent.from_dict(data["recent"]) if "recent" in data else NOTHING,
        )  # fmt: skip
