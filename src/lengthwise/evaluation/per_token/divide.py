"""How events are divided into train and test: at random as the thesis does, and by whole groups.

A random split of tokens tests on neighbours of what it trained on: the token before and the token
after, of the same request, under the same clock and load. It measures filling in gaps. Holding
whole requests out asks about a prompt nobody ran; holding whole prompt lengths out asks about a
length nobody ran.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.model_selection import train_test_split

IntArray = npt.NDArray[np.intp]

TEST_SHARE = 0.2
FOLDS = 5


@dataclass(frozen=True)
class Fold:
    """Positions of events, shape (n_train,) and (n_test,)."""

    train: IntArray
    test: IntArray


@dataclass(frozen=True)
class Division:
    """One way to hold events out.

    Attributes
    ----------
    name
        ``random``, ``requests`` or ``lengths``.
    title
        What is held out, for people.
    folds
        One for ``random``; up to five for the others, which test every event once.
    skipped
        Why there are no folds.
    """

    name: str
    title: str
    folds: tuple[Fold, ...]
    skipped: str = ""


def divisions(frame: pd.DataFrame, seed: int = 0) -> tuple[Division, ...]:
    """Divide events in the three ways.

    Parameters
    ----------
    frame
        Events (see :class:`lengthwise.evaluation.per_token.events.Events`).
    seed
        Seed of all draws.

    Examples
    --------
    >>> frame = pd.DataFrame({"isl": [8.0] * 471, "request_code": np.arange(471) // 50})
    >>> [(d.name, len(d.folds), len(d.folds[0].test) if d.folds else 0) for d in divisions(frame)]
    [('random', 1, 95), ('requests', 5, 100), ('lengths', 0, 0)]
    """
    train, test = train_test_split(
        np.arange(len(frame)), test_size=TEST_SHARE, random_state=seed, shuffle=True
    )
    return (
        Division("random", "random fifth of the events held out, as the thesis does",
                 (Fold(np.sort(train), np.sort(test)),)),
        _grouped("requests", "whole requests held out", frame["request_code"], seed),
        _grouped("lengths", "whole prompt lengths held out", frame["isl"], seed),
    )  # fmt: skip


def _grouped(name: str, title: str, values: pd.Series, seed: int) -> Division:
    codes, levels = pd.factorize(values, sort=True)
    if len(levels) < 2:
        what = "one request" if name == "requests" else f"one prompt length ({levels[0]:g} tokens)"
        return Division(name, title, (), f"the events are of {what}")
    order = np.random.default_rng(seed).permutation(len(levels))
    folds = []
    for held in np.array_split(order, min(FOLDS, len(levels))):
        test = np.isin(codes, held)
        folds.append(Fold(np.flatnonzero(~test), np.flatnonzero(test)))
    each = f"{title}, a fifth at a time" if len(folds) == FOLDS else f"{title}, one at a time"
    return Division(name, each, tuple(folds))
