r"""Which single measurement would help a prediction most, and when to refuse one.

The variance of ln t at a query q that lies d doublings beyond the longest length measured is

    v = g_q' S g_q + (gamma d)^2

S posterior covariance of the parameters, g gradient of ln t in them, gamma the error per doubling
beyond the data (see :mod:`lengthwise.calibration.intervals`). A measurement at x changes S to
S - S g g' S / (sigma^2 + g' S g) (linear Gaussian update) and d to the doublings left from x to q.
Candidates are the powers of two below the query, at its batch and at batch 1: what can be measured
on the way there.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from lengthwise.calibration.lawset import LawSet
from lengthwise.calibration.phase_law import PhaseLaw
from lengthwise.data.load import load_text
from lengthwise.domain.work import Work
from lengthwise.errors import RefusedError
from lengthwise.formulations.hachiya_patias import HachiyaPatias
from lengthwise.prediction.chunked import in_own_chunks
from lengthwise.units import FloatArray, format_tokens

NEARLY_BEST = 1.05
"""A shorter measurement is preferred when what it leaves uncertain is within 5 % of the least."""

ONE_SIGMA = 0.6827
"""Coverage of one standard deviation."""

LENGTH_NAME = {"prefill": "isl", "decode": "context_len", "mixed": "context_len"}


@dataclass(frozen=True)
class Suggestion:
    """A measurement and what it would do for one prediction.

    Attributes
    ----------
    phase, length, batch_size
        What to measure.
    sd_before, sd_after
        Relative standard deviation of the prediction, now and after it; NaN for a formulation
        without a posterior.
    load
        Load to measure it under, in the place of a batch; empty for none.
    cached_tokens
        Prompt tokens cached before: with a law measured in chunks, all but the last chunk.

    Examples
    --------
    >>> print(Suggestion("prefill", 32768.0, 1.0, 0.2, 0.05))
    measure prefill at isl=32768, batch_size=1
    """

    phase: str
    length: float
    batch_size: float
    sd_before: float
    sd_after: float
    load: str = ""
    cached_tokens: float = 0.0

    def __str__(self) -> str:
        length = f"{LENGTH_NAME[self.phase]}={self.length:.0f}"
        length += f", cached_tokens={self.cached_tokens:.0f}" if self.cached_tokens else ""
        if self.load:
            return f"measure requests for their {self.phase} at {length}, {self.load}"
        return f"measure {self.phase} at {length}, batch_size={self.batch_size:g}"


def suggest(
    law: PhaseLaw, query: Work, max_extrapolation: float | None = None, gamma: float = 0.0
) -> Suggestion:
    """Find the measurement that makes the prediction of a step most certain.

    Parameters
    ----------
    law
        The law that would answer.
    query
        Work of one step.
    max_extrapolation
        When the query is out of reach, only measurements that bring it into reach count.
    gamma
        Error per doubling beyond the data, in ln t.
    """
    query = _last_step(law, query)
    length, batch = float(query.length[0]), float(query.sequences[0])
    lengths = _candidate_lengths(law, length, max_extrapolation)
    points = [(n, b) for n in lengths for b in sorted({batch, 1.0})]
    load = load_text(law.load) if law.load else ""
    chunk = law.domain.chunk or math.inf
    if not isinstance(law.law, HachiyaPatias):
        cached = max(points[-1][0] - chunk, 0.0)
        return Suggestion(law.phase, *points[-1], math.nan, math.nan, load, cached)
    now, then = _variances(law.law, query, _work(law.phase, points, chunk))
    longest = np.maximum([law.domain.length[1], *(n for n, _ in points)], law.domain.length[1])
    drift = (gamma * np.maximum(np.log2(length / longest), 0.0)) ** 2
    before, after = math.sqrt(now + drift[0]), np.sqrt(then + drift[1:])
    best = float(after.min()) * NEARLY_BEST
    chosen = next(i for i, sd in enumerate(after) if sd <= best)
    cached = max(points[chosen][0] - chunk, 0.0)
    return Suggestion(law.phase, *points[chosen], before, float(after[chosen]), load, cached)


def gamma_of(laws: LawSet, phase: str) -> float:
    """Give the error per doubling of length beyond the data at one standard deviation, in ln t."""
    return laws.calibration_[phase].gamma(ONE_SIGMA) if phase in laws.calibration_ else 0.0


def check_reach(laws: LawSet, law: PhaseLaw, work: Work, max_extrapolation: float | None) -> None:
    """Refuse steps that are too much longer than anything measured.

    Raises
    ------
    RefusedError
        Naming the length, the longest one measured and the measurement that would help most.
    """
    if max_extrapolation is None or not len(work):
        return
    longest = law.domain.length[1]
    row = int(np.argmax(work.length))
    length = float(work.length[row])
    if length <= longest * max_extrapolation:
        return
    query, gamma = work.take(slice(row, row + 1)), gamma_of(laws, law.phase)
    advice = suggest(law, query, max_extrapolation, gamma)
    name = LENGTH_NAME[law.phase]
    raise RefusedError(
        f"{law.phase} of {law.deployment} is answered up to {max_extrapolation:g} times the "
        f"longest length measured, {format_tokens(longest)} tokens",
        got=f"{name}={length:.0f} ({length / longest:.3g} times)",
        remedy=f"{advice}, which helps this prediction most, and fit again; or lift the limit with "
        "max_extrapolation=None (--allow-extrapolation)",
    )  # fmt: skip


def _candidate_lengths(
    law: PhaseLaw, length: float, max_extrapolation: float | None
) -> list[float]:
    """Powers of two below the query, from the shortest length measured, shortest first."""
    powers = [2.0**j for j in range(60) if 2.0**j < length]
    lengths = [n for n in powers if n >= law.domain.length[0]] or powers[-1:] or [length]
    if max_extrapolation is not None and length > law.domain.length[1] * max_extrapolation:
        return [n for n in lengths if n * max_extrapolation >= length] or lengths[-1:]
    return lengths


def _last_step(law: PhaseLaw, query: Work) -> Work:
    """Take the last step of a prompt that a law answers as a sum of steps."""
    if not in_own_chunks(law, query, np.full(len(query), np.nan)).any():
        return query
    return Work.of(query.phase, query_len=law.domain.chunk, context_len=query.context_len,
                   batch_size=query.sequences)  # fmt: skip


def _work(phase: str, points: list[tuple[float, float]], chunk: float) -> Work:
    length, batch = np.array(points).T
    if phase == "mixed":  # a whole prompt alone in its step
        return Work.of("mixed", query_len=length, context_len=length, batch_size=batch)
    query = np.minimum(length, chunk) if phase == "prefill" else np.ones_like(length)
    return Work.of(phase, query_len=query, context_len=length, batch_size=batch)


def _variances(law: HachiyaPatias, query: Work, candidates: Work) -> tuple[float, FloatArray]:
    """Variance of ln t at the query from the parameters, now and after each candidate."""
    at_query, at = law.log_gradient(query)[0], law.log_gradient(candidates)
    covariance = law.covariance_
    variance = float(at_query @ covariance @ at_query)
    gain = (at @ covariance @ at_query) ** 2 / (
        law.sigma_**2 + np.einsum("ij,jk,ik->i", at, covariance, at)
    )
    return max(variance, 0.0), np.maximum(variance - gain, 0.0)
