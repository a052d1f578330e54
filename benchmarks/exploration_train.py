"""Train the exploration policies and write the weights that ship.

    LENGTHWISE_DATA=... python benchmarks/exploration_train.py [--rounds 300]

Prior, bandits and network learn on simulated deployments of seeds 0 to 39 and on those recorded
deployments for which ``learning`` holds (and variations of them); benchmarks/exploration.py
compares on all others. Writes src/lengthwise/calibration/exploration/learned.json.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

import lengthwise.calibration.exploration as package
from lengthwise.calibration.exploration.bandits import LinearBandit, LinUCB, Thompson
from lengthwise.calibration.exploration.deployment import Deployment
from lengthwise.calibration.exploration.environment import ExploreEnv
from lengthwise.calibration.exploration.learned import FILE, SCHEMA_VERSION
from lengthwise.calibration.exploration.prior import Prior, learn_prior
from lengthwise.calibration.exploration.recorded import OTHERS, OWN, learning, recorded
from lengthwise.calibration.exploration.run import BUDGETS, play
from lengthwise.calibration.exploration.simulated import simulate, varied
from lengthwise.calibration.exploration.training import TrainingSettings, train

SIMULATED = range(40)
RELATIVES = 2
"""Variations of every recorded deployment."""
PASSES = 2
WORTH = 100.0
"""Runs that a shipped posterior is worth, so that a bandit still learns from its own."""


def learners() -> tuple[list[Deployment], list[Deployment]]:
    """Give the recorded and the made deployments that policies may learn on."""
    real = [d for d in recorded() if learning(d.name)]
    kin = [varied(d, seed) for d in real for seed in range(RELATIVES)]
    return real, [simulate(seed) for seed in SIMULATED] + kin


def teach(bandit: LinearBandit, deployments: list[Deployment], prior: Prior) -> dict[str, Any]:
    """Let a bandit learn campaign after campaign; its posterior, worth ``WORTH`` runs."""
    rng, runs = np.random.default_rng(0), 0
    for seed in range(PASSES):
        for i in rng.permutation(len(deployments)):
            runs += len(play(bandit, deployments[i], prior, seed)[1].campaign.taken)
    loose = np.eye(len(bandit.moment))
    bandit.precision = (bandit.precision - loose) * (WORTH / runs) + loose
    bandit.moment = bandit.moment * (WORTH / runs)
    return bandit.to_dict()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=300)
    settings = TrainingSettings(rounds=parser.parse_args().rounds)
    real, made = learners()
    deployments = real + made
    prior = learn_prior(real + made[: len(SIMULATED)])
    bandits = {b.name: teach(b, deployments, prior) for b in (LinUCB(), Thompson())}
    network, returns = train(ExploreEnv(deployments, prior=prior), settings)
    thirds = [round(float(np.mean(part)), 3) for part in np.array_split(returns, 3)]
    data = {
        "schema_version": SCHEMA_VERSION,
        "provenance": {
            "made_by": "benchmarks/exploration_train.py",
            "datasets": [*OWN, *OTHERS],
            "recorded": [d.name for d in real],
            "variations_of_each": RELATIVES,
            "simulated_seeds": [SIMULATED.start, SIMULATED.stop - 1],
            "budget_share": BUDGETS[-1],
            "settings": asdict(settings),
            "mean_return_by_third": thirds,
        },
        "prior": {"mean": np.round(prior.mean, 6).tolist(),
                  "covariance": np.round(prior.covariance, 6).tolist()},
        "bandits": bandits,
        "network": network.to_dict(),
    }  # fmt: skip
    path = Path(str(package.__file__)).parent / FILE
    path.write_text(json.dumps(data) + "\n", encoding="utf-8")
    print(path.name, thirds)


if __name__ == "__main__":
    main()
