"""A Gymnasium environment: which point to measure next, on recorded or simulated deployments.

Needs ``pip install "lengthwise[explore]"``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from lengthwise.calibration.exploration.deployment import Deployment
from lengthwise.calibration.exploration.features import FEATURES, features
from lengthwise.calibration.exploration.law import Prior
from lengthwise.calibration.exploration.network import CAMPAIGN, campaign_features
from lengthwise.calibration.exploration.reward import early, narrowing
from lengthwise.calibration.exploration.run import BUDGETS, Trial
from lengthwise.errors import InputError, MissingExtraError

gymnasium: Any
try:
    import gymnasium
except ImportError:
    gymnasium = None
Base: Any = object if gymnasium is None else gymnasium.Env

MOST_CANDIDATES = 96
"""Deployments with more candidates are refused: spaces have a fixed size."""
MOST_STEPS = 400
BOUND = 20.0
NOT_ALLOWED = -1.0
"""Reward of an action that is not allowed."""
PRICE = 0.02
"""What the whole budget is worth in units of reward, so that stopping can pay."""

Observation = dict[str, Any]


class ExploreEnv(Base):  # type: ignore[misc]
    """Measure, refit, predict; until the seconds are spent or the policy stops.

    An observation has ``candidates`` (features; rows beyond the candidates are zero), ``campaign``
    and ``allowed`` (the mask of actions). Action ``i`` measures candidate ``i``; the last stops.

    Parameters
    ----------
    deployments
        One is drawn for every episode.
    reward
        ``early``: reduction of the error against what was recorded, worth more the sooner.
        ``narrowing``: reduction of the interval width per growth of seconds, as seen without truth.
    prior
        Of the light law.
    budget
        Seconds of an episode as a share of those of everything measurable once.

    Raises
    ------
    MissingExtraError
        If gymnasium is not installed.
    InputError
        If there is no deployment, or one with too many candidates.
    """

    metadata: dict[str, Any] = {"render_modes": []}  # noqa: RUF012  (as Gymnasium declares it)

    def __init__(
        self, deployments: Sequence[Deployment], reward: Literal["early", "narrowing"] = "early",
        prior: Prior | None = None, budget: float = BUDGETS[-1],
    ) -> None:  # fmt: skip
        if gymnasium is None:
            raise MissingExtraError("gymnasium", "explore")
        most = max((int(d.measurable.sum()) for d in deployments), default=0)
        if not 0 < most <= MOST_CANDIDATES:
            raise InputError(
                f"an environment needs deployments of 1 to {MOST_CANDIDATES} candidates",
                got=f"{len(deployments)} deployments, at most {most} candidates",
                remedy="thin their lengths",
            )
        if reward not in ("early", "narrowing"):
            raise InputError("the reward is early or narrowing", got=repr(reward))
        self.deployments, self.reward, self.budget = list(deployments), reward, budget
        self.prior = Prior.vague() if prior is None else prior
        spaces = gymnasium.spaces
        self.action_space = spaces.Discrete(MOST_CANDIDATES + 1)
        self.observation_space = spaces.Dict({
            "candidates": spaces.Box(-BOUND, BOUND, (MOST_CANDIDATES, FEATURES), np.float32),
            "campaign": spaces.Box(-BOUND, BOUND, (CAMPAIGN,), np.float32),
            "allowed": spaces.MultiBinary(MOST_CANDIDATES + 1),
        })  # fmt: skip
        self.trial: Trial | None = None

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Start an episode; ``options={"deployment": i}`` chooses which."""
        super().reset(seed=seed)
        chosen = (options or {}).get("deployment")
        index = self.np_random.integers(len(self.deployments)) if chosen is None else chosen
        self.trial = Trial.begin(
            self.deployments[int(index)], self.prior, self.np_random, self.budget
        )
        self.steps = 0
        return self._observe(), self._info()

    def step(self, action: int) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """Measure a candidate, or stop."""
        trial = self._begun()
        self.steps += 1
        truncated = self.steps >= MOST_STEPS
        if int(action) == MOST_CANDIDATES:
            return self._observe(), 0.0, True, truncated, self._info()
        if int(action) >= len(trial.index) or not trial.campaign.allowed[int(action)]:
            return self._observe(), NOT_ALLOWED, False, truncated, self._info()
        state = trial.campaign
        width, error, spent = state.width, trial.error, state.spent_s
        trial.measure(int(action), self.np_random)
        value = (
            early(error, trial.error, state.spent_s, state.budget_s)
            - PRICE * (state.spent_s - spent) / state.budget_s
            if self.reward == "early"
            else narrowing(width, state.width, spent, state.spent_s)
        )
        return self._observe(), float(value), not state.allowed.any(), truncated, self._info()

    def _begun(self) -> Trial:
        if self.trial is None:
            raise InputError("an episode must be started first", got="step", remedy="call reset()")
        return self.trial

    def _observe(self) -> Observation:
        campaign = self._begun().campaign
        found = np.clip(features(campaign), -BOUND, BOUND)
        candidates = np.zeros((MOST_CANDIDATES, FEATURES), dtype=np.float32)
        candidates[: len(found)] = found
        allowed = np.zeros(MOST_CANDIDATES + 1, dtype=np.int8)
        allowed[: len(found)] = campaign.allowed
        allowed[-1] = 1
        whole = np.clip(campaign_features(found), -BOUND, BOUND).astype(np.float32)
        return {"candidates": candidates, "campaign": whole, "allowed": allowed}

    def _info(self) -> dict[str, Any]:
        trial = self._begun()
        return {"deployment": trial.deployment.name, "candidates": len(trial.index),
                "seconds": trial.campaign.spent_s, "width": trial.campaign.width}  # fmt: skip
