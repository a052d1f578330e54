r"""What a law misses: its discrepancy, which grows with the distance between steps, and noise.

    ln t_i = ln law(x_i) + W_T(ln T_i) + W_c(ln c_i) + e_i,     e_i ~ N(0, sigma^2)
    Cov W_T(u, u') = s tau^2 L exp(-|u - u'| / L),  L = 10;     W_c: the same with its own s

Both are Ornstein-Uhlenbeck processes: over distances d well below L the variance of W's increments
is 2 tau^2 d, so a fit that knows of it listens to steps near each other, and to the long end when
it is asked beyond it, without being told to. sigma and tau are not estimated but averaged over a
grid, with weights that measured curves teach (see lengthwise.calibration.learned). After Kennedy
and O'Hagan 2001 (Bayesian calibration of computer models), doi 10.1111/1467-9868.00294.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from lengthwise.domain.work import Work
from lengthwise.units import FloatArray, IndexArray

SIGMAS = (0.0007, 0.002, 0.006, 0.018, 0.055, 0.16)
TAUS = (0.0005, 0.002, 0.008, 0.03, 0.1, 0.3)
MEMORY = 10.0
"""L, the distance over which W is forgotten, in ln tokens."""
JITTER = 1e-10
SMOOTH = 0.2
"""Distance below which W is smooth, ln tokens."""
PARTS = {"prefill": (0.9, 0.1, 0.0), "mixed": (0.9, 0.1, 0.0), "decode": (3.0, 0.5, 0.0)}
"""Variance of W_T and of W_c, in tau^2 L."""


@dataclass(frozen=True)
class Noise:
    """Pairs of sigma and tau with their prior log-weights, shape (H,) each."""

    sigma: FloatArray
    tau: FloatArray
    log_weight: FloatArray

    @classmethod
    def grid(cls, weights: FloatArray, *, discrepancy: bool = True) -> Noise:
        """Make the grid from weights of shape (sigmas, taus); weights below 0.01 % are left out.

        >>> len(Noise.grid(np.full((6, 6), 1 / 36)).sigma)
        36
        """
        table = weights if discrepancy else weights.sum(axis=1, keepdims=True)
        taus = TAUS if discrepancy else (0.0,)
        kept = np.argwhere(table > 1e-4)
        sigma, tau = np.array(SIGMAS)[kept[:, 0]], np.array(taus)[kept[:, 1]]
        return cls(sigma, tau, np.log(table[kept[:, 0], kept[:, 1]]))

    def take(self, index: IndexArray) -> Noise:
        """Keep some of the pairs."""
        return Noise(self.sigma[index], self.tau[index], self.log_weight[index])

    def covariance(self, kernel: FloatArray) -> FloatArray:
        """Covariance of measured log-times for every pair of sigma and tau, shape (H, n, n)."""
        noise = (self.sigma**2 + JITTER)[:, None, None] * np.eye(len(kernel))
        return self.tau[:, None, None] ** 2 * kernel + noise


@dataclass(frozen=True)
class Discrepancy:
    """Covariance of W between steps.

    Attributes
    ----------
    share
        Part of the time that products of matrices, launches and weights take, by steps; None where
        tokens and context say the same. W_T acts on that part only: a batch that makes its products
        dear does not make its cache dear.
    """

    share: Callable[[Work], FloatArray] | None = None

    def kernel(self, a: Work, b: Work) -> FloatArray:
        """Covariance at tau = 1, shape (len(a), len(b)).

        >>> one, two = (
        ...     Work.of("prefill", query_len=[n], context_len=[n]) for n in (100.0, 200.0)
        ... )
        >>> float(Discrepancy().kernel(one, one)[0, 0])
        10.0
        """
        context = _rounded(np.log(a.context_len)[:, None] - np.log(b.context_len)[None])
        tokens = _rounded(np.log(a.new_tokens)[:, None] - np.log(b.new_tokens)[None])
        of_tokens, of_context, of_both = PARTS[a.phase]
        scale: FloatArray | float = of_tokens
        if self.share is not None:
            scale = of_tokens * self.share(a)[:, None] * self.share(b)[None, :]
        total = scale * np.exp(-tokens / MEMORY) + of_context * np.exp(-context / MEMORY)
        if self.share is not None:
            total = total + of_both * np.exp(-(tokens + context) / MEMORY)
        return np.asarray(MEMORY * total)


def _rounded(difference: FloatArray) -> FloatArray:
    """Distance that is smooth near 0: quirks from one token to the next are noise, no trend."""
    return np.asarray(np.sqrt(difference**2 + SMOOTH**2) - SMOOTH)


def gap(work: Work) -> float:
    """Typical distance of a measured step from the nearest other one, ln tokens."""
    if len(work) < 2:
        return 0.0
    apart = np.abs(np.log(work.context_len)[:, None] - np.log(work.context_len)[None])
    apart = apart + np.abs(np.log(work.new_tokens)[:, None] - np.log(work.new_tokens)[None])
    np.fill_diagonal(apart, np.inf)
    both = work.phase == "prefill" and bool(work.is_fresh.all())
    return float(np.median(apart.min(axis=1))) / (2.0 if both else 1.0)
