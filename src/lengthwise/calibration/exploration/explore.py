"""Measure what is worth measuring: a campaign on an engine that is at hand."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from lengthwise.calibration.exploration.campaign import Campaign
from lengthwise.calibration.exploration.features import features
from lengthwise.calibration.exploration.law import LightLaw
from lengthwise.calibration.exploration.learned import shipped_prior
from lengthwise.calibration.exploration.points import Points
from lengthwise.calibration.exploration.policy import STOP
from lengthwise.calibration.exploration.registry import DEFAULT, policy
from lengthwise.calibration.exploration.reward import narrowing
from lengthwise.errors import InputError
from lengthwise.units import s_to_ms

Measure = Callable[[dict[str, Any]], float]
"""Measures one point (columns of the measurement table) and gives the seconds of one step."""


@dataclass(frozen=True)
class Exploration:
    """What a campaign found.

    Attributes
    ----------
    table
        Measurement table of the readings, in order; ``seconds`` is what each run took.
    width_percent
        Mean standard deviation of the predictions of the targets at the end, percent.
    seconds
        Seconds spent.
    law
        The light law at the end; fit a law of the registry to ``table`` for answers.
    """

    table: pd.DataFrame
    width_percent: float
    seconds: float
    law: LightLaw


def explore(
    measure: Measure, candidates: Points, budget_s: float, targets: Points | None = None,
    policy_name: str = DEFAULT, seed: int = 0, clock: Callable[[], float] = time.perf_counter,
) -> Exploration:  # fmt: skip
    """Spend ``budget_s`` seconds on the runs that make predictions of the targets surest.

    Parameters
    ----------
    measure
        Measures one point; called once per run, and its whole duration counts.
    candidates
        Points that may be measured.
    budget_s
        Seconds to spend; a run that is predicted to take more than is left is not begun.
    targets
        Points that matter; the candidates themselves by default.
    policy_name
        See :func:`lengthwise.calibration.exploration.registry.names`.
    seed
        Of policies that draw.
    clock
        Gives seconds; for tests and simulations.

    Raises
    ------
    InputError
        If there is nothing to measure, the budget is not positive, the policy is unknown, or
        ``measure`` gives something that is no positive time.

    Examples
    --------
    >>> ahead = Points.of("prefill", [256, 512, 1024, 2048, 4096])
    >>> times = iter(np.arange(100) * 0.5)
    >>> found = explore(lambda point: 0.02 + point["isl"] * 1e-4, ahead, budget_s=4.0,
    ...                 clock=lambda: float(next(times)))
    >>> len(found.table), found.seconds
    (8, 4.0)
    """
    if not len(candidates) or not budget_s > 0.0:
        raise InputError("exploring needs candidates and seconds to spend",
                         got=f"{len(candidates)} candidates, {budget_s:g} s",
                         remedy="name lengths to measure, and a budget")  # fmt: skip
    chooser, rng = policy(policy_name), np.random.default_rng(seed)
    campaign = Campaign(candidates, candidates if targets is None else targets, budget_s,
                        shipped_prior())  # fmt: skip
    rows: list[dict[str, Any]] = []
    waiting = list(campaign.firsts())
    while campaign.left_s > 0.0:
        choice = waiting.pop(0) if waiting else chooser.choose(campaign, rng)
        if choice == STOP:
            break
        before, width, spent = features(campaign)[choice], campaign.width, campaign.spent_s
        rows.append(_run(measure, campaign, choice, clock))
        if not waiting:
            chooser.learn(before, narrowing(width, campaign.width, spent, campaign.spent_s))
    return Exploration(pd.DataFrame(rows), 100.0 * campaign.width, campaign.spent_s, campaign.law)


def _run(
    measure: Measure, campaign: Campaign, choice: int, clock: Callable[[], float]
) -> dict[str, Any]:
    point = campaign.candidates.describe(choice)
    began = clock()
    step_s = float(measure(point))
    seconds = clock() - began
    if not (np.isfinite(step_s) and step_s > 0.0):
        raise InputError("a measurement must give the positive seconds of one step",
                         got=f"{step_s!r} for {point}",
                         remedy="leave out points that cannot be measured")  # fmt: skip
    campaign.record(choice, step_s, max(seconds, step_s))
    return {**point, "latency_ms": s_to_ms(step_s), "seconds": seconds}
