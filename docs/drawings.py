"""Figures of the explanation, drawn with the formulas of the package."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from lengthwise.calibration.average import Knowledge, average
from lengthwise.calibration.groups import groups_of, step_rows
from lengthwise.calibration.lawset import LawSet
from lengthwise.calibration.learned import learned
from lengthwise.data.datasets import table
from lengthwise.data.splits import length_split
from lengthwise.data.table import load
from lengthwise.domain.work import Work
from lengthwise.formulations.hachiya_patias import nonlinear
from lengthwise.formulations.hachiya_patias.blend import Blend
from lengthwise.formulations.hachiya_patias.scaling import Floor, Hill, Off, Tilt
from lengthwise.reporting.demo import FORMULATIONS
from lengthwise.reporting.figures.chart import Axis, Chart, Line, Points
from lengthwise.reporting.figures.prepare import curve_chart
from lengthwise.reporting.figures.svg import draw

N = np.geomspace(16, 65536, 80)
MEASURED = (256.0, 8192.0)
TOKENS = Axis("prompt length (tokens)", "tokens")


def draw_all(folder: Path) -> None:
    """Write every figure as SVG."""
    made = {"e1": e1(), "e2": e2(), "e3": e3(), "regimes": regimes(), "extrapolation": beyond()}
    for name, chart in made.items():
        (folder / f"{name}.svg").write_text(
            draw(chart, standalone=True).replace("background:var(--page);", "") + "\n"
        )


def e1() -> Chart:
    """Cost of attention per token against length, bent where contexts were measured."""
    work, reference = Work.of("prefill", query_len=N, context_len=N), 1024.0
    at = int(np.argmin(np.abs(N - reference)))
    lines = []
    for role, (name, kind, power) in enumerate(
        [("quadratic", "quadratic", 2.0), ("power 1.5", "power", 1.5), ("n log n", "nlogn", 2.0)]
    ):
        y = nonlinear.basis(kind, work, MEASURED, reference, power) / N
        lines.append(Line(name, N, y / y[at], role))
    return Chart("E1: attention per token", TOKENS, Axis("E1 / T over its value at 1k", "ratio"),
                 tuple(lines), domain=MEASURED)  # fmt: skip


def e2() -> Chart:
    """Effective tokens against tokens."""
    forms = [
        ("floor 300, k = 2", Floor(k=2), [math.log(300.0)]),
        ("blend, half floor", Blend((0.5,), (2,), (300.0,)), [0.0]),
        ("hill, r = 3", Hill(16, 65536), [math.log(3.0), math.log(1000.0)]),
        ("tilt, 0.2", Tilt(16, 65536), [0.2]),
        ("off", Off(), []),
    ]
    lines = [Line(name, N, form.values(N, np.array(psi)), role)
             for role, (name, form, psi) in enumerate(forms)]  # fmt: skip
    return Chart("E2: effective tokens", TOKENS, Axis("T s(T), tokens", "tokens"), tuple(lines))


def e3() -> Chart:
    """Draw the correction of an averaged law, what its terms leave over, and the data."""
    n = 2.0 ** np.arange(7, 13)
    work, wide = (Work.of("prefill", query_len=at, context_len=at) for at in (n, N))
    y_s = 1e-4 * n * np.exp(0.12 * np.sin(np.log(n)))
    law = average(work, y_s, Knowledge(learned()["prompt"])).law
    factor = law.correction_.apply(wide, np.ones(len(N)))
    rest = y_s / law.predict_work(work) * law.correction_.apply(work, np.ones(len(n)))
    return Chart("E3: correction", TOKENS, Axis("time / terms alone", "ratio"),
                 (Line("exp(delta)", N, factor),), points=(Points("", n, rest),),
                 domain=(float(n[0]), float(n[-1])), level_line=1.0)  # fmt: skip


def regimes() -> Chart:
    """Draw the parts of one law."""
    floor, linear, pairs = np.full(len(N), 8.0), 0.05 * N, 4e-6 * N * (N + 1) / 2
    total = 0.05 * Floor(k=2).values(N, np.array([math.log(160.0)])) + pairs
    lines = (Line("law", N, total, 0), Line("floor", N, floor, 6), Line("tokens", N, linear, 1),
             Line("attention", N, pairs, 2))  # fmt: skip
    return Chart("Three regimes", TOKENS, Axis("time of one prefill step", "ms", 1.0), lines)


def beyond() -> Chart:
    """Draw a law, two others and what was measured."""
    steps = step_rows(load(table("own-openvino-cpu")))
    steps = steps[(steps["model"] == "random-llama-56m") & (steps["phase"] == "prefill")]
    splits = length_split(steps.reset_index(drop=True), 4.0)
    train = steps.iloc[splits[0].train]
    laws = {name: LawSet(name, intervals=i == 0).fit(train) for i, name in enumerate(FORMULATIONS)}
    group = next(groups_of(steps))
    return curve_chart(group, laws, cut=float(train["isl"].max()))
