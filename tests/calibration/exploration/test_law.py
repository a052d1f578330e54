"""The light law, its prior and what a campaign knows."""

import numpy as np
import pytest

from lengthwise.calibration.exploration.campaign import Campaign
from lengthwise.calibration.exploration.law import LightLaw, Prior, fit
from lengthwise.calibration.exploration.points import Points
from lengthwise.calibration.exploration.prior import learn_prior
from lengthwise.calibration.exploration.simulated import simulate
from lengthwise.errors import InputError

LENGTHS = np.array([128.0, 512.0, 2048.0, 8192.0])


def truth(points: Points) -> np.ndarray:
    return np.log(points.terms @ np.array([0.01, 0.08, 0.002, 0.02, 0.0005, 0.001]))


def grid() -> Points:
    n, b = (a.ravel() for a in np.meshgrid(LENGTHS, [1.0, 8.0]))
    return Points.of(np.repeat(["prefill", "decode"], len(n)), np.tile(n, 2), np.tile(b, 2))


def fitted(points: Points) -> LightLaw:
    return fit(Prior.vague(), points, truth(points))


def test_a_law_of_its_own_form_is_found_again() -> None:
    points = grid()
    law = fitted(points)
    assert np.abs(law.predict(points) - truth(points)).max() < 0.03
    far = Points.of(["prefill", "decode"], 65536.0, 8.0)
    assert np.abs(law.predict(far) - truth(far)).max() < 0.1


def test_one_wild_reading_does_not_move_the_law() -> None:
    points = grid()
    seconds = truth(points)
    seconds[2] += np.log(8.0)
    law = fit(Prior.vague(), points, seconds)
    keep = np.arange(len(points)) != 2
    assert np.abs(law.predict(points) - truth(points))[keep].mean() < 0.1


def test_a_few_readings_say_most_where_they_are() -> None:
    short = Points.of("prefill", [128, 256, 512])
    law = fitted(short)
    sd = np.sqrt(law.variance(Points.of("prefill", [256, 4096, 65536])))
    assert sd[0] < sd[1] < sd[2]
    wide = np.sqrt(law.variance(Points.of("prefill", 512.0, [1, 64])))
    assert wide[0] < wide[1]


def test_the_gradient_is_the_derivative() -> None:
    points = grid()
    law = fitted(points)
    for k in range(6):
        moved = law.u.copy()
        moved[k] += 1e-5
        other = LightLaw(moved, law.covariance, law.spread, law.longest, law.largest)
        slope = (other.predict(points) - law.predict(points)) / 1e-5
        assert slope == pytest.approx(law.gradient(points)[:, k], abs=1e-4)


@pytest.mark.parametrize(("length", "batch"), [(0.0, 1.0), (-5.0, 1.0), (10.0, 0.0), (np.nan, 1.0)])
def test_impossible_points_are_refused(length: float, batch: float) -> None:
    with pytest.raises(InputError, match="positive and finite"):
        Points.of("prefill", [length], [batch])


def test_another_phase_is_refused() -> None:
    with pytest.raises(InputError, match="'mixed'"):
        Points.of("mixed", [10.0])


def test_a_learnt_prior_needs_fewer_readings() -> None:
    prior = learn_prior([simulate(seed) for seed in range(10)])
    learnt, vague = [], []
    for seed in range(50, 60):
        here = simulate(seed)
        n = len(here.points)
        index = [0, n // 2, n // 3, n - 3]
        few, seconds = here.points.take(index), here.truth[index]
        learnt.append(here.error(fit(prior, few, seconds).predict(here.points)))
        vague.append(here.error(fit(Prior.vague(), few, seconds).predict(here.points)))
    assert np.median(learnt) < np.median(vague)


def test_the_expected_gain_is_about_what_happens() -> None:
    points = grid()
    campaign = Campaign(points, points, budget_s=1e9)
    for first in campaign.firsts():
        campaign.record(first, float(np.exp(truth(points)[first])), 1.0)
    for _ in range(4):
        choice = int(np.argmax(campaign.gain))
        expected, before = campaign.gain[choice], campaign.width
        campaign.record(choice, float(np.exp(truth(points)[choice])), 1.0)
        assert before - campaign.width == pytest.approx(expected, rel=0.8, abs=0.02)


def test_firsts_are_the_smallest_of_each_phase() -> None:
    campaign = Campaign(grid(), grid(), budget_s=10.0)
    chosen = [campaign.candidates.describe(i) for i in campaign.firsts()]
    assert chosen == [
        {"phase": "prefill", "isl": 128, "batch_size": 1},
        {"phase": "decode", "context_len": 128, "batch_size": 1},
    ]


def test_what_would_not_fit_the_budget_is_not_allowed() -> None:
    points = grid()
    campaign = Campaign(points, points, budget_s=3.0)
    for first in campaign.firsts():
        campaign.record(first, float(np.exp(truth(points)[first])), 0.5)
    assert campaign.left_s == 2.0
    assert (campaign.cost_s[campaign.allowed] <= 2.0).all()
    assert not campaign.allowed.all()


def test_repeats_of_a_point_are_worth_less_than_other_points() -> None:
    point = Points.of("prefill", [724.0])
    prior = Prior.vague()
    one, four = (
        fit(prior, point.take([0] * k), np.repeat(truth(point), k)).variance(point)[0]
        for k in (1, 4)
    )
    assert one / 2 < four < one
    campaign = Campaign(point, Points.of("prefill", [4096.0]), budget_s=1e6)
    gains = []
    for _ in range(3):
        gains.append(float(campaign.gain[0]))
        campaign.record(0, float(np.exp(truth(point)[0])), 1.0)
    assert gains[0] > 5 * gains[1] > 5 * gains[2]
