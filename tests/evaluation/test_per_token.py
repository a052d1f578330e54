"""The per-token study on events whose truth is known, and on the project's own measurements."""

from __future__ import annotations

import json
import math

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import Ridge
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

from lengthwise.data import datasets
from lengthwise.errors import ColumnError, InputError, LengthwiseError
from lengthwise.evaluation.per_token import PerTokenStudy, SubjectStudy, per_token_study
from lengthwise.evaluation.per_token.divide import divisions
from lengthwise.evaluation.per_token.events import events_of
from lengthwise.evaluation.per_token.features import presence_of, with_system_before
from lengthwise.evaluation.per_token.figures import change, figures_of
from lengthwise.evaluation.per_token.remarks import remarks
from lengthwise.evaluation.per_token.slow import slow_events
from lengthwise.evaluation.per_token.tables import tables_of
from lengthwise.evaluation.per_token.worth import worth_of

LENGTHS = (64, 128, 256, 512, 1024, 2048)


def events(
    *, tokens: int = 24, repeats: int = 1, noise: float = 0.0, lengths: tuple[int, ...] = LENGTHS
) -> pd.DataFrame:
    """Events of a law: prefill 5 + 0.2 n, decode 10 + c / 200, ms."""
    rng = np.random.default_rng(1)
    rows = []
    for request, isl in enumerate(n for _ in range(repeats) for n in lengths):
        for index in range(tokens + 1):
            context = isl + index
            time = 10 + context / 200 if index else 5 + 0.2 * isl
            rows.append({
                "phase": "decode" if index else "prefill", "isl": isl, "context_len": context,
                "output_index": index, "request": request, "timestamp": float(len(rows)),
                "latency_ms": time * math.exp(noise * rng.standard_normal()),
            })  # fmt: skip
    return pd.DataFrame(rows)


def one(table: pd.DataFrame, **options: object) -> SubjectStudy:
    study = per_token_study(table, **options)  # type: ignore[arg-type]
    assert isinstance(study, PerTokenStudy)
    (subject,) = study.subjects
    return subject


@pytest.fixture(scope="module")
def clean() -> SubjectStudy:
    return one(events(repeats=3, noise=0.01), features="known")


def test_our_law_recovers_the_truth_that_the_ridge_cannot(clean: SubjectStudy) -> None:
    for division in ("random", "requests", "lengths"):
        law, ridge = (clean.score(division, name).figures for name in
                      ("hachiya-patias", "thesis-ridge"))  # fmt: skip
        assert law is not None
        assert ridge is not None
        assert law.mape_percent < 3.0
        assert ridge.mape_percent > 10.0
        assert ridge.rmse_ms > 5 * law.rmse_ms
        assert law.mae_lo_ms <= law.mae_ms <= law.mae_hi_ms


def test_the_thesis_s_figures_are_those_of_scikit_learn_on_the_same_split() -> None:
    table = events()
    found = one(table, seed=3, quick=True).thesis
    x, y = table[["context_len", "isl"]].to_numpy(float), table["latency_ms"].to_numpy(float)
    train, test = train_test_split(np.arange(len(table)), test_size=0.2, random_state=3)
    train, test = np.sort(train), np.sort(test)
    scaler = StandardScaler().fit(x[train])
    ridge = Ridge().fit(scaler.transform(x[train]), y[train])
    error = ridge.predict(scaler.transform(x[test])) - y[test]
    assert (found.n_train, found.n_test) == (len(train), len(test))
    assert found.context_size_ms == pytest.approx(ridge.coef_[0])
    assert found.input_token_length_ms == pytest.approx(ridge.coef_[1])
    assert found.intercept_ms == pytest.approx(ridge.intercept_)
    assert found.mae_ms == pytest.approx(np.abs(error).mean())
    assert found.rmse_ms == pytest.approx(np.sqrt((error**2).mean()))


def test_the_split_of_471_events_is_the_thesis_s() -> None:
    frame = pd.DataFrame({"isl": 8.0, "request_code": np.zeros(471, dtype=int)})
    random, requests, lengths = divisions(frame)
    assert (len(random.folds[0].train), len(random.folds[0].test)) == (376, 95)
    assert "one request" in requests.skipped
    assert "one prompt length (8 tokens)" in lengths.skipped


def test_held_out_requests_and_lengths_are_whole_and_all_are_tested_once(
    clean: SubjectStudy,
) -> None:
    frame = clean.events.frame
    for way, column in zip(clean.divisions[1:], ("request_code", "isl"), strict=True):
        tested = np.concatenate([fold.test for fold in way.folds])
        assert sorted(tested) == list(range(len(frame)))
        for fold in way.folds:
            assert not set(frame[column].iloc[fold.train]) & set(frame[column].iloc[fold.test])


