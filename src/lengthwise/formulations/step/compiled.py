"""A step model compiled for one deployment: microseconds for one step, millions of steps a second.

A step is described by sums over its sequences, which a scheduler keeps up as sequences come and go:

    decodes         sequences that generate one token each
    kv_tokens       tokens visible to all of these together
    chunks          prompts that bring new tokens
    prompt_tokens   sum of q, new tokens of a chunk
    square_tokens   sum of q^2
    prefix_pairs    sum of q * p, p tokens cached before a chunk
    prefix_tokens   sum of p

What depends on numbers of tokens or sequences is exact, but for the distance between nodes of a
table. Attention is a mean field: decodes all have the mean context; chunks count as T^2 / S of
them, each with S / T new tokens and X / T cached ones (T, S, X: sums of q, q^2 and q p). Tokens and
pairs of query and key are then those of the batch, sum of q p + q^2 / 2; even batches are exact.
Reading every prefix once, for one new token each, is the least that uneven chunks take; where they
are listed, so is the slowest of them alone. What ends at a window is taken at the mean context,
which is more than the mean over uneven contexts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from lengthwise.errors import InputError
from lengthwise.formulations.step.batch import StepBatch
from lengthwise.formulations.step.compiled_read import line, plane, space
from lengthwise.formulations.step.compiled_request import (
    STEP_TOKENS,
    Request,
    Room,
    request_seconds,
)
from lengthwise.formulations.step.compiled_sums import StepSums
from lengthwise.formulations.step.compiled_tables import (
    CHUNKS,
    CONTEXT,
    DECODES,
    MIXED_SEQUENCES,
    MIXED_TOKENS,
    PREFIX,
    QUERY,
    SEQUENCES,
    TOKENS,
    StepTables,
)
from lengthwise.formulations.step.serving import Interference
from lengthwise.formulations.step.step_model import StepModel
from lengthwise.units import FloatArray

BLOCK = 4096
"""Steps predicted at once, so that they stay in the cache."""
LARGEST = 1e18
"""Largest size of a step, tokens or pairs."""
_ONE = QUERY.place(1.0)
_PROMPT = 3
"""Where the table of prompts is held."""

__all__ = ["CompiledStep", "StepSums"]


@dataclass(frozen=True, eq=False)
class CompiledStep:
    """Time of the steps of one deployment.

    Attributes
    ----------
    model
        The deployment.
    tables
        Its groups over the sizes they depend on.
    factors, correction
        Factors on groups, and on the whole.

    Examples
    --------
    >>> from lengthwise.data.hardware_catalog import find_hardware
    >>> from lengthwise.domain.model import find_model
    >>> llama = StepModel.of(find_model("llama3.1-8b"), find_hardware("h100_sxm"))
    >>> fast = CompiledStep.of(llama)
    >>> 5e-3 < fast.step(decodes=16, kv_tokens=16 * 1000) < 9e-3
    True
    >>> fast.step(16, 16 * 1000, prompt_tokens=2048) > fast.step(16, 16 * 1000)
    True
    >>> fast.step_of([1000] * 16, [(512, 0), (64, 9000)]) > fast.step_of([1000] * 16, [(512, 0)])
    True
    >>> fast.with_factors({}, correction=1.1).step(1, 1) / fast.step(1, 1)
    1.1
    """

    model: StepModel
    tables: StepTables
    factors: Mapping[str, float] = field(default_factory=dict)
    correction: float = 1.0
    _arrays: tuple[Any, ...] = field(init=False, repr=False)
    _views: tuple[Any, ...] = field(init=False, repr=False)
    _room: Room = field(init=False, repr=False)

    def __post_init__(self) -> None:
        for name, value in {**self.factors, "correction": self.correction}.items():
            if not 0.0 <= value <= LARGEST:
                raise InputError("factors on a step are finite and at least 0",
                                 got=f"{name} = {value}")  # fmt: skip
        weighted = self.tables.weighted(self.factors)
        arrays = tuple(None if t is None else self.correction * t.ravel() for t in weighted)
        object.__setattr__(self, "_arrays", arrays)
        views = tuple(None if t is None else t.data for t in arrays)
        object.__setattr__(self, "_views", views)
        object.__setattr__(self, "_room", Room(self.model))

    @classmethod
    def of(
        cls, model: StepModel, factors: Mapping[str, float] | None = None, correction: float = 1.0
    ) -> CompiledStep:
        """Compile a step model, about half a CPU second.

        Parameters
        ----------
        model
            The deployment.
        factors
            By name in :data:`lengthwise.formulations.step.groups.GROUPS`; others count 1.
        correction
            Factor on the whole step.
        """
        return cls(model, StepTables.of(model), dict(factors or {}), correction)

    def with_factors(self, factors: Mapping[str, float], correction: float = 1.0) -> CompiledStep:
        """Put other factors on the same tables, a few milliseconds."""
        return CompiledStep(self.model, self.tables, dict(factors), correction)

    def step(
        self, decodes: float = 0.0, kv_tokens: float = 0.0, prompt_tokens: float = 0.0,
        chunks: float = 1.0, square_tokens: float | None = None, prefix_pairs: float = 0.0,
        prefix_tokens: float | None = None,
    ) -> float:  # fmt: skip
        """Give the time of one step, seconds; the sums are those of this module's head.

        Parameters
        ----------
        decodes, kv_tokens
            Decoding sequences, and tokens visible to them in total, the new ones included.
        prompt_tokens, chunks
            New prompt tokens, and the prompts that bring them; these do not count without those.
        square_tokens
            Sum of squares; None: all chunks are equal.
        prefix_pairs
            New tokens times tokens cached before them, summed over chunks.
        prefix_tokens
            Tokens cached before, summed over chunks; None: all chunks are equal.
        """
        total = decodes + kv_tokens + prompt_tokens + chunks + prefix_pairs
        if not (decodes >= 0.0 and kv_tokens >= 0.0 and prompt_tokens >= 0.0 and chunks >= 0.0
                and prefix_pairs >= 0.0 and total <= LARGEST):  # fmt: skip
            raise _bad(decodes, kv_tokens, prompt_tokens, chunks, prefix_pairs)
        tokens = decodes + prompt_tokens
        if tokens == 0.0:
            return 0.0
        by_token, by_sequence, decode, prompt, mixed = self._views
        sequences = decodes + chunks if prompt_tokens > 0.0 else decodes
        seconds: float = line(by_token, *TOKENS.place(tokens))
        seconds += line(by_sequence, *SEQUENCES.place(sequences))
        if mixed is not None:
            seconds += plane(mixed, len(MIXED_SEQUENCES), MIXED_TOKENS.place(tokens),
                              MIXED_SEQUENCES.place(sequences))  # fmt: skip
        if decode is not None and decodes > 0.0:
            seconds += plane(decode, len(CONTEXT), DECODES.place(decodes),
                              CONTEXT.place(kv_tokens / decodes))  # fmt: skip
        if prompt is not None and prompt_tokens > 0.0:
            seconds += self._prompts(prompt_tokens, chunks, square_tokens, prefix_pairs,
                                     prefix_tokens)  # fmt: skip
        return seconds

    def _prompts(
        self, tokens: float, chunks: float, square: float | None, pairs: float,
        prefixes: float | None,
    ) -> float:  # fmt: skip
        """Attention of the chunks of one step."""
        prompt, count = self._views[_PROMPT], max(chunks, 1.0)
        if square is None:
            square = tokens * tokens / count
        elif not 0.0 < square <= LARGEST:
            raise _bad(square)
        seconds: float = space(prompt, QUERY.place(square / tokens), PREFIX.place(pairs / tokens),
                               CHUNKS.place(tokens * tokens / square))  # fmt: skip
        if prefixes is not None:
            if not 0.0 <= prefixes <= LARGEST:
                raise _bad(prefixes)
            each = PREFIX.place(prefixes / count)
            seconds = max(seconds, space(prompt, _ONE, each, CHUNKS.place(count)))
        return seconds

    def step_of(
        self, contexts: Iterable[float] = (), chunks: Iterable[tuple[float, float]] = ()
    ) -> float:
        """Give the time of one step with its sequences listed, seconds.

        Parameters
        ----------
        contexts
            Tokens visible to each decode, the new one included.
        chunks
            New and cached tokens of each prompt; no step is faster than its slowest chunk alone.
        """
        pieces = [(q, p) for q, p in chunks if q > 0.0]
        sums = StepSums.of(contexts, pieces)
        seconds = self.step(*sums)
        if len(pieces) < 2 or self._views[_PROMPT] is None:
            return seconds
        together = self._prompts(*sums[2:])
        alone = max(self._prompts(q, 1.0, None, q * p, None) for q, p in pieces)
        return seconds + max(alone - together, 0.0)

    def steps(
        self, decodes: ArrayLike = 0.0, kv_tokens: ArrayLike = 0.0, prompt_tokens: ArrayLike = 0.0,
        chunks: ArrayLike = 1.0, square_tokens: ArrayLike | None = None,
        prefix_pairs: ArrayLike = 0.0, prefix_tokens: ArrayLike | None = None,
    ) -> FloatArray:  # fmt: skip
        """Give the times of n steps, seconds, shape (n,); arguments as in :meth:`step`.

        Examples
        --------
        >>> from lengthwise.data.hardware_catalog import find_hardware
        >>> from lengthwise.domain.model import find_model
        >>> llama = StepModel.of(find_model("llama3.1-8b"), find_hardware("h100_sxm"))
        >>> found = CompiledStep.of(llama).steps([1, 64], kv_tokens=[1000, 64000])
        >>> bool(found[0] < found[1])
        True
        """
        given = [decodes, kv_tokens, prompt_tokens, chunks, prefix_pairs, square_tokens,
                 prefix_tokens]  # fmt: skip
        held = [v is not None for v in given]
        columns = np.broadcast_arrays(
            *(np.atleast_1d(np.asarray(v, float)) for v in given if v is not None)
        )
        out = np.empty(columns[0].shape)
        for start in range(0, len(out), BLOCK):
            parts = iter([c[start : start + BLOCK] for c in columns])
            out[start : start + BLOCK] = self._block(*(next(parts) if h else None for h in held))
        return out

    def steps_of(self, batch: StepBatch) -> FloatArray:
        """Give the times of the steps that :meth:`StepModel.seconds` takes, shape (n,)."""
        tokens = batch.prompt_tokens
        return self.steps(batch.decodes, batch.decodes * batch.context_len, tokens, batch.chunks,
                          prefix_pairs=tokens * batch.prefix_tokens)  # fmt: skip

    def request(
        self, isl: float, osl: float, concurrency: float = 1.0, cached_tokens: float = 0.0, *,
        interference: Interference | None = None, capacity: float | None = None,
        step_tokens: int = STEP_TOKENS,
    ) -> tuple[float, float]:  # fmt: skip
        """Give TTFT and TPOT of one request under steady load, seconds.

        Parameters
        ----------
        isl, osl
            Prompt tokens and output tokens.
        concurrency
            Requests in flight.
        cached_tokens
            Prompt tokens cached before.
        interference
            How requests get into each other's way; None: before any fit.
        capacity
            Requests that fit in memory; None: what the specifications say.
        step_tokens
            Most prompt tokens of a step.

        Examples
        --------
        >>> from lengthwise.data.hardware_catalog import find_hardware
        >>> from lengthwise.domain.model import find_model
        >>> llama = StepModel.of(find_model("llama3.1-8b"), find_hardware("h100_sxm"))
        >>> ttft_s, tpot_s = CompiledStep.of(llama).request(2048, 256, concurrency=16)
        >>> ttft_s > tpot_s > 5e-3
        True
        """
        asked = Request(isl, osl, concurrency, cached_tokens)
        room = self._room.of(isl + osl / 2.0) if capacity is None else capacity
        return request_seconds(self.step, asked, room, interference or Interference(),
                               step_tokens, self.model.parallelism.dp)  # fmt: skip

    def _block(
        self, decodes: Any, kv_tokens: Any, prompt_tokens: Any, chunks: Any, prefix_pairs: Any,
        square_tokens: FloatArray | None, prefix_tokens: FloatArray | None,
    ) -> FloatArray:  # fmt: skip
        """Predict a few thousand steps."""
        _check(decodes, kv_tokens, prompt_tokens, chunks, prefix_pairs)
        by_token, by_sequence, decode, prompt, mixed = self._arrays
        tokens = decodes + prompt_tokens
        has_prompt, has_decode = prompt_tokens > 0.0, decodes > 0.0
        sequences = decodes + chunks * has_prompt
        seconds: FloatArray = line(by_token, *TOKENS.places(tokens))
        seconds += line(by_sequence, *SEQUENCES.places(sequences))
        if mixed is not None:
            seconds += plane(mixed, len(MIXED_SEQUENCES), MIXED_TOKENS.places(tokens),
                              MIXED_SEQUENCES.places(sequences))  # fmt: skip
        if decode is not None and (at := _where(has_decode)) is not None:
            count = decodes[at]
            seconds[at] += plane(decode, len(CONTEXT), DECODES.places(count),
                                  CONTEXT.places(kv_tokens[at] / count))  # fmt: skip
        if prompt is not None and (at := _where(has_prompt)) is not None:
            new, count = prompt_tokens[at], np.maximum(chunks[at], 1.0)
            square = new * new
            sums = square / count if square_tokens is None else square_tokens[at]
            _check(sums, above=0.0)
            attention = space(prompt, QUERY.places(sums / new),
                              PREFIX.places(prefix_pairs[at] / new),
                              CHUNKS.places(square / sums))  # fmt: skip
            if prefix_tokens is not None:
                _check(prefix_tokens[at])
                each = PREFIX.places(prefix_tokens[at] / count)
                reading = space(prompt, QUERY.places(np.ones_like(new)), each,
                                CHUNKS.places(count))  # fmt: skip
                attention = np.maximum(attention, reading)
            seconds[at] += attention
        if not tokens.all():
            seconds[tokens == 0.0] = 0.0
        return seconds


def _where(mask: Any) -> Any:
    """Rows of a mask: all of them as a slice, some as numbers, or None."""
    if mask.all():
        return slice(None)
    return np.flatnonzero(mask) if mask.any() else None


def _check(*sizes: FloatArray, above: float | None = None) -> None:
    for one in sizes:
        least, most = one.min(), one.max()
        if not (least >= 0.0 and most <= LARGEST) or least == above:
            raise _bad(least, most)


def _bad(*sizes: Any) -> InputError:
    wrong = next((s for s in sizes if not 0.0 <= s <= LARGEST), max(sizes))
    return InputError(f"sizes of a step lie between 0 and {LARGEST:g}", got=str(wrong))
