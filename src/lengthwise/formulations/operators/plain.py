"""Matrix products and experts where no kernel table tells tiles and launches: CPUs, Apple silicon.

    T = ((FLOP / (c peak))^2 + (bytes / (w bandwidth))^2)^(1/2) + launch

with the usual shares c and w of a well-kept library. GPU curves count whole tiles of rows, which
would charge a single row for 64 of them here.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from lengthwise.formulations.operators.ceilings import Ceilings
from lengthwise.formulations.operators.tiles import Array

COMPUTE, MEMORY, LAUNCH_S = 0.75, 0.85, 1e-6


@dataclass(frozen=True)
class PlainGemm:
    """Dense matrix product by its ceilings alone.

    Examples
    --------
    >>> chip = Ceilings(1e13, 4e11, 1, 2.0, 2.0)
    >>> round(1e6 * float(PlainGemm(chip).seconds(1, 4096, 4096)), 1)
    99.8
    """

    ceilings: Ceilings

    def seconds(self, m: ArrayLike, n: ArrayLike, k: ArrayLike) -> Array:
        """Time of products of m by k with k by n, seconds, shape of the arguments."""
        top = self.ceilings
        m_, n_, k_ = (np.asarray(x, dtype=float) for x in (m, n, k))
        moved = top.input_bytes * m_ * k_ + top.weight_bytes * n_ * k_ + 2.0 * m_ * n_
        compute = 2.0 * m_ * n_ * k_ / (COMPUTE * top.peak_flops)
        return np.asarray(np.hypot(compute, moved / (MEMORY * top.bandwidth)) + LAUNCH_S)


@dataclass(frozen=True)
class PlainExperts:
    """Routed experts by the ceilings alone: the weights of those touched, the products of all.

    Examples
    --------
    >>> chip = Ceilings(1e13, 4e11, 1, 2.0, 2.0)
    >>> round(1e3 * float(PlainExperts(chip).seconds(1, 4096, 1536, 8, 128, 128)), 2)
    0.89
    """

    ceilings: Ceilings

    def seconds(
        self, tokens: ArrayLike, hidden: ArrayLike, inter: ArrayLike, active: ArrayLike,
        experts_on_gpu: ArrayLike, experts: ArrayLike, gated: bool | ArrayLike = True,
    ) -> Array:  # fmt: skip
        """Time of one layer's routed experts, seconds; arguments as of ``ExpertsCurve``."""
        t, h, i, a, on, e, g = (
            np.asarray(x, dtype=float)
            for x in (tokens, hidden, inter, active, experts_on_gpu, experts, gated)
        )
        weights = (2.0 + g) * h * i
        touched = on * (1.0 - (1.0 - np.minimum(a / e, 1.0)) ** t)
        flops = 2.0 * weights * t * a * on / e
        moved = touched * weights * self.ceilings.weight_bytes
        compute = flops / (COMPUTE * self.ceilings.peak_flops)
        memory = moved / (MEMORY * self.ceilings.bandwidth)
        return np.asarray(np.hypot(compute, memory) + LAUNCH_S)
