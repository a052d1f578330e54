"""What learning changes: coefficients, levels, offsets of pods and the learned correction."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from lengthwise.calibration.online.packing import pack, unpack
from lengthwise.formulations.online import terms
from lengthwise.formulations.online.context import Context
from lengthwise.formulations.online.correction import Correction
from lengthwise.formulations.online.recent import Recent
from lengthwise.formulations.online.spread import Spread
from lengthwise.formulations.online.target import LARGEST, SMALLEST, TargetLaw
from lengthwise.units import FloatArray

LOG_LEAST, LOG_MOST = float(np.log(SMALLEST)), float(np.log(LARGEST))
NEW_TYPE = 0.3
"""Standard deviation of the log level of a pod type not seen before."""
NEW_POD = 0.25
"""The same of a pod, before several pods tell."""


@dataclass
class Model:
    """State of one target that a fit proposes and a filter follows.

    Attributes
    ----------
    target
        "ttft" or "tpot".
    theta
        Log coefficients by pod type, shape (types, k); the first row is that of any other type.
    level
        Log level by pod type, shape (types,): follows faster than the coefficients.
    covariance
        Of coefficients and level together, shape (types, k + 1, k + 1).
    offset, variance
        Log factor of every pod and its variance, shape (pods,); the first is that of any other.
    between
        Variance between pods.
    correction, trust
        Learned tables, and the share of them that is in use, 0 to 1.
    gamma
        Log error per doubling outside the data.
    """

    target: str
    theta: FloatArray
    level: FloatArray
    covariance: FloatArray
    offset: FloatArray
    variance: FloatArray
    between: float = NEW_POD**2
    correction: Correction | None = None
    trust: float = 1.0
    gamma: float = 0.15

    @classmethod
    def start(cls, target: str, law: TargetLaw, known: bool) -> Model:
        """Begin from a law; the prior is tighter if that law was learnt or derived."""
        prior = with_level(terms.prior(target)[1] * (0.3 if known else 1.0), 0.05)
        zero = np.zeros(1)
        return cls(target, law.theta[:1].copy(), zero.copy(), prior[None], zero.copy(),
                   zero.copy())  # fmt: skip

    def copy(self) -> Model:
        """Copy, so that a filter may go on without changing this one."""
        names = ("theta", "level", "covariance", "offset", "variance")
        return replace(self, **{name: getattr(self, name).copy() for name in names})

    def fit_labels(self, types: int, pods: int) -> None:
        """Make room for new types and pods, which start at their parent."""
        for _ in range(types - len(self.theta)):
            self.theta = np.concatenate([self.theta, self.theta[:1]])
            self.level = np.append(self.level, self.level[0])
            wide = self.covariance[:1].copy()
            if len(self.theta) > 2:
                wide[0, -1, -1] += NEW_TYPE**2
            self.covariance = np.concatenate([self.covariance, wide])
        more = pods - len(self.offset)
        if more > 0:
            self.offset = np.append(self.offset, np.zeros(more))
            self.variance = np.append(self.variance, np.full(more, self.between))

    def coefficients(self) -> FloatArray:
        """Coefficients with the level in them, shape (types, k)."""
        values: FloatArray = np.exp(self.theta + self.level[:, None])
        return values

    def physics(self, x: FloatArray, types: Any) -> tuple[FloatArray, FloatArray]:
        """Log of the sum of the terms (n,) and the shares of the terms (n, k)."""
        part = x * self.coefficients()[types]
        total = part.sum(axis=1)
        part /= total[:, None]
        return np.clip(np.log(total), LOG_LEAST, LOG_MOST), part

    def extra(self, context: Context) -> FloatArray:
        """Log correction in use, shape (n,)."""
        if self.correction is None:
            return np.zeros(len(context.rows))
        return self.trust * self.correction.at(context)

    def log_median(self, context: Context, x: FloatArray) -> FloatArray:
        """Log of the median of rows, shape (n,)."""
        log_y, _ = self.physics(x, context.types)
        total: FloatArray = log_y + self.offset[context.pods] + self.extra(context)
        return total

    def law(self, spread: Spread, recent: Recent) -> TargetLaw:
        """Build what workers answer from."""
        k = self.theta.shape[1]
        fold = np.column_stack([np.eye(k), np.ones(k)])
        variance = self.variance.copy()
        variance[0] = self.between if len(variance) > 2 else 0.0
        return TargetLaw(
            self.target, self.theta + self.level[:, None], fold @ self.covariance @ fold.T,
            self.offset.copy(), variance, spread,
            None if self.correction is None else self.correction.shared(self.trust),
            recent,
        )  # fmt: skip

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON."""
        arrays = ("theta", "level", "covariance", "offset", "variance")
        return {
            "target": self.target, **{name: pack(getattr(self, name)) for name in arrays},
            "between": self.between, "trust": self.trust, "gamma": self.gamma,
            "correction": None if self.correction is None else self.correction.to_dict(),
        }  # fmt: skip

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Model:
        """Read :meth:`to_dict` back."""
        arrays = ("theta", "level", "covariance", "offset", "variance")
        correction = data["correction"]
        return cls(
            str(data["target"]), **{name: unpack(data[name]) for name in arrays},
            between=float(data["between"]),
            correction=None if correction is None else Correction.from_dict(correction),
            trust=float(data.get("trust", data.get("trusted", 1.0))), gamma=float(data["gamma"]),
        )  # fmt: skip


def with_level(covariance: FloatArray, sd: float) -> FloatArray:
    """Put a level of its own beside the coefficients.

    >>> with_level(np.eye(2), 0.1).shape
    (3, 3)
    """
    k = len(covariance)
    full = np.zeros((k + 1, k + 1))
    full[:k, :k] = covariance
    full[k, k] = sd**2
    return full
