"""Absolute errors of the law in use, seen when an observation arrives.

At most `MOST_ROWS` of a body are compared: enough for a histogram, cheap beside the disk.
"""

from __future__ import annotations

import numpy as np

from lengthwise.interfaces.http.asking import ask, router_rows
from lengthwise.interfaces.http.bodies import Rows
from lengthwise.interfaces.http.context import Context
from lengthwise.units import ms_to_s

MOST_ROWS = 1000


class ErrorsSeen:
    """Compares observations with the law and counts the differences.

    Parameters
    ----------
    context
        Law and counts.
    """

    def __init__(self, context: Context) -> None:
        self._context = context

    def take(self, rows: Rows) -> None:
        """Count the absolute errors of rows that hold `ttft_ms` and `tpot_ms`."""
        n = min(rows.n, MOST_ROWS)
        columns = {name: column[:n] for name, column in rows.columns.items()}
        answer = ask(self._context.current.law, router_rows(columns, n), level=0.9, alpha=None)
        for name, predicted_s, counted in (
            ("ttft_ms", answer.ttft_s, self._context.counts.ttft_error),
            ("tpot_ms", answer.tpot_s, self._context.counts.tpot_error),
        ):
            observed_s = ms_to_s(columns[name])
            said = (observed_s > 0) & np.isfinite(observed_s)
            if said.any():
                counted.observe(np.abs(predicted_s[said] - observed_s[said]))
