r"""Powers of what a step reaches over: the columns of the simple curves.

A step reaches over x = KV tokens in all its sequences: the new tokens of fresh prompts, the depth
of a chunk with the chunk itself, the KV tokens of a decode step. With c tokens per sequence,

    x^p := KV c^(p - 1)

so that B equal prompts cost B times one of them whatever p is. Where what the step brings along
varies apart from x (sequences B of decode steps, new tokens T of chunks and of mixed steps), it has
a column of its own, z.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from lengthwise.domain.work import Work
from lengthwise.formulations.base import Formulation
from lengthwise.formulations.least_squares import solve_nonnegative
from lengthwise.units import FloatArray


def reach_columns(work: Work, powers: tuple[float, ...]) -> FloatArray:
    """Return 1, x^p for every power, z; shape (n, len(powers) + 2).

    >>> work = Work.of("decode", query_len=1.0, context_len=[100.0], batch_size=[8.0])
    >>> reach_columns(work, (1, 2)).tolist()
    [[1.0, 800.0, 80000.0, 8.0]]
    """
    along = work.sequences if work.phase == "decode" else work.new_tokens
    x = [work.kv_tokens * work.context_len ** (power - 1.0) for power in powers]
    return np.column_stack([np.ones(len(work)), *x, along])


def fit_reach(
    work: Work, y_s: FloatArray, weight: FloatArray, powers: tuple[float, ...], *, relative: bool
) -> tuple[FloatArray, float]:
    """Fit coefficients >= 0 of :func:`reach_columns`, z only where it varies apart from x.

    Parameters
    ----------
    work
        Work of n steps.
    y_s, weight
        Times and weights, shape (n,), seconds and without unit.

    Returns
    -------
    coefficients in s per unit of their column, and the misfit of
    :func:`~lengthwise.formulations.least_squares.solve_nonnegative`.

    Examples
    --------
    >>> lengths = np.array([100.0, 200.0, 400.0])
    >>> work = Work.of("prefill", query_len=lengths, context_len=lengths)
    >>> y_s = 0.01 + 1e-6 * work.kv_tokens**2
    >>> fit_reach(work, y_s, np.ones(3), (1, 2), relative=True)[0].round(6).tolist()
    [0.01, 0.0, 1e-06]
    """
    columns = reach_columns(work, powers)
    apart = np.ptp(columns[:, -1]) > 0 and not (work.phase == "prefill" and work.is_fresh.all())
    used = columns if apart else columns[:, :-1]
    return solve_nonnegative(used, y_s, weight, relative=relative)


def at_reach(work: Work, powers: tuple[float, ...], coef: FloatArray) -> FloatArray:
    """Return the times of steps under coefficients of :func:`fit_reach`, shape (n,), seconds.

    >>> work = Work.of("prefill", query_len=[1000.0], context_len=[1000.0])
    >>> at_reach(work, (1, 2), np.array([0.01, 0.0, 1e-6])).round(6).tolist()
    [1.01]
    """
    return np.asarray(reach_columns(work, powers)[:, : len(coef)] @ coef)


class ReachPolynomial(Formulation):
    """Base of polynomials in x with coefficients that are not negative."""

    monotone: ClassVar[bool] = True
    powers: ClassVar[tuple[float, ...]] = (1.0, 2.0)
    relative: ClassVar[bool] = True
    """Whether residuals are divided by the time."""

    coef_: FloatArray

    def _fit(self, work: Work, y_s: FloatArray, weight: FloatArray) -> None:
        self.coef_, _ = fit_reach(work, y_s, weight, self.powers, relative=self.relative)

    def _predict(self, work: Work) -> FloatArray:
        return at_reach(work, self.powers, self.coef_)
