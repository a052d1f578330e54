"""The step law: sane without a measurement, right with some, and clear about both."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from step_rows import DEPLOYED, POINT, grid, runs, say

from lengthwise.errors import ColumnError, InputError, NothingUsableError
from lengthwise.prediction.step_law import StepLaw

TIMES = ("ttft", "tpot", "e2e")
CHOICES = {
    "dense": {"model": "llama3.1-8b", "hardware": "h100_sxm", "precision": "bf16"},
    "latent": {"model": "deepseek-r1", "hardware": "h200_sxm", "precision": "fp8", "tp": 8,
               "ep": 8, "engine": "sglang"},
    "experts": {"model": "gpt-oss-120b", "hardware": "b200_sxm", "precision": "auto"},
    "recurrent": {"model": "qwen3.5-397b-a17b", "hardware": "b200_sxm", "precision": "fp8",
                  "tp": 8},
    "no tables": {"model": "llama3.1-8b", "hardware": "m2_ultra", "engine": "llama.cpp"},
}  # fmt: skip


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    """Runs 1.3 times as slow as the physics on one processor, 0.8 times on another."""
    return runs(lambda model, hardware: 1.3 if hardware == "h100_sxm" else 0.8, noise=0.02)


@pytest.fixture(scope="module")
def fitted(table: pd.DataFrame) -> StepLaw:
    """A law of five deployments."""
    return StepLaw().fit(table)


# Without a measurement


def test_llama_on_an_h100_is_about_as_fast_as_everyone_finds() -> None:
    tpot, ttft, e2e = (say(StepLaw(), f"{name}_ms")[0] for name in ("tpot", "ttft", "e2e"))
    assert 4.5 < tpot < 9.0
    assert 10 < ttft < 120
    assert e2e == pytest.approx(ttft + 127 * tpot, rel=1e-9)


@pytest.mark.parametrize("name", CHOICES)
def test_every_kind_of_deployment_is_answered(name: str) -> None:
    said = StepLaw().predict_table(grid(**CHOICES[name], concurrency=[1, 16])).to_dict("records")
    for row in said:
        assert row["problem"] == ""
        for time in TIMES:
            assert 0 < row[f"{time}_lo_ms"] < row[f"{time}_ms"] < row[f"{time}_hi_ms"] < 1e6
        assert row["regime"] in ("overhead", "memory", "compute", "capacity")
        assert row["in_domain"] is (name != "no tables")
        assert ("typical" in row["provenance"]) is (name == "no tables")


@settings(max_examples=30, deadline=None)
@example(name="dense", what="isl", isl=25_322, osl=2, load=2)  # two fit, then one
@example(name="dense", what="isl", isl=56_963, osl=242, load=39)  # one fits, then none
@given(name=st.sampled_from(list(CHOICES)), what=st.sampled_from(["isl", "osl", "concurrency"]),
       isl=st.integers(1, 60_000), osl=st.integers(2, 8_000), load=st.integers(1, 64))  # fmt: skip
def test_requests_take_longer_when_there_is_more_of_them_or_in_them(
    name: str, what: str, isl: int, osl: int, load: int
) -> None:
    start = {"isl": isl, "osl": osl, "concurrency": load}
    ladder = [start[what] * k for k in (1, 2, 3, 5, 9)] + [start[what] * 9 + 1]
    said = StepLaw().answer(grid(**CHOICES[name], **(start | {what: sorted(ladder)}))).columns
    assert (np.diff(said["e2e_ms"]) >= -1e-9 * said["e2e_ms"][1:]).all()
    if what == "isl":
        assert (np.diff(said["ttft_ms"]) >= 0).all()


@settings(max_examples=20, deadline=None)
@given(name=st.sampled_from(list(CHOICES)), phase=st.sampled_from(["prefill", "decode"]),
       length=st.integers(1, 100_000), batch=st.integers(1, 64))  # fmt: skip
def test_steps_take_longer_when_there_is_more_in_them(
    name: str, phase: str, length: int, batch: int
) -> None:
    column = "isl" if phase == "prefill" else "context_len"
    points = grid(**CHOICES[name], phase=phase, batch_size=batch).drop(columns=["isl", "osl"])
    many = pd.concat([points.assign(**{column: length * k}) for k in (1, 2, 4)])
    assert (np.diff(StepLaw().predict(many)) >= 0).all()
    wide = pd.concat([points.assign(batch_size=batch * k, **{column: length}) for k in (1, 2, 4)])
    assert (np.diff(StepLaw().predict(wide)) >= 0).all()


def test_a_step_and_a_request_agree() -> None:
    base = {k: v for k, v in POINT.items() if k not in ("isl", "osl")}
    step = StepLaw().predict(pd.DataFrame([base | {"context_len": 1088, "batch_size": 1}]))[0]
    assert say(StepLaw(), "tpot_ms")[0] == pytest.approx(step, rel=0.02)
    prompt = StepLaw().predict(pd.DataFrame([base | {"isl": 1024}]))[0]
    assert say(StepLaw(), "ttft_ms")[0] == pytest.approx(prompt + 15.6 + step, rel=0.1)


def test_a_cached_prefix_shortens_the_first_token_only() -> None:
    sizes = {"isl": 32768, "cached_tokens": [0, 16384, 32000]}
    assert (np.diff(say(StepLaw(), "ttft_ms", **sizes)) < 0).all()
    assert np.ptp(say(StepLaw(), "tpot_ms", **sizes)) < 1e-9


def test_one_output_token_has_a_first_token_and_no_gap() -> None:
    said = {name: say(StepLaw(), f"{name}_ms", osl=1)[0] for name in TIMES}
    assert np.isnan(said["tpot"])
    assert said["e2e"] == said["ttft"] > 0


def test_what_does_not_fit_is_answered_and_flagged() -> None:
    points = grid(model=["llama3.1-8b", "llama3.1-405b"])
    said = StepLaw().predict_table(points)
    assert said["fits_memory"].tolist() == [True, False]
    assert said["regime"][1] == "capacity"
    assert (said["e2e_ms"] > 0).all()
    use = StepLaw().memory(points.iloc[1].to_dict())
    assert not use.fits
    assert "weights" in use.why_not
    assert StepLaw().memory(points.iloc[0].to_dict()).fits


@pytest.mark.parametrize("phase", ["prefill", "decode"])
def test_steps_say_whether_they_fit(phase: str) -> None:
    column = "isl" if phase == "prefill" else "context_len"
    base = {"phase": phase, column: 8192, "precision": "bf16", "hardware": "h100_sxm"}
    points = pd.DataFrame([base | {"model": "llama3.1-8b", "batch_size": 1},
                           base | {"model": "llama3.1-8b", "batch_size": 1024},
                           base | {"model": "llama3.1-405b", "batch_size": 1}])  # fmt: skip
    assert StepLaw().answer(points).columns["fits_memory"].tolist() == [True, False, False]


def test_more_requests_than_fit_wait_and_it_is_said() -> None:
    sizes = {"isl": 16384, "concurrency": [4, 1024]}
    assert say(StepLaw(), "saturated", **sizes).tolist() == [False, True]
    few, many = say(StepLaw(), "ttft_ms", **sizes)
    assert many > 100 * few
    running = say(StepLaw(), "running", **sizes)
    assert 4 <= running[0] + 1e-6 < running[1] < 100


def test_lengths_beyond_the_tables_are_said() -> None:
    factor = say(StepLaw(), "extrapolation_factor", isl=[1024, 65536, 1_000_000])
    assert factor.tolist() == [1.0, 4.0, pytest.approx(61.04, rel=1e-3)]
    assert say(StepLaw(), "in_domain", isl=[1024, 65536]).tolist() == [True, False]


def test_wider_intervals_hold_narrower_ones() -> None:
    points = grid(concurrency=[1, 64])
    narrow, wide = (StepLaw().predict_interval(points, level) for level in (0.5, 0.95))
    assert (wide[:, 0] < narrow[:, 0]).all()
    assert (wide[:, 1] > narrow[:, 1]).all()
    middle = StepLaw().predict(points)
    assert ((narrow[:, 0] <= middle) & (middle <= narrow[:, 1])).all()


def test_a_mapping_a_table_and_a_file_give_the_same_answer(tmp_path: Path) -> None:
    points = grid(isl=[128, 4096])
    points.to_csv(tmp_path / "points.csv", index=False)
    by_table = StepLaw().predict(points)
    assert StepLaw().predict(points.to_dict("list")).tolist() == by_table.tolist()
    assert StepLaw().predict(tmp_path / "points.csv").tolist() == by_table.tolist()


def test_the_answer_does_not_depend_on_the_company_of_a_row() -> None:
    points = pd.concat([grid(**choice, concurrency=[1, 8]) for choice in CHOICES.values()])
    together = StepLaw().predict(points)
    alone = [StepLaw().predict(points.iloc[[i]])[0] for i in range(len(points))]
    np.testing.assert_allclose(together, alone, rtol=1e-12)


def test_the_index_and_measured_times_of_a_table_are_kept() -> None:
    points = grid(isl=[128, 4096]).assign(tpot_ms=7.0, note="x").set_index(pd.Index(["a", "b"]))
    said = StepLaw().predict_table(points)
    assert said.index.tolist() == ["a", "b"]
    assert said["measured_tpot_ms"].tolist() == [7.0, 7.0]
    assert (said["tpot_ms"] != 7.0).all()
    assert said["note"].tolist() == ["x", "x"]


# With measurements


@pytest.mark.parametrize("factor", [0.7, 1.0, 1.6])
@pytest.mark.parametrize("correction", [True, False])
def test_a_common_factor_is_found(factor: float, correction: bool) -> None:
    table = runs(lambda model, hardware: factor, deployed=DEPLOYED[:2])
    law = StepLaw(correction=correction).fit(table)
    for name in ("ttft_ms", "tpot_ms"):
        ratio = law.answer(table).columns[name] / table[name]
        assert np.abs(ratio - 1).max() < (0.03 if correction else 0.15)
        assert np.median(np.abs(ratio - 1)) < 0.06
    assert bool(law.heads_) is correction


def test_factors_of_deployments_are_found(fitted: StepLaw, table: pd.DataFrame) -> None:
    for name in ("ttft_ms", "tpot_ms"):
        ratio = fitted.answer(table).columns[name] / table[name]
        assert np.median(np.abs(ratio - 1)) < 0.03
        assert np.abs(ratio - 1).max() < 0.12


def test_settings_between_the_measured_ones_are_predicted(fitted: StepLaw) -> None:
    new = runs(lambda model, hardware: 1.3 if hardware == "h100_sxm" else 0.8,
               isl=[512, 2048], concurrency=[2, 8])  # fmt: skip
    ratio = fitted.answer(new).columns["tpot_ms"] / new["tpot_ms"]
    assert np.abs(ratio - 1).max() < 0.08


def test_intervals_hold_rows_nobody_saw() -> None:
    rows = runs(lambda model, hardware: 1.3 if hardware == "h100_sxm" else 0.8, noise=0.08,
                isl=[256, 1024, 4096, 16384], concurrency=[1, 2, 4, 8, 16])  # fmt: skip
    seen = np.random.default_rng(3).permutation(len(rows)) < len(rows) // 2
    law, new = StepLaw().fit(rows[seen]), rows[~seen]
    for level, least, most in ((0.5, 0.3, 1.0), (0.9, 0.78, 1.0), (0.99, 0.9, 1.0)):
        said = law.answer(new, level).columns
        for name in ("ttft", "tpot"):
            inside = (said[f"{name}_lo_ms"] <= new[f"{name}_ms"]) & (
                new[f"{name}_ms"] <= said[f"{name}_hi_ms"]
            )
            assert least <= inside.mean() <= most


def test_intervals_are_wider_for_deployments_nobody_measured(fitted: StepLaw) -> None:
    points = pd.concat([grid(), grid(model="mixtral-8x7b", hardware="b200_sxm", engine="trtllm")])
    said = fitted.predict_table(points, 0.9)
    width = np.log(said["tpot_hi_ms"] / said["tpot_lo_ms"]).tolist()
    assert width[1] > 1.5 * width[0]
    assert said["in_domain"].tolist() == [True, False]
    assert ["not among them" in text for text in said["provenance"]] == [False, True]


def test_a_relative_of_the_measured_is_helped(table: pd.DataFrame) -> None:
    """Everything on this processor is slower; a model nobody measured there will be too."""
    there = {"model": "qwen2.5-7b", "hardware": "h100_sxm"}
    plain, learnt = (say(law, "tpot_ms", **there)[0] for law in (StepLaw(), StepLaw().fit(table)))
    assert 1.08 < learnt / plain < 1.5


def test_steps_are_learnt_too() -> None:
    base = {"model": "llama3.1-8b", "hardware": "h100_sxm", "precision": "bf16", "engine": "hf"}
    context, batch = np.meshgrid([128, 1024, 8192], [1, 4, 16])
    decode = pd.DataFrame(base | {"phase": "decode", "context_len": context.ravel(),
                                  "batch_size": batch.ravel()}, index=range(9))  # fmt: skip
    prefill = pd.DataFrame(base | {"phase": "prefill", "isl": [128, 512, 2048, 8192]})
    steps = pd.concat([decode, prefill], ignore_index=True)
    steps["latency_ms"] = StepLaw().predict(steps) * 2.0
    law = StepLaw().fit(steps)
    np.testing.assert_allclose(law.predict(steps) / steps["latency_ms"], 1.0, atol=0.06)
    assert set(law.heads_) == {"prefill", "decode"}
    assert law.training_ == {"rows": 13, "longest_isl": 8192.0, "only": base,
                             "deployments": ["llama3.1-8b | h100_sxm | hf | bf16"]}  # fmt: skip


def test_odd_rows_do_not_bend_the_rest(table: pd.DataFrame) -> None:
    odd = table.copy()
    odd.loc[::15, "tpot_ms"] *= 6.0
    clean = np.ones(len(table), bool)
    clean[::15] = False
    ratio = (StepLaw().fit(odd).answer(table).columns["tpot_ms"] / table["tpot_ms"])[clean]
    assert np.median(np.abs(ratio - 1)) < 0.1


def test_rows_of_warming_up_are_not_learnt(table: pd.DataFrame) -> None:
    cold = table.assign(tpot_ms=table["tpot_ms"] * 9, warmup=True)
    both = pd.concat([table.assign(warmup=False), cold], ignore_index=True)
    law = StepLaw().fit(both)
    assert law.training_ is not None
    assert law.training_["rows"] == len(table)
    assert law.predict(table).tolist() == StepLaw().fit(table).predict(table).tolist()


def test_fitting_twice_forgets_the_first_time(table: pd.DataFrame) -> None:
    other = table.assign(tpot_ms=table["tpot_ms"] * 3)
    again = StepLaw().fit(other).fit(table)
    assert again.predict(table).tolist() == StepLaw().fit(table).predict(table).tolist()


def test_three_samples_move_their_deployment_and_no_other(fitted: StepLaw, tmp_path: Path) -> None:
    mine = {"model": "qwen3-14b", "hardware": "l40s"}
    samples = grid(**mine, isl=[512, 1024, 2048], concurrency=4)
    samples["tpot_ms"] = fitted.answer(samples).columns["tpot_ms"] * 1.5
    fitted.save(tmp_path / "law.json")
    before, law = fitted, StepLaw.load(tmp_path / "law.json").update(samples)
    here, there = grid(**mine, isl=1500, concurrency=[2, 8]), grid(concurrency=[2, 8])
    moved, kept = (
        law.answer(points).columns["tpot_ms"] / before.answer(points).columns["tpot_ms"]
        for points in (here, there)
    )
    assert ((moved > 1.3) & (moved < 1.55)).all()
    np.testing.assert_allclose(kept, 1.0, rtol=1e-4)
    assert law.answer(here).columns["ttft_ms"] == pytest.approx(
        before.answer(here).columns["ttft_ms"], rel=1e-4
    )
    assert law.training_ is not None
    assert before.training_ is not None
    assert law.training_["rows"] == before.training_["rows"] + 3
    narrow, wide = (
        x.answer(here).columns["tpot_hi_ms"] / x.answer(here).columns["tpot_lo_ms"]
        for x in (law, before)
    )
    assert (narrow < wide).all()


def test_samples_are_learnt_without_a_fit_and_sample_by_sample() -> None:
    samples = grid(isl=[512, 1024, 2048])
    samples["tpot_ms"] = say(StepLaw(), "tpot_ms", isl=[512, 1024, 2048]) * 1.4
    at_once, bit_by_bit = StepLaw().update(samples), StepLaw()
    for i in range(3):
        bit_by_bit.update(samples.iloc[[i]])
    assert at_once.answer(samples).columns["tpot_ms"] == pytest.approx(samples["tpot_ms"], rel=0.03)
    assert bit_by_bit.predict(samples) == pytest.approx(at_once.predict(samples), rel=1e-6)


def test_a_fit_is_the_same_every_time(fitted: StepLaw, table: pd.DataFrame) -> None:
    again = StepLaw().fit(table.copy())
    assert again.predict(table).tolist() == fitted.predict(table).tolist()


# scikit-learn


def test_parameters_are_read_set_and_cloned(fitted: StepLaw) -> None:
    assert StepLaw(correction=False).get_params() == {"correction": False}
    copy = clone(fitted)
    assert copy.heads_ == {}
    assert copy.training_ is None
    assert copy.set_params(correction=False) is copy
    assert clone(copy).get_params() == {"correction": False}
    with pytest.raises(InputError, match=r"parameter correction.*depth"):
        copy.set_params(depth=3)


# Bad input

BAD: dict[str, tuple[dict[str, Any], str]] = {
    "no model": ({"model": None}, "need the column model"),
    "no hardware": ({"hardware": None}, "need the column hardware"),
    "isl missing": ({"isl": [float("nan")]}, "isl must be 1 token or more, but got none"),
    "isl 0": ({"isl": [0]}, "isl must be 1 token or more, but got 0"),
    "isl negative": ({"isl": [-5]}, "isl must be 1 token or more, but got -5"),
    "isl endless": ({"isl": [float("inf")]}, "isl must be 1 token or more, but got inf"),
    "isl text": ({"isl": ["many"]}, "isl must hold numbers, but got 'many'"),
    "osl 0": ({"osl": [0]}, "osl must be 1 token or more, but got 0"),
    "tp 0": ({"tp": [0]}, "tp must be a whole number, 1 or more, but got 0"),
    "tp 1.5": ({"tp": [1.5]}, "tp must be a whole number, 1 or more, but got 1.5"),
    "tp endless": ({"tp": [float("inf")]}, "tp must be a whole number, 1 or more, but got inf"),
    "pp text": ({"pp": ["x"]}, "pp must hold numbers, but got 'x'"),
    "phase": ({"phase": ["sleep"]}, "phase must be one of request, prefill, decode.*'sleep'"),
    "idle": ({"concurrency": [0]}, "concurrency must be positive, but got 0"),
    "empty batch": ({"batch_size": [-1]}, "must be positive, but got -1"),
    "all cached": ({"cached_tokens": [1024]}, "less than isl, but got 1024"),
    "no context": ({"phase": ["decode"]}, "context_len must be 1 token or more, but got none"),
    "two lengths": ({"isl": [1, 2]}, "one value per point, but got 1 in model, 2 in isl"),
    "two degrees": ({"tp": [1, 2]}, "one value per point, but got 1 in model, 2 in tp"),
    "no list": ({"isl": 1024}, r"a list of values.*write \[1024\]"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_bad_columns_are_named(name: str) -> None:
    change, message = BAD[name]
    points = {k: [v] for k, v in POINT.items()} | change
    with pytest.raises(ColumnError, match=message):
        StepLaw().answer({k: v for k, v in points.items() if v is not None})


@pytest.mark.parametrize("level", [0.0, 1.0, 1.5, -0.1, float("nan")])
def test_a_level_that_is_none_is_refused(level: float) -> None:
    with pytest.raises(InputError, match=r"level must lie in \(0, 1\)"):
        StepLaw().predict_interval(grid(), level)


@pytest.mark.parametrize(
    ("change", "message"),
    [({"model": "nope-7b"}, "model must be known.*nope-7b"), ({"model": None}, "model must be"),
     ({"hardware": "h1000"}, "h1000.*did you mean h100_sxm"),
     ({"precision": "fp7"}, "precision must be one of.*fp7"),
     ({"kv_precision": "fp7"}, "precision of the cache.*fp7")],
)  # fmt: skip
def test_a_row_that_cannot_be_answered_says_why_and_the_others_are(
    change: dict[str, Any], message: str
) -> None:
    points = pd.concat([grid(isl=[128, 256]), grid(**change)], ignore_index=True)
    said = StepLaw().predict_table(points)
    assert said["problem"].tolist()[:2] == ["", ""]
    assert said["problem"].str.contains(message).tolist() == [False, False, True]
    assert said["e2e_ms"].notna().tolist() == [True, True, False]
    assert not said["fits_memory"][2]
    np.testing.assert_allclose(said["e2e_ms"][:2], StepLaw().predict(grid(isl=[128, 256])))


def test_an_empty_table_has_an_empty_answer_and_no_fit() -> None:
    empty = grid().iloc[:0]
    said = StepLaw().predict_table(empty)
    assert len(said) == 0
    assert {"ttft_ms", "tpot_ms", "e2e_ms", "problem"} <= set(said)
    with pytest.raises(NothingUsableError, match="a fit needs rows"):
        StepLaw().fit(empty)
    with pytest.raises(ColumnError, match="need the column model"):
        StepLaw().predict_table(pd.DataFrame())


@pytest.mark.parametrize(
    "times",
    [{}, {"tpot_ms": [float("nan")]}, {"tpot_ms": [0.0]}, {"tpot_ms": [-3.0]},
     {"tpot_ms": [float("inf")]}, {"latency_ms": [None]}],
)  # fmt: skip
@pytest.mark.parametrize("learn", ["fit", "update"])
def test_rows_without_a_time_are_nothing_to_learn_from(learn: str, times: dict[str, Any]) -> None:
    with pytest.raises(NothingUsableError, match="no positive time"):
        getattr(StepLaw(), learn)(grid().assign(**times))


def test_rows_nobody_can_place_are_named() -> None:
    with pytest.raises(NothingUsableError, match="nope-7b"):
        StepLaw().fit(grid(model="nope-7b").assign(tpot_ms=5.0))


def test_times_that_are_text_are_named() -> None:
    with pytest.raises(ColumnError, match="ttft_ms must hold numbers, but got 'fast'"):
        StepLaw().fit(grid().assign(ttft_ms="fast"))


@pytest.mark.parametrize("points", [None, 5])
def test_what_is_no_table_is_refused(points: Any) -> None:
    with pytest.raises(InputError, match="points are a table"):
        StepLaw().predict(points)


def test_a_missing_file_is_named() -> None:
    with pytest.raises(InputError, match=r"nowhere\.csv"):
        StepLaw().fit("nowhere.csv")


def test_a_bad_row_does_not_spoil_a_fit(table: pd.DataFrame) -> None:
    bad = table.iloc[[0, 1]].assign(model=["nope", "llama3.1-8b"], tpot_ms=[5.0, -1.0],
                                    ttft_ms=[5.0, np.nan])  # fmt: skip
    law = StepLaw().fit(pd.concat([table, bad], ignore_index=True))
    assert law.training_ is not None
    assert law.training_["rows"] == len(table)
