r"""A small policy network in numpy: one score per candidate, shared by all, and one for stopping.

    score_i = w f_i + v tanh(U f_i + b)        f_i features of candidate i
    stop    = r g                              g   features of the campaign
    P(i)    = softmax(score, stop)

Shared weights make it work for any number of candidates, in any order.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt

from lengthwise.calibration.exploration.features import FEATURES, NAMES
from lengthwise.errors import ArtifactError
from lengthwise.units import FloatArray

HIDDEN = 8
CAMPAIGN = 4
"""Features of the campaign as a whole."""


def campaign_features(f: FloatArray) -> FloatArray:
    """Describe the campaign from the features of its candidates (m, ``FEATURES``); shape (4,)."""
    spent, width, gain = (NAMES.index(name) for name in ("spent", "ln width", "ln gain"))
    return np.array([1.0, f[0, spent], f[0, width], f[:, gain].max()])


@dataclass
class Network:
    """Weights.

    Attributes
    ----------
    w, v, U, b, r
        Shapes (``FEATURES``,), (``HIDDEN``,), (``HIDDEN``, ``FEATURES``), (``HIDDEN``,),
        (``CAMPAIGN``,).

    Examples
    --------
    >>> network = Network.start(np.random.default_rng(0))
    >>> p = network.probabilities(np.zeros((3, FEATURES)), np.array([True, True, False]))
    >>> len(p), bool(p[2] == 0.0)
    (4, True)
    """

    w: FloatArray
    v: FloatArray
    U: FloatArray
    b: FloatArray
    r: FloatArray

    @classmethod
    def start(cls, rng: np.random.Generator, sharpness: float = 1.5) -> Network:
        """Start as a soft version of the policy ``information``: gain over cost."""
        w = np.zeros(FEATURES)
        w[NAMES.index("ln gain")] = 2.0 * sharpness
        w[NAMES.index("ln cost")] = -2.0 * sharpness
        U = rng.normal(0.0, 0.3, (HIDDEN, FEATURES))
        return cls(w, np.zeros(HIDDEN), U, np.zeros(HIDDEN), np.array([-12.0, 0.0, 0.0, 0.0]))

    def scores(self, f: FloatArray) -> FloatArray:
        """Score the candidates and stopping, shape (m + 1,)."""
        hidden = np.tanh(f @ self.U.T + self.b)
        return np.append(f @ self.w + hidden @ self.v, campaign_features(f) @ self.r)

    def probabilities(self, f: FloatArray, allowed: npt.NDArray[np.bool_]) -> FloatArray:
        """Give the probabilities of the candidates and of stopping, shape (m + 1,)."""
        scores = np.where(np.append(allowed, True), self.scores(f), -np.inf)
        p = np.exp(scores - scores.max())
        return np.asarray(p / p.sum())

    def gradient(self, f: FloatArray, pull: FloatArray) -> Network:
        """Give the gradient of ``pull @ scores``; ``pull`` has shape (m + 1,)."""
        hidden = np.tanh(f @ self.U.T + self.b)
        each = pull[:-1]
        back = (each[:, None] * self.v) * (1.0 - hidden**2)
        return Network(each @ f, each @ hidden, back.T @ f, back.sum(axis=0),
                       pull[-1] * campaign_features(f))  # fmt: skip

    def vector(self) -> FloatArray:
        """All weights in one row."""
        return np.concatenate([getattr(self, k.name).ravel() for k in fields(self)])

    def replaced(self, vector: FloatArray) -> Network:
        """Give a network of these weights."""
        out, at = {}, 0
        for k in fields(self):
            shape = getattr(self, k.name).shape
            size = int(np.prod(shape))
            out[k.name] = vector[at : at + size].reshape(shape)
            at += size
        return Network(**out)

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {k.name: np.round(getattr(self, k.name), 6).tolist() for k in fields(self)}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Network:
        """Read weights back.

        Raises
        ------
        ArtifactError
            If a weight is missing, not finite, or of another shape.
        """
        shapes = {"w": (FEATURES,), "v": (HIDDEN,), "U": (HIDDEN, FEATURES), "b": (HIDDEN,),
                  "r": (CAMPAIGN,)}  # fmt: skip
        out = {name: read(data, name, shape) for name, shape in shapes.items()}
        return cls(**out)


def read(data: Mapping[str, Any], name: str, shape: tuple[int, ...]) -> FloatArray:
    """Read an array of finite numbers from plain values.

    Raises
    ------
    ArtifactError
        If it is missing, not numeric, not finite, or of another shape.
    """
    try:
        found = np.asarray(data[name], dtype=float)
    except (KeyError, TypeError, ValueError):
        found = np.array(np.nan)
    if found.shape != shape or not np.isfinite(found).all():
        raise ArtifactError("weights of a policy must be finite and of the shape of its features",
                            got=f"{name} of shape {found.shape}, not {shape}",
                            remedy="train the policy again")  # fmt: skip
    return found
