r"""Which points are spoilt: hypotheses tried, from none on.

A first measurement on a cold machine, a phone that throttles, a tenant who came and went: one point
in fifty has a time that no law should follow. Up to ``EVERY`` points each is tried as the spoilt
one; with more, those that the others predict worst, one after another while the evidence grows, at
most a fifth of the points.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from lengthwise.formulations.hachiya_patias.members import Members, Spoilt
from lengthwise.units import FloatArray

EVERY = 8
"""Up to this many points every one is tried as spoilt."""
FEWEST = 3
"""With fewer points nothing can be told."""
CANDIDATES = 3
SUSPICIOUS = (2.0, 3.0)
"""Standard deviations by which the other points must miss a point to try it, with at most
``MODERATE`` points and with more."""
MODERATE = 24
LARGEST_SHARE = 0.2
NAMED = 0.5
"""Probability to be spoilt from which a point is named, and not counted in range."""

Fit = Callable[[tuple[Spoilt, ...]], Members]


def hypotheses_of(n: int, fit: Fit) -> Members:
    """Fit with the hypotheses that matter.

    Parameters
    ----------
    n
        Number of points.
    fit
        Fits members under the hypotheses given.
    """
    if n < FEWEST:
        return fit(((),))
    if n <= EVERY:
        return fit(((), *((i,) for i in range(n))))
    best: Spoilt = ()
    members = fit((best,))
    while len(best) < max(1, int(LARGEST_SHARE * n)):
        suspects = _suspects(members, best)
        if not suspects:
            break
        tried = (best, *(tuple(sorted((*best, i))) for i in suspects))
        members = fit(tried)
        chosen = members.hypotheses[int(np.argmax(members.by_hypothesis))]
        if chosen == best:
            break
        best = chosen
    return members


def _suspects(members: Members, known: Spoilt) -> list[int]:
    """Points that the others miss by most, worst first, under the hypothesis ``known``."""
    error = np.abs(standard_errors(members, known))
    error[list(known)] = 0.0
    order = np.argsort(-error)[:CANDIDATES]
    least = SUSPICIOUS[len(error) > MODERATE]
    return [int(i) for i in order if error[i] > least]


def standard_errors(members: Members, known: Spoilt) -> FloatArray:
    """Leave-one-out errors of the best member under a hypothesis, in standard deviations, (n,)."""
    h = members.hypotheses.index(known) if known in members.hypotheses else 0
    of_h = members.weight[:, h :: len(members.hypotheses)]
    s, pair = np.unravel_index(int(np.argmax(of_h)), of_h.shape)
    column = int(pair) * len(members.hypotheses) + h
    whiten = members.whiten[column]
    precision = whiten.T @ whiten
    alpha = precision @ members.residual[s, column]
    return np.asarray(alpha / np.sqrt(np.diag(precision)))
