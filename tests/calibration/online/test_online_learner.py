"""Learning from live traffic, as a router sees it."""

import json
import sys

import numpy as np
import pytest
from streams import nothing, traffic, truth

pytest.importorskip("river")

from lengthwise.calibration.online.learner import OnlineLearner
from lengthwise.calibration.online.settings import LearnerSettings
from lengthwise.calibration.online.trial import Shadow
from lengthwise.errors import ArtifactError, InputError, MissingExtraError
from lengthwise.formulations.online.rows import RouterRows


def learn(learner: OnlineLearner, data: tuple, start: int = 0, size: int = 500) -> None:
    rows, ttft, tpot = data
    for i in range(0, len(rows), size):
        at = slice(i, i + size)
        times = np.arange(start + i, start + i + len(ttft[at]), dtype=float)
        learner.observe(rows.take(at), ttft[at], tpot[at], times)


@pytest.fixture(scope="module")
def learnt() -> OnlineLearner:
    learner = OnlineLearner()
    learn(learner, traffic(0, 4000))
    return learner


def kinds(learner: OnlineLearner, target: str) -> list[str]:
    skip = ("promoted", "kept", "rolled_back", "correction_on", "correction_off")
    return [e.kind for e in learner.events if e.target == target and e.kind not in skip]


def test_it_is_ready_once_the_error_is_known(learnt: OnlineLearner) -> None:
    law = learnt.law
    assert law.ready == {"ttft": True, "tpot": True}
    assert law.version > 0
    assert all(0.01 < law.error[t] < 0.15 for t in ("ttft", "tpot"))
    few = OnlineLearner()
    learn(few, traffic(1, 30))
    assert few.law.ready == {"ttft": False, "tpot": False}
    assert few.law.error["ttft"] is None
    json.dumps(learnt.status(), allow_nan=False)


def test_in_range_and_four_times_beyond(learnt: OnlineLearner) -> None:
    for low, high, most, inside in ((64, 8192, 0.13, True), (24000, 32768, 0.25, False)):
        n = np.linspace(low, high, 50).astype(int)
        zero = np.zeros(50)
        rows = RouterRows.of({"input_tokens": n, "running": zero + 8, "kv_share": zero + 0.2})
        true = dict(zip(("ttft", "tpot"), truth(n, zero, zero + 8, zero), strict=True))
        answer = learnt.law.predict(rows)
        for target in ("ttft", "tpot"):
            error = np.abs(getattr(answer, f"{target}_s") / true[target] - 1)
            assert np.median(error) < most
        assert answer.in_domain.all() == inside
        assert (answer.extrapolation_factor[-1] > 3) == (not inside)


def test_quantiles_cover_new_rows(learnt: OnlineLearner) -> None:
    rows, ttft, tpot = traffic(5, 3000)
    answer = learnt.law.quantile(rows, 0.9)
    assert 0.86 < (ttft <= answer.ttft_s).mean() < 0.94
    assert 0.86 < (tpot <= answer.tpot_s).mean() < 0.94
    both = learnt.law.predict(rows, level=0.8)
    assert 0.75 < ((ttft >= both.ttft_lo_s) & (ttft <= both.ttft_hi_s)).mean() < 0.85


def test_intervals_widen_beyond_the_data(learnt: OnlineLearner) -> None:
    answer = learnt.law.predict(RouterRows.of({"input_tokens": [4000, 16000, 64000]}))
    width = np.log(answer.ttft_hi_s / answer.ttft_lo_s)
    assert width[0] < width[1] < width[2]


def test_slow_pods_are_told_apart_and_a_new_pod_is_uncertain() -> None:
    learner = OnlineLearner()
    learn(learner, traffic(2, 4000, pods=(1.0, 1.6, 0.7)))
    names = ["pod-0", "pod-1", "pod-2", "pod-new"]
    answer = learner.law.predict(RouterRows.of({"input_tokens": [2000] * 4, "pod": names}))
    ratio = answer.ttft_s / answer.ttft_s[0]
    assert 1.45 < ratio[1] < 1.75
    assert 0.6 < ratio[2] < 0.8
    width = answer.ttft_hi_s / answer.ttft_lo_s
    assert width[3] > 1.3 * width[0]


def test_pod_types_have_laws_of_their_own() -> None:
    learner = OnlineLearner()
    for i in range(4):
        fast, slow = (traffic(10 * i + k, 500, pod_type=kind) for k, kind in enumerate("ab"))
        learn(learner, fast)
        learn(learner, (slow[0], 2 * slow[1], slow[2]))
    rows = RouterRows.of({"input_tokens": [1000] * 2, "running": [5] * 2, "pod_type": ["a", "b"]})
    a, b = learner.law.predict(rows).ttft_s
    assert 1.7 < b / a < 2.3
    assert {t["pod_type"] for t in learner.law.terms()} == {"*", "a", "b"}


