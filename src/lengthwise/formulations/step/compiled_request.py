"""A request under load from compiled steps: the steady state of ``serving``, one at a time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from math import ceil, inf
from typing import Any, cast

import numpy as np

from lengthwise.domain.memory import memory_use
from lengthwise.errors import InputError
from lengthwise.formulations.step.serving import (
    Interference,
    Load,
    first_token_seconds,
    per_token_seconds,
    running_of,
)
from lengthwise.formulations.step.step_model import StepModel
from lengthwise.units import FloatArray

STEP_TOKENS = 8192
"""Most prompt tokens of a step, where nothing else is said."""
KEPT = 4096
"""Lengths whose capacity is remembered."""


@dataclass(frozen=True)
class Room:
    """Requests of a length that fit in memory, each length worked out once.

    Examples
    --------
    >>> from lengthwise.data.hardware_catalog import find_hardware
    >>> from lengthwise.domain.model import find_model
    >>> Room(StepModel.of(find_model("llama3.1-8b"), find_hardware("h100_sxm"))).of(8192)
    55.61...
    """

    model: StepModel
    _known: dict[float, float] = field(default_factory=dict, repr=False)

    def of(self, length: float) -> float:
        """Give the number; infinite where the weights alone do not fit."""
        if length not in self._known:
            if len(self._known) >= KEPT:
                self._known.clear()
            step = self.model
            use = memory_use(step.model, step.hardware, step.parallelism,
                             tokens_per_sequence=length, kv_bits=step.formats.kv_bits,
                             precision=step.precision)  # fmt: skip
            self._known[length] = use.room
        return self._known[length]


@dataclass(frozen=True)
class Request:
    """Sizes of one request, and how many like it are in flight.

    Attributes
    ----------
    isl, osl
        Prompt tokens, output tokens.
    concurrency
        Requests in flight.
    cached_tokens
        Prompt tokens cached before.
    """

    isl: float
    osl: float
    concurrency: float
    cached_tokens: float

    def __post_init__(self) -> None:
        if not (1.0 <= self.isl < inf and 1.0 <= self.osl < inf and 1.0 <= self.concurrency < inf):
            raise InputError("isl, osl and concurrency are finite and at least 1",
                             got=f"{self.isl}, {self.osl}, {self.concurrency}")  # fmt: skip
        if not 0.0 <= self.cached_tokens < self.isl:
            raise InputError("cached_tokens lie between 0 and isl - 1",
                             got=f"{self.cached_tokens} of {self.isl}")  # fmt: skip


def request_seconds(
    step: Callable[..., float], request: Request, capacity: float, between: Interference,
    step_tokens: int = STEP_TOKENS, copies: int = 1,
) -> tuple[float, float]:  # fmt: skip
    """Give TTFT and TPOT, seconds, on so many data-parallel copies.

    >>> request_seconds(lambda *sizes, **sums: 0.01, Request(512, 100, 1, 0), 8.0,
    ...                 Interference(wait=1.0, overhead_s=0.0))
    (0.02, 0.01)
    """
    in_flight = _number(request.concurrency)
    running = _number(running_of(in_flight, _number(capacity * between.room)))
    load = Load.of(in_flight, _number(capacity * between.room), _number(request.osl), copies)
    batch = float(running)
    decode = _number(step(batch, batch * (request.isl + request.osl / 2.0)))
    prompt = _number(_prompt(step, request, step_tokens))
    per_token = _number(per_token_seconds(load, decode, prompt, between.between))
    first = first_token_seconds(load, decode, prompt, per_token, between.together, between.wait,
                                between.overhead_s)  # fmt: skip
    return float(first), float(per_token)


def _number(value: Any) -> FloatArray:
    """Give a single number to formulas over arrays; quicker than an array of one."""
    return cast(FloatArray, np.float64(value))


def _prompt(step: Callable[..., float], request: Request, step_tokens: int) -> float:
    """Seconds of the steps of one prompt, all of them like the middle one."""
    fresh = request.isl - request.cached_tokens
    count = ceil(fresh / step_tokens)
    size = fresh / count
    prefix = request.cached_tokens + (fresh - size) / 2.0
    return count * step(prompt_tokens=size, prefix_pairs=size * prefix)
