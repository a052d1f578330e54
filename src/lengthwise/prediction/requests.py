r"""A request as the steps it consists of.

    TTFT = prefill of the prompt (isl, cached_tokens, batch_size), in one step or in chunks
    E2E  = TTFT + sum over c = isl + 1 ... isl + osl - 1 of decode(c, batch_size)
    TPOT = (E2E - TTFT) / (osl - 1), undefined for osl < 2

The prefill gives the first token, so osl tokens take osl - 1 decode steps; the first of them sees
the prompt and the first token, isl + 1 in all, its own new token included. Where a decode step is
affine in its context the sum is exactly (osl - 1) times the step at the mean context isl + osl / 2;
otherwise every step is predicted and added (see step_sums for many requests).

Intervals: errors of one law at neighbouring contexts are errors of the same coefficients, so the
steps of a request miss to the same side; prefill and decode are taken to do so too. Bounds of sums
are sums of bounds then, the widest of all assumptions. The decode bound is that of the least
certain of the first, middle and last step.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from lengthwise.data.kinds import to_numbers
from lengthwise.domain.work import Work
from lengthwise.errors import ColumnError
from lengthwise.formulations.base import Formulation
from lengthwise.formulations.hachiya_patias import HachiyaPatias
from lengthwise.formulations.linear import Linear
from lengthwise.prediction.step_sums import LONGEST, running_totals
from lengthwise.units import FloatArray

BLOCK = 65_536
"""Decode steps predicted at once."""
MOST_STEPS = 1_000_000
"""Steps a prompt may take when it is prefilled in chunks."""
TOO_SMALL = f"large enough that a prompt takes at most {MOST_STEPS:,} steps"


@dataclass(frozen=True)
class Requests:
    """n requests; every field has shape (n,), tokens and sequences."""

    isl: FloatArray
    osl: FloatArray
    cached_tokens: FloatArray
    batch_size: FloatArray
    prefill_chunk: FloatArray

    @classmethod
    def of(cls, points: pd.DataFrame) -> Requests:
        """Read requests from points; without a batch size each is alone in its steps.

        So are requests under load for their law, which takes the load from its label.

        >>> Requests.of(pd.DataFrame({"isl": [100], "osl": [8]})).batch_size.tolist()
        [1.0]
        """
        batch = _numbers(points, "batch_size", 1.0)
        found = cls(_numbers(points, "isl"), _numbers(points, "osl"),
                    _numbers(points, "cached_tokens", 0.0), batch, chunk_of(points))  # fmt: skip
        _refuse("isl", found.isl, ~((found.isl > 0) & np.isfinite(found.isl)), "positive")
        whole = found.osl == np.floor(found.osl)
        _refuse("osl", found.osl, ~(whole & (found.osl >= 1) & np.isfinite(found.osl)),
                "a whole number of at least 1")  # fmt: skip
        _refuse("batch_size", batch, ~((batch > 0) & np.isfinite(batch)), "positive")
        k = found.cached_tokens
        _refuse("cached_tokens", k, ~((k >= 0) & (k < found.isl)), "at least 0 and less than isl")
        return found

    def __len__(self) -> int:
        return len(self.isl)

    def take(self, index: npt.NDArray[np.intp] | npt.NDArray[np.bool_]) -> Requests:
        """Select requests by an index array or mask."""
        return Requests(self.isl[index], self.osl[index], self.cached_tokens[index],
                        self.batch_size[index], self.prefill_chunk[index])  # fmt: skip

    def prefill(self) -> Work:
        """Work of the prefills, as if each were one step."""
        return Work.of("prefill", query_len=self.isl - self.cached_tokens, context_len=self.isl,
                       batch_size=self.batch_size)  # fmt: skip

    def decode_at(self, where: str) -> Work:
        """Work of the ``first``, ``middle`` or ``last`` decode step; the middle is the mean."""
        context = {
            "first": self.isl + 1.0,
            "middle": self.isl + self.osl / 2.0,
            "last": self.isl + self.osl - 1.0,
        }
        return Work.of("decode", query_len=1.0, context_len=np.maximum(context[where], 1.0),
                       batch_size=self.batch_size)  # fmt: skip


def chunk_of(points: pd.DataFrame) -> FloatArray:
    """Read the most prompt tokens of a step, shape (n,); NaN where points do not say.

    Chunks so small that a prompt takes over ``MOST_STEPS`` of them are refused.

    >>> chunk_of(pd.DataFrame({"isl": [9, 9], "prefill_chunk": [4, None]})).tolist()
    [4.0, nan]
    """
    chunk = _numbers(points, "prefill_chunk", np.nan)
    _refuse("prefill_chunk", chunk, chunk < 1, "at least 1, or empty")
    too_small = _numbers(points, "isl") > MOST_STEPS * chunk
    _refuse("prefill_chunk", chunk, too_small, TOO_SMALL)
    return chunk


def decode_total(law: Formulation, requests: Requests) -> FloatArray:
    """Sum the decode steps of each request, shape (n,), seconds; 0 for one output token.

    Examples
    --------
    >>> steps = pd.DataFrame({"phase": "decode", "context_len": [100, 200, 400]})
    >>> law = Linear().fit(steps, [0.010, 0.011, 0.013])
    >>> one = Requests.of(pd.DataFrame({"isl": [100], "osl": [3]}))
    >>> round(float(decode_total(law, one)[0]), 6)  # contexts 101 and 102
    0.02003
    """
    steps = np.maximum(requests.osl - 1.0, 0.0)
    if is_affine_in_context(law):
        return np.asarray(steps * law.predict_work(requests.decode_at("middle")))
    total = np.zeros(len(requests))
    rest = np.ones(len(requests), dtype=bool)
    for rows, sums in _looked_up(law, requests, steps):
        total[rows], rest[rows] = sums, False
    total[rest] = _sum_of_steps(law, requests.take(rest), steps[rest].astype(np.int64))
    return total


def is_affine_in_context(law: Formulation) -> bool:
    """Tell whether a decode step is an affine function of its context, whatever the batch."""
    if isinstance(law, HachiyaPatias):
        bent = any(term.name == "KV_root" for term in law.terms_)
        plain = law.e1_ == "off" and law.correction_.is_identity and not bent
        return law.phase_ == "decode" and plain
    return isinstance(law, Linear)


def _looked_up(
    law: Formulation, requests: Requests, steps: FloatArray
) -> Iterator[tuple[npt.NDArray[np.intp], FloatArray]]:
    """Sum by running totals where a batch size has more steps than contexts."""
    last = requests.isl + steps
    able = (last <= LONGEST) & (requests.isl == np.floor(requests.isl))
    for batch in np.unique(requests.batch_size[able]):
        rows = np.flatnonzero(able & (requests.batch_size == batch))
        if steps[rows].sum() > last[rows].max():
            total = running_totals(law, int(last[rows].max()), float(batch))
            start, stop = requests.isl[rows].astype(np.intp), last[rows].astype(np.intp)
            yield rows, total[stop] - total[start]


def _sum_of_steps(law: Formulation, requests: Requests, steps: np.ndarray) -> FloatArray:
    """Predict every step, block by block, and add them up."""
    ends = np.cumsum(steps)
    total = np.zeros(len(requests))
    for start in range(0, int(ends[-1]) if len(ends) else 0, BLOCK):
        step = np.arange(start, min(start + BLOCK, int(ends[-1])))
        row = np.searchsorted(ends, step, side="right")
        context = requests.isl[row] + 1.0 + (step - (ends[row] - steps[row]))
        work = Work.of("decode", query_len=1.0, context_len=context,
                       batch_size=requests.batch_size[row])  # fmt: skip
        first = row[0]
        sums = np.bincount(row - first, weights=law.predict_work(work))
        total[first : first + len(sums)] += sums
    return total


def _numbers(points: pd.DataFrame, name: str, default: float | None = None) -> FloatArray:
    if name not in points:
        if default is None:
            raise ColumnError("request points need the columns isl, osl", got=f"no column {name!r}",
                              remedy=f"add {name}")  # fmt: skip
        return np.full(len(points), default)
    values = to_numbers(points[name]).to_numpy(dtype=float)
    return values if default is None else np.where(np.isnan(values), default, values)


def _refuse(name: str, values: FloatArray, bad: np.ndarray, rule: str) -> None:
    if bad.any():
        row = int(np.argmax(bad))
        raise ColumnError(f"{name} must be {rule}",
                          got=f"{values[row]:g} in row {row} ({int(bad.sum())} such rows)",
                          remedy="mend or drop these rows")  # fmt: skip