def test_a_stationary_stream_raises_no_alarm() -> None:
    learner = OnlineLearner()
    learn(learner, traffic(3, 8000))
    assert kinds(learner, "ttft") == []
    assert kinds(learner, "tpot") == []


def test_slower_pods_that_join_are_no_change_of_the_others() -> None:
    learner = OnlineLearner()
    learn(learner, traffic(3, 3000, pods=(1.0, 1.0, 0.8)))
    rows, ttft, tpot = traffic(4, 3000, pods=(1.0, 1.0, 0.8, 1.7, 1.7))
    learn(learner, (rows, ttft, tpot), start=3000)
    assert kinds(learner, "ttft") == []
    assert kinds(learner, "tpot") == []


@pytest.mark.parametrize("factor", [1.35, 3.0])
def test_a_change_is_found_and_learnt_in_full(factor: float) -> None:
    learner = OnlineLearner()
    learn(learner, traffic(4, 3000))
    version = learner.law.version
    rows, ttft, tpot = traffic(6, 600)
    learn(learner, (rows, ttft * factor, tpot * factor), start=3000, size=20)
    for target in ("ttft", "tpot"):
        found = [e for e in learner.events if e.kind == "drift" and e.target == target]
        assert len(found) == 1
        assert found[0].time_s - 3000 <= 100
        assert 0.85 * factor < found[0].detail["factor"] < 1.15 * factor
        assert kinds(learner, target) == ["drift", "widened", "offset_refitted", "recovered"]
    assert learner.law.version > version
    new, ttft, tpot = traffic(7, 500)
    answer = learner.law.quantile(new, 0.5)
    assert abs(np.median(answer.ttft_s / (ttft * factor)) - 1) < 0.08
    assert abs(np.median(answer.tpot_s / (tpot * factor)) - 1) < 0.08


def test_a_change_of_shape_climbs_the_ladder_and_is_forgotten_in_the_end() -> None:
    learner = OnlineLearner()
    learn(learner, traffic(4, 3000))
    rows, ttft, tpot = traffic(6, 3000)
    strange = 0.3 + 2e-6 * rows.input_tokens + 0.02 * rows.running
    learn(learner, (rows, strange * ttft / ttft.mean() ** 0, tpot), start=3000, size=50)
    seen = kinds(learner, "ttft")
    assert seen[:3] == ["drift", "widened", "offset_refitted"]
    assert "covariance_reset" in seen
    assert kinds(learner, "tpot") == []


def test_state_goes_on_exactly() -> None:
    data = traffic(8, 2500, pods=(1.0, 1.4))
    rows, ttft, tpot = data
    one = OnlineLearner()
    learn(one, (rows.take(slice(0, 1500)), ttft[:1500], tpot[:1500]))
    two = OnlineLearner.from_dict(json.loads(json.dumps(one.to_dict(), allow_nan=False)))
    assert two.law.to_dict() == one.law.to_dict()
    for learner in (one, two):
        learn(learner, (rows.take(slice(1500, 2500)), ttft[1500:], tpot[1500:]), start=1500)
    assert two.law.to_dict() == one.law.to_dict()
    assert [e.to_dict() for e in two.events] == [e.to_dict() for e in one.events]
    assert two.to_dict() == one.to_dict()


@pytest.mark.parametrize("state", [{}, None, {"schema_version": 1}, {"schema_version": 7}])
def test_a_damaged_state_is_refused(state: object) -> None:
    with pytest.raises(ArtifactError):
        OnlineLearner.from_dict(state)  # type: ignore[arg-type]


def test_only_winners_are_promoted(learnt: OnlineLearner) -> None:
    every = [e for e in learnt.events if e.kind in ("promoted", "kept")]
    assert any(e.kind == "promoted" for e in every)
    for event in every:
        won = event.detail["error_after"] < event.detail["error_before"]
        assert won or event.kind == "kept"


def test_poison_is_ignored_and_counted() -> None:
    clean, dirty = OnlineLearner(), OnlineLearner()
    rows, ttft, tpot = traffic(9, 1000)
    learn(clean, (rows, ttft, tpot))
    bad = rows.take(np.arange(20))
    for y in (np.inf, -1.0, 1e6, 1e-9):
        dirty.observe(bad, np.full(20, y), nothing(20), np.zeros(20))
    assert dirty.ignored == 80
    assert dirty.status()["ignored"] == 80
    learn(dirty, (rows, ttft, tpot))
    np.testing.assert_allclose(dirty.law.predict(rows).ttft_s, clean.law.predict(rows).ttft_s)


