"""The demo: fit short lengths, predict long ones, hold the predictions against measurements.

Recorded, on measurements that ship with the package: each model and phase is fitted on lengths up
to a quarter of its longest. Live (see live_demo) the two parts are measured one after the other.
Predictions are those of the default law, of the linear law and of gradient boosting. Decode
contexts come in runs of neighbours (one generation); a run is one line.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from lengthwise.calibration.groups import Group, groups_of, step_rows
from lengthwise.calibration.lawset import LawSet
from lengthwise.data.datasets import describe, table
from lengthwise.data.splits import length_split
from lengthwise.data.table import load
from lengthwise.evaluation.scores import ape_percent, coverage
from lengthwise.prediction.coefficients import equation_of
from lengthwise.reporting.figures.chart import Bar, Bars, Chart
from lengthwise.reporting.figures.prepare import Laws, base_batch, curve_chart, points_at
from lengthwise.units import s_to_ms

DATASET = "own-openvino-cpu"
FORMULATIONS = ("hachiya-patias", "linear", "gradient-boosting")
FACTOR = 4.0
LEVEL = 0.9
SAME_LENGTH = 1.02


@dataclass(frozen=True)
class Demo:
    """What the demo found.

    Attributes
    ----------
    title
        What was measured.
    points
        One row per held-out point: ``model``, ``phase``, ``length``, ``batch``, ``measured_ms``,
        ``predicted_ms``, ``lo_ms``, ``hi_ms``, ``error_percent`` and one ``NAME_error_percent``
        per other formulation.
    rows_fitted, rows_held_out
        Rows of the table in each part.
    dataset, part
        Where the rows come from, and which of them were fitted, in words.
    charts
        One per model and phase.
    live
        Whether the long part was measured after it was predicted.
    equations
        What was fitted, and its law in numbers.
    remarks
        What the reader should know of the times: a machine that changed its speed, say.
    """

    title: str
    points: pd.DataFrame
    rows_fitted: int
    rows_held_out: int
    charts: tuple[Chart, ...]
    dataset: str = DATASET
    part: str = "lengths up to 1/4 of the longest, all batch sizes"
    live: bool = False
    equations: tuple[tuple[str, str], ...] = ()
    remarks: tuple[str, ...] = ()

    @property
    def lines(self) -> pd.DataFrame:
        """The points at the smallest batch, one line per length."""
        return _one_per_length(self.points)

    @property
    def summary(self) -> dict[str, Any]:
        """MAPE of each formulation: median over curves (model and phase), and by phase."""
        out: dict[str, Any] = {"points": len(self.points), "level": LEVEL}
        for name in FORMULATIONS:
            curves = self.points.groupby(["phase", "model"])[_column(name)].mean()
            by_phase = curves.groupby("phase").median()
            out[name] = {
                "mape_percent": float(curves.median()),
                **{f"{phase}_mape_percent": float(v) for phase, v in by_phase.items()},
                "worst_curve_mape_percent": float(curves.max()),
            }
        out["coverage"] = coverage(*(self.points[c] for c in ("measured_ms", "lo_ms", "hi_ms")))
        return out

    @property
    def errors(self) -> Bars:
        """The mean errors of the summary as bars: a row per formulation, a panel per phase."""
        found = self.summary
        panels = {
            phase: tuple(Bar(found[name][f"{phase}_mape_percent"]) for name in FORMULATIONS)
            for phase in ("prefill", "decode")
            if f"{phase}_mape_percent" in found[FORMULATIONS[0]]
        }
        return Bars("mean error at the lengths not fitted", FORMULATIONS, panels, FORMULATIONS[0])

    def to_dict(self) -> dict[str, Any]:
        """Return points and summary, ready for JSON."""
        return {
            "dataset": self.dataset, "title": self.title, "fitted": self.part,
            "rows_fitted": self.rows_fitted, "rows_held_out": self.rows_held_out,
            "remarks": list(self.remarks), "points": self.points.to_dict("records"),
            "summary": self.summary,
        }  # fmt: skip


def run(dataset: str = DATASET) -> Demo:
    """Fit the short part of a dataset, predict the long part and compare."""
    steps = step_rows(load(table(dataset)))
    splits = length_split(steps, FACTOR)
    train = steps.iloc[np.unique(np.concatenate([s.train for s in splits]))]
    test = steps.iloc[np.unique(np.concatenate([s.test for s in splits]))]
    return demo_of(train, test, laws_of(train), title=describe(dataset).title)


def laws_of(
    train: pd.DataFrame, formulations: tuple[str, ...] = FORMULATIONS
) -> dict[str, LawSet]:  # fmt: skip
    """Fit formulations of the demo; the first has intervals."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return {name: LawSet(name, intervals=name == FORMULATIONS[0]).fit(train)
                for name in formulations}  # fmt: skip


