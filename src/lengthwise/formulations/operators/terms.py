"""Sums of physical terms: what every operator curve is made of.

    T(x) = sum over j of  c_j * phi_j(x),     c_j >= 0

Each term ``phi_j`` is continuous and never falls when lengths, sequences or heads grow, and the
coefficients are not negative, so that the sum has both properties whatever the fit finds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Sizes = TypeVar("Sizes")
Terms = Mapping[str, Callable[[Sizes], Array]]


def rise(x: Array, start: float, end: float) -> Array:
    """Rise from 0 at ``start`` to 1 at ``end``; no unit.

    >>> rise(np.array([1.0, 2.0, 9.0]), 1.0, 3.0).tolist()
    [0.0, 0.5, 1.0]
    """
    return np.asarray(np.clip((x - start) / (end - start), 0.0, 1.0))


def above(x: Array, start: float | Array) -> Array:
    """Keep what of ``x`` lies above ``start``.

    >>> above(np.array([1.0, 5.0]), 2.0).tolist()
    [0.0, 3.0]
    """
    return np.asarray(np.maximum(x - start, 0.0))


def either(a: Array, b: Array | float, sharpness: int = 2) -> Array:
    """Take a smooth maximum, (a^k + b^k)^(1/k), for k = 2 or 6.

    >>> float(either(np.array([3.0]), 4.0)[0])
    5.0
    """
    top = np.maximum(np.maximum(a, b), 1e-300)
    square = (a / top) ** 2 + (b / top) ** 2 if sharpness == 2 else None
    if square is not None:
        return np.asarray(top * np.sqrt(square))
    return np.asarray(top * np.cbrt(np.sqrt((a / top) ** 6 + (b / top) ** 6)))
