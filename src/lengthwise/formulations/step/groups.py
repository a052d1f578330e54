"""Operator groups of a step and their times."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from lengthwise.units import FloatArray

GROUPS = (
    "projections", "feed_forward", "experts", "attention_prefill", "attention_decode",
    "recurrence", "collectives", "logits", "elementwise", "host_step", "host_layers",
    "host_sequences",
)  # fmt: skip
"""Parts of a step, in the order they are reported."""
HOST = ("host_step", "host_layers", "host_sequences")
"""Those that are not kernels."""


@dataclass(frozen=True)
class GroupTimes:
    """Seconds of each operator group in n steps.

    Attributes
    ----------
    seconds
        By name in :data:`GROUPS`, arrays of shape (n,).

    Examples
    --------
    >>> times = GroupTimes({"host_step": np.array([1e-3]), "logits": np.array([2e-4])})
    >>> round(float(times.total[0]), 6)
    0.0012
    """

    seconds: Mapping[str, FloatArray]

    @property
    def total(self) -> FloatArray:
        """Seconds of the whole step, shape (n,)."""
        return np.asarray(np.sum(list(self.seconds.values()), axis=0))

    def scaled(self, factors: Mapping[str, float]) -> GroupTimes:
        """Multiply groups by factors; those not named keep their time."""
        return GroupTimes({k: v * factors.get(k, 1.0) for k, v in self.seconds.items()})
