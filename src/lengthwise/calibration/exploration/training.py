r"""Train the network in the environment: REINFORCE with the other tries as baseline.

Several episodes are played on the same deployment; an episode's advantage is its return less the
mean of the others' (Kool, van Hoof and Welling 2019), so that easy and hard deployments weigh the
same. Reward to go, Adam, and a bonus for entropy that fades.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lengthwise.calibration.exploration.environment import MOST_CANDIDATES, ExploreEnv
from lengthwise.calibration.exploration.network import Network
from lengthwise.calibration.exploration.points import BoolArray
from lengthwise.units import FloatArray


@dataclass(frozen=True)
class TrainingSettings:
    """How to train.

    Attributes
    ----------
    rounds, deployments, tries
        Updates; deployments per update; episodes on each.
    rate
        Step size of Adam.
    entropy
        Weight of the entropy at the start; it fades to 0.
    seed
        Of everything drawn.
    """

    rounds: int = 300
    deployments: int = 8
    tries: int = 6
    rate: float = 0.015
    entropy: float = 0.003
    seed: int = 0


@dataclass
class Episode:
    """What an episode was: per step features (m, k), mask (m,), action, reward."""

    features: list[FloatArray]
    allowed: list[BoolArray]
    actions: list[int]
    rewards: list[float]

    def to_go(self) -> FloatArray:
        """Sum of the rewards from each step on, shape (steps,)."""
        return np.cumsum(np.array(self.rewards)[::-1])[::-1]


def play_episode(
    env: ExploreEnv, network: Network, rng: np.random.Generator, deployment: int, seed: int
) -> Episode:
    """Play one episode with actions drawn from the network."""
    observation, info = env.reset(seed=seed, options={"deployment": deployment})
    m, episode, over = info["candidates"], Episode([], [], [], []), False
    while not over:
        f = observation["candidates"][:m].astype(float)
        allowed = observation["allowed"][:m].astype(bool)
        action = int(rng.choice(m + 1, p=network.probabilities(f, allowed)))
        sent = MOST_CANDIDATES if action == m else action
        observation, reward, ended, truncated, _ = env.step(sent)
        over = ended or truncated
        episode.features.append(f)
        episode.allowed.append(allowed)
        episode.actions.append(action)
        episode.rewards.append(reward)
    return episode


def train(
    env: ExploreEnv, settings: TrainingSettings, network: Network | None = None
) -> tuple[Network, list[float]]:
    """Train a network.

    Returns
    -------
    network
        The mean of the weights over the last third of the rounds.
    returns
        Mean return of every round.
    """
    rng = np.random.default_rng(settings.seed)
    network = Network.start(rng) if network is None else network
    vector = network.vector()
    first, second = np.zeros_like(vector), np.zeros_like(vector)
    kept, returns = [], []
    for step in range(1, settings.rounds + 1):
        fade = 1.0 - step / settings.rounds
        gradient, mean = _round(env, network, settings, rng, settings.entropy * fade)
        first = 0.9 * first + 0.1 * gradient
        second = 0.99 * second + 0.01 * gradient**2
        move = first / (1 - 0.9**step) / (np.sqrt(second / (1 - 0.99**step)) + 1e-8)
        vector = vector + settings.rate * (0.2 + 0.8 * fade) * move
        network = network.replaced(vector)
        returns.append(mean)
        if step > 2 * settings.rounds // 3 or settings.rounds < 3:
            kept.append(vector)
    return network.replaced(np.mean(kept, axis=0)), returns


def _round(
    env: ExploreEnv, network: Network, settings: TrainingSettings, rng: np.random.Generator,
    entropy: float,
) -> tuple[FloatArray, float]:  # fmt: skip
    """Gradient of the expected return, and the mean return."""
    total, returns = np.zeros_like(network.vector()), []
    count = min(settings.deployments, len(env.deployments))
    for deployment in rng.choice(len(env.deployments), count, replace=False):
        seed = int(rng.integers(2**31))
        tries = [
            play_episode(env, network, rng, int(deployment), seed) for _ in range(settings.tries)
        ]
        returns += [sum(e.rewards) for e in tries]
        total += _group(network, tries, entropy)
    return total / (count * settings.tries), float(np.mean(returns))


def _group(network: Network, tries: list[Episode], entropy: float) -> FloatArray:
    """Gradient of one deployment's episodes; baselines are the others' rewards to go."""
    out = np.zeros_like(network.vector())
    sums = [e.to_go() for e in tries]
    whole = np.array([s[0] for s in sums])
    spread = max(float(whole.std()), 0.05)
    for e, own in zip(tries, sums, strict=True):
        others = [s for s in sums if s is not own]
        for t, (f, allowed, action) in enumerate(
            zip(e.features, e.allowed, e.actions, strict=True)
        ):
            base = np.mean([s[t] if t < len(s) else 0.0 for s in others])
            p = network.probabilities(f, allowed)
            pull = -p * (own[t] - base) / spread
            pull[action] += (own[t] - base) / spread
            log_p = np.log(np.maximum(p, 1e-12))
            pull -= entropy * p * (log_p - p @ log_p)
            out += network.gradient(f, pull).vector()
    return out
