"""How many tokens each expert of one processor gets.

Tokens of a step choose ``active`` of ``experts`` experts each. With even routing every expert gets
the same number. Real routers are uneven: loads are drawn from a power law x^-a between 1 and 0.8 of
the tokens, nearly log-uniform for a close to 1. A group of processors waits for the one with the
largest load, so that one is meant here: the largest of ``group`` sums of draws lies about
sqrt(2 log group) standard deviations above the mean, further where sums of few draws are skewed. A
processor that holds few experts has little spread among its own.
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
LEAST_RANGE = 100.0
"""Largest over smallest load where tokens are few; more tokens have a wider range."""
LARGEST = 0.8
"""Standard deviations of the busiest processor, over sqrt(2 log group)."""
SKEWED = 0.15
"""The same per standard deviation of a sum of draws over its mean."""

_U = (np.arange(POINTS) + 0.5) / POINTS


def loads(
    tokens: Array, active: Array, experts: Array, experts_on_gpu: Array, exponent: float = USUAL
) -> Array:
    """Tokens per expert on the busiest processor, at ``POINTS`` quantiles; shape (n, POINTS).

    Below 1: the share of experts that get a token at all.

    >>> one = np.ones(1)
    >>> loads(64 * one, 2 * one, 8 * one, 8 * one, EVEN)[0, :3]
    array([16., 16., 16.])
    >>> loads(64 * one, 2 * one, 8 * one, 8 * one)[0].round(1)
    array([ 2.9,  3.6,  4.8,  6.9, 10.7, 17.5, 29.8, 51.9])
    """
    mean = (tokens * active / experts)[:, None]
    if exponent == EVEN:
        return np.minimum(np.repeat(mean, POINTS, axis=1), tokens[:, None])
    shares = _shares(tokens, exponent)
    spread = np.sqrt((shares**2).mean(axis=1) - 1.0)
    group = experts / experts_on_gpu
    spread = spread / np.sqrt(experts_on_gpu)
    worst = 1.0 + (LARGEST + SKEWED * spread) * spread * np.sqrt(2.0 * np.log(group))
    worst = np.minimum(worst, np.minimum(group, experts / active))
    own = 1.0 / experts_on_gpu[:, None]
    return _capped((own + (1.0 - own) * shares) * worst[:, None] * mean, tokens[:, None])


def _shares(tokens: Array, exponent: float) -> Array:
    """Give the loads at the quantiles over their mean."""
    wide = np.maximum(0.8 * tokens, LEAST_RANGE)[:, None]
    a = 1.0 - exponent
    found = ((wide**a - 1.0) * _U + 1.0) ** (1.0 / a)
    return np.asarray(found / found.mean(axis=1, keepdims=True))


def _capped(load: Array, most: Array) -> Array:
    """Keep every load at ``most`` or below by giving the rest to the others."""
    kept = np.minimum(load, most)
    room = most - kept
    over = (load - kept).sum(axis=1, keepdims=True)
    part = np.minimum(over / np.maximum(room.sum(axis=1, keepdims=True), 1e-300), 1.0)
    return np.asarray(kept + room * part)
