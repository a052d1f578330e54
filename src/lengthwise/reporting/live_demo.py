"""The demo on this machine: measure short prompts, fit, predict long ones, then measure those.

The long lengths are measured after the predictions were made, and with the same engine. A small
model with random weights stands for a real one: latency does not depend on the values of weights.

The engine prefills prompts in chunks, as serving engines do, and every step is timed. The law
learns from the steps; the time to first token of a long prompt is the sum of its steps. The linear
law and the trees learn from the times to first token of whole prompts, as they are used.

The engine runs on one thread, so its CPU time is what a step takes when nobody else wants the CPU:
the demo compares CPU times, and says by how much the wall clock was slower. Machines change speed
too: the longest fitted prompt is measured again between the long ones. Long prompts show about half
of its change (in logarithm, over 20 recorded runs), so the square root of the ratio is taken out of
the times of the second part, and the ratio is told.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd

from lengthwise.calibration.groups import step_rows
from lengthwise.calibration.lawset import LawSet
from lengthwise.data.schema import DEPLOYMENT
from lengthwise.data.table import load, prepare
from lengthwise.measurement.engine import EngineOptions, Shape
from lengthwise.measurement.engines import open_engine
from lengthwise.measurement.plan import Plan, plan_of
from lengthwise.measurement.quality import CONTENDED, quality_of
from lengthwise.measurement.sweep import Progress, measured_table
from lengthwise.prediction.chunked import InChunks
from lengthwise.reporting.demo import FORMULATIONS, LEVEL, Demo, demo_of, laws_of
from lengthwise.reporting.figures.prepare import Laws, points_at
from lengthwise.units import format_ms, format_tokens

REPEATS, TRUTH_REPEATS = 25, 3
DECODES = 32
"""Decode steps after each prompt; a step takes about a millisecond, so one alone says little."""
ANCHORS = 3
"""Visits of the anchor in each repetition of the second part, spread between the long prompts."""
SHOWN = 0.5
"""Share of the anchor's change, in logarithm, that long prompts show."""
SOURCE = "lengthwise demo"


@dataclass(frozen=True)
class Setting:
    """What the live demo measures with one engine.

    Attributes
    ----------
    chunk
        Most prompt tokens of a step.
    fitted
        Prompt lengths to learn from, tokens.
    options
        Settings of the engine.
    """

    chunk: int
    fitted: tuple[int, ...]
    options: dict[str, str] = field(default_factory=dict)

    @property
    def short(self) -> int:
        """Longest prompt to learn from, tokens."""
        return self.fitted[-1]

    @property
    def asked(self) -> tuple[int, ...]:
        """Prompt lengths to predict, tokens: 2, 4 and 8 times the longest fitted one."""
        return (2 * self.short, 4 * self.short, 8 * self.short)

    @property
    def part(self) -> str:
        """The fitted part in words."""
        return (
            f"prompts of {self.fitted[0]} to {format_tokens(self.short)} tokens, prefilled in "
            f"steps of {self.chunk}"
        )

    @property
    def engine_options(self) -> EngineOptions:
        """Settings of the engine, long enough for everything asked."""
        chunk = {"chunk": str(self.chunk)}
        return EngineOptions(max_tokens=self.asked[-1] + 2 * DECODES, settings=self.options | chunk)

    @property
    def second_plan(self) -> Plan:
        """The long prompts, and the longest fitted one again between them."""
        plan = plan_of(self.asked, repeats=TRUTH_REPEATS, decode_steps=DECODES)
        anchor = Shape(self.short, decode_steps=DECODES)
        return replace(plan, shapes=(anchor,) * ANCHORS + plan.shapes, anchor_shape=anchor)