def test_rows_that_say_nothing_change_nothing() -> None:
    learner = OnlineLearner()
    rows, ttft, _ = traffic(9, 200)
    learner.observe(rows, nothing(200), np.zeros(200), np.zeros(200))
    assert learner.law.learnt == {"ttft": 0, "tpot": 0}
    learner.observe(rows, ttft, nothing(200), np.zeros(200))
    assert learner.law.learnt["ttft"] > 150
    assert learner.law.learnt["tpot"] == 0
    learner.observe(rows.take(slice(0, 0)), ttft[:0], ttft[:0], ttft[:0])
    with pytest.raises(InputError, match="one value per row"):
        learner.observe(rows, ttft[:5], ttft, ttft)


def test_a_law_learnt_elsewhere_is_a_better_start(learnt: OnlineLearner) -> None:
    rows, ttft, tpot = traffic(11, 500)
    part = (rows.take(slice(0, 40)), ttft[:40], tpot[:40])
    errors = []
    for prior in (None, learnt.law):
        learner = OnlineLearner(prior=prior)
        learn(learner, part)
        errors.append(np.abs(np.log(learner.law.quantile(rows, 0.5).ttft_s / ttft)).mean())
    assert errors[1] < errors[0]


def test_pods_that_come_and_go_are_bounded() -> None:
    learner = OnlineLearner()
    rows, ttft, tpot = traffic(12, 200)
    for i in range(12):
        named = RouterRows.of({"input_tokens": rows.input_tokens,
                               "pod": [f"p{i}-{k}" for k in range(200)]})  # fmt: skip
        learner.observe(named, ttft, tpot, np.zeros(200))
    assert learner.status()["pods"] < 1000
    again = OnlineLearner.from_dict(json.loads(json.dumps(learner.to_dict())))
    assert again.law.to_dict() == learner.law.to_dict()


def test_memory_keeps_rare_long_prompts() -> None:
    learner = OnlineLearner(LearnerSettings(memory=300, correction=False))
    long, ttft, tpot = traffic(13, 40, longest=60000)
    far = RouterRows.of({"input_tokens": long.input_tokens + 30000})
    learner.observe(far, ttft + 3, tpot, np.zeros(40))
    learn(learner, traffic(14, 4000))
    answer = learner.law.predict(RouterRows.of({"input_tokens": [31000]}))
    assert answer.in_domain[0]
    assert len(learner.targets["ttft"].memory) <= 375


def test_without_river_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "river", None)
    with pytest.raises(MissingExtraError, match=r"pip install .*river"):
        OnlineLearner()
    assert OnlineLearner(LearnerSettings(drift=False)).law.version == 0


@pytest.mark.parametrize(
    "bad", [{"memory": 0}, {"holdout_every": 1}, {"refit_growth": 1.0}, {"what": 1}]
)
def test_bad_settings_are_refused(bad: dict) -> None:
    with pytest.raises(InputError):
        LearnerSettings.from_dict(bad)


def dented(seed: int, n: int, depth: float) -> tuple:
    """Traffic with a dent for medium prompts under load that no sum of terms has."""
    rows, ttft, tpot = traffic(seed, n)
    dent = (rows.input_tokens > 500) & (rows.input_tokens < 2500) & (rows.running > 12)
    return rows, np.where(dent, depth * ttft, ttft), tpot


def test_a_correction_is_used_while_it_wins_and_dropped_when_it_does_not() -> None:
    learner = OnlineLearner(LearnerSettings(drift=False))
    learn(learner, dented(20, 2600, 0.55))
    status = learner.status()["targets"]
    assert status["ttft"]["correction"]
    assert not status["tpot"]["correction"]
    learn(learner, dented(21, 1500, 1.0), start=2600)
    off = [e for e in learner.events if e.kind == "correction_off" and e.target == "ttft"]
    assert off
    assert off[0].detail["share"] < 0.5


def test_a_spoilt_law_gives_way_to_the_one_before_it() -> None:
    learner = OnlineLearner(LearnerSettings(drift=False, refit_first=10**6))
    target = learner.targets["ttft"]
    learn(learner, traffic(22, 3000))
    target.shadow = Shadow(target.model.copy())
    target.model.theta += np.linspace(-2.5, 2.5, target.model.theta.shape[1])
    target.model.covariance *= 1e-6
    version = learner.law.version
    learn(learner, traffic(23, 1500), start=3000)
    assert [e.kind for e in learner.events if e.target == "ttft"][-1] == "rolled_back"
    assert learner.law.version == version + 1
    rows, ttft, _ = traffic(24, 500)
    assert np.median(np.abs(learner.law.quantile(rows, 0.5).ttft_s / ttft - 1)) < 0.15


