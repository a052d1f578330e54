"""What each group of features buys: added to the lengths alone, and dropped from the others.

Adding shows what a group could do for the thesis's two features; dropping shows what nothing else
can stand in for. A group that helps when added and costs nothing when dropped is redundant.

What is known before a step is dropped from all that is known. What was measured while it ran, or
one event earlier, is dropped from all that is known and itself: load and memory drift with time,
and would otherwise stand in for settings that were measured one after the other.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from lengthwise.evaluation.per_token import regressors
from lengthwise.evaluation.per_token.divide import Division
from lengthwise.evaluation.per_token.features import SYSTEM_BEFORE, Presence
from lengthwise.evaluation.per_token.figures import Change, Figures, change, figures_of
from lengthwise.evaluation.per_token.law import TAKES, LawOn
from lengthwise.evaluation.per_token.predictors import OWN, Fitted, Predictor, predict_out
from lengthwise.evaluation.per_token.thesis import FEATURES
from lengthwise.units import FloatArray

LEARNERS: dict[str, Callable[[Sequence[str], int], Fitted]] = {
    "ridge": regressors.ridge,
    "gradient boosting": regressors.boosting,
    OWN: lambda columns, seed: LawOn(columns),
}
BASE = "lengths"


@dataclass(frozen=True)
class GroupWorth:
    """What one group buys one regressor on one division.

    Attributes
    ----------
    group
        Name of the group.
    added
        Change of the errors when it joins the lengths; negative is better.
    dropped
        Change of the errors when it leaves all that is known (and itself); positive means that it
        was needed.
    """

    group: str
    added: Change
    dropped: Change


@dataclass(frozen=True)
class Worth:
    """What the groups buy one regressor on one division.

    Attributes
    ----------
    learner, division
        Which regressor, which division.
    lengths, known
        Errors with the lengths alone, and with all groups that are known before a step.
    groups
        One entry per group that varies.
    """

    learner: str
    division: str
    lengths: Figures
    known: Figures
    groups: tuple[GroupWorth, ...]


def varied_groups(presence: tuple[Presence, ...], learner: str) -> dict[str, list[str]]:
    """Give the columns of the groups that vary and that the learner has a place for."""
    return {
        p.group.name: list(p.used)
        for p in presence
        if p.used and p.group.name != BASE and (learner != OWN or p.group.name in TAKES)
    }


def worth_of(
    frame: pd.DataFrame, division: Division, presence: tuple[Presence, ...], learner: str,
    seed: int = 0,
) -> Worth:  # fmt: skip
    """Add and drop every group that varies.

    Parameters
    ----------
    frame
        Events, with the columns of all groups.
    division
        How events are held out.
    presence
        Which columns vary.
    learner
        ``ridge``, ``gradient boosting`` or ``hachiya-patias``, which is added and dropped only what
        a law has a place for.
    seed
        Seed of the regressor and of the intervals.
    """
    base = next((list(p.used) for p in presence if p.group.name == BASE and p.used), [*FEATURES])
    groups = varied_groups(presence, learner)
    tested = np.unique(np.concatenate([fold.test for fold in division.folds]))
    actual = frame["latency_ms"].to_numpy(float)[tested]
    request = frame["request_code"].to_numpy()[tested]
    done: dict[tuple[str, ...], FloatArray] = {}

    def predicted(names: Sequence[str]) -> FloatArray:
        columns = (*base, *(c for name in names for c in groups[name]))
        if columns not in done:
            make = LEARNERS[learner]
            predictor = Predictor(learner, "", lambda: make(columns, seed))
            done[columns] = predict_out(predictor, frame, division)[tested]
        return done[columns]

    before = [p.group.name for p in presence if p.group.name in groups and _is_known(p)]

    def worth(name: str) -> GroupWorth:
        others = [g for g in before if g != name]
        added = change(actual, predicted([]), predicted([name]), request, seed=seed)
        with_it = predicted([g for g in groups if g in before or g == name])
        return GroupWorth(
            name, added, change(actual, with_it, predicted(others), request, seed=seed)
        )

    return Worth(
        learner, division.name, figures_of(actual, predicted([]), request, seed=seed),
        figures_of(actual, predicted(before), request, seed=seed), tuple(map(worth, groups)),
    )  # fmt: skip


def _is_known(presence: Presence) -> bool:
    """Whether a group is decided before a step, rather than measured."""
    return presence.group.known and presence.group.name != SYSTEM_BEFORE
