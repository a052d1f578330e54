"""Policies choose what is allowed, each by its own rule."""

import numpy as np
import pytest

from lengthwise.calibration.exploration.bandits import LinUCB, Thompson
from lengthwise.calibration.exploration.campaign import Campaign
from lengthwise.calibration.exploration.features import FEATURES, features
from lengthwise.calibration.exploration.learned import Learned, shipped_prior
from lengthwise.calibration.exploration.network import Network
from lengthwise.calibration.exploration.points import Points
from lengthwise.calibration.exploration.policy import STOP, Grid, Information, Sweep, Uncertainty
from lengthwise.calibration.exploration.registry import DEFAULT, names, policy
from lengthwise.calibration.exploration.reward import early, narrowing
from lengthwise.calibration.exploration.run import BUDGETS, play
from lengthwise.calibration.exploration.simulated import simulate
from lengthwise.errors import ArtifactError, InputError

RNG = np.random.default_rng(0)


def campaign(budget_s: float = 1e6) -> Campaign:
    n = np.array([128.0, 512.0, 2048.0, 8192.0])
    points = Points.of(np.repeat(["prefill", "decode"], 4), np.tile(n, 2))
    out = Campaign(points, points, budget_s, shipped_prior())
    for first in out.firsts():
        out.record(first, 0.05, 0.5)
    return out


@pytest.mark.parametrize("name", names())
def test_a_policy_spends_its_seconds_and_no_more_than_predicted(name: str) -> None:
    here = simulate(2000)
    errors, trial = play(policy(name), here, shipped_prior(), seed=1)
    state = trial.campaign
    assert len(errors) == len(BUDGETS)
    assert state.spent_s < 1.6 * state.budget_s
    assert (state.counts <= state.most).all()
    assert len(state.taken) > 2


@pytest.mark.parametrize("name", names())
def test_nothing_is_chosen_when_nothing_is_allowed(name: str) -> None:
    assert policy(name).choose(campaign(budget_s=1.0), RNG) == STOP


@pytest.mark.parametrize("name", names())
def test_the_same_seed_gives_the_same_campaign(name: str) -> None:
    runs = [play(policy(name), simulate(2001), shipped_prior(), 5)[1] for _ in range(2)]
    assert runs[0].campaign.taken == runs[1].campaign.taken


def test_each_rule() -> None:
    state = campaign()
    lengths = state.candidates.length
    assert lengths[Sweep().choose(state, RNG)] == 512.0
    assert lengths[Grid().choose(state, RNG)] == 8192.0
    by_sd = np.sqrt(state.own_variance) / state.cost_s
    assert Uncertainty().choose(state, RNG) == int(np.argmax(by_sd))
    assert Information().choose(state, RNG) == int(np.argmax(state.gain / state.cost_s))


def test_choosing_by_uncertainty_beats_sweeping_up() -> None:
    def final(name: str) -> float:
        found = [play(policy(name), simulate(s), shipped_prior(), 0)[0] for s in range(2100, 2112)]
        return float(np.log(found).mean())

    assert final("uncertainty") < final("sweep")
    assert final("information") < final("sweep")


@pytest.mark.parametrize("kind", [LinUCB, Thompson])
def test_a_bandit_learns_which_candidates_pay(kind: type[LinUCB] | type[Thompson]) -> None:
    bandit, rng = kind(), np.random.default_rng(1)
    weights = rng.normal(size=FEATURES)
    picks = []
    for _ in range(300):
        f = rng.normal(size=(6, FEATURES)) / 2
        k = int(np.argmax(bandit.scores(f, rng)))
        picks.append(float((f @ weights)[k] - (f @ weights).max()))
        bandit.learn(f[k], float(f[k] @ weights))
    assert np.mean(picks[-50:]) > 0.2 * np.mean(picks[:20])
    assert type(bandit)(bandit.to_dict()).moment == pytest.approx(bandit.moment, abs=1e-3)


def test_the_gradient_of_the_network_is_its_derivative() -> None:
    rng = np.random.default_rng(3)
    network = Network.start(rng)
    network = network.replaced(network.vector() + rng.normal(0, 0.3, len(network.vector())))
    f, pull = rng.normal(size=(5, FEATURES)), rng.normal(size=6)
    found = network.gradient(f, pull).vector()
    vector = network.vector()
    for k in rng.choice(len(vector), 30, replace=False):
        step = np.zeros_like(vector)
        step[k] = 1e-6
        up, down = network.replaced(vector + step), network.replaced(vector - step)
        slope = (up.scores(f) - down.scores(f)) @ pull / 2e-6
        assert slope == pytest.approx(found[k], abs=1e-5)


def test_the_order_of_candidates_does_not_matter() -> None:
    network = Learned().network
    f = features(campaign())
    order = np.random.default_rng(0).permutation(len(f))
    allowed = np.ones(len(f), dtype=bool)
    p, q = network.probabilities(f, allowed), network.probabilities(f[order], allowed)
    assert q[:-1] == pytest.approx(p[:-1][order])


@pytest.mark.parametrize("bad", [{}, {"w": [1.0]}, {"w": [float("nan")] * FEATURES}])
def test_damaged_weights_are_refused(bad: dict[str, list[float]]) -> None:
    whole = Learned().network.to_dict()
    with pytest.raises(ArtifactError, match="weights of a policy"):
        Network.from_dict({k: v for k, v in whole.items() if k != "w"} | bad)


def test_an_unknown_policy_names_the_known() -> None:
    with pytest.raises(InputError, match="uncertainty"):
        policy("uncertain")
    assert DEFAULT in names()


def test_rewards_prefer_what_comes_early() -> None:
    assert early(0.4, 0.2, 5.0, 100.0) > early(0.4, 0.2, 50.0, 100.0) > 0.0
    assert early(0.2, 0.4, 5.0, 100.0) < 0.0
    assert narrowing(0.4, 0.2, 10.0, 11.0) > narrowing(0.4, 0.2, 10.0, 30.0)
