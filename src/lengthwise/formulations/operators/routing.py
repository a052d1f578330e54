"""How many tokens each expert of one processor gets.

Tokens of a step choose ``active`` of ``experts`` experts each. With even routing every expert gets
the same number. Real routers are uneven: loads are drawn from a power law x^-a between 1 and 0.8 of
the tokens, nearly log-uniform for a close to 1. A group of processors waits for the one with the
largest load, so that one is meant here; its load follows from the spread of a sum of draws.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

POINTS = 8
"""Quantiles by which the spread of loads is represented."""
EVEN = 0.0
"""Exponent that stands for even routing."""
USUAL = 1.01

_U = (np.arange(POINTS) + 0.5) / POINTS


def loads(
    tokens: Array, active: Array, experts: Array, experts_on_gpu: Array, exponent: float = USUAL
) -> Array:
    """Tokens per expert on the busiest processor, at ``POINTS`` quantiles; shape (n, POINTS).

    >>> one = np.ones(1)
    >>> loads(64 * one, 2 * one, 8 * one, 8 * one, EVEN)[0, :3]
    array([16., 16., 16.])
    >>> loads(64 * one, 2 * one, 8 * one, 8 * one)[0].round(1)
    array([ 1.6,  2.6,  4.3,  7. , 11.5, 18.9, 31. , 51. ])
    """
    mean = (tokens * active / experts)[:, None]
    if exponent == EVEN:
        return np.minimum(np.repeat(mean, POINTS, axis=1), tokens[:, None])
    full = (tokens * active > experts)[:, None]
    high = np.where(full, np.maximum(0.8 * tokens[:, None], 1.5), 2.0)
    low = np.where(full, 1.0, 0.01)
    a = 1.0 - exponent
    shares = ((high**a - low**a) * _U + low**a) ** (1.0 / a)
    shares /= shares.mean(axis=1, keepdims=True)
    spread = np.sqrt((shares**2).mean(axis=1) - 1.0)
    group = experts / experts_on_gpu
    worst = 1.0 + 0.8 * spread * np.sqrt(2.0 * np.log(group) / experts_on_gpu)
    worst = np.where(full[:, 0], np.minimum(worst, group), 1.0)
    return np.asarray(np.minimum(shares * worst[:, None] * mean, tokens[:, None]))