def test_a_learnt_law_does_not_fall_with_prompt_or_load() -> None:
    learner = OnlineLearner(LearnerSettings(correction=False))
    learn(learner, traffic(25, 1500))
    rows, _, _ = traffic(26, 300)
    base = {name: getattr(rows, name) for name in ("input_tokens", "running", "kv_share")}
    first = learner.law.quantile(RouterRows.of(base), 0.5)
    for name, more in (("input_tokens", 9000.0), ("running", 7.0), ("waiting", 3.0)):
        grown = base | {name: base.get(name, np.zeros(300)) + more}
        second = learner.law.quantile(RouterRows.of(grown), 0.5)
        for target in ("ttft", "tpot"):
            low, high = (getattr(a, f"{target}_s") for a in (first, second))
            assert (high > 0.9 * low).all()


def test_tokens_in_flight_are_learnt_where_a_router_sends_them() -> None:
    """Noise is additive and normal here: the p90 must hold at low and at high values alike."""
    rng = np.random.default_rng(1)

    def drawn(n: int, lo: float, hi: float) -> tuple[RouterRows, np.ndarray, np.ndarray]:
        prompts, decodes = rng.uniform(lo, hi, (2, n))
        rows = RouterRows.of({
            "input_tokens": np.full(n, 200.0), "cached_share": np.full(n, 0.5),
            "kv_share": np.full(n, 0.5), "waiting": np.full(n, 3.0), "running": np.ones(n),
            "prefill_in_flight": prompts, "decode_in_flight": decodes,
        })  # fmt: skip
        ttft_ms = 670.0 + 0.05 * prompts + rng.normal(0.0, 30.0, n)
        return rows, ttft_ms / 1e3, (170.0 + 0.02 * decodes + rng.normal(0.0, 10.0, n)) / 1e3

    learner = OnlineLearner()
    learner.observe(*drawn(3000, 0.0, 3000.0), np.arange(3000.0))
    for lo, hi in ((0.0, 666.0), (2666.0, 3333.0)):
        rows, ttft_s, tpot_s = drawn(1000, lo, hi)
        bound = learner.law.quantile(rows, 0.9)
        assert 0.82 <= np.mean(ttft_s <= bound.ttft_s) <= 0.98
        assert 0.82 <= np.mean(tpot_s <= bound.tpot_s) <= 0.98


def strange(seed: int, n: int) -> tuple:
    """Rows whose TPOT depends on the prompt thousands of times as much as on a usual machine."""
    rng = np.random.default_rng(seed)
    tokens, kv = rng.integers(50, 800, n), rng.uniform(0.1, 0.9, n)
    running, waiting = rng.integers(1, 5, n), rng.integers(0, 9, n)
    ttft = 0.1 + 2e-3 * tokens + 4e-3 * running + 3e-3 * waiting + rng.normal(0, 0.02, n)
    tpot = 0.02 + 5e-4 * tokens + 5e-3 * running + 0.1 * kv + rng.normal(0, 0.01, n)
    columns = {"input_tokens": tokens, "kv_share": kv, "running": running, "waiting": waiting}
    return RouterRows.of(columns), ttft, tpot


def test_a_law_far_from_the_priors_is_learnt_from_few_rows() -> None:
    learner = OnlineLearner()
    learn(learner, strange(0, 400), size=100)
    rows, ttft, tpot = strange(1, 2000)
    answer = learner.law.quantile(rows, 0.5)
    assert np.median(np.abs(answer.ttft_s / ttft - 1)) < 0.05
    assert np.median(np.abs(answer.tpot_s / tpot - 1)) < 0.05


def test_first_traffic_unlike_the_rest_is_got_over_without_an_alarm() -> None:
    learner = OnlineLearner()
    learn(learner, traffic(0, 110))
    learn(learner, strange(2, 3000), 110, 3000)
    rows, ttft, tpot = strange(3, 4000)
    answer = learner.law.quantile(rows, 0.9)
    assert 0.85 < (ttft <= answer.ttft_s).mean() < 0.95
    assert 0.85 < (tpot <= answer.tpot_s).mean() < 0.95
    assert "alarm" not in kinds(learner, "tpot") + kinds(learner, "ttft")
