"""Sums of decode steps over contexts, looked up instead of added one by one.

With the running total ``P[k] = t(1) + ... + t(k)`` over contexts of one batch size, the steps at
contexts ``isl + 1 ... isl + n`` cost ``P[isl + n] - P[isl]`` whatever n. Exact up to rounding
(1e-11 relative). A table of requests counts the totals once per batch size; a law that answers one
request at a time keeps every ``STRIDE``-th of them and adds the few steps between.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

import numpy as np

from lengthwise.domain.work import Work
from lengthwise.formulations.base import Formulation
from lengthwise.units import FloatArray

LONGEST = 1 << 20
"""Contexts beyond this are not tabled, tokens."""
SHORTEST = 1 << 12
STRIDE = 4
KEPT = 8_000_000
"""Totals kept at a time over all batch sizes, the last used ones; 64 MB."""


def running_totals(law: Formulation, stop: int, batch_size: float) -> FloatArray:
    """Add up decode steps over contexts 0 ... ``stop``, shape (stop + 1,), seconds.

    >>> import pandas as pd
    >>> from lengthwise.formulations.linear import Linear
    >>> steps = pd.DataFrame({"phase": "decode", "context_len": [100, 200, 400]})
    >>> total = running_totals(Linear().fit(steps, [0.010, 0.011, 0.013]), 200, 1.0)
    >>> round(float(total[102] - total[100]), 5)  # contexts 101 and 102
    0.02003
    """
    context = np.arange(1.0, stop + 1.0)
    work = Work.of("decode", query_len=1.0, context_len=context, batch_size=batch_size)
    return np.concatenate([[0.0], np.cumsum(law.predict_work(work))])


class StepSums:
    """Running totals of one decode law, kept for the batch sizes asked for.

    Parameters
    ----------
    law
        A formulation fitted on decode steps.
    step
        The same law compiled: ``step(context_len, batch_size)`` in seconds.
    """

    def __init__(self, law: Formulation, step: Callable[[float, float], float]) -> None:
        self._law, self._step = law, step
        self._totals: OrderedDict[float, FloatArray] = OrderedDict()
        self._kept = 0

    def between(self, start: int, stop: int, batch_size: float) -> float:
        """Sum the steps at contexts ``start + 1 ... stop``, seconds.

        Parameters
        ----------
        start, stop
            Whole numbers of tokens, 0 <= start <= stop <= ``LONGEST``.
        batch_size
            Sequences of every step.
        """
        total = self._totals.get(batch_size)
        if total is None or len(total) * STRIDE <= stop:
            total = self._count(stop, batch_size)
        first, step = start // STRIDE, self._step
        last = stop // STRIDE
        seconds = float(total[last] - total[first])
        for context in range(last * STRIDE + 1, stop + 1):
            seconds += step(context, batch_size)
        for context in range(first * STRIDE + 1, start + 1):
            seconds -= step(context, batch_size)
        return seconds

    def _count(self, stop: int, batch_size: float) -> FloatArray:
        self._kept -= len(self._totals.pop(batch_size, np.empty(0)))
        length = SHORTEST
        while length < stop + STRIDE:
            length *= 2
        total = running_totals(self._law, length, batch_size)[::STRIDE].copy()
        while self._totals and self._kept + len(total) > KEPT:
            self._kept -= len(self._totals.popitem(last=False)[1])
        self._totals[batch_size] = total
        self._kept += len(total)
        return total
