"""Sum the steps of one prompt fast: running totals of full chunks, for functions of plain numbers.

A step of C tokens on top of j C cached ones is the same for every prompt: one of n tokens takes

    t = S(n // C) + t(n mod C, n),   S(j) = t(C, C) + t(C, 2 C) + ... + t(C, j C)

and one on top of a multiple of C cached tokens the difference of two S. Totals are made when first
asked for.
"""

from __future__ import annotations

from collections.abc import Callable

MOST = 65_536
"""Steps that totals are kept of."""


class ChunkTotals:
    """Seconds of prompts that are prefilled in steps of a chunk.

    Parameters
    ----------
    step
        Seconds of a step of (new tokens, context), tokens.
    chunk
        New tokens of a full step.

    Examples
    --------
    >>> totals = ChunkTotals(lambda new, context: new + context / 1000, 100.0)
    >>> totals.seconds(250.0, 0.0), totals.seconds(150.0, 100.0)
    (250.55, 150.45...)
    """

    def __init__(self, step: Callable[[float, float], float], chunk: float) -> None:
        self._step, self._chunk, self._totals = step, chunk, [0.0]

    def seconds(self, query: float, cached: float) -> float | None:
        """Sum the steps of a prompt; None where no total is kept.

        Parameters
        ----------
        query, cached
            New and cached tokens.
        """
        start, off = divmod(cached, self._chunk)
        full, rest = divmod(query, self._chunk)
        if off or start + full > MOST:
            return None
        last = self._step(rest, cached + query) if rest else 0.0
        return self._until(int(start + full)) - self._until(int(start)) + last

    def _until(self, count: int) -> float:
        totals, step, chunk = self._totals, self._step, self._chunk
        for j in range(len(totals), count + 1):
            totals.append(totals[-1] + step(chunk, j * chunk))
        return totals[count]
