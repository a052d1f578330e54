r"""A prompt that the engine prefills in chunks: the sum of its steps.

With at most C prompt tokens in a step, a prompt of n new tokens on top of k cached ones takes
P = ceil(n / C) steps of q_i tokens at context c_i:

    TTFT = sum_i t(q_i, c_i),   q_i = min(C, n - (i - 1) C),   c_i = k + q_1 + ... + q_i

Prompts of a batch take turns: while whole prompts fit, a step takes as many as do; a prompt of more
than C tokens is finished before the next one begins (first come, first served, as the schedulers of
vLLM, SGLang, llama.cpp and OpenVINO do it, Agrawal et al. 2024, arXiv 2403.02310; steps that hold
the end of one prompt and the start of the next are counted as two). The bounds of a sum are sums of
bounds: steps of one law miss to the same side.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from lengthwise.calibration.intervals import Calibration
from lengthwise.calibration.lawset import LawSet
from lengthwise.calibration.phase_law import PhaseLaw
from lengthwise.domain.work import Work
from lengthwise.formulations.base import Formulation
from lengthwise.prediction.answers import StepAnswer
from lengthwise.units import FloatArray, s_to_ms

BLOCK = 65_536
"""Steps predicted at once."""


@dataclass(frozen=True)
class ChunkSteps:
    """Distinct steps of some prompts.

    Attributes
    ----------
    owner
        Prompt each step belongs to, in order, shape (m,).
    count
        How often the step is made, shape (m,).
    work
        Work of the m steps.
    """

    owner: npt.NDArray[np.intp]
    count: FloatArray
    work: Work

    def total(self, values: FloatArray, n: int) -> FloatArray:
        """Add values of the steps up by prompt, shape (n,)."""
        sums = np.bincount(self.owner, weights=self.count * values, minlength=n)
        return np.asarray(sums, dtype=float)


def chunk_steps(work: Work, chunk: FloatArray) -> ChunkSteps:
    """Split prefills into the steps they take.

    Parameters
    ----------
    work
        Prefills of equal prompts, whole; shape (n,).
    chunk
        Most prompt tokens of a step, shape (n,); infinite for one step.

    Examples
    --------
    >>> whole = Work.of("prefill", query_len=[1000.0], context_len=[1200.0])
    >>> steps = chunk_steps(whole, np.array([512.0]))
    >>> steps.work.new_tokens.tolist(), steps.work.context_len.tolist()
    ([512.0, 488.0], [712.0, 1200.0])
    """
    batch, context = work.sequences, work.context_len
    query = work.new_tokens / batch
    together = np.clip(np.floor(chunk / query), 1.0, batch)
    full, rest = np.floor(batch / together), batch % together
    parts = np.maximum(np.ceil(query / chunk), 1.0).astype(np.intp)
    owner = np.repeat(np.arange(len(work)), parts)
    first = np.repeat(np.cumsum(parts) - parts, parts)
    before = (np.arange(len(owner)) - first) * np.minimum(chunk[owner], query[owner])
    new = np.minimum(np.minimum(chunk[owner], query[owner]), query[owner] - before)
    at = context[owner] - query[owner] + before + new
    odd = np.flatnonzero(rest > 0)
    steps = Work.of(
        "prefill", query_len=np.concatenate([new, query[odd]]),
        context_len=np.concatenate([at, context[odd]]),
        batch_size=np.concatenate([together[owner], rest[odd]]),
    )  # fmt: skip
    count = np.concatenate([full[owner], np.ones(len(odd))])
    return ChunkSteps(np.concatenate([owner, odd]), count, steps)


def prefill_seconds(law: Formulation, work: Work, chunk: FloatArray) -> FloatArray:
    """Predict prefills in chunks, shape (n,), seconds.

    >>> import pandas as pd
    >>> from lengthwise.formulations.linear import Linear
    >>> law = Linear().fit(pd.DataFrame({"phase": "prefill", "isl": [100, 200]}), [0.2, 0.3])
    >>> whole = Work.of("prefill", query_len=[400.0], context_len=[400.0])
    >>> prefill_seconds(law, whole, np.array([100.0])).round(3).tolist()  # 4 steps of 0.2 s
    [0.8]
    """
    seconds = law.predict_work(work)
    for rows in _blocks(work, chunk):
        steps = chunk_steps(work.take(rows), chunk[rows])
        seconds[rows] = steps.total(law.predict_work(steps.work), len(rows))
    return seconds


def prefill_answer(
    laws: LawSet, law: PhaseLaw, work: Work, chunk: FloatArray, level: float
) -> StepAnswer:  # fmt: skip
    """Predict prefills in chunks with everything there is to say about them.

    The regime is that of the last step, the longest; the domain that of all.
    """
    answer = StepAnswer.of(laws, law, work, level)
    for rows in _blocks(work, chunk):
        n = len(rows)
        steps = chunk_steps(work.take(rows), chunk[rows])
        each = StepAnswer.of(laws, law, steps.work, level)
        total = steps.total(each.time_s, n)
        answer.time_s[rows] = total
        answer.half_width[rows] = np.log(steps.total(each.high_s, n) / total)
        answer.in_domain[rows] = steps.total((~each.in_domain).astype(float), n) == 0
        last = np.full(n, -1)
        order = np.argsort(steps.work.context_len, kind="stable")
        last[steps.owner[order]] = order
        answer.regime[rows] = each.regime[last]
    return answer


class InChunks:
    """Laws of steps that answer for prompts prefilled in chunks, as a law set answers for steps.

    Parameters
    ----------
    laws
        Fitted on the steps.
    chunk
        Most prompt tokens of a step.
    """

    def __init__(self, laws: LawSet, chunk: float) -> None:
        self.laws, self.chunk = laws, chunk

    @property
    def laws_(self) -> dict[tuple[str, str], PhaseLaw]:
        """Laws by deployment and phase."""
        return self.laws.laws_

    @property
    def calibration_(self) -> dict[str, Calibration]:
        """Calibration of the intervals by phase."""
        return self.laws.calibration_

    def predict(self, points: pd.DataFrame) -> FloatArray:
        """Predict points, shape (n,), milliseconds; a prefill is the sum of its steps."""
        seconds = np.empty(len(points))
        for index, law, work in self.laws.parts(points):
            seconds[index] = prefill_seconds(law.law, work, self._chunk(work))
        return np.asarray(s_to_ms(seconds))

    def predict_interval(self, points: pd.DataFrame, level: float = 0.9) -> FloatArray:
        """Predict intervals of coverage ``level``, shape (n, 2), milliseconds."""
        bounds = np.empty((len(points), 2))
        for index, law, work in self.laws.parts(points):
            answer = prefill_answer(self.laws, law, work, self._chunk(work), level)
            bounds[index] = s_to_ms(np.column_stack([answer.low_s, answer.high_s]))
        return bounds

    def _chunk(self, work: Work) -> FloatArray:
        return np.full(len(work), self.chunk if work.phase == "prefill" else np.inf)


def _blocks(work: Work, chunk: FloatArray) -> Iterator[npt.NDArray[np.intp]]:
    """Positions of the prefills that take several steps, a bounded number of steps at a time."""
    rows = np.flatnonzero(work.new_tokens > chunk)
    if not len(rows):
        return
    steps = np.ceil(work.new_tokens[rows] / work.sequences[rows] / chunk[rows])
    number = np.cumsum(steps) // BLOCK
    for value in np.unique(number):
        yield rows[number == value]
