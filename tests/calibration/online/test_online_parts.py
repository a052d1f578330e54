"""Parts of the learner: quarantine, correction, coverage, roll-back, detectors, labels."""

import json

import numpy as np
import pytest
from streams import traffic

pytest.importorskip("river")

from lengthwise.calibration.online import boosting, map_fit, quarantine
from lengthwise.calibration.online.drift import Detector
from lengthwise.calibration.online.ladder import ALARM, NORMAL, OFFSET, RESET, Ladder
from lengthwise.calibration.online.memory import Memory, pack_rows, place
from lengthwise.calibration.online.model import Model
from lengthwise.calibration.online.residuals import Residuals
from lengthwise.calibration.online.trial import Shadow
from lengthwise.formulations.online import terms
from lengthwise.formulations.online.context import Frame
from lengthwise.formulations.online.correction import Correction
from lengthwise.formulations.online.rows import RouterRows
from lengthwise.formulations.online.target import TargetLaw


@pytest.mark.parametrize(
    ("columns", "ttft", "tpot", "words"),
    [
        ({"input_tokens": 10}, 0.1, 0.01, ""),
        ({"input_tokens": 10}, np.nan, 0.01, ""),
        ({"input_tokens": 10**400}, 0.1, 0.01, "input_tokens is not a finite number"),
        ({"input_tokens": 10**300}, 0.1, 0.01, "input_tokens is impossibly large"),
        ({"input_tokens": -1}, 0.1, 0.01, "input_tokens is negative"),
        ({"input_tokens": "many"}, 0.1, 0.01, "input_tokens is not a finite number"),
        ({"input_tokens": 10, "running": 1e9}, 0.1, 0.01, "running is impossibly large"),
        ({"input_tokens": 10, "kv_share": 1.01}, 0.1, 0.01, "kv_share is impossibly large"),
        ({"input_tokens": 10}, float("inf"), 0.01, "ttft_s is not a finite number"),
        ({"input_tokens": 10}, -1e-300, 0.01, "ttft_s is negative"),
        ({"input_tokens": 10}, 9e4, 0.01, "ttft_s is longer than a day"),
        ({"input_tokens": 10**6}, 0.05, 0.01, "ttft_s is impossibly short"),
        ({"input_tokens": 10**6, "cached_share": 1.0}, 0.05, 0.01, ""),
        ({"input_tokens": 10}, 0.1, 1e-6, "tpot_s is impossibly short"),
        ({"input_tokens": 10}, 0.1, 10**400, "tpot_s is not a finite number"),
    ],
)
def test_every_poison_has_a_reason(columns: dict, ttft: float, tpot: float, words: str) -> None:
    found = quarantine.reasons({k: [v] for k, v in columns.items()}, [ttft], [tpot])
    assert list(found) == [words]


def bumped(seed: int, n: int = 3000) -> tuple:
    """Residuals with a dent that no sum of physical terms has, for medium prompts under load."""
    rows, _, _ = traffic(seed, n)
    dent = (rows.input_tokens > 500) & (rows.input_tokens < 2000) & (rows.running > 15)
    residual = np.where(dent, -0.4, 0.0) + np.random.default_rng(seed).normal(0, 0.05, n)
    block = pack_rows(rows, np.zeros(n), np.zeros(n), np.zeros(n))
    lo, hi = np.array([16.0, 0, 0, 0, 0]), np.array([8192.0, 4000, 0, 30, 0])
    return place(block, Frame(lo=lo, hi=hi)), residual, dent


def test_trees_learn_what_physics_cannot_and_fade_outside_the_data() -> None:
    context, residual, _ = bumped(0)
    correction = boosting.fit(context, residual)
    new, _, dent = bumped(1)
    values = correction.at(new)
    assert np.median(values[dent]) < -0.3
    assert abs(np.median(values[~dent])) < 0.05
    far = RouterRows.of({"input_tokens": [30000], "running": [25]})
    context = place(pack_rows(far, [0], [0], [0.0]), Frame(lo=new.rows.input_tokens[:5] * 0,
                    hi=np.array([8192.0, 4000, 0, 30, 0])))  # fmt: skip
    assert abs(correction.at(context)[0]) < 0.01
    again = Correction.from_dict(json.loads(json.dumps(correction.to_dict())))
    np.testing.assert_array_equal(again.at(new), values)


def test_rows_left_out_judge_the_correction() -> None:
    context, residual, _ = bumped(2)
    noise = np.random.default_rng(0).normal(0, 0.1, len(residual))
    assert np.abs(residual - boosting.out_of_fold(context, residual)).mean() < 0.07
    assert np.abs(noise - boosting.out_of_fold(context, noise)).mean() > 0.99 * np.abs(noise).mean()


