"""Policies by name, and which one is used when none is named."""

from __future__ import annotations

import difflib
from collections.abc import Callable

from lengthwise.calibration.exploration.bandits import LinUCB, Thompson
from lengthwise.calibration.exploration.learned import Learned, shipped
from lengthwise.calibration.exploration.policy import (
    Grid,
    Information,
    Policy,
    Random,
    Sweep,
    Uncertainty,
)
from lengthwise.errors import InputError

DEFAULT = "information"
"""The winner of benchmarks/exploration.py: no learner beats it by more than chance."""

_MAKERS: dict[str, Callable[[], Policy]] = {
    "random": Random,
    "sweep": Sweep,
    "grid": Grid,
    "uncertainty": Uncertainty,
    "information": Information,
    "linucb": lambda: LinUCB(shipped()["bandits"]["linucb"]),
    "thompson": lambda: Thompson(shipped()["bandits"]["thompson"]),
    "reinforcement": Learned,
}


def names() -> list[str]:
    """List the policies.

    >>> names()[:4]
    ['random', 'sweep', 'grid', 'uncertainty']
    """
    return list(_MAKERS)


def policy(name: str = DEFAULT) -> Policy:
    """Make a policy; one that learns starts from what it learnt on recorded deployments.

    Raises
    ------
    InputError
        If there is no policy of this name.

    Examples
    --------
    >>> policy("linucb").name
    'linucb'
    """
    if name not in _MAKERS:
        close = difflib.get_close_matches(name, _MAKERS, n=2, cutoff=0.4)
        raise InputError("the policy must be one that lengthwise knows", got=repr(name),
                         remedy=f"use one of {', '.join(close or _MAKERS)}")  # fmt: skip
    return _MAKERS[name]()
