"""An engine of known times, for what does not depend on a real one."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from lengthwise.measurement.engine import Event, Shape, Timer


class KnownEngine:
    """Prefill 1 ms + 0.01 ms a token, decode 1 ms + 0.001 ms a token of context."""

    labels: Mapping[str, str | int] = {"model": "known", "hardware": "none", "engine": "synthetic"}
    notes: Mapping[str, Any] = {}

    def __init__(self, fail_after: int | None = None, problem: BaseException | None = None) -> None:
        self.runs: list[Shape] = []
        self._fail_after, self._problem = fail_after, problem

    def run(self, shape: Shape) -> list[Event]:
        if self._fail_after is not None and len(self.runs) >= self._fail_after:
            assert self._problem is not None
            raise self._problem
        self.runs.append(shape)
        events = []
        for index in range(shape.decode_steps + 1):
            context = shape.isl + index
            wall = 1 + 0.01 * shape.isl if index == 0 else 1 + 0.001 * context
            events.append(Event.of(shape, index, Timer(wall, wall, time.time())))
        return events

    def close(self) -> None:
        pass
