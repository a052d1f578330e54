"""What an engine in this process has to offer: run one shape, give one timed event per step.

A shape is ``batch_size`` equal prompts, prefilled together and decoded for a few steps. An engine
times every step by wall clock and by CPU time of this process and says exactly what was in the
step. It warms nothing up, repeats nothing and marks nothing: that is the business of a sweep.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from lengthwise.errors import InputError

MS_PER_NS = 1e-6


@dataclass(frozen=True)
class Shape:
    """One point of a sweep.

    Attributes
    ----------
    isl
        Prompt tokens of each sequence.
    batch_size
        Sequences.
    decode_steps
        Decode steps after the prefill; 0 for the prefill alone.
    cached_tokens
        Tokens of each prompt that are in the KV cache before the clock starts.
    running, running_context
        Sequences that decode meanwhile and their prompt length: the prompt of ``isl`` tokens joins
        them in chunks and the steps are mixed. 0 for a pure shape.
    """

    isl: int
    batch_size: int = 1
    decode_steps: int = 8
    cached_tokens: int = 0
    running: int = 0
    running_context: int = 0

    @property
    def longest(self) -> int:
        """Greatest context a step of this shape sees, tokens."""
        return max(self.isl, self.running_context) + self.decode_steps

    @property
    def tokens(self) -> int:
        """Tokens in the KV cache at the end, over all sequences."""
        return (
            self.batch_size * (self.isl + self.decode_steps) + self.running * self.running_context
        )


@dataclass(frozen=True)
class Event:
    """One timed step; the fields are columns of the measurement table.

    ``isl``, ``query_len``, ``context_len`` are tokens per sequence; a mixed step has none of them
    but the three sums.
    ``output_index`` is 0 for the prefill (it gives the first token) and counts up. ``extra`` holds
    further columns, for example ``gpu_ms``.
    """

    phase: str
    latency_ms: float
    cpu_ms: float
    isl: float | None
    batch_size: int
    context_len: float | None
    query_len: float | None
    cached_tokens: float = 0.0
    output_index: int = 0
    timestamp: float = 0.0
    clock: str = "server"
    sum_query_len: float | None = None
    sum_context_len: float | None = None
    sum_query_x_context: float | None = None
    extra: Mapping[str, float | str] = field(default_factory=dict)

    @classmethod
    def of(cls, shape: Shape, index: int, timer: Timer, **extra: float | str) -> Event:
        """Describe step ``index`` of a shape: 0 is the prefill, the others decode.

        >>> timer = Timer()
        >>> timer.wall_ms = 3.0
        >>> event = Event.of(Shape(128), 2, timer)
        >>> event.phase, event.context_len, event.query_len, event.latency_ms
        ('decode', 130, 1, 3.0)
        """
        first = index == 0
        return cls(
            phase="prefill" if first else "decode", latency_ms=timer.wall_ms, cpu_ms=timer.cpu_ms,
            isl=shape.isl, batch_size=shape.batch_size, context_len=shape.isl + index,
            query_len=shape.isl - shape.cached_tokens if first else 1,
            cached_tokens=shape.cached_tokens if first else 0,
            output_index=index, timestamp=timer.started, extra=extra,
        )  # fmt: skip

    @classmethod
    def part(cls, shape: Shape, done: int, query: int, timer: Timer, **extra: float) -> Event:
        """Describe the prefill step that brings ``query`` more tokens of a prompt to ``done``.

        It is a prefill of ``done`` tokens of which ``done - query`` were cached; the length of the
        whole prompt is kept in ``request_isl``.

        >>> event = Event.part(Shape(700), 700, 188, Timer())
        >>> event.isl, event.query_len, event.cached_tokens, event.extra["request_isl"]
        (700, 188, 512, 700)
        """
        return cls(
            phase="prefill", latency_ms=timer.wall_ms, cpu_ms=timer.cpu_ms, isl=done,
            batch_size=shape.batch_size, context_len=done, query_len=query,
            cached_tokens=done - query, timestamp=timer.started,
            extra={"request_isl": shape.isl, **extra},
        )  # fmt: skip

    def to_row(self) -> dict[str, Any]:
        """Give the event as a row of the measurement table."""
        row = {k: v for k, v in vars(self).items() if k != "extra" and v is not None}
        return row | dict(self.extra)


@dataclass
class Timer:
    """Wall and CPU time of a block, milliseconds; ``started`` is in unix seconds."""

    wall_ms: float = 0.0
    cpu_ms: float = 0.0
    started: float = 0.0


@contextmanager
def timed() -> Iterator[Timer]:
    """Time a block by wall clock and by the CPU time of this process (all its threads)."""
    timer = Timer(started=time.time())
    cpu, wall = time.process_time_ns(), time.perf_counter_ns()
    try:
        yield timer
    finally:
        timer.wall_ms = (time.perf_counter_ns() - wall) * MS_PER_NS
        timer.cpu_ms = (time.process_time_ns() - cpu) * MS_PER_NS


def check_alone(chunk: int, shape: Shape) -> None:
    """Refuse several prompts at once where prompts are prefilled in chunks."""
    if chunk and shape.batch_size > 1:
        raise InputError("a prompt that is prefilled in chunks goes alone here",
                         got=f"chunk={chunk}, batch {shape.batch_size}",
                         remedy="measure batches without chunk")  # fmt: skip


@dataclass(frozen=True)
class EngineOptions:
    """How to set an engine up.

    Attributes
    ----------
    model
        A GGUF file, a ``config.json`` (random weights) or the name of a built-in random model.
    threads
        CPU threads of the engine.
    precision
        ``f32``, ``bf16``, ``f16``, ``int8``, ``q8_0``, ``q4_0``: what the engine can.
    device
        ``cpu`` or ``cuda``.
    max_tokens
        Greatest context any step will see, tokens.
    max_batch
        Greatest batch size.
    settings
        What only one engine knows, by name; an unknown name is refused.
    folder
        Where random models are written; a temporary folder when None.
    """

    model: str = "random-llama-19m"
    threads: int = 1
    precision: str | None = None
    device: str = "cpu"
    max_tokens: int = 4096
    max_batch: int = 1
    settings: Mapping[str, str] = field(default_factory=dict)
    folder: Path | None = None


class Engine(Protocol):
    """A loaded engine.

    Attributes
    ----------
    labels
        Deployment columns of every row: ``model``, ``hardware``, ``engine``, ``engine_version``,
        ``precision``, ``tp``.
    notes
        Settings and versions worth keeping in a manifest.
    """

    labels: Mapping[str, str | int]
    notes: Mapping[str, Any]

    def run(self, shape: Shape) -> list[Event]:
        """Run one shape with prompts of fresh random tokens and time each step."""

    def close(self) -> None:
        """Free what the engine holds; a server that was started is stopped."""
