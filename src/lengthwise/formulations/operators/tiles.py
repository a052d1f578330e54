"""How a matrix product is cut: tiles of the output, waves of tiles, slices of the inner sum.

A kernel gives each multiprocessor one tile of the output at a time. One tile takes

    unit = ((2 a b / compute)^4 + ((a i + b w) / cache)^4)^(1/4)   seconds per step of the inner sum

for a tile of a by b, i and w bytes per input and weight, compute the FLOP/s and cache the bytes
per second of one multiprocessor. Tiles run in waves as wide as the processor; a started wave
counts almost whole (wave quantisation).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def soft_ceil(x: Array, ramp: float) -> Array:
    """Round up, at least 1; the step to the next integer is a ramp of width ``ramp``.

    Continuous, non-decreasing, never above ``ceil`` and never below ``x`` where ``x`` >= 1.

    >>> soft_ceil(np.array([0.3, 1.0, 1.1, 1.6]), 0.25)
    array([1. , 1. , 1.4, 2. ])
    """
    whole = np.floor(x)
    return np.asarray(np.maximum(1.0, whole + np.minimum(1.0, (x - whole) / ramp)))


def p_norm(a: Array, b: Array, power: float) -> Array:
    """Smooth maximum of two positive arrays: (a^p + b^p)^(1/p), without overflow.

    >>> p_norm(np.array([3.0]), np.array([4.0]), 2.0)
    array([5.])
    """
    high = np.maximum(a, b)
    low = np.minimum(a, b)
    return np.asarray(high * (1.0 + (np.minimum(low / high, 1.0)) ** power) ** (1.0 / power))
