"""The protocol of a sweep: what makes times comparable, and what survives an interruption.

Every shape is warmed up once; then whole repetitions follow, shapes in random order, so that slow
drift of the machine spreads over all of them. Between repetitions the anchor shape comes back.
Marked as warm-up are the first visits and, of every visit, the first two decode steps and the last:
they set shapes and caches up and take sequences down. Rows are written as soon as they exist.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from lengthwise.data.table import prepare
from lengthwise.errors import LengthwiseError
from lengthwise.measurement.engine import Engine, Event, Shape
from lengthwise.measurement.machine import load_average
from lengthwise.measurement.plan import Plan, Visit
from lengthwise.measurement.run_directory import RunDirectory
from lengthwise.measurement.telemetry import Telemetry, joined

EDGE_FIRST, EDGE_LAST = 2, 1
MIN_STEADY = 3
"""A visit with fewer steady decode steps than this keeps them all."""


@dataclass(frozen=True)
class Progress:
    """One finished visit, for whoever shows progress.

    Attributes
    ----------
    done, count
        Visits finished and planned.
    visit
        The visit.
    prefill_ms, decode_ms
        Time of its prefill and the median of its steady decode steps; NaN without any.
    elapsed_s, left_s
        Seconds measured so far, and an estimate of those to come.
    """

    done: int
    count: int
    visit: Visit
    prefill_ms: float
    decode_ms: float
    elapsed_s: float
    left_s: float


@dataclass
class SweepResult:
    """What a sweep measured.

    Attributes
    ----------
    rows
        Rows of the measurement table, in the order measured.
    status
        ``complete``, ``budget`` (time was up), ``interrupted`` or ``failed``.
    problem
        What ended a failed sweep.
    """

    rows: list[dict[str, Any]] = field(default_factory=list)
    status: str = "complete"
    problem: LengthwiseError | OSError | None = None


def run_sweep(
    engine: Engine, plan: Plan, *, into: RunDirectory | None = None, budget_s: float | None = None,
    show: Callable[[Progress], None] = lambda progress: None, source: str = "lengthwise measure",
) -> SweepResult:  # fmt: skip
    """Visit every shape of a plan; go on where ``into`` left off.

    Parameters
    ----------
    engine
        A loaded engine.
    plan
        Shapes and order.
    into
        A started run directory; its complete visits are not run again.
    budget_s
        No visit that would end later than this is begun, seconds; every shape is visited once
        whatever it says.
    show
        Called after each visit.

    Returns
    -------
    All rows, those of earlier parts of a resumed run too. Ctrl-C, a failing engine and a full disk
    end the sweep with what there is; the status says so.
    """
    result = SweepResult(into.rows() if into else [])
    done = {row["visit"] for row in result.rows}
    clock = _Clock(plan, budget_s)
    fixed = {**engine.labels, "source": source}
    try:
        with Telemetry() as telemetry:
            for visit in plan.visits():
                if visit.number in done:
                    continue
                if clock.is_up(visit):
                    result.status = "budget"
                    break
                events = clock.timed(visit, engine.run)
                rows = joined(list(_rows(visit, events, fixed)), telemetry)
                result.rows += rows
                if into:
                    into.append(rows)
                show(clock.progress(visit, rows))
    except KeyboardInterrupt:
        result.status = "interrupted"
    except (LengthwiseError, OSError) as error:
        result.status, result.problem = "failed", error
    return result


def _rows(
    visit: Visit, events: list[Event], fixed: Mapping[str, Any]
) -> Iterator[dict[str, Any]]:  # fmt: skip
    load1, last = load_average(), max((event.output_index for event in events), default=0)
    steady = last - EDGE_FIRST - EDGE_LAST >= MIN_STEADY
    for event in events:
        index = event.output_index
        edge = steady and (1 <= index <= EDGE_FIRST or index > last - EDGE_LAST)
        yield event.to_row() | {
            "repeat": visit.repeat, "warmup": visit.repeat < 0 or edge, "load1": load1,
            "anchor": visit.anchor, "visit": visit.number, "visit_rows": len(events), **fixed,
        }  # fmt: skip


def measured_table(
    engine: Engine, plan: Plan, show: Callable[[Progress], None], source: str
) -> pd.DataFrame:  # fmt: skip
    """Run a whole sweep and give its measurement table; what ends it early is raised.

    Raises
    ------
    KeyboardInterrupt
        After Ctrl-C.
    LengthwiseError, OSError
        What the engine or the disk raised.
    """
    result = run_sweep(engine, plan, show=show, source=source)
    if result.status == "interrupted":
        raise KeyboardInterrupt
    if result.problem is not None:
        raise result.problem
    return prepare(pd.DataFrame(result.rows).drop(columns=["visit_rows"]))


class _Clock:
    """Time spent and, from the visits of each shape so far, time to come."""

    def __init__(self, plan: Plan, budget_s: float | None) -> None:
        self._plan, self._budget_s = plan, budget_s
        self._spent: dict[Any, float] = {}
        self._done, self._start = 0, time.perf_counter()

    @property
    def elapsed_s(self) -> float:
        return time.perf_counter() - self._start

    def timed(self, visit: Visit, run: Callable[[Shape], list[Event]]) -> list[Event]:
        start = time.perf_counter()
        events = run(visit.shape)
        self._spent[visit.shape] = time.perf_counter() - start
        self._done += 1
        return events

    def is_up(self, visit: Visit) -> bool:
        if self._budget_s is None or visit.repeat < 1:
            return False
        return self.elapsed_s + self._spent.get(visit.shape, 0.0) > self._budget_s

    def progress(self, visit: Visit, rows: list[dict[str, Any]]) -> Progress:
        decode = sorted(r["latency_ms"] for r in rows if r["phase"] == "decode" and not r["warmup"])
        decode = decode or sorted(r["latency_ms"] for r in rows if r["phase"] == "decode")
        left = sum(
            self._spent.get(v.shape, 0.0) for v in self._plan.visits() if v.number > visit.number
        )
        if self._budget_s is not None:
            left = min(left, max(self._budget_s - self.elapsed_s, 0.0))
        return Progress(
            visit.number + 1, self._plan.count, visit,
            sum(row["latency_ms"] for row in rows if row["phase"] != "decode"),
            decode[len(decode) // 2] if decode else float("nan"), self.elapsed_s, left,
        )  # fmt: skip
