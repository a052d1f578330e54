"""Evaluations of tables whose truth is known."""

from __future__ import annotations

import json
from typing import Self

import numpy as np
import pandas as pd
import pytest
from evaluation_estimators import LinearLaws, linear_table, make

from lengthwise.data.points import group_of
from lengthwise.errors import FitWarning, GateError, InputError, NothingUsableError
from lengthwise.evaluation.ablation import ablation, variants
from lengthwise.evaluation.gates import check_max_mape
from lengthwise.evaluation.protocol import evaluate


@pytest.mark.parametrize("split", ["length", "random"])
@pytest.mark.parametrize("pooled", [True, False])
def test_a_linear_law_recovers_linear_data(split: str, pooled: bool) -> None:
    result = evaluate(
        linear_table(), split=split, formulations=["linear"], make=make, pooled=pooled
    )
    assert set(result.expected) == {
        f"{h} | {phase}" for h in "ab" for phase in ("prefill", "decode")
    }
    assert result.overall["mape_percent"].item() < 1e-6
    assert result.overall["failed_groups"].item() == 0
    assert not result.failures


def test_length_split_asks_only_long_points_of_every_group() -> None:
    result = evaluate(linear_table(), split="length", factor=4, formulations=["linear"], make=make)
    assert set(result.points["length"]) == {2048, 4096}
    assert len(result.points) == 2 * (2 + 4)


def test_truth_is_the_median_of_repeats_unless_every_row_is_asked_for() -> None:
    table = linear_table(("a",), repeats=3)
    table["latency_ms"] *= 1 + 0.1 * (table["repeat"] == 2)
    kwargs = {"split": "length", "formulations": ["linear"], "make": make}
    median = evaluate(table, **kwargs)
    rows = evaluate(table, per_row=True, **kwargs)
    assert (median.points["repeats"] == 3).all()
    assert len(rows.points) == 3 * len(median.points)
    truth = linear_table(("a",)).query("isl == 4096")["latency_ms"].item()
    assert median.points.query("phase == 'prefill' and length == 4096")[
        "actual_ms"
    ].item() == pytest.approx(truth)
    assert median.noise_percent["a | prefill"] == 0.0


def test_coverage_and_width_are_counted_right() -> None:
    table = linear_table(("a",))
    long = table["isl"] == 4096
    table.loc[long, "latency_ms"] *= 1.5
    result = evaluate(table, split="length", formulations=["linear"], make=make)
    prefill = result.groups.set_index("group").loc["a | prefill"]
    assert prefill["coverage"] == 0.5
    assert prefill["mape_percent"] == pytest.approx(100 / 6)
    assert prefill["bias_percent"] == pytest.approx(-100 / 6)
    assert prefill["mean_width_percent"] == pytest.approx((20 + 20 / 1.5) / 2)
    assert result.overall["pooled_coverage"].item() == pytest.approx(5 / 6)


def test_what_fails_is_recorded_with_its_reason_and_scored_nowhere() -> None:
    names = ["linear", "broken", "not-finite", "no-interval"]
    result = evaluate(linear_table(), split="length", formulations=names, make=make)
    overall = result.overall.set_index("formulation")
    assert overall["failed_groups"].to_dict() == dict(zip(names, (0, 4, 4, 0), strict=True))
    assert np.isnan(overall.loc["broken", "mape_percent"])
    assert overall.loc["no-interval", "mape_percent"] < 1e-6
    assert np.isnan(overall.loc["no-interval", "pooled_coverage"])
    stages = {f.formulation: (f.stage, f.reason) for f in result.failures}
    assert stages["broken"] == ("fit", "ValueError: this never works")
    assert stages["not-finite"] == ("predict", "ValueError: predictions are not finite")
    assert stages["no-interval"][0] == "interval"


class Picky(LinearLaws):
    """Refuses to fit anything when a group of hardware ``b`` is among it."""

    def fit(self, table: pd.DataFrame) -> Self:
        if (table["hardware"] == "b").any():
            raise ValueError("not with b")
        return super().fit(table)


