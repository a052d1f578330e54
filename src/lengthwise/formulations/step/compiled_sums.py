"""Sums over the sequences of a step, which is all that a compiled step needs to know of them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple


class StepSums(NamedTuple):
    """Sums over the sequences of one step, in the order ``CompiledStep.step`` takes them.

    Examples
    --------
    >>> StepSums.of(contexts=[100, 300], chunks=[(512, 0), (64, 2048)])
    StepSums(decodes=2.0, kv_tokens=400.0, prompt_tokens=576.0, chunks=2.0,
             square_tokens=266240.0, prefix_pairs=131072.0, prefix_tokens=2048.0)
    """

    decodes: float = 0.0
    kv_tokens: float = 0.0
    prompt_tokens: float = 0.0
    chunks: float = 0.0
    square_tokens: float = 0.0
    prefix_pairs: float = 0.0
    prefix_tokens: float = 0.0

    @classmethod
    def of(
        cls, contexts: Iterable[float] = (), chunks: Iterable[tuple[float, float]] = ()
    ) -> StepSums:
        """Add up the contexts of decodes, and the new and cached tokens of chunks."""
        seen, pieces = list(contexts), list(chunks)
        return cls(
            float(len(seen)), float(sum(seen)), float(sum(q for q, _ in pieces)),
            float(len(pieces)), float(sum(q * q for q, _ in pieces)),
            float(sum(q * p for q, p in pieces)), float(sum(p for _, p in pieces)),
        )  # fmt: skip
