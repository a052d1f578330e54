r"""E1, the nonlinear term in length: how attention grows.

With A causal query-key pairs, T new tokens and c the context of a sequence, c_r its geometric mean
in the data, the term adds alpha_2 times

    quadratic   A                          one prompt: n (n + 1) / 2 (flash or eager attention)
    power       A (c / c_r)^(p - 2)        1 < p <= 2.5; blocks, caches and sparsity bend the square
    nlogn       T ln(1 + c / c_r)          a milder growth, for sparse or hierarchical attention
    off         0

In a decode step A equals the KV tokens read, which the base already holds, so E1 adds nothing there
and is left out: one step is linear in its context.
"""

from __future__ import annotations

import math

import numpy as np

from lengthwise.domain.work import Work
from lengthwise.units import FloatArray

POWERS = (1.25, 1.5, 1.75, 2.0, 2.25, 2.5)
"""Exponents tried when p is profiled."""


def basis(kind: str, work: Work, reference: float, power: float = 2.0) -> FloatArray:
    """Compute the term without its coefficient, shape (n,).

    >>> work = Work.of("prefill", query_len=[1000.0], context_len=[1000.0])
    >>> float(basis("quadratic", work, 1000.0)[0])
    500500.0
    """
    if kind == "nlogn":
        return np.asarray(work.new_tokens * np.log1p(work.context_len / reference))
    if kind == "power" and power != 2.0:
        return np.asarray(work.attention_pairs * (work.context_len / reference) ** (power - 2.0))
    return work.attention_pairs


def scalar_basis(
    kind: str, tokens: float, pairs: float, context: float, reference: float, power: float
) -> float:
    """Compute the same for one step without arrays."""
    if kind == "nlogn":
        return tokens * math.log1p(context / reference)
    if kind == "power" and power != 2.0:
        return float(pairs * (context / reference) ** (power - 2.0))
    return pairs


def power_is_identified(context: FloatArray, reference: float) -> bool:
    """Tell whether lengths can tell an exponent from 2.

    They must span a factor 16 and hold four distinct values above the reference.

    >>> power_is_identified(np.array([128.0, 256.0, 512.0]), 256.0)
    False
    """
    distinct = np.unique(context)
    return bool(distinct[-1] >= 16 * distinct[0] and (distinct > reference).sum() >= 4)
