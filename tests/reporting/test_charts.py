"""Charts hold the right numbers, whatever draws them."""

import os
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest

from lengthwise.calibration.groups import groups_of
from lengthwise.calibration.lawset import LawSet
from lengthwise.data.table import prepare
from lengthwise.errors import InputError
from lengthwise.evaluation.ablation import ablation
from lengthwise.evaluation.protocol import evaluate
from lengthwise.reporting.figures import plots, svg
from lengthwise.reporting.figures.chart import HELD_OUT, MEASURED, Bars, Chart
from lengthwise.reporting.figures.prepare import batch_chart, curve_chart
from lengthwise.reporting.figures.scores import (
    ablation_bars,
    distance_chart,
    ranking_bars,
    residual_chart,
)

LENGTHS = 2.0 ** np.arange(6, 14)
NAMES = ("hachiya-patias", "linear")


def made_up(name: str = "m<script>") -> pd.DataFrame:
    rng = np.random.default_rng(0)
    n, b = (m.ravel() for m in np.meshgrid(LENGTHS, [1.0, 4.0]))
    time_ms = 8 + 0.05 * n * b + 6e-6 * n**2 * b
    rows = {"phase": "prefill", "isl": n, "batch_size": b, "model": name}
    return prepare(pd.DataFrame(rows | {"latency_ms": time_ms * rng.normal(1, 0.01, len(n))}))


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    return made_up()


@pytest.fixture(scope="module")
def laws(table: pd.DataFrame) -> dict[str, LawSet]:
    short = table[table["isl"] <= 2048]
    return {name: LawSet(name, intervals=name == NAMES[0]).fit(short) for name in NAMES}


def test_curves_show_points_domain_and_band(table: pd.DataFrame, laws: dict[str, LawSet]) -> None:
    chart = curve_chart(next(groups_of(table)), laws, cut=2048.0)
    seen = {p.role: p for p in chart.points}
    assert seen[MEASURED].x.tolist() == LENGTHS[:6].tolist()
    assert seen[HELD_OUT].x.tolist() == LENGTHS[6:].tolist()
    assert chart.domain == (64.0, 2048.0)
    dashed = [line for line in chart.lines if line.dashed]
    assert {line.name for line in dashed} == set(NAMES)
    assert all(line.x.min() == 2048 for line in dashed)
    (band,) = chart.bands
    own = next(line for line in dashed if line.name == NAMES[0])
    inside = np.interp(own.x, band.x, band.lo) <= own.y
    assert inside.all()
    assert list(chart.ends) == ["linear", NAMES[0]]


def test_batches_are_drawn_apart(table: pd.DataFrame, laws: dict[str, LawSet]) -> None:
    chart = batch_chart(next(groups_of(table)), laws[NAMES[0]], cut=2048.0)
    assert set(chart.ends) == {"batch 1", "batch 4"}
    assert chart.ends["batch 4"][0] > 2 * chart.ends["batch 1"][0]


def test_residuals_and_distance(table: pd.DataFrame) -> None:
    result = evaluate(table, formulations=NAMES)
    group = next(iter(result.expected))
    chart = residual_chart(result, group, NAMES)
    own = next(p for p in chart.points if p.name == NAMES[0])
    at = result.points[result.points["formulation"] == NAMES[0]]
    assert np.allclose(own.y, at["actual_ms"] / at["predicted_ms"])
    assert chart.level_line == 1.0
    distance = distance_chart(result, {group: 2048.0}, NAMES, "prefill")
    assert {x for line in distance.lines for x in line.x} == {2.0, 4.0}
    bars = ranking_bars(result, NAMES)
    (values,) = bars.panels.values()
    assert values[1].value == pytest.approx(result.overall["mape_percent"][1])


def test_ablation_has_eight_rows_and_two_sides(table: pd.DataFrame) -> None:
    found = ablation(table, make=lambda _: LawSet("linear"))
    bars = ablation_bars(found, 4.0)
    assert bars.rows[0] == "none"
    assert bars.rows[-1] == "all"
    assert [len(values) for values in bars.panels.values()] == [8, 8]


def test_svg_is_well_formed_and_escapes(table: pd.DataFrame, laws: dict[str, LawSet]) -> None:
    chart = curve_chart(next(groups_of(table)), laws)
    named = Chart(**(vars(chart) | {"title": '"<script>&'}))
    root = ElementTree.fromstring(svg.draw(named, standalone=True))
    assert root.get("aria-label") == '"<script>&'
    assert "var(--c0)" in svg.draw(chart)
    assert ElementTree.fromstring(svg.draw(Bars("t", ("a",), {}))).tag.endswith("svg")


@pytest.mark.parametrize(("ending", "magic"), [("png", b"\x89PNG"), ("svg", b"<?xml")])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_pictures(
    table: pd.DataFrame, laws: dict[str, LawSet], tmp_path: Path,
    ending: str, magic: bytes, theme: str,
) -> None:  # fmt: skip
    chart = curve_chart(next(groups_of(table)), laws, cut=2048.0)
    bars = ranking_bars(evaluate(table, formulations=("linear",)), ["linear"])
    made = plots.save([chart, bars], tmp_path / f"p.{ending}", theme=theme, title="t")
    assert made.read_bytes().startswith(magic)


def test_a_picture_of_unknown_kind_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="picture ends in"):
        plots.save([], tmp_path / "p.gif")


def test_the_same_chart_gives_the_same_file_in_every_process() -> None:
    program = (
        "import numpy as np; from lengthwise.reporting.figures.svg import draw;"
        "from lengthwise.reporting.figures.chart import Axis, Chart, Line;"
        "x = np.array([1.0, 2.0]);"
        "print(draw(Chart('t', Axis('x', 'tokens'), Axis('y', 'ms'), (Line('a', x, x),))))"
    )
    drawn = {
        subprocess.run(
            [sys.executable, "-c", program], capture_output=True, check=True,
            env=os.environ | {"PYTHONHASHSEED": seed},
        ).stdout
        for seed in ("1", "2")
    }  # fmt: skip
    assert len(drawn) == 1