def test_one_group_that_cannot_be_fitted_does_not_take_the_others_with_it() -> None:
    result = evaluate(linear_table(), formulations=["picky"], make=lambda _: Picky())
    assert result.overall["groups"].item() == 2
    assert {f.group for f in result.failures} == {"b | prefill", "b | decode"}
    assert result.notes == (
        "picky: groups were fitted one by one, for together ValueError: not with b (1 times)",
    )


def test_json_holds_no_nan_even_when_everything_failed() -> None:
    result = evaluate(linear_table(), formulations=["broken", "linear"], make=make)
    text = json.dumps(result.to_dict(), allow_nan=False)
    back = json.loads(text)
    assert back["overall"][0]["mape_percent"] is None
    assert back["overall"][0]["failed_groups"] == 4
    assert len(back["points"]) == len(result.points)


def test_an_unseen_deployment_is_asked_of_a_law_fitted_on_the_others() -> None:
    result = evaluate(linear_table(("a", "b", "c")), split="deployment",
                      formulations=["mean", "linear"], make=make)  # fmt: skip
    assert set(result.points["formulation"]) == {"mean"}
    assert {f.stage for f in result.failures} == {"predict"}
    assert len(result.groups) == 2 * 6


def test_hardware_split_trains_on_other_hardware_only() -> None:
    table = linear_table(("a", "b")).query("phase == 'prefill'")
    result = evaluate(table, split="hardware", formulations=["mean"], make=make)
    means = table.groupby("hardware")["latency_ms"].mean()
    got = result.points.groupby("group")["predicted_ms"].first()
    assert got["a | prefill"] == pytest.approx(means["b"])
    assert got["b | prefill"] == pytest.approx(means["a"])


class Spy(LinearLaws):
    """Remembers what it was shown."""

    fits: list[pd.DataFrame]
    asked: list[pd.DataFrame]

    def __init__(self) -> None:
        super().__init__()
        self.fits, self.asked = [], []

    def fit(self, table: pd.DataFrame) -> Self:
        self.fits.append(table)
        return super().fit(table)

    def predict(self, points: pd.DataFrame) -> np.ndarray:
        self.asked.append(points)
        return super().predict(points)


def test_no_time_reaches_the_law_at_prediction_and_no_long_row_at_the_fit() -> None:
    spy = Spy()
    table = linear_table().assign(warmup=[True] + [False] * 41)
    evaluate(table, split="length", formulations=["spy"], make=lambda _: spy)
    assert len(spy.fits) == 1
    assert set(group_of(spy.fits[0])) == set(group_of(table))
    assert spy.fits[0]["isl"].max() == 1024
    assert not spy.fits[0]["warmup"].any()
    assert all("latency_ms" not in points for points in spy.asked)


def test_alone_means_one_fit_per_group() -> None:
    spy = Spy()
    evaluate(linear_table(), formulations=["spy"], make=lambda _: spy, pooled=False)
    assert [len(set(group_of(t))) for t in spy.fits] == [1, 1, 1, 1]


def test_requests_are_evaluated_as_their_steps_and_said_so() -> None:
    isl = [64, 128, 256, 512, 1024, 2048, 4096]
    requests = pd.DataFrame({"phase": "request", "isl": isl, "osl": 11, "hardware": "r"})
    requests = requests.assign(ttft_ms=3.0 + 0.1 * requests["isl"], tpot_ms=5.0)
    table = pd.concat([linear_table(), requests])
    result = evaluate(table, formulations=["linear"], make=make)
    assert result.expected["r | prefill"] == 2
    assert result.expected["r | decode"] == 3  # 1024 + 6 lies above (4096 + 6) / 4
    assert result.overall["mape_percent"].item() < 1e-6
    assert "7 request rows were evaluated as their prefill" in result.notes[0]


