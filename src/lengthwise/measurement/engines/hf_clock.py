"""Two ways to time a loop over steps: each step alone, or the gaps between tokens.

On a GPU a step is timed by CUDA events, as the host only queues the work. The gaps are those of a
loop that reads one clock per token, as many studies do: a gap holds everything since the last
token was at hand, the fetching of the token to the host included.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lengthwise.measurement.engine import MS_PER_NS, Timer, timed

if TYPE_CHECKING:
    import torch

Step = Callable[[], "torch.Tensor"]


@dataclass(frozen=True)
class Lap:
    """Time of one step; ``gpu_ms`` where CUDA events gave it."""

    timer: Timer
    gpu_ms: float | None = None


def time_steps(step: Step, steps: int, device: str) -> list[Lap]:
    """Time every step alone; between steps nothing runs.

    >>> len(time_steps(lambda: None, 3, "cpu"))
    3
    """
    lap = _lap_on_gpu if device == "cuda" else _lap
    return [lap(step) for _ in range(steps)]


def _lap(step: Step) -> Lap:
    with timed() as timer:
        step()
    return Lap(timer)


def _lap_on_gpu(step: Step) -> Lap:
    import torch

    start: Any = torch.cuda.Event(enable_timing=True)
    end: Any = torch.cuda.Event(enable_timing=True)
    torch.cuda.synchronize()
    with timed() as timer:
        start.record()
        step()
        end.record()
        end.synchronize()
    return Lap(timer, gpu_ms=float(start.elapsed_time(end)))


def time_gaps(step: Step, steps: int) -> list[Lap]:
    """Time from token to token, each fetched to the host before the clock is read."""
    laps: list[Lap] = []
    previous = _now()
    for _ in range(steps):
        step().tolist()
        now = _now()
        laps.append(Lap(_between(previous, now)))
        previous = now
    return laps


def _now() -> tuple[int, int, float]:
    return time.perf_counter_ns(), time.process_time_ns(), time.time()


def _between(start: tuple[int, int, float], end: tuple[int, int, float]) -> Timer:
    """Give the time between two readings.

    >>> _between((0, 0, 5.0), (3_000_000, 1_000_000, 5.003)).wall_ms
    3.0
    """
    wall_ms, cpu_ms = ((end[i] - start[i]) * MS_PER_NS for i in (0, 1))
    return Timer(wall_ms=wall_ms, cpu_ms=cpu_ms, started=start[2])
