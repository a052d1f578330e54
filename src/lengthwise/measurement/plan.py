"""What a sweep visits: shapes from ranges, in an order that spreads drift over all of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np

from lengthwise.errors import InputError
from lengthwise.measurement.engine import Shape

WARMUP_SHAPES = 2


@dataclass(frozen=True)
class Visit:
    """One run of one shape.

    Attributes
    ----------
    number
        Position in the plan; names the visit in a run directory.
    repeat
        Repetition; -1 while warming up.
    anchor
        A return to the anchor shape, to see drift.
    """

    number: int
    shape: Shape
    repeat: int
    anchor: bool = False


@dataclass(frozen=True)
class Plan:
    """Shapes, how often and in what order.

    Attributes
    ----------
    shapes
        Distinct shapes.
    repeats
        Repetitions after the warm-up.
    seed
        Of the order.
    anchor_shape
        The shape to come back to; the one in the middle by tokens when None.
    """

    shapes: tuple[Shape, ...]
    repeats: int
    seed: int = 0
    anchor_shape: Shape | None = None

    @property
    def anchor(self) -> Shape:
        """The shape that is visited again and again."""
        if self.anchor_shape is not None:
            return self.anchor_shape
        return sorted(self.shapes, key=lambda s: s.tokens)[(len(self.shapes) - 1) // 2]

    def visits(self) -> Iterator[Visit]:
        """Warm every shape up, then repeat: anchor, all shapes shuffled; at the end the anchor."""
        rng, number = np.random.default_rng(self.seed), 0
        for shape in [self.anchor] * WARMUP_SHAPES + sorted(self.shapes, key=lambda s: s.tokens):
            yield Visit(number, shape, -1)
            number += 1
        for repeat in range(self.repeats):
            order = [self.shapes[i] for i in rng.permutation(len(self.shapes))]
            for anchor, shape in [(True, self.anchor), *((False, s) for s in order)]:
                yield Visit(number, shape, repeat, anchor)
                number += 1
        yield Visit(number, self.anchor, self.repeats - 1, anchor=True)

    @property
    def count(self) -> int:
        """Visits in all.

        >>> plan_of([32, 64], [1, 2], repeats=3).count
        22
        """
        return WARMUP_SHAPES + len(self.shapes) + self.repeats * (len(self.shapes) + 1) + 1


def plan_of(
    isl: Sequence[int], batch_size: Sequence[int] = (1,), *, contexts: Sequence[int] = (),
    cached_tokens: Sequence[int] = (0,), decode_steps: int = 8, max_batch_tokens: int | None = None,
    mixed: Sequence[Shape] = (), repeats: int = 5, seed: int = 0,
) -> Plan:  # fmt: skip
    """Combine lengths, batches and prefixes into a plan.

    Parameters
    ----------
    isl
        Prompt lengths, tokens; each gives a prefill and decode steps right after it.
    batch_size
        Sequences.
    contexts
        Further lengths at which only decode steps are wanted (their prefills are rows too).
    cached_tokens
        Tokens in the cache beforehand; combined with the prompts longer than that.
    mixed
        Further shapes as they are.
    max_batch_tokens
        Shapes with more tokens than this (length times batch) are left out.

    Raises
    ------
    InputError
        If nothing is left, or a number is out of range.
    """
    for name, values in (("--isl", isl), ("--batch", batch_size), ("--context", contexts)):
        if any(v < 1 for v in values):
            raise InputError(f"{name} must be at least 1", got=str(min(values)),
                             remedy="leave the zero out")  # fmt: skip
    if repeats < 1 or decode_steps < 0:
        raise InputError("repeats must be at least 1 and decode steps at least 0",
                         got=f"{repeats} and {decode_steps}", remedy="write 5 and 8")  # fmt: skip
    if not any(cached_tokens):
        cached_tokens = (0,)
    shapes = [*mixed] + [
        Shape(n, b, decode_steps, k)
        for n, b, k in product(dict.fromkeys([*isl, *contexts]), batch_size, cached_tokens)
        if k < n and (max_batch_tokens is None or n * b <= max_batch_tokens)
    ]
    if not shapes:
        raise InputError(
            "a sweep must have a shape",
            got="none after leaving out what is too large",
            remedy="give --isl, or raise --max-batch-tokens",
        )
    return Plan(tuple(shapes), repeats, seed)
