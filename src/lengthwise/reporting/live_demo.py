"""The demo on this machine: measure short prompts, fit, predict long ones, then measure those.

The long lengths are measured after the predictions were made, and with the same engine. A small
model with random weights stands for a real one: latency does not depend on the values of weights.
The engine runs on one thread, so its CPU time is what a step takes when nobody else wants the CPU:
the demo compares CPU times, and says by how much the wall clock was slower. Clocks change too: the
longest fitted prompt is measured again among the long ones, and when it takes more or less than
before, the times of the second part are divided by that ratio, which is shown.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import pandas as pd

from lengthwise.calibration.groups import step_rows
from lengthwise.calibration.lawset import LawSet
from lengthwise.data.table import load, prepare
from lengthwise.measurement.engine import EngineOptions, Shape
from lengthwise.measurement.engines import open_engine
from lengthwise.measurement.plan import plan_of
from lengthwise.measurement.quality import CONTENDED, quality_of
from lengthwise.measurement.sweep import Progress, measured_table
from lengthwise.reporting.demo import FORMULATIONS, LEVEL, Demo, demo_of, laws_of
from lengthwise.reporting.figures.prepare import points_at
from lengthwise.units import format_ms, format_tokens

GRID = (32, 64, 128, 256, 384, 512, 640, 768, 896, 1024, 1280, 1536, 1792, 2048)
COARSE = (32, 64, 128, 256, 384, 512, 768, 1024)
"""For llama.cpp, whose batches of 512 tokens make prompts of 640 or 896 cost a full one more."""
REPEATS, TRUTH_REPEATS = 15, 3
SOURCE = "lengthwise demo"


@dataclass(frozen=True)
class Setting:
    """What the live demo measures with one engine: up to ``short``, then 2, 4 and 8 times that."""

    short: int
    options: dict[str, str] = field(default_factory=dict)
    grid: tuple[int, ...] = GRID

    @property
    def fitted(self) -> tuple[int, ...]:
        """Prompt lengths to learn from, tokens."""
        return tuple(n for n in self.grid if n <= self.short)

    @property
    def asked(self) -> tuple[int, ...]:
        """Prompt lengths to predict, tokens."""
        return (2 * self.short, 4 * self.short, 8 * self.short)


SETTINGS = {"openvino": Setting(2048), "llamacpp": Setting(1024, {"flash": "off"}, COARSE)}


def run_live(
    name: str, say: Callable[[str], None], show: Callable[[Progress], None]
) -> tuple[Demo, pd.DataFrame]:
    """Measure, fit, predict, measure.

    Parameters
    ----------
    name
        ``openvino`` or ``llamacpp``.
    say
        Takes a line about what goes on.
    show
        Takes the progress of a sweep.

    Returns
    -------
    What was found, and the table of everything measured.

    Raises
    ------
    InputError
        If the engine is not installed.
    KeyboardInterrupt, LengthwiseError, OSError
        If a sweep ended early.
    """
    setting = SETTINGS[name]
    say(f"loading a small model with random weights in {name}")
    options = EngineOptions(max_tokens=setting.asked[-1] + 16, settings=setting.options)
    engine = open_engine(name, options)
    try:
        engine.run(Shape(setting.asked[-1], 1, 1))  # memory as after long prompts; not looked at
        say(f"measuring prompts of {setting.fitted[0]} to {format_tokens(setting.short)} tokens")
        short = measured_table(engine, plan_of(setting.fitted, repeats=REPEATS), show, SOURCE)
        train = step_rows(load(_in_cpu_time(short)))
        laws = laws_of(train)
        for line in predictions(laws, train, setting):
            say(line)
        say("measuring those lengths now")
        anchor = Shape(setting.short)
        plan = plan_of([setting.short, *setting.asked], repeats=TRUTH_REPEATS)
        long = measured_table(engine, replace(plan, anchor_shape=anchor), show, SOURCE)
    finally:
        engine.close()
    slower = _anchor_ms(long, setting.short) / _anchor_ms(short, setting.short)
    say(
        f"the machine runs at {1 / slower:.2f} times the speed of the first part "
        f"({format_tokens(setting.short)} tokens again); times are brought to that speed"
    )
    long = long[long["isl"] > setting.short]
    test = step_rows(load(_in_cpu_time(long, slower)))
    busy = quality_of(pd.concat([short, long])).wall_over_cpu
    if busy > CONTENDED:
        say(f"others use this machine: wall time was {busy:.2f} times the CPU time compared here")
    labels = engine.labels
    demo = demo_of(
        train, test, laws, dataset=f"measured here with {name}",
        title=f"{labels['model']} in {labels['engine']} on this machine ({labels['hardware']})",
        part=f"prompts of {setting.fitted[0]} to {format_tokens(setting.short)} tokens",
    )  # fmt: skip
    both = pd.concat([_in_cpu_time(short), _in_cpu_time(long, slower)], ignore_index=True)
    return demo, prepare(both)


def _in_cpu_time(table: pd.DataFrame, slower: float = 1.0) -> pd.DataFrame:
    """Put CPU time, at the speed of the first part, in the place of wall time."""
    known = table["cpu_ms"] > 0
    times = table["cpu_ms"].where(known, table["latency_ms"]) / slower
    return table.assign(wall_ms=table["latency_ms"], latency_ms=times, slower=slower)


def _anchor_ms(table: pd.DataFrame, isl: int) -> float:
    rows = table[(table["phase"] == "prefill") & (table["isl"] == isl) & ~table["warmup"]]
    return float(_in_cpu_time(rows)["latency_ms"].median())


def predictions(laws: dict[str, LawSet], train: pd.DataFrame, setting: Setting) -> list[str]:
    """Say what the law and the linear law expect of the long prompts, before they are measured."""
    own, linear = laws[FORMULATIONS[0]], laws["linear"]
    labels = train.iloc[0]
    names = [n for n in ("model", "hardware", "engine", "engine_version", "precision", "tp")
             if n in train]  # fmt: skip
    at = points_at("prefill", {n: labels[n] for n in names}, pd.array(setting.asked).to_numpy(), 1)
    bounds = own.predict_interval(at, LEVEL)
    lines = []
    for n, ms, (lo, hi), other in zip(
        setting.asked, own.predict(at), bounds, linear.predict(at), strict=True
    ):
        lines.append(
            f"  predicted TTFT at {format_tokens(n)} tokens: {format_ms(ms)} "
            f"({format_ms(lo)} to {format_ms(hi)}); a linear law says {format_ms(other)}"
        )
    return lines
