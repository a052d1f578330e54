"""What n engine steps hold: a chunk of prompts, running decodes, or both."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from lengthwise.errors import InputError
from lengthwise.units import FloatArray


@dataclass(frozen=True)
class StepBatch:
    """Composition of n steps; every field has shape (n,).

    Attributes
    ----------
    chunks
        Sequences that bring new prompt tokens.
    query_len
        New prompt tokens of each of them.
    chunk_context
        Tokens visible to the last of these, cached prefix included.
    decodes
        Sequences that generate one token.
    context_len
        Tokens visible to each of them, the new one included (their mean).

    Examples
    --------
    >>> batch = StepBatch.of(chunks=1, query_len=512, decodes=8, context_len=[1000, 2000])
    >>> batch.tokens.tolist(), batch.sequences.tolist()
    ([520.0, 520.0], [9.0, 9.0])
    """

    chunks: FloatArray
    query_len: FloatArray
    chunk_context: FloatArray
    decodes: FloatArray
    context_len: FloatArray

    @classmethod
    def of(
        cls, *, chunks: Any = 0.0, query_len: Any = 0.0, chunk_context: Any = None,
        decodes: Any = 0.0, context_len: Any = 1.0,
    ) -> StepBatch:  # fmt: skip
        """Broadcast numbers and arrays; a chunk without a context has no cached prefix."""
        seen = query_len if chunk_context is None else chunk_context
        arrays = np.broadcast_arrays(
            *(np.atleast_1d(np.asarray(v, float)) for v in (chunks, query_len, seen, decodes,
                                                           context_len))
        )  # fmt: skip
        for array in arrays:
            if not np.all(np.isfinite(array) & (array >= 0)):
                bad = array[~(np.isfinite(array) & (array >= 0))][0]
                raise InputError("sizes of a step are finite and at least 0", got=str(bad))
        return cls(*arrays)

    def __len__(self) -> int:
        return len(self.chunks)

    @property
    def prompt_tokens(self) -> FloatArray:
        """New prompt tokens of the step."""
        return self.chunks * self.query_len

    @property
    def tokens(self) -> FloatArray:
        """Rows of the matrix products."""
        return self.prompt_tokens + self.decodes

    @property
    def sequences(self) -> FloatArray:
        """Sequences in the step, each of which may end in a sampled token."""
        return self.chunks + self.decodes

    @property
    def prefix_tokens(self) -> FloatArray:
        """Prompt tokens cached before the chunk, per sequence."""
        return np.maximum(self.chunk_context - self.query_len, 0.0)

    def take(self, index: Any) -> StepBatch:
        """Select steps by an index, mask or slice."""
        return StepBatch(self.chunks[index], self.query_len[index], self.chunk_context[index],
                         self.decodes[index], self.context_len[index])  # fmt: skip