def test_a_group_that_cannot_be_split_is_skipped_while_others_go_on() -> None:
    few = pd.DataFrame({"phase": "prefill", "hardware": "few", "isl": [9], "latency_ms": [1.0]})
    result = evaluate(pd.concat([linear_table(), few]), formulations=["linear"], make=make)
    assert [s.group for s in result.skipped] == ["few | prefill"]
    assert "few | prefill" not in result.expected


def test_warnings_of_a_fit_become_counted_notes() -> None:
    class Warns(LinearLaws):
        def fit(self, table: pd.DataFrame) -> Self:
            import warnings

            warnings.warn("weak", FitWarning, stacklevel=1)
            return super().fit(table)

    result = evaluate(linear_table(), formulations=["w"], make=lambda _: Warns(), pooled=False)
    assert result.notes == ("w: weak (4 times)",)


def test_an_interrupt_keeps_what_was_done_and_marks_it() -> None:
    def stop(name: str, done: int, total: int) -> None:
        if done == 2:
            raise KeyboardInterrupt

    result = evaluate(
        linear_table(), formulations=["linear"], make=make, pooled=False, progress=stop
    )
    assert result.partial
    assert result.overall["groups"].item() == 2
    with pytest.raises(GateError, match="interrupted"):
        check_max_mape(result, 50)


def test_nothing_to_split_is_an_error_with_the_reasons() -> None:
    table = linear_table(("a",)).query("isl == 64")
    with pytest.raises(NothingUsableError, match="needs 2") as caught:
        evaluate(table, formulations=["linear"], make=make)
    assert caught.value.exit_code == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"formulations": ["nonsense"]}, "registered"),
        ({"formulations": []}, "at least one formulation"),
        ({"formulations": ["linear", "linear"]}, "must differ"),
        ({"formulations": ["linear"], "level": 90}, "level must lie"),
        ({"formulations": ["linear"], "split": "nonsense"}, "split must be one of"),
        ({"formulations": ["linear"], "factor": 1}, "factor must be more than 1"),
    ],
)
def test_bad_options_are_refused_before_any_fit(options: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        evaluate(linear_table(), **options)


def test_the_gate_passes_below_and_raises_above_with_exit_code_3() -> None:
    result = evaluate(linear_table(), formulations=["mean", "linear"], make=make)
    with pytest.raises(GateError, match=r"median MAPE of mean must be at most 6 %") as caught:
        check_max_mape(result, 6)
    assert caught.value.exit_code == 3
    good = evaluate(linear_table(), formulations=["linear", "mean"], make=make)
    assert check_max_mape(good, 6) < 1e-6


def test_the_gate_counts_a_missing_answer_as_not_met() -> None:
    result = evaluate(linear_table(), formulations=["broken"], make=make)
    with pytest.raises(GateError, match="4 groups that it could not predict"):
        check_max_mape(result, 1000)


@pytest.mark.parametrize("threshold", [0, -1, float("nan")])
def test_a_gate_needs_a_positive_percentage(threshold: float) -> None:
    result = evaluate(linear_table(), formulations=["linear"], make=make)
    with pytest.raises(InputError, match="positive percentage"):
        check_max_mape(result, threshold)


def test_ablation_fits_all_eight_subsets_on_both_splits() -> None:
    made: list[dict[str, str]] = []

    def build(switches: dict[str, str]) -> LinearLaws:
        made.append(switches)
        return make("linear" if switches["e1"] == "auto" else "mean")

    result = ablation(linear_table(("a",)), make=build)
    table = result.table.set_index("terms")
    assert list(table.index) == list(variants())
    assert table.loc["all", "extrapolation_mape_percent"] < 1e-6
    assert table.loc["+E2", "extrapolation_mape_percent"] > 50
    assert {tuple(s.values()) for s in made} == {tuple(v.values()) for v in variants().values()}
    json.dumps(result.to_dict(), allow_nan=False)
