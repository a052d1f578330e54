r"""E1, the nonlinear term in length: how attention grows.

With A causal query-key pairs, T new tokens, c the context of a sequence and c_r its geometric mean
in the data, the term adds alpha_2 times

    quadratic   A                          one prompt: n (n + 1) / 2 (flash or eager attention)
    power       A (c / c_r)^(p - 2)        1 < p <= 2.5; kernels warm up and caches overflow
    nlogn       A (2 / c) ln(1 + c / c_r)  n ln n for one prompt: a milder growth
    off         0                          linear attention, state-space models

Bends hold where they were measured. Outside the measured contexts the factor beside A is frozen, so
that the term goes on as the square that attention must tend to. In a decode step A equals the KV
tokens read, which the base already holds, so E1 adds nothing there and is left out: one step is
linear in its context.
"""

from __future__ import annotations

import math

import numpy as np

from lengthwise.domain.work import Work
from lengthwise.units import FloatArray

POWERS = (1.25, 1.5, 1.75, 2.0, 2.25, 2.5)
"""Exponents tried when p is profiled."""


Span = tuple[float, float]
"""Least and greatest context measured, tokens."""


def basis(kind: str, work: Work, span: Span, reference: float, power: float = 2.0) -> FloatArray:
    """Compute the term without its coefficient, shape (n,).

    >>> work = Work.of("prefill", query_len=[1000.0], context_len=[1000.0])
    >>> float(basis("quadratic", work, (10.0, 1000.0), 100.0)[0])
    500500.0
    """
    context = np.clip(work.context_len, *span)
    if kind == "nlogn":
        return np.asarray(work.attention_pairs * np.log1p(context / reference) * (2.0 / context))
    if kind == "power" and power != 2.0:
        return np.asarray(work.attention_pairs * (context / reference) ** (power - 2.0))
    return work.attention_pairs


def scalar_basis(
    kind: str, pairs: float, context: float, span: Span, reference: float, power: float
) -> float:
    """Compute the same for one step without arrays."""
    inside = min(max(context, span[0]), span[1])
    if kind == "nlogn":
        return pairs * math.log1p(inside / reference) * (2.0 / inside)
    if kind == "power" and power != 2.0:
        return float(pairs * (inside / reference) ** (power - 2.0))
    return pairs


def power_is_identified(context: FloatArray, reference: float) -> bool:
    """Tell whether lengths can tell an exponent from 2.

    They must span a factor 16 and hold four distinct values above the reference.

    >>> power_is_identified(np.array([128.0, 256.0, 512.0]), 256.0)
    False
    """
    distinct = np.unique(context)
    return bool(distinct[-1] >= 16 * distinct[0] and (distinct > reference).sum() >= 4)