def test_the_pooled_error_is_found_to_come_from_first_tokens(clean: SubjectStudy) -> None:
    found = clean.diagnosis
    scopes = {scope.name: scope for scope in found.scopes}
    pooled, decode = scopes["everything pooled"].ridge, scopes["without first tokens"].ridge
    assert pooled is not None
    assert decode is not None
    assert pooled.rmse_ms > 50 * decode.rmse_ms
    assert found.first_token_squared_percent > 50
    assert found.worst[0].kind == "first token"
    assert sum(s.squared_percent for s in found.shares) == pytest.approx(100.0)
    assert "without warm-up" not in scopes  # nothing is marked: no row that repeats the first


def test_one_event_can_carry_the_error_as_in_the_thesis() -> None:
    table = events()
    test = divisions(next(events_of(table)).frame)[0].folds[0].test
    row = next(int(i) for i in test if table["output_index"].iloc[i] > 1)
    table.loc[row, "latency_ms"] = 50_000.0
    found = one(table, quick=True)
    assert found.diagnosis.worst[0].row == row
    assert found.diagnosis.worst[0].squared_percent > 95
    assert found.thesis.one_event_ms == pytest.approx(50_000, rel=0.02)
    assert found.diagnosis.slow.unmarked == 1
    assert found.diagnosis.slow_squared_percent > 95


def test_planted_warm_up_is_found_marked_or_not() -> None:
    table = events(repeats=2, noise=0.01)
    table.loc[:4, "latency_ms"] *= 20
    table.loc[table["output_index"].eq(1) & table["request"].gt(3), "latency_ms"] *= 5
    (bare,) = events_of(table)
    found = slow_events(bare.frame)
    assert found.leading == 5
    assert found.first_decode == 1 + 8  # one of the opening five is a first decode step too
    assert set(np.flatnonzero(found.mask)) == {
        *range(5), *np.flatnonzero(table["output_index"].eq(1) & table["request"].gt(3))
    }  # fmt: skip
    (marked,) = events_of(table.assign(warmup=table.index < 5))
    assert slow_events(marked.frame).leading == 0
    assert slow_events(marked.frame).unmarked == 8


def test_marked_warm_up_is_set_apart_in_the_diagnosis() -> None:
    table = events(repeats=2, noise=0.01)
    table.loc[:9, "latency_ms"] += 5000.0
    found = one(table.assign(warmup=table.index < 10), quick=True).diagnosis
    scopes = {s.name: s.ridge for s in found.scopes if s.ridge is not None}
    assert found.warmup_squared_percent > 80
    assert scopes["without warm-up"].rmse_ms < scopes["everything pooled"].rmse_ms / 3


@pytest.mark.slow
def test_a_clock_that_decides_times_is_worth_its_group_and_noise_is_not() -> None:
    table = events(repeats=3, tokens=12)
    rng = np.random.default_rng(0)
    clock = rng.choice([900.0, 1800.0], len(table))
    table["latency_ms"] *= 1800.0 / clock
    table = table.assign(gpu_clock_mhz=clock, load1=rng.random(len(table)),
                         gpu_temperature_c=60.0)  # fmt: skip
    found = one(table)
    worth = {g.group: g for w in found.worth for g in w.groups
             if (w.learner, w.division) == ("gradient boosting", "requests")}  # fmt: skip
    assert worth["clocks"].dropped.mae_lo_ms > 1.0
    assert worth["cpu load"].dropped.mae_hi_ms < worth["clocks"].dropped.mae_lo_ms
    groups = {p.group.name: p for p in found.presence}
    assert not groups["clocks"].group.known
    assert groups["clocks"].absent == ("gpu_memory_clock_mhz", "cpu_mhz")
    assert groups["heat and power"].constant == {"gpu_temperature_c": "60.0"}
    assert groups["utilisation"].absent == ("gpu_util_percent", "gpu_memory_util_percent")
    assert "gpu_clock_mhz_before" in groups["system before"].used
    text = "\n".join(remarks(found))
    assert "no predictor has them: clocks, cpu load" in text
    assert "The random split leaks" in text


@pytest.mark.slow
def test_settings_are_features_and_precisions_one_study() -> None:
    parts = [
        events(repeats=2).assign(model="m", precision=name, beams=beams, request_id=name)
        for name, beams in (("bf16", 1), ("int8", 4))
    ]
    parts[1]["latency_ms"] *= 3
    found = one(pd.concat(parts, ignore_index=True), features="known")
    worth = {g.group: g for w in found.worth for g in w.groups
             if (w.learner, w.division) == ("ridge", "random")}  # fmt: skip
    used = {p.group.name: p.used for p in found.presence}
    assert (used["precision"], used["beams"]) == (("precision",), ("beams",))
    assert worth["precision"].added.mae_hi_ms < 0
    assert worth["beams"].added.mae_hi_ms < 0
    (law,) = (w for w in found.worth if w.learner == "hachiya-patias")
    assert law.division == "requests"
    assert law.known.mae_ms < 0.05 < law.lengths.mae_ms
    assert {g.group for g in law.groups} == {"precision", "beams"}
    for group in law.groups:  # either tells the two apart, so neither is missed
        assert group.added.mae_hi_ms < 0
        assert group.added.mape_hi_percent < -10
        assert group.dropped.mae_ms == pytest.approx(0, abs=0.05)
    assert "Our law does not know beams" in "\n".join(remarks(found))


