"""The Gymnasium environment and training in it."""

import numpy as np
import pytest

from lengthwise.calibration.exploration import environment
from lengthwise.calibration.exploration.deployment import Deployment
from lengthwise.calibration.exploration.learned import shipped_prior
from lengthwise.calibration.exploration.points import Points
from lengthwise.calibration.exploration.simulated import simulate
from lengthwise.errors import InputError, MissingExtraError

MANY = environment.MOST_CANDIDATES


def make(**options: object) -> environment.ExploreEnv:
    pytest.importorskip("gymnasium", reason='needs pip install "lengthwise[explore]"')
    made = [simulate(seed) for seed in range(3)]
    return environment.ExploreEnv(made, prior=shipped_prior(), **options)  # type: ignore[arg-type]


def test_without_gymnasium_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment, "gymnasium", None)
    with pytest.raises(MissingExtraError, match=r"pip install .*gymnasium"):
        environment.ExploreEnv([simulate(0)])


@pytest.mark.filterwarnings("ignore")
def test_it_is_a_gymnasium_environment() -> None:
    checker = pytest.importorskip("gymnasium.utils.env_checker")
    checker.check_env(make(), skip_render_check=True)


@pytest.mark.parametrize("reward", ["early", "narrowing"])
def test_an_episode_of_allowed_actions_ends_within_the_budget(reward: str) -> None:
    env, rng = make(reward=reward), np.random.default_rng(0)
    seen, info = env.reset(seed=1)
    over, total, steps = False, 0.0, 0
    while not over:
        action = int(rng.choice(np.flatnonzero(seen["allowed"][:MANY])))
        seen, value, ended, truncated, info = env.step(action)
        assert env.observation_space.contains(seen)
        over, total, steps = ended or truncated, total + value, steps + 1
    assert ended
    assert total > 0.0
    assert env.trial is not None
    assert info["seconds"] < 2.0 * env.trial.campaign.budget_s


def test_stopping_ends_an_episode_at_no_cost() -> None:
    env = make()
    env.reset(seed=1)
    _, value, ended, _, _ = env.step(MANY)
    assert (value, ended) == (0.0, True)


def test_what_is_not_allowed_costs_and_measures_nothing() -> None:
    env = make()
    _, before = env.reset(seed=1)
    _, value, ended, _, after = env.step(MANY - 1)
    assert value == environment.NOT_ALLOWED
    assert not ended
    assert after["seconds"] == before["seconds"]


def test_seeds_repeat_and_a_deployment_can_be_chosen() -> None:
    env = make()
    a = env.reset(seed=7, options={"deployment": 2})
    b = env.reset(seed=7, options={"deployment": 2})
    assert a[1] == b[1]
    assert a[1]["deployment"] == "simulated 2"
    assert (a[0]["candidates"] == b[0]["candidates"]).all()


def test_bad_use_is_refused() -> None:
    env = make()
    with pytest.raises(InputError, match="reset"):
        env.step(0)
    with pytest.raises(InputError, match="early or narrowing"):
        make(reward="speed")
    many = Points.of("prefill", 32.0 + np.arange(200.0))
    wide = Deployment("wide", many, tuple(np.ones(1) for _ in range(200)), np.zeros(200), 1.0)
    for deployments in ([], [wide]):
        with pytest.raises(InputError, match="1 to 96 candidates"):
            environment.ExploreEnv(deployments)


def test_training_raises_the_return() -> None:
    env = make()
    training = pytest.importorskip("lengthwise.calibration.exploration.training")
    from lengthwise.calibration.exploration.network import Network

    start = Network.start(np.random.default_rng(0))
    poor = start.replaced(np.zeros_like(start.vector()))
    settings = training.TrainingSettings(rounds=12, deployments=3, tries=4, rate=0.15)
    trained, returns = training.train(env, settings, poor)
    assert np.mean(returns[-3:]) > np.mean(returns[:3])
    assert np.isfinite(trained.vector()).all()