def demo_of(
    train: pd.DataFrame, test: pd.DataFrame, laws: Mapping[str, Laws], **words: Any
) -> Demo:  # fmt: skip
    """Hold laws that were fitted on ``train`` against ``test``.

    Parameters
    ----------
    train, test
        Step rows of one or several deployments.
    laws
        By formulation, as from :func:`laws_of`.
    words
        ``title`` and, when they differ from the recorded demo, ``dataset``, ``part``, ``live``,
        ``remarks``.
    """
    points = pd.concat([_predicted(group, laws) for group in groups_of(test)], ignore_index=True)
    first = laws[FORMULATIONS[0]]
    charts = [
        _chart(group, laws, first.laws_[group.deployment, group.phase].domain.length[1])
        for group in groups_of(pd.concat([train, test], ignore_index=True))
    ]
    charts.sort(key=lambda chart: (not chart.title.startswith("prefill"), chart.title))
    equations = tuple(
        (f"{phase} of {law.labels.get('model', deployment)}", equation_of(law.law))
        for (deployment, phase), law in sorted(
            first.laws_.items(), key=lambda item: (item[0][1] != "prefill", item[0])
        )
    )
    return Demo(points=points, rows_fitted=len(train), rows_held_out=len(test),
                charts=tuple(charts), equations=equations, **words)  # fmt: skip


def _predicted(group: Group, laws: Mapping[str, Laws]) -> pd.DataFrame:
    work, measured = group.work, s_to_ms(group.y_s)
    asked = pd.concat(
        [points_at(group.phase, group.labels, np.array([length]), float(batch))
         for length, batch in zip(work.length, work.sequences, strict=True)],
        ignore_index=True,
    )  # fmt: skip
    first = laws[FORMULATIONS[0]]
    lo, hi = first.predict_interval(asked, LEVEL).T
    errors = {_column(n): ape_percent(measured, law.predict(asked)) for n, law in laws.items()}
    return pd.DataFrame({
        "model": str(group.labels.get("model", group.deployment)), "phase": group.phase,
        "length": work.length, "batch": work.sequences, "measured_ms": measured,
        "predicted_ms": first.predict(asked), "lo_ms": lo, "hi_ms": hi, **errors,
    })  # fmt: skip


def _chart(group: Group, laws: Mapping[str, Laws], cut: float) -> Chart:
    chart = curve_chart(group, laws, level=LEVEL, cut=cut, beyond=1.0)
    title = f"{group.phase}, {group.labels.get('model')}, batch {base_batch(group):g}"
    return Chart(**(vars(chart) | {"title": title, "note": ""}))


def _column(name: str) -> str:
    return "error_percent" if name == FORMULATIONS[0] else f"{name}_error_percent"


def _one_per_length(points: pd.DataFrame) -> pd.DataFrame:
    """Median over neighbouring contexts of the smallest batch."""
    kept = points[points["batch"] == points["batch"].min()]
    kept = kept.sort_values(["model", "phase", "length"], ascending=[True, False, True])
    keys = ["model", "phase"]
    jump = kept["length"] > SAME_LENGTH * kept.groupby(keys)["length"].shift()
    run_number = jump.groupby([kept["model"], kept["phase"]]).cumsum()
    grouped = kept.groupby([*keys, run_number.rename("run")], sort=False)
    lines: pd.DataFrame = grouped.median(numeric_only=True).reset_index().drop(columns="run")
    return lines
