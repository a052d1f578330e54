r"""What a run was worth.

``narrowing``  \ln(w_0/w_1) / \ln(s_1/s_0): the slope of the width w against the seconds s, both in
logarithms; a campaign at its best halves its width with every doubling of its seconds or better.
``early``      \ln(e_0/e_1) \ln(S/s_1): the reduction of the error e, worth more the more of the
budget S is left; its sum over a campaign is the area between the first error and the curve of
\ln e over \ln s, so that it is largest when the error is low at every budget.
"""

from __future__ import annotations

import math

LEAST_LOG = 0.02
"""Runs that hardly take time count as this growth of ln seconds."""
BOUNDS = (-1.0, 3.0)


def narrowing(before: float, after: float, seconds: float, seconds_after: float) -> float:
    """Reduction of the width per growth of the seconds, within ``BOUNDS``.

    >>> round(narrowing(0.4, 0.2, 10.0, 20.0), 3)
    1.0
    """
    grown = max(math.log(seconds_after / max(seconds, 1e-9)), LEAST_LOG)
    slope = math.log(max(before, 1e-9) / max(after, 1e-9)) / grown
    return min(max(slope, BOUNDS[0]), BOUNDS[1])


def early(before: float, after: float, seconds_after: float, budget_s: float) -> float:
    """Reduction of the error, worth more the more of the budget is left.

    >>> round(early(0.4, 0.2, 10.0, 20.0), 3)
    0.48
    """
    left = max(math.log(budget_s / seconds_after), 0.0)
    return math.log(max(before, 1e-9) / max(after, 1e-9)) * left
