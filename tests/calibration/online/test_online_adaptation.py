"""How much of the correction is used, how fast recent rows are followed, what a change leaves."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from streams import traffic

from lengthwise.calibration.online.learner import OnlineLearner
from lengthwise.calibration.online.pace import LARGEST, LEAST_S, SPEEDS, Pace
from lengthwise.calibration.online.weighing import SHARES, Weighing
from lengthwise.errors import ArtifactError
from lengthwise.formulations.online.law import OnlineLaw
from lengthwise.formulations.online.recent import Recent
from lengthwise.formulations.online.spread import Spread


def learn(learner: OnlineLearner, data: tuple, start: int, size: int = 50) -> None:
    rows, ttft, tpot = data
    for i in range(0, len(rows), size):
        at = slice(i, i + size)
        learner.observe(rows.take(at), ttft[at], tpot[at], np.arange(start, start + len(rows))[at])


# How much of the correction


@pytest.mark.parametrize(("helps", "share"), [(0.2, 1.0), (-0.2, 0.0)])
def test_a_correction_is_used_as_far_as_it_helps(helps: float, share: float) -> None:
    rng, weighing, said = np.random.default_rng(0), Weighing(), []
    for _ in range(40):
        extra = rng.normal(0, 0.2, 32)
        said.append(weighing.learn(np.sign(helps) * extra + rng.normal(0, 0.05, 32), extra))
    assert weighing.share == pytest.approx(share, abs=0.02)
    assert [s for s in said if s] == ([] if helps > 0 else ["off"])


def test_half_a_correction_is_used_where_half_of_it_is_true() -> None:
    rng, weighing = np.random.default_rng(0), Weighing()
    for _ in range(60):
        extra = rng.normal(0, 0.2, 32)
        weighing.learn(0.5 * extra + rng.normal(0, 0.05, 32), extra)
    assert weighing.share == pytest.approx(0.5, abs=0.02)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.floats(-3, 3), st.floats(-1.5, 1.5)), min_size=1, max_size=200))
def test_the_share_stays_between_none_and_all(rows: list[tuple[float, float]]) -> None:
    weighing = Weighing()
    plain, extra = np.array(rows).T
    weighing.learn(plain, extra)
    assert SHARES[0] <= weighing.share <= SHARES[-1]
    again = Weighing.from_dict(weighing.to_dict())
    assert again.share == pytest.approx(weighing.share, rel=1e-12)


@pytest.mark.parametrize("weights", [[1.0], [-1.0, 1.0, 1.0], [0.0, 0.0, 0.0]])
def test_damaged_weights_are_refused(weights: list[float]) -> None:
    with pytest.raises(ValueError, match="weights"):
        Weighing.from_dict({"weights": weights, "on": True})


# How fast


def test_waves_are_followed_and_quiet_is_left_alone() -> None:
    rng = np.random.default_rng(0)
    for swing, most in ((0.0, 0.02), (0.2, 0.10)):
        pace, misses = Pace(), []
        for i in range(400):
            wave = swing * np.sin(i / 15)
            misses.append(pace.recent.level - wave)
            pace.learn(wave + rng.normal(0, 0.15, 20), np.full(20, 0.15), float(i))
        left = float(np.std(misses[50:]))
        assert left < most
        assert swing == 0 or left < 0.75 * np.std([swing * np.sin(i / 15) for i in range(400)])


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(-9, 9), min_size=1, max_size=100), st.floats(0, 1e6))
def test_levels_stay_small_and_are_restored_exactly(residual: list[float], now: float) -> None:
    pace = Pace()
    for _ in range(5):
        pace.learn(np.array(residual), np.full(len(residual), 0.1), now)
    assert abs(pace.recent.level) <= LARGEST
    again = Pace.from_dict(pace.to_dict())
    assert again.recent == pace.recent
    pace.restart()
    assert pace.recent.level == 0.0


def test_a_level_outlives_the_time_between_two_laws() -> None:
    pace = Pace()
    for i in range(100):
        pace.learn(np.full(20, 0.2), np.full(20, 0.1), 1e-3 * i)  # 20,000 rows a second
    assert pace.recent.fades_s == LEAST_S


def test_a_damaged_pace_is_refused() -> None:
    good = Pace().to_dict()
    with pytest.raises(ValueError, match="pace"):
        Pace.from_dict({**good, "level": [0.0] * (len(SPEEDS) - 1)})


def test_what_recent_rows_say_fades_with_their_age() -> None:
    learner, (rows, ttft, tpot) = OnlineLearner(), traffic(50, 3000)
    wave = np.exp(0.2 * np.sin(np.arange(3000) / 150))
    learn(learner, (rows, wave * ttft, wave * tpot), 0)
    recent = learner.law.targets["ttft"].recent
    assert abs(recent.level) > 0.02
    assert recent.at_s == 2999
    assert recent.fades_s == pytest.approx(200, rel=0.2)  # a row a second
    some = traffic(51, 20)[0]
    plain, *later = (learner.law.predict(some, now_s=t).ttft_s for t in (None, 2999, 3199, 1e9))
    logs = [float(np.mean(np.log(now / plain))) for now in later]
    assert logs[0] == pytest.approx(recent.level, rel=1e-6)
    assert logs[1] == pytest.approx(recent.level * np.exp(-200 / recent.fades_s), rel=1e-6)
    assert logs[2] == 0.0
    before = learner.law.predict(some, now_s=-1e9).ttft_s  # a clock that was set back
    np.testing.assert_allclose(before, later[0])


def test_following_waves_brings_answers_nearer() -> None:
    learner, (rows, ttft, tpot) = OnlineLearner(), traffic(52, 6000)
    wave = np.exp(0.2 * np.sin(np.arange(6000) / 200))
    misses = {"law": [], "now": []}
    for i in range(0, 6000, 50):
        at = slice(i, i + 50)
        if i >= 2000:
            for name, now in (("law", None), ("now", float(i))):
                said = learner.law.quantile(rows.take(at), 0.5, now_s=now).tpot_s
                misses[name].append(np.abs(np.log(said / (wave * tpot)[at])).mean())
        learner.observe(rows.take(at), (wave * ttft)[at], (wave * tpot)[at], np.arange(6000)[at])
    assert np.mean(misses["now"]) < 0.95 * np.mean(misses["law"])


@pytest.mark.parametrize("recent", [{"level": 9.0, "at_s": 0.0, "fades_s": 1.0},
                                    {"level": 0.1, "at_s": float("nan"), "fades_s": 1.0},
                                    {"level": 0.1, "at_s": 0.0, "fades_s": 0.0}])  # fmt: skip
def test_a_law_with_a_damaged_level_is_refused(recent: dict[str, float]) -> None:
    data = OnlineLaw.cold().to_dict()
    data["targets"]["ttft"]["recent"] = recent
    with pytest.raises(ArtifactError, match="finite"):
        OnlineLaw.from_dict(data)


def test_a_law_of_before_has_no_recent_level() -> None:
    data = OnlineLaw.cold().to_dict()
    del data["targets"]["ttft"]["recent"]
    assert OnlineLaw.from_dict(data).targets["ttft"].recent == Recent()


def test_a_fresh_law_answers_from_the_moved_table_and_an_old_one_from_the_other() -> None:
    settled = Spread.cold(0.1)
    spread = replace(settled, moved=0.1 + 2 * settled.quantiles)
    cell, none = np.array([0]), np.zeros(1)
    at = [float(spread.at(0.9, cell, none, fresh=f)[0]) for f in (0.0, 0.25, 0.5, 1.0)]
    assert at[0] == pytest.approx(float(settled.at(0.9, cell, none)[0]))
    assert at[-1] == pytest.approx(0.1 + 2 * at[0])
    assert np.diff(at) == pytest.approx((at[-1] - at[0]) * np.array([0.25, 0.25, 0.5]), rel=1e-6)
    again = Spread.from_dict(json.loads(json.dumps(spread.to_dict())))
    assert float(again.at(0.9, cell, none, fresh=1.0)[0]) == pytest.approx(at[-1])


def test_a_state_written_before_there_were_weights_is_read() -> None:
    learner = OnlineLearner()
    learn(learner, traffic(57, 1000), 0)
    data = json.loads(json.dumps(learner.to_dict()))
    for target in data["targets"].values():
        for name in ("weighing", "pace", "history"):
            del target[name]
        for model in (target["model"], target["anchor"]):
            model["trusted"] = model.pop("trust") > 0.5
    again = OnlineLearner.from_dict(data)
    some = traffic(58, 50)[0]
    np.testing.assert_allclose(again.law.predict(some).ttft_s, learner.law.predict(some).ttft_s,
                               rtol=0.05)  # fmt: skip
    learn(again, traffic(59, 200), 1000)
    assert again.targets["ttft"].seen == 1200


# What a change leaves


@pytest.mark.parametrize("factor", [1.35, 3.0])
def test_a_change_of_level_does_not_bend_the_shape(factor: float) -> None:
    learner, data = OnlineLearner(), traffic(53, 4000)
    learn(learner, data, 0, 500)
    some = traffic(54, 400)[0]
    before = learner.law.quantile(some, 0.5).ttft_s
    rows, ttft, tpot = traffic(55, 150)
    learn(learner, (rows, factor * ttft, factor * tpot), 4000, 10)
    assert any(e.kind == "drift" and e.target == "ttft" for e in learner.events)
    ratio = np.log(learner.law.quantile(some, 0.5).ttft_s / before)
    assert np.median(ratio) == pytest.approx(np.log(factor), abs=0.08)
    assert np.std(ratio) < 0.05


def test_the_law_before_a_row_has_not_seen_it() -> None:
    learner = OnlineLearner()
    learn(learner, traffic(56, 2000), 0)
    target = learner.targets["ttft"]
    kept = [seen for seen, _ in target.history.kept]
    assert kept == sorted(kept)
    assert target.history.before(-1) is None
    first, last = (target.history.before(row) for row in (kept[0], 10**9))
    assert first is not None
    assert last is not None
    assert not np.array_equal(first.theta, last.theta)