def test_coverage_adapts_to_noise_that_grew() -> None:
    rng = np.random.default_rng(0)
    residuals, frame = Residuals(), Frame()
    residuals.add(np.full(4000, 100.0), np.zeros(4000), rng.normal(0, 0.1, 4000), np.zeros(4000))
    residuals.summarise(frame)
    new = rng.normal(0, 0.14, 12000)
    cell = np.zeros(32, dtype=int)
    for i in range(0, 12000 - 31, 32):
        residuals.adapt(cell, new[i : i + 32])
    spread = residuals.spread(0.1, 1.0)
    q90 = spread.at(0.9, np.array([0]), np.array([0.0]), fresh=1.0)[0]
    assert 0.88 < (rng.normal(0, 0.14, 20000) <= q90).mean() < 0.93


def test_a_promoted_law_that_is_worse_is_rolled_back() -> None:
    rows, ttft, _ = traffic(3, 300)
    x = terms.matrix("ttft", rows)
    fitted = map_fit.fit(x, np.log(ttft), np.ones(300), *terms.prior("ttft"))
    good = Model.start("ttft", TargetLaw.cold("ttft"), False)
    good.theta[0] = fitted.theta
    bad = good.copy()
    bad.level[0] += 0.3
    context = place(pack_rows(rows, np.zeros(300), np.zeros(300), np.log(ttft)), Frame())
    assert Shadow(good).judge(bad, context, x, np.log(ttft)) == "rolled_back"
    assert Shadow(bad).judge(good, context, x, np.log(ttft)) == ""


def test_detectors_survive_json_and_find_the_same_row() -> None:
    rng = np.random.default_rng(5)
    one = Detector()
    assert one.update(rng.normal(size=9000)) == (-1, "")
    one.settle()
    two = Detector.from_dict(json.loads(json.dumps(one.to_dict())))
    after = rng.normal(1.5, 1, 300)
    found = one.update(after)
    assert found == two.update(after)
    assert 0 < found[0] < 100
    assert abs(one.change_point() - found[0]) < 20


def test_dependent_residuals_are_divided_by_their_long_run_spread() -> None:
    rng = np.random.default_rng(6)
    z, now = np.empty(8000), 0.0
    for i in range(8000):
        now = 0.8 * now + 0.6 * rng.normal()
        z[i] = now
    detector = Detector()
    for i in range(0, 8000, 500):
        assert detector.update(z[i : i + 500]) == (-1, "")
        detector.settle()
    assert 1.8 < np.sqrt(detector.variance) < 3.5


def test_the_ladder_is_climbed_rung_by_rung_and_left_when_errors_are_normal() -> None:
    ladder, bad, good = Ladder(), np.full(400, 3.0), np.random.default_rng(0).normal(size=400)
    assert ladder.judge(bad, 1.0) == ""
    assert ladder.widen == 1.0
    ladder.climb()
    assert ladder.rung == OFFSET
    assert ladder.judge(bad[:50], 1.0) == ""
    assert ladder.judge(bad, 1.0) == "covariance_reset"
    assert ladder.rung == RESET
    assert ladder.judge(bad, 1.0) == "alarm"
    assert ladder.rung == ALARM
    assert ladder.judge(bad, 1.0) == ""
    assert ladder.rung == ALARM
    assert ladder.judge(good, 1.0) == "recovered"
    assert ladder.rung == NORMAL


def test_a_fit_with_few_rows_stays_near_its_prior_and_ignores_a_stall() -> None:
    rows, ttft, _ = traffic(4, 200)
    x, y = terms.matrix("ttft", rows), np.log(ttft)
    clean = map_fit.fit(x, y, np.ones(200), *terms.prior("ttft"))
    y[:6] += 4.0
    stalled = map_fit.fit(x, y, np.ones(200), *terms.prior("ttft"))
    at = np.log(x @ np.exp(clean.theta)) - np.log(x @ np.exp(stalled.theta))
    assert np.abs(at).max() < 0.15
    few = map_fit.fit(x[:3], y[6:9], np.ones(3), *terms.prior("ttft"))
    assert np.isfinite(few.theta).all()
    assert np.sqrt(few.covariance[3, 3]) > 0.3


def test_a_damaged_memory_is_refused() -> None:
    memory = Memory(10)
    data = memory.to_dict()
    data["data"]["shape"] = [3, 0]
    with pytest.raises(ValueError, match="15 finite numbers"):
        Memory.from_dict(data)
