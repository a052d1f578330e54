"""What a reader needs of pages and pictures: legends, names, ticks, the remarks of a demo."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from strict_html import check_self_contained

from lengthwise.data.table import prepare
from lengthwise.reporting.content import Content, Options, build
from lengthwise.reporting.demo import Demo, demo_of, laws_of
from lengthwise.reporting.demo_page import columns_of, write_demo_page
from lengthwise.reporting.figure_names import named_figures
from lengthwise.reporting.figures import plots, svg
from lengthwise.reporting.figures.chart import Axis, Band, Bars, Chart, Line
from lengthwise.reporting.figures.frame import frame_of
from lengthwise.reporting.html import headline
from lengthwise.reporting.sources import Source

SLOWER = "2,048 tokens took 1.21 times as long at the end"
HARDWARE = "a100 of the lab"


def steps() -> pd.DataFrame:
    rows = []
    for phase, column in (("prefill", "isl"), ("decode", "context_len")):
        n = np.repeat(2.0 ** np.arange(6, 14), 2)
        rows.append(
            pd.DataFrame({"phase": phase, column: n, "latency_ms": 5 + n / 20 + 1e-6 * n**2})
        )
    table = pd.concat(rows, ignore_index=True)
    return prepare(table.assign(batch_size=1, model="m-8b", hardware=HARDWARE))


def length(table: pd.DataFrame) -> pd.Series[float]:
    return table["isl"].fillna(table["context_len"])


@pytest.fixture(scope="module")
def demo() -> Demo:
    table = steps()
    train, test = table[length(table) <= 2048], table[length(table) > 2048]
    return demo_of(train, test, laws_of(train), title="m-8b here", remarks=(SLOWER,), live=True)


@pytest.fixture(scope="module")
def content() -> Content:
    options = Options(formulations=("hachiya-patias", "linear"), with_ablation=False)
    return build([Source("t.csv", "ab" * 32, table=steps())], options)


def test_the_demo_page_says_what_the_terminal_says(demo: Demo, tmp_path: Path) -> None:
    page = write_demo_page(demo, tmp_path / "d.html").read_text()
    check_self_contained(page)
    assert f"{SLOWER}." in page
    assert demo.to_dict()["remarks"] == [SLOWER]
    assert "CPU time" in page
    for name in ("linear", "gradient-boosting"):
        shown = f"{demo.summary[name]['prefill_mape_percent']:.1f} %"
        assert f"<b>{shown}</b>" in page  # its tile
        assert page.count(f">{shown}</text>") >= 2  # its bar, wide and narrow


def test_a_page_has_room_for_the_errors_of_other_formulations(demo: Demo) -> None:
    twice = pd.concat([demo.points, demo.points.assign(model="other")])
    many = replace(demo, points=twice)
    assert "linear" not in columns_of(many)
    assert {"model", "linear", "boosting"} <= set(columns_of(many, whole=True))


def test_tile_and_bar_agree(content: Content) -> None:
    tiles = {what: value for what, value, _ in headline(content)}
    bars = next(f for f in content.overview if isinstance(f, Bars))
    (values,) = bars.panels.values()
    own = values[bars.rows.index("hachiya-patias")].value
    assert tiles["error beyond 1/4"] == f"{own:.1f} %"


def test_phases_that_reach_differently_far_are_not_averaged(content: Content) -> None:
    titles = [figure.title for figure in content.overview]
    assert {"prefill: error against extrapolation", "decode: error against extrapolation"} <= {
        *titles
    }


def test_files_of_figures_are_named_by_model_hardware_and_what_they_show(content: Content) -> None:
    names = list(named_figures(content))
    assert len(set(names)) == len(names) == 3 + 2 * 2
    assert "overview-mape-of-each-formulation" in names
    assert any(re.fullmatch(r"01-m-8b-a100-of-the-lab-\w+-batch-1", name) for name in names)


def test_a_picture_says_what_was_measured_and_what_its_marks_mean(
    content: Content, tmp_path: Path
) -> None:
    chart = content.groups[0].charts[0]
    text = plots.save([chart], tmp_path / "p.svg").read_text()
    for said in ("m-8b", HARDWARE, "measured, not fitted", "extrapolated", "90 % interval",
                 "lengths fitted", "(tokens)"):  # fmt: skip
        assert said in text


def test_a_step_of_a_tree_is_drawn_upright(demo: Demo) -> None:
    chart = next(chart for chart in demo.charts if chart.title.startswith("prefill"))
    x = np.unique(np.concatenate([line.x for line in chart.lines if line.role == 2]))
    assert len(x) > 150
    assert np.diff(np.log(x)).max() < np.log(chart.x_range[1] / chart.x_range[0]) / 150


def test_labels_fit_beside_the_axis_and_bands_are_seen() -> None:
    x = np.array([100.0, 200.0])
    named = "a-formulation-of-a-very-long-name-indeed"
    chart = Chart("t", Axis("x", "tokens"), Axis("y", "ms"), (Line(named, x, x / 10),),
                  (Band("b", x, x / 15, x / 6),))  # fmt: skip
    wide, narrow = frame_of(chart), frame_of(chart, narrow=True)
    assert wide.right < 0.35 * wide.width
    assert narrow.right < 0.35 * narrow.width
    assert named[: narrow.letters - 1] + "…" in svg.draw(chart, narrow=True)
    assert chart.y_range == (pytest.approx(100 / 15), pytest.approx(200 / 6))
    far = replace(chart, bands=(Band("b", x, x / 1e4, x * 1e4),))
    assert far.y_range[1] < 100  # an interval that says nothing does not flatten the curve
