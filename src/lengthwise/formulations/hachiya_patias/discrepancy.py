r"""What a law misses: its discrepancy, which grows with the distance between steps, and noise.

    ln t_i = ln law(x_i) + W(x_i) + e_i,     Cov W(x, x') = tau^2 L exp(-d(x, x') / L),  L = 10
    e_i ~ N(0, sigma^2),                     d: distance in the logarithms of tokens and context

W is an Ornstein-Uhlenbeck process: over distances well below L the variance of its increments is
2 tau^2 d, so a fit that knows of it listens to steps near each other, and to the long end when it is
asked beyond it, without being told to. sigma and tau are not estimated but averaged over a grid, with
weights that measured curves teach (see lengthwise.calibration.learned). After Kennedy and O'Hagan
2001 (Bayesian calibration of computer models), doi 10.1111/1467-9868.00294.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lengthwise.domain.work import Work
from lengthwise.units import FloatArray

SIGMAS = (0.0007, 0.002, 0.006, 0.018, 0.055, 0.16)
TAUS = (0.0005, 0.002, 0.008, 0.03, 0.1, 0.3)
MEMORY = 10.0
"""L, the distance over which W is forgotten, in ln tokens."""
JITTER = 1e-10


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

    def take(self, index: FloatArray) -> Noise:
        """Keep some of the pairs."""
        return Noise(self.sigma[index], self.tau[index], self.log_weight[index])

    def covariance(self, distance: FloatArray) -> FloatArray:
        """Covariance of measured log-times for every pair, shape (H, n, n)."""
        noise = (self.sigma**2 + JITTER)[:, None, None] * np.eye(len(distance))
        return self.kernel(distance) + noise

    def kernel(self, distance: FloatArray) -> FloatArray:
        """Covariance of W between steps at these distances, shape (H, *distance.shape)."""
        shape = (-1, *(1,) * distance.ndim)
        return self.tau.reshape(shape) ** 2 * MEMORY * np.exp(-distance / MEMORY)


def distances(a: Work, b: Work) -> FloatArray:
    """Distance of every step of ``a`` from every one of ``b``, shape (len(a), len(b)).

    Batch and context of a decode step differ apart and their distances add up; the tokens and the
    context of a prompt grow together, and the larger of the two distances counts.

    >>> one, two = (Work.of("prefill", query_len=[n], context_len=[n]) for n in (100.0, 200.0))
    >>> float(distances(one, two)[0, 0].round(3))
    0.693
    """
    context = np.abs(np.log(a.context_len)[:, None] - np.log(b.context_len)[None])
    tokens = np.abs(np.log(a.new_tokens)[:, None] - np.log(b.new_tokens)[None])
    return context + tokens if a.phase == "decode" else np.maximum(context, tokens)
