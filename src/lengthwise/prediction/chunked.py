r"""A prompt that the engine prefills in chunks: the sum of its steps.

With at most C prompt tokens in a step, a prompt of n new tokens on top of k cached ones takes
P = ceil(n / C) steps of q_i tokens at context c_i:

    TTFT = sum_i t(q_i, c_i),   q_i = min(C, n - (i - 1) C),   c_i = k + q_1 + ... + q_i

Prompts of a batch take turns: while whole prompts fit, a step takes as many as do; a prompt of more
than C tokens is finished before the next one begins (first come, first served, as the schedulers of
vLLM, SGLang, llama.cpp and OpenVINO do it, Agrawal et al. 2024, arXiv 2403.02310; steps that hold
the end of one prompt and the start of the next are counted as two). The bounds of a sum are sums of
bounds: steps of one law miss to the same side.

C is what points ask for. Where they do not, and the law was measured in steps of a chunk only
(:class:`lengthwise.calibration.phase_law.Domain`), it is that chunk for longer prompts: such a law
knows nothing of larger steps.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from lengthwise.calibration.intervals import Calibration
from lengthwise.calibration.lawset import LawSet
from lengthwise.calibration.phase_law import SAME, PhaseLaw
from lengthwise.domain.work import Work
from lengthwise.errors import InputError
from lengthwise.formulations.base import Formulation
from lengthwise.prediction.answers import StepAnswer
from lengthwise.prediction.requests import MOST_STEPS
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


def in_own_chunks(law: PhaseLaw, work: Work, asked: FloatArray) -> npt.NDArray[np.bool_]:
    """Tell which prefills are summed over steps because the law knows no larger ones, shape (n,).

    Parameters
    ----------
    law
        The law that answers.
    work
        Prefills of equal prompts, whole; shape (n,).
    asked
        Most prompt tokens of a step that points ask for, shape (n,); NaN where they do not.
    """
    if law.domain.chunk is None or work.phase != "prefill":
        return np.zeros(len(work), dtype=bool)
    query = work.new_tokens / work.sequences
    return np.asarray(np.isnan(asked) & (query > law.domain.chunk * SAME))


def chunk_for(law: PhaseLaw, work: Work, asked: FloatArray) -> FloatArray:
    """Give the most prompt tokens of a step: as asked, else as the law was measured, shape (n,).

    Raises
    ------
    InputError
        If a prompt would take more than ``MOST_STEPS`` steps.
    """
    own = in_own_chunks(law, work, asked)
    chunk = np.where(np.isnan(asked), np.inf, asked)
    if own.any():
        assert law.domain.chunk is not None
        longest = float((work.new_tokens / work.sequences)[own].max())
        if longest > MOST_STEPS * law.domain.chunk:
            raise InputError(
                f"a prompt takes at most {MOST_STEPS:,} steps",
                got=f"{longest:g} tokens in steps of {law.domain.chunk:g}",
                remedy="correct isl, or say the size of the steps with prefill_chunk",
            )
        chunk[own] = law.domain.chunk
    return chunk


def chunk_text(law: PhaseLaw) -> str:
    """Say in what steps a law answers for prompts longer than any step measured."""
    return f", as the sum of steps of {law.domain.chunk:g} tokens, the largest measured"


def prefill_seconds(law: PhaseLaw, work: Work, asked: FloatArray) -> FloatArray:
    """Predict prefills, those in chunks as the sum of their steps, shape (n,), seconds.

    Parameters
    ----------
    law
        The law that answers.
    work
        Prefills of equal prompts, whole; shape (n,).
    asked
        Most prompt tokens of a step that points ask for, shape (n,); NaN where they do not.
    """
    whole = law.domain.chunk is None and bool(np.isnan(asked).all())
    if whole or law.phase != "prefill":
        return law.law.predict_work(work)
    return _summed(law.law, work, chunk_for(law, work, asked))


def _summed(law: Formulation, work: Work, chunk: FloatArray) -> FloatArray:
    """Predict prefills in chunks, shape (n,), seconds.

    >>> import pandas as pd
    >>> from lengthwise.formulations.linear import Linear
    >>> law = Linear().fit(pd.DataFrame({"phase": "prefill", "isl": [100, 200]}), [0.2, 0.3])
    >>> whole = Work.of("prefill", query_len=[400.0], context_len=[400.0])
    >>> _summed(law, whole, np.array([100.0])).round(3).tolist()  # 4 steps of 0.2 s
    [0.8]
    """
    seconds = law.predict_work(work)
    for rows in _blocks(work, chunk):
        steps = chunk_steps(work.take(rows), chunk[rows])
        seconds[rows] = steps.total(law.predict_work(steps.work), len(rows))
    return seconds


def prefill_answer(
    laws: LawSet, law: PhaseLaw, work: Work, asked: FloatArray, level: float
) -> StepAnswer:  # fmt: skip
    """Predict prefills, those in chunks as the sum of their steps, with all there is to say.

    The regime is that of the last step, the longest. The domain is that of all steps where points
    ask for a chunk, and the context reached where the chunk is the one measured.
    """
    answer = StepAnswer.of(laws, law, work, level)
    chunk = chunk_for(law, work, asked)
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
    own = in_own_chunks(law, work, asked)
    if law.n_points > 0:
        answer.in_domain[own] = law.domain.reached(work)[own]
    return answer


class InChunks:
    """Laws of steps that answer for prompts prefilled in chunks, as a law set answers for steps.

    Parameters
    ----------
    laws
        Fitted on the steps.
    chunk
        Most prompt tokens of a step; NaN for the chunk each law was measured in.
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
            seconds[index] = prefill_seconds(law, work, self._chunk(work))
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
    yield from np.split(rows, np.flatnonzero(np.diff(number)) + 1)
