r"""The linear terms of the law beside the scaled tokens, and which of them data can identify.

    t = alpha_1 [ T s(T) + sum_j exp(rho_j) phi_j ]

    phi          coefficient     prior of rho_j = ln(coefficient / alpha_1)
    E1 basis     s/pair          architecture (see priors)
    KV           s/KV token      bytes of KV against bytes of weights (see priors)
    B            s/sequence      5 tokens per sequence, sd 2
    KV_root      s/KV token      the same as KV: B sqrt(c 10,000), decode steps of engines that look
                                 at part of a long context only
    1            s               50 tokens, sd 3; only when E2 is off (a floor replaces it)
    fresh        s/token         a twentieth of a token, sd 2: T where nothing was cached
    resumed      s/token         the same: T on top of a cached prefix

A term enters when its basis is not proportional to another one over the data: KV in a prefill only
with cached prefixes, B only when batch varies apart from T. This is the identifiability rule.
``fresh`` and ``resumed`` are asked for (``prefix = apart``) and enter a prefill when steps of one
size were measured with and without a cached prefix: engines run different kernels for the two, and
what the first step of a prompt costs more must not be read as a slope in context. With ``fresh`` a
step on top of a short prefix may cost less than the same step without one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from lengthwise.domain.model import ModelSpec
from lengthwise.domain.work import Work
from lengthwise.formulations.hachiya_patias.nonlinear import Span, basis
from lengthwise.formulations.hachiya_patias.priors import LogNormal, attention_ratio, kv_cost
from lengthwise.units import FloatArray

SEQUENCE_TOKENS = LogNormal(math.log(5.0), 2.0)
OVERHEAD_TOKENS = LogNormal(math.log(50.0), 3.0)
NLOGN_SHARE = LogNormal(math.log(0.2), 2.0)
KERNELS = ("fresh", "resumed")
"""Tokens with nothing cached, and tokens on top of a cached prefix."""
KERNEL_TOKENS = LogNormal(math.log(0.05), 2.0)
ROOT_TOKENS = 10_000.0
"""Context at which KV_root equals KV, tokens."""


@dataclass(frozen=True)
class Term:
    """One linear term: what multiplies it, its unit, and the prior of ln(coefficient / alpha_1)."""

    name: str
    unit: str
    prior: LogNormal


def choose_terms(
    work: Work, y_s: FloatArray, e1: str, e2: str, spec: ModelSpec | None, prefix: str = "same"
) -> tuple[Term, ...]:
    """Choose the terms the data can tell apart.

    Parameters
    ----------
    work, y_s
        Training steps and their times, seconds.
    e1, e2
        Kinds of the nonlinear and the scaling term.
    prefix
        ``apart`` when steps on a cached prefix may cost more or less per token than others.
    spec
        Architecture, when known.
    """
    terms = []
    if e1 != "off" and work.phase != "decode":
        prior = NLOGN_SHARE if e1 == "nlogn" else attention_ratio(spec)
        terms.append(Term("E1", "s/token" if e1 == "nlogn" else "s/pair", prior))
    if work.phase != "prefill" or not proportional(work.kv_tokens, work.new_tokens):
        terms.append(Term("KV", "s/KV token", kv_cost(spec, float(y_s.min()))))
    if work.phase != "decode" and not proportional(work.sequences, work.new_tokens):
        batch_varies = bool(np.ptp(work.sequences) > 0)
        if batch_varies:
            terms.append(Term("B", "s/sequence", SEQUENCE_TOKENS))
    if prefix == "apart" and can_part(work):
        terms += [Term(name, "s/token", KERNEL_TOKENS) for name in KERNELS]
    if e2 == "off":
        terms.append(Term("overhead", "s", OVERHEAD_TOKENS))
    return tuple(terms)


def phi(name: str, work: Work, e1: str, span: Span, reference: float, power: float) -> FloatArray:
    """Compute the basis of one term, shape (n,)."""
    if name == "E1":
        return basis(e1, work, span, reference, power)
    return linear_basis(name, work)


def linear_basis(name: str, work: Work) -> FloatArray:
    """Compute the basis of a term that has no shape of its own, E1 being quadratic; shape (n,)."""
    if name == "E1":
        return work.attention_pairs
    if name == "KV":
        return work.kv_tokens
    if name == "KV_root":
        return work.sequences * np.sqrt(work.context_len * ROOT_TOKENS)
    if name == "B":
        return work.sequences
    if name in KERNELS:
        return np.where(work.is_fresh == (name == "fresh"), work.new_tokens, 0.0)
    return np.ones(len(work))


def can_part(work: Work) -> bool:
    """Tell whether prefills of one size were measured with and without a cached prefix."""
    fresh = work.is_fresh
    return work.phase == "prefill" and bool(
        np.intersect1d(work.new_tokens[fresh], work.new_tokens[~fresh]).size
    )


def proportional(a: FloatArray, b: FloatArray) -> bool:
    """Tell whether a is a constant times b, within a millionth.

    >>> proportional(np.array([1.0, 2.0]), np.array([3.0, 6.0]))
    True
    """
    ratio = a / b
    return bool(np.ptp(ratio) <= 1e-6 * np.abs(ratio).max())