def test_a_load_that_drifts_does_not_stand_in_for_a_setting() -> None:
    parts = [
        events(repeats=3, tokens=8).assign(precision=name, load1=load, request_id=name)
        for name, load in (("bf16", 1.0), ("int8", 2.0))
    ]
    parts[1]["latency_ms"] *= 3
    (found,) = events_of(pd.concat(parts, ignore_index=True))
    way = divisions(found.frame)[1]
    worth = worth_of(found.frame, way, presence_of(found.frame), "gradient boosting")
    groups = {g.group: g for g in worth.groups}
    assert groups["cpu load"].added.mae_hi_ms < -1  # it tells the precision
    assert groups["precision"].dropped.mae_lo_ms > 1  # which nothing known beforehand does
    assert groups["cpu load"].dropped.mae_ms == pytest.approx(0, abs=1)


def test_variants_that_columns_tell_apart_are_one_subject() -> None:
    labels = {"engine": "e", "hardware": "cpu-1thread", "precision": "f32"}
    plain = events().assign(engine_version="5.2", beams=1, **labels)
    beams = events().assign(engine_version="5.2+beams4", beams=4, **labels)
    (one_subject,) = events_of(pd.concat([plain, beams], ignore_index=True))
    assert one_subject.name == "cpu-1thread | e | 5.2"
    eager = events().assign(engine_version="5.2+eager", beams=4, **labels)
    found = events_of(pd.concat([plain, beams, eager], ignore_index=True))
    assert [f.name for f in found] == [
        "cpu-1thread | e | 5.2", "cpu-1thread | e | 5.2+beams4", "cpu-1thread | e | 5.2+eager"
    ]  # fmt: skip
    other = eager.assign(precision="bf16", beams=1)  # a precision does not say what else differs
    assert len(list(events_of(pd.concat([plain, other], ignore_index=True)))) == 2


def test_threads_vary_within_one_subject() -> None:
    parts = [events().assign(hardware=f"cpu-x-{n}thread{'s' * (n > 1)}", threads=n) for n in (1, 2)]
    assert [f.name for f in events_of(pd.concat(parts, ignore_index=True))] == ["cpu-x"]
    assert [f.name for f in events_of(parts[0])] == ["cpu-x-1thread"]


def test_system_metrics_before_are_those_of_the_event_before_in_time() -> None:
    frame = pd.DataFrame({"timestamp": [3.0, 1.0, 2.0], "load1": [30.0, 10.0, 20.0]})
    before = with_system_before(frame)["load1_before"]
    assert before.iloc[[0, 2]].tolist() == [20.0, 10.0]
    assert np.isnan(before.iloc[1])
    assert "load1_before" not in with_system_before(frame.drop(columns="timestamp"))


@pytest.mark.slow
def test_missing_values_of_a_feature_are_counted_and_filled() -> None:
    table = events()
    table["load1"] = np.where(table.index % 4 == 0, np.nan, table.index % 7)
    found = one(table)
    gaps = next(p.gaps for p in found.presence if p.group.name == "cpu load")
    assert gaps["load1"] == pytest.approx(0.25, abs=0.01)
    assert all(score.figures is not None for score in found.scores)


def test_constant_features_are_said_and_do_not_break_anything() -> None:
    table = events(lengths=(256,), repeats=3).query("output_index > 0")
    found = one(table.assign(context_len=300, batch_size=2), quick=True)
    lengths = found.presence[0]
    assert lengths.used == ()
    assert lengths.constant == {"context_len": "300.0", "isl": "256.0"}
    assert found.thesis.context_size_ms == found.thesis.input_token_length_ms == 0.0
    assert next(d.skipped for d in found.divisions if d.name == "lengths")
    assert [t.title for t in tables_of(found)]


def test_rows_without_a_time_are_counted_and_set_aside() -> None:
    table = events()
    table.loc[3, "latency_ms"] = np.nan
    table.loc[5, "latency_ms"] = -1.0
    found = next(events_of(table))
    assert found.set_aside == {"time missing": 1, "time not positive": 1}
    assert len(found) == len(table) - 2
    assert not set(found.frame["row"]) & {3, 5}


