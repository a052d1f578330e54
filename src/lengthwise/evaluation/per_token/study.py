"""The per-token study: the thesis's protocol on a table of events, and what lies behind it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from lengthwise.errors import InputError
from lengthwise.evaluation.per_token.diagnosis import diagnose
from lengthwise.evaluation.per_token.divide import Division, divisions
from lengthwise.evaluation.per_token.events import Events, events_of
from lengthwise.evaluation.per_token.features import (
    LEVELS,
    Level,
    Presence,
    presence_of,
    with_system_before,
)
from lengthwise.evaluation.per_token.figures import figures_of
from lengthwise.evaluation.per_token.predictors import (
    OWN,
    THESIS,
    Predictor,
    predictors_of,
    try_predict_out,
)
from lengthwise.evaluation.per_token.result import PerTokenStudy, Score, SubjectStudy
from lengthwise.evaluation.per_token.slow import slow_events
from lengthwise.evaluation.per_token.thesis import reproduce
from lengthwise.evaluation.per_token.worth import LEARNERS, Worth, varied_groups, worth_of
from lengthwise.units import FloatArray

MAX_EVENTS = 5000
WORTH_DIVISIONS = ("random", "requests")
"""Our law, whose fits cost more, is asked on the last only."""


def per_token_study(
    table: pd.DataFrame | str | Path, *, seed: int = 0, features: Level = "system",
    quick: bool = False, max_events: int | None = MAX_EVENTS,
    progress: Callable[[str], None] | None = None,
) -> PerTokenStudy:  # fmt: skip
    """Run the thesis's protocol on per-token events, with what its conclusions need beside it.

    Parameters
    ----------
    table
        Measurement table with one row per token: prefill and decode rows with ``output_index``,
        ``isl`` or ``context_len``, and ``latency_ms``; telemetry and settings where known.
    seed
        Seed of all draws.
    features
        ``lengths`` (the thesis's two), ``known`` (all that is known before a step) or ``system``
        (also what was measured while it ran).
    quick
        Leave out the non-linear regressors and what the groups of features buy.
    max_events
        Events of one subject beyond which whole requests are drawn; None takes all.
    progress
        Called with a line of text before each longer piece of work.

    Raises
    ------
    InputError
        If the table holds no per-token events, too few, or not which token they are.

    Examples
    --------
    >>> n = np.arange(40.0)
    >>> rows = pd.DataFrame({"phase": "decode", "isl": 64, "context_len": 65 + n,
    ...                      "output_index": 1 + n, "latency_ms": 20 + 0.1 * n})
    >>> found = per_token_study(rows, quick=True).subjects[0]
    >>> found.thesis.n_train, found.thesis.n_test, round(found.thesis.context_size_ms, 2)
    (32, 8, 1.19)
    """
    if features not in LEVELS:
        raise InputError(
            f"features must be one of {', '.join(LEVELS)}", got=repr(features),
            remedy="write system for all of them",
        )  # fmt: skip
    if max_events is not None and max_events < 1:
        raise InputError("max_events must be at least 1", got=f"{max_events}",
                         remedy="leave it out to take the usual number")  # fmt: skip
    subjects = events_of(table, max_events=max_events, seed=seed)
    say = progress or _quiet
    studies = tuple(_study(s, seed, features, quick, say) for s in subjects)
    return PerTokenStudy(studies, seed, features)


def _quiet(line: str) -> None:
    pass


def _study(
    events: Events, seed: int, level: Level, quick: bool, progress: Callable[[str], None]
) -> SubjectStudy:
    frame = with_system_before(events.frame)
    presence = presence_of(frame, level)
    ways = divisions(frame, seed)
    predictors = predictors_of(presence, seed, quick=quick)
    scores, parts = [], []
    random: dict[str, FloatArray] = {}
    for way in (w for w in ways if w.folds):
        progress(
            f"{events.name}: {len(events):,} events, {len(predictors)} predictors, {way.title}"
        )
        for predictor in predictors:
            predicted, reason = try_predict_out(predictor, frame, way)
            scores.append(_score(way, predictor, frame, predicted, reason, seed))
            if predicted is not None:
                parts.append(_predictions(way, predictor, frame, predicted))
                if way.name == "random":
                    random.setdefault(predictor.name, predicted)
    fold = ways[0].folds[0]
    slow = slow_events(frame)
    worth = () if quick else _worth(events.name, frame, ways, presence, seed, progress)
    return SubjectStudy(
        events=events,
        thesis=reproduce(frame.iloc[fold.train], frame.iloc[fold.test]),
        divisions=ways,
        scores=tuple(scores),
        diagnosis=diagnose(frame, ways[0], random[THESIS], random.get(OWN), slow, seed),
        presence=presence,
        worth=worth,
        predictions=pd.concat(parts, ignore_index=True),
    )


def _worth(
    name: str, frame: pd.DataFrame, ways: tuple[Division, ...], presence: tuple[Presence, ...],
    seed: int, progress: Callable[[str], None],
) -> tuple[Worth, ...]:  # fmt: skip
    found = []
    for learner in LEARNERS:
        if not varied_groups(presence, learner):
            continue
        progress(f"{name}: what each group of features buys the {learner}")
        asked = WORTH_DIVISIONS[learner == OWN :]
        found += [
            worth_of(frame, way, presence, learner, seed)
            for way in ways
            if way.name in asked and way.folds
        ]
    return tuple(found)


def _score(
    way: Division, predictor: Predictor, frame: pd.DataFrame, predicted: FloatArray | None,
    reason: str, seed: int,
) -> Score:  # fmt: skip
    figures = None
    if predicted is not None:
        mine = ~np.isnan(predicted)
        rows = frame[mine]
        figures = figures_of(
            rows["latency_ms"].to_numpy(float), predicted[mine], rows["request_code"].to_numpy(),
            seed=seed,
        )  # fmt: skip
    return Score(way.name, predictor.name, predictor.features, figures, reason)


def _predictions(
    way: Division, predictor: Predictor, frame: pd.DataFrame, predicted: FloatArray
) -> pd.DataFrame:
    mine = ~np.isnan(predicted)
    return pd.DataFrame({
        "row": frame["row"][mine], "division": way.name, "predictor": predictor.name,
        "features": predictor.features, "actual_ms": frame["latency_ms"][mine],
        "predicted_ms": predicted[mine],
    })  # fmt: skip
