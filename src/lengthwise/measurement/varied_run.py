"""Run a variation: open, measure and close one load after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

import pandas as pd

from lengthwise.measurement.engine import Engine, Event, Shape
from lengthwise.measurement.engines import open_engine
from lengthwise.measurement.sweep import Progress, measured_table
from lengthwise.measurement.variation import Load, Pairs, SetShape, Variation

VERSION = "version_of_run"


@dataclass(frozen=True)
class Part:
    """Events of one load, with what the engine said of itself."""

    load: Load
    table: pd.DataFrame
    labels: Mapping[str, Any]
    notes: Mapping[str, Any]


class Adjustable(Engine, Protocol):
    """An engine some of whose settings belong to a request."""

    def adjust(self, settings: Mapping[str, str]) -> None:
        """Change settings of a request."""


def measured_variation(
    variation: Variation, show: Callable[[Progress], None], source: str
) -> Iterator[Part]:  # fmt: skip
    """Open, measure and close one load after the other; yield the events of each.

    Every varied setting is a column, and ``request`` numbers the runs over all loads.

    Raises
    ------
    KeyboardInterrupt, LengthwiseError, OSError
        What ended a sweep early; loads that were measured before have been yielded.
    """
    requests = 0
    for load in variation.loads:
        engine: Any = open_engine(variation.engine, load.options)
        labels, notes = dict(engine.labels), dict(engine.notes)
        try:
            table = measured_table(_Adjusting(engine, load, variation), load.plan, show, source)
        finally:
            engine.close()
        table = table.assign(request=table.pop("visit") + requests,
                             engine_version=table.pop(VERSION))  # fmt: skip
        requests += load.plan.count
        yield Part(load, table, labels, notes)


class _Adjusting:
    """An engine that is set to the settings of each shape and says so in its events."""

    def __init__(self, engine: Adjustable, load: Load, variation: Variation) -> None:
        self.labels, self.notes = engine.labels, engine.notes
        self._engine, self._load, self._variation = engine, load, variation
        self._now: Pairs = ()

    def run(self, shape: Shape) -> list[Event]:
        settings = shape.settings if isinstance(shape, SetShape) else ()
        if settings != self._now:
            self._engine.adjust(dict(settings))
            self._now = settings
        said: dict[str, float | str] = {VERSION: str(self._engine.labels["engine_version"])}
        for name, text in (*self._load.values, *settings):
            said[name] = self._variation.value(name, text)
        return [replace(e, extra={**e.extra, **said}) for e in self._engine.run(shape)]

    def close(self) -> None:
        self._engine.close()