def test_a_missing_length_is_taken_from_the_other() -> None:
    first = events()["output_index"] == 0
    table = events().assign(isl=events()["isl"].where(first),
                            context_len=events()["context_len"].where(~first))  # fmt: skip
    (found,) = events_of(table)
    assert (found.frame[["isl", "context_len"]] == events()[["isl", "context_len"]]).all(axis=None)
    assert found.notes == (
        "isl of 144 events taken from context_len = isl + output_index",
        "context_len of 6 events taken from context_len = isl + output_index",
    )


def test_requests_are_told_by_a_column_or_by_repeats_or_by_order() -> None:
    table = events(repeats=2)
    (by_column,) = events_of(table)
    (by_order,) = events_of(table.drop(columns="request"))
    repeat = table["request"] // len(LENGTHS)
    (by_repeat,) = events_of(table.drop(columns="request").assign(repeat=repeat))
    for found in (by_column, by_order, by_repeat):
        assert found.frame["request_code"].nunique() == 2 * len(LENGTHS)
        assert (found.frame.groupby("request_code")["isl"].nunique() == 1).all()


def test_too_many_events_are_thinned_by_whole_requests() -> None:
    (found,) = events_of(events(repeats=4), max_events=100)
    assert (found.frame["request_code"].value_counts() == 25).all()
    assert 100 <= len(found) <= 125
    assert "thinned" in found.notes[0]


def test_models_are_studied_apart() -> None:
    both = pd.concat([events().assign(model=name) for name in ("a", "b")])
    study = per_token_study(both, quick=True)
    assert [s.events.name for s in study.subjects] == ["a", "b"]
    assert study.subjects[0].thesis == study.subjects[1].thesis


@pytest.mark.slow
def test_the_same_seed_gives_the_same_study_and_another_one_another_split() -> None:
    table = events(noise=0.01, tokens=8)
    first, again = (one(table, seed=1, quick=True) for _ in range(2))
    assert json.dumps(again.to_dict()) == json.dumps(first.to_dict())
    assert one(table, seed=2, quick=True).thesis != first.thesis


def test_intervals_widen_when_tokens_of_a_request_err_together() -> None:
    rng = np.random.default_rng(0)
    request = np.repeat(np.arange(20), 50)
    shared = 100 + rng.exponential(10, 20)[request]
    together = figures_of(np.full(1000, 100.0), shared, request)
    apart = figures_of(np.full(1000, 100.0), shared, np.arange(1000))
    assert together.mae_ms == apart.mae_ms
    assert together.mae_hi_ms - together.mae_lo_ms > 3 * (apart.mae_hi_ms - apart.mae_lo_ms)
    assert change([1.0, 2.0], [2.0, 3.0], [1.0, 2.0], [0, 1]).rmse_hi_ms == -1.0


@pytest.mark.parametrize(
    ("table", "kind", "message"),
    [
        (events().drop(columns="output_index"), ColumnError, "output_index=context_len-isl"),
        (events().drop(columns=["isl", "context_len"]).query("output_index > 0"), LengthwiseError,
         "context"),
        (events().head(1), InputError, "at least 20 events"),
        (events().assign(latency_ms=np.nan), InputError, "time missing"),
        (events().drop(columns="latency_ms"), LengthwiseError, "latency_ms"),
        (pd.DataFrame({"phase": "request", "isl": [8], "osl": 9, "ttft_ms": 5.0, "e2e_ms": 9.0,
                       "output_index": 0}), InputError, "prefill and decode rows"),
    ],
)  # fmt: skip
def test_bad_tables_are_refused_with_a_remedy(
    table: pd.DataFrame, kind: type[Exception], message: str
) -> None:
    with pytest.raises(kind, match=message):
        per_token_study(table)


@pytest.mark.parametrize(
    "options", [{"features": "everything"}, {"max_events": 0}], ids=["features", "max_events"]
)
def test_bad_options_are_refused(options: dict[str, object]) -> None:
    with pytest.raises(InputError):
        per_token_study(events(), **options)  # type: ignore[arg-type]


def test_the_project_s_own_measurements_show_what_the_thesis_saw() -> None:
    table = datasets.table("own-openvino-cpu")
    table = table[(table["model"] == "random-llama-19m") & (table["batch_size"] == 1)]
    found = one(table, quick=True)
    pooled, law = (found.score("requests", n).figures for n in ("thesis-ridge", "hachiya-patias"))
    assert pooled is not None
    assert law is not None
    assert law.mae_ms < pooled.mae_ms / 10
    scopes = {s.name: s.ridge for s in found.diagnosis.scopes if s.ridge is not None}
    assert scopes["without first tokens"].rmse_ms < scopes["everything pooled"].rmse_ms / 20
    assert found.diagnosis.worst[0].kind.startswith("first token")
    assert found.events.requests_from == "equal lengths, batch and repeat"
    assert presence_of(found.events.frame)[0].used == ("context_len", "isl")
    json.dumps(found.to_dict(), allow_nan=False)
