"""The public law: what it learns, what it says, what it refuses."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from lengthwise import Estimate, InputError, LatencyLaw, RefusedError, RequestEstimate


def prefill(**columns: object) -> pd.DataFrame:
    return pd.DataFrame({"phase": "prefill", **columns}, index=range(1))


def test_it_is_a_scikit_learn_estimator(table: pd.DataFrame) -> None:
    law = LatencyLaw("linear", max_extrapolation=4.0)
    copy = clone(law)
    assert copy.get_params() == law.get_params()
    assert copy.get_params()["max_extrapolation"] == 4.0
    assert law.fit(table) is law
    assert [name for name in vars(law) if name.endswith("_")] == [
        "law_set_", "training_", "errors_",
    ]  # fmt: skip


@pytest.mark.parametrize("method", ["predict", "predict_interval", "predict_table", "score"])
def test_an_unfitted_law_says_so(method: str, table: pd.DataFrame) -> None:
    with pytest.raises(NotFittedError, match="call fit"):
        getattr(LatencyLaw(), method)(table)


def test_predictions_are_near_the_measured_times(law: LatencyLaw, table: pd.DataFrame) -> None:
    ratio = law.predict(table) / table["latency_ms"].to_numpy()
    assert np.abs(ratio - 1).max() < 0.06
    assert -0.03 < law.score(table) <= 0


def test_a_path_is_as_good_as_a_table(law: LatencyLaw, table: pd.DataFrame, tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    table.to_parquet(path)
    assert np.array_equal(LatencyLaw().fit(path).predict(path), law.predict(table))


def test_the_interval_holds_the_prediction_and_grows_with_level(law: LatencyLaw) -> None:
    points = prefill(isl=[30000])
    narrow, wide = (law.predict_interval(points, level)[0] for level in (0.5, 0.95))
    assert wide[0] < narrow[0] < law.predict(points)[0] < narrow[1] < wide[1]


def test_a_table_of_answers_has_all_columns_and_keeps_measured_ones(
    law: LatencyLaw, table: pd.DataFrame
) -> None:
    answers = law.predict_table(table.assign(note="kept"))
    assert {"lo_ms", "hi_ms", "in_domain", "extrapolation_factor", "regime", "provenance",
            "note"} <= set(answers)  # fmt: skip
    assert answers["measured_latency_ms"].tolist() == table["latency_ms"].tolist()
    assert answers["latency_ms"].tolist() == law.predict(table).tolist()
    assert answers["in_domain"].all()
    assert set(answers["regime"]) <= {"overhead", "memory", "compute"}


def test_one_table_may_mix_steps_and_requests(law: LatencyLaw) -> None:
    points = pd.DataFrame({
        "phase": ["request", "prefill", "decode"], "isl": [1000, 1000, None],
        "osl": [1, None, None], "context_len": [None, None, 1000],
    })  # fmt: skip
    answers = law.predict_table(points)
    assert answers["e2e_ms"].iloc[0] == answers["ttft_ms"].iloc[0] == answers["latency_ms"].iloc[1]
    assert answers["latency_ms"].isna().tolist() == [True, False, False]
    assert law.predict(points).tolist()[1:] == answers["latency_ms"].tolist()[1:]
    assert np.isfinite(law.predict_interval(points)).all()


def test_an_estimate_knows_its_standing(law: LatencyLaw) -> None:
    inside, beyond = law.estimate(isl=1000), law.estimate(isl=32768)
    assert isinstance(inside, Estimate)
    assert isinstance(beyond, Estimate)
    assert (inside.in_domain, inside.extrapolation_factor) == (True, 1.0)
    assert (beyond.in_domain, beyond.extrapolation_factor) == (False, 4.0)
    assert "64 points" not in beyond.provenance
    assert "32 points (32 rows) up to 8,192 tokens of llama2-70b | h100 | tp=2" in beyond.provenance
    assert beyond.provenance.startswith("hachiya-patias (E1 ")


def test_the_phase_follows_from_the_lengths(law: LatencyLaw) -> None:
    assert law.estimate(isl=512) == law.estimate(phase="prefill", isl=512)
    assert law.estimate(context_len=512) == law.estimate(phase="decode", context_len=512)
    assert isinstance(law.estimate(isl=512, osl=9), RequestEstimate)
    with pytest.raises(InputError, match="a point needs a length"):
        law.estimate(batch_size=2)


def test_cached_tokens_save_time_but_not_below_the_chunk_alone(law: LatencyLaw) -> None:
    whole, chunk = law.estimate(isl=8192), law.estimate(isl=8192, cached_tokens=6144)
    alone = law.estimate(isl=2048)
    assert isinstance(whole, Estimate)
    assert isinstance(chunk, Estimate)
    assert isinstance(alone, Estimate)
    assert alone.latency_ms < chunk.latency_ms < whole.latency_ms


def test_beyond_eight_times_it_refuses_and_names_the_measurement(law: LatencyLaw) -> None:
    with pytest.raises(RefusedError) as refused:
        law.predict(prefill(isl=[131072]))
    text = str(refused.value)
    assert "isl=131072 (16 times)" in text
    assert "8,192 tokens" in text
    assert "measure prefill at isl=65536, batch_size=1" in text
    assert "--allow-extrapolation" in text
    assert refused.value.exit_code == 1


def test_measuring_what_it_names_makes_it_answer(table: pd.DataFrame, law: LatencyLaw) -> None:
    advice = law.suggest(phase="prefill", isl=131072)
    row = prefill(isl=advice.length, batch_size=1, latency_ms=2500.0, model="llama2-70b",
                  hardware="h100", tp=2)  # fmt: skip
    again = LatencyLaw().fit(pd.concat([table, row]))
    assert again.predict(prefill(isl=[131072]))[0] > 2500
    assert advice.sd_after < advice.sd_before


def test_the_limit_can_be_lifted_or_moved(table: pd.DataFrame) -> None:
    far = prefill(isl=[131072])
    assert LatencyLaw("linear", max_extrapolation=None).fit(table).predict(far)[0] > 0
    with pytest.raises(RefusedError, match="up to 2 times"):
        LatencyLaw("linear", max_extrapolation=2).fit(table).predict(prefill(isl=[20000]))


def test_a_decode_step_and_a_request_are_refused_alike(law: LatencyLaw) -> None:
    with pytest.raises(RefusedError, match="measure decode at context_len="):
        law.estimate(context_len=100000)
    with pytest.raises(RefusedError, match="measure decode at context_len="):
        law.estimate(isl=60000, osl=10000)
    with pytest.raises(RefusedError, match="context_len=100000"):
        law.predict_arrays("decode", context_len=[100, 100000])


def test_a_baseline_without_posterior_gives_advice_too(table: pd.DataFrame) -> None:
    law = LatencyLaw("linear").fit(table)
    with pytest.raises(RefusedError, match="isl=65536"):
        law.predict(prefill(isl=[131072]))


@pytest.mark.parametrize("tp", [2, 2.0, "2"])
def test_a_deployment_is_found_by_some_of_its_labels(fleet: LatencyLaw, tp: object) -> None:
    one = fleet.estimate(isl=512, tp=tp)
    assert isinstance(one, Estimate)
    assert one.in_domain
    assert "h100" in one.provenance
    points = prefill(isl=[512], tp=[tp])
    assert fleet.predict(points)[0] == one.latency_ms


def test_an_ambiguous_deployment_is_refused(fleet: LatencyLaw) -> None:
    with pytest.raises(InputError, match=r"2 that agree: llama2-70b . a100"):
        fleet.estimate(isl=512)
    with pytest.raises(InputError, match="must be deployment columns"):
        fleet.estimate(isl=512, gpu="h100")


def test_a_deployment_nobody_measured_is_never_inside(fleet: LatencyLaw) -> None:
    one = fleet.estimate(isl=512, hardware="b200")
    assert isinstance(one, Estimate)
    assert not one.in_domain
    assert "from 2 relatives; b200 was never measured" in one.provenance


def test_terms_belong_to_the_own_family(table: pd.DataFrame) -> None:
    with pytest.raises(InputError, match="terms of hachiya-patias"):
        LatencyLaw("linear", e1="power").fit(table)
    law = LatencyLaw(e1="off", e2="off", e3="off").fit(table)
    assert "E1 off, E2 off, E3 off" in law.summary()


@pytest.mark.parametrize("limit", [0, -1, 0.5, "8", float("nan")])
def test_a_bad_limit_is_refused(table: pd.DataFrame, limit: object) -> None:
    with pytest.raises(InputError, match="max_extrapolation"):
        LatencyLaw(max_extrapolation=limit).fit(table)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("points", "message"),
    [
        (pd.DataFrame({"isl": [512]}), "must say their phase"),
        (pd.DataFrame({"phase": ["prefil"], "isl": [512]}), "phase must be one of"),
        (pd.DataFrame({"phase": ["prefill"], "isl": [-1]}), "isl must be"),
        (pd.DataFrame({"phase": ["prefill"], "isl": [float("nan")]}), "isl must be"),
        (pd.DataFrame({"phase": ["prefill"], "context_len": [5]}), "isl"),
        (pd.DataFrame({"phase": ["decode"], "isl": [5]}), "context_len"),
        (pd.DataFrame({"isl": [512], "osl": [0]}), "osl must be"),
        (pd.DataFrame({"isl": [512], "osl": [2.5]}), "osl must be"),
        (pd.DataFrame({"isl": [512], "osl": [5], "cached_tokens": [512]}), "cached_tokens"),
        (pd.DataFrame({"isl": [512], "osl": [5], "batch_size": [0]}), "batch_size"),
        (pd.DataFrame({"phase": ["prefill"], "isl": [9], "tp": ["two"]}), "tp must be numbers"),
        ([1, 2], "points are a pandas DataFrame"),
    ],
)
def test_bad_points_are_refused(law: LatencyLaw, points: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        law.predict(points)  # type: ignore[arg-type]


@pytest.mark.parametrize("level", [0, 1, 90, -0.5])
def test_a_bad_level_is_refused(law: LatencyLaw, level: float) -> None:
    with pytest.raises(InputError, match="level"):
        law.predict_interval(prefill(isl=[512]), level)


def test_the_representation_shows_numbers_and_units(law: LatencyLaw) -> None:
    assert repr(LatencyLaw("linear")) == "LatencyLaw(formulation='linear')"
    text = repr(law)
    assert "llama2-70b | h100 | tp=2, prefill: t = " in text
    assert "/token x " in text
    assert "/pair x A" in text


def test_the_summary_gives_intervals_and_marks_what_data_leave_open() -> None:
    rows = {"phase": "prefill", "isl": [64, 128, 256], "latency_ms": [10.0, 10.1, 10.3]}
    text = LatencyLaw().fit(pd.DataFrame(rows)).summary()
    assert "alpha_2 = " in text
    assert "s/pair  [" in text
    assert "?" in text
    assert "weakly identified" in text
    assert "held out" in text


def test_no_points_give_no_predictions(law: LatencyLaw) -> None:
    empty = pd.DataFrame({"phase": pd.Series(dtype=str), "isl": pd.Series(dtype=float)})
    assert law.predict(empty).shape == (0,)
    assert law.predict_interval(empty).shape == (0, 2)