SETTINGS = {
    "openvino": Setting(256, (32, 64, 128, 256, 512, 1024, 1536, 2048)),
    "llamacpp": Setting(256, (32, 64, 128, 256, 512, 768, 1024), {"flash": "off"}),
}


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
    engine = open_engine(name, setting.engine_options)
    try:
        engine.run(Shape(setting.asked[-1], 1, 1))  # memory as after long prompts; not looked at
        say(f"measuring {setting.part}")
        plan = plan_of(setting.fitted, repeats=REPEATS, decode_steps=DECODES)
        short = measured_table(engine, plan, show, SOURCE)
        train = prompts_of(_in_cpu_time(short))
        laws = _laws(step_rows(load(_in_cpu_time(short))), train, setting.chunk)
        for line in predictions(laws, train, setting):
            say(line)
        say("measuring those lengths now")
        long = measured_table(engine, setting.second_plan, show, SOURCE)
    finally:
        engine.close()
    slower = _prompt_ms(long, setting.short) / _prompt_ms(short, setting.short)
    speed = slower**SHOWN
    remarks = [
        f"{format_tokens(setting.short)} tokens took {slower:.2f} times as long at the end as when "
        f"the law was fitted; the times measured after that are divided by {speed:.2f}"
    ]
    busy = quality_of(pd.concat([short, long])).wall_over_cpu
    if busy > CONTENDED:
        remarks.append(
            f"others use this machine: wall time was {busy:.2f} times the CPU time compared here"
        )
    for remark in remarks:
        say(remark)
    labels, both = engine.labels, [_in_cpu_time(short), _in_cpu_time(long, speed)]
    test = prompts_of(both[1])
    demo = demo_of(
        train, test[test["isl"] > setting.short], laws, dataset=name,
        title=f"{labels['model']} in {labels['engine']} on this machine ({labels['hardware']})",
        part=setting.part, live=True, remarks=tuple(remarks),
    )  # fmt: skip
    return demo, prepare(pd.concat(both, ignore_index=True))


def prompts_of(table: pd.DataFrame) -> pd.DataFrame:
    """Make one prefill row of the steps of each prompt, its time to first token; keep decode steps.

    Parameters
    ----------
    table
        Rows of a sweep with chunks: ``visit`` names the prompt, ``request_isl`` its length.

    Examples
    --------
    >>> rows = {"phase": "prefill", "isl": [256, 400], "request_isl": 400, "visit": 7,
    ...         "query_len": [256, 144], "cached_tokens": [0, 256], "latency_ms": [8.0, 5.0],
    ...         "warmup": False}
    >>> prompts_of(pd.DataFrame(rows))[["isl", "latency_ms"]].values.tolist()
    [[400.0, 13.0]]
    """
    steps = table["phase"] == "prefill"
    visits = table[steps].groupby("visit", sort=False)
    prompts = visits.first().assign(latency_ms=visits["latency_ms"].sum())
    prompts = prompts.assign(isl=prompts["request_isl"].astype(float))
    prompts = prompts.drop(columns=["query_len", "context_len", "cached_tokens"], errors="ignore")
    return step_rows(load(pd.concat([prompts.reset_index(), table[~steps]], ignore_index=True)))


def predictions(laws: Mapping[str, Laws], train: pd.DataFrame, setting: Setting) -> list[str]:
    """Say what the law and the linear law expect of the long prompts, before they are measured."""
    own, linear = laws[FORMULATIONS[0]], laws["linear"]
    labels = {name: train[name].iloc[0] for name in DEPLOYMENT if name in train}
    at = points_at("prefill", labels, np.array(setting.asked, dtype=float), 1)
    bounds = own.predict_interval(at, LEVEL)
    return [
        f"  predicted TTFT at {format_tokens(n)} tokens: {format_ms(ms)} "
        f"({format_ms(lo)} to {format_ms(hi)}); a linear law says {format_ms(other)}"
        for n, ms, (lo, hi), other in zip(
            setting.asked, own.predict(at), bounds, linear.predict(at), strict=True
        )
    ]


def _laws(steps: pd.DataFrame, prompts: pd.DataFrame, chunk: int) -> dict[str, InChunks | LawSet]:
    """Fit our law on steps, the others on whole prompts."""
    own = laws_of(steps, FORMULATIONS[:1])[FORMULATIONS[0]]
    return {FORMULATIONS[0]: InChunks(own, chunk), **laws_of(prompts, FORMULATIONS[1:])}


def _in_cpu_time(table: pd.DataFrame, speed: float = 1.0) -> pd.DataFrame:
    """Put CPU time over ``speed`` in the place of wall time, which is kept."""
    times = table["cpu_ms"].where(table["cpu_ms"] > 0, table["latency_ms"]) / speed
    return table.assign(wall_ms=table["latency_ms"], latency_ms=times, divided_by=speed)


def _prompt_ms(table: pd.DataFrame, isl: int) -> float:
    """Median CPU time of the prefill of a prompt."""
    rows = table[(table["phase"] == "prefill") & (table["request_isl"] == isl) & ~table["warmup"]]
    return float(_in_cpu_time(rows).groupby("visit")["latency_ms"].sum().median())
