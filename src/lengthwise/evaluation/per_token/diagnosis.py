"""Where the error of pooled events comes from: first tokens, warm-up, the phases thrown together.

A first token is a prefill: its time grows with the whole prompt, a later token's hardly at all. A
regression that pools them on context size splits the difference, and a few prefills or warm-up
events carry its RMSE. The same regression is fitted again with each of these left out.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from lengthwise.evaluation.per_token.divide import Division
from lengthwise.evaluation.per_token.figures import Figures, figures_of
from lengthwise.evaluation.per_token.slow import SlowEvents
from lengthwise.evaluation.per_token.thesis import matrix, thesis_ridge
from lengthwise.units import FloatArray

BoolArray = npt.NDArray[np.bool_]

WORST = 8
LEAST_TRAIN = 2


@dataclass(frozen=True)
class Scope:
    """Errors on one part of the events, on the random division.

    Attributes
    ----------
    name
        Which events.
    events
        How many there are, train and test.
    ridge
        The thesis's ridge, fitted to this part alone; None where the part is too small.
    law
        Our law on the test events of this part; None where it could not be fitted.
    """

    name: str
    events: int
    ridge: Figures | None
    law: Figures | None


@dataclass(frozen=True)
class Share:
    """What one kind of event contributes to the error of the pooled ridge, test events only."""

    kind: str
    n: int
    events_percent: float
    absolute_percent: float
    squared_percent: float


@dataclass(frozen=True)
class WorstEvent:
    """One of the test events the pooled ridge misses most."""

    row: int
    kind: str
    isl: float
    context_len: float
    batch_size: float
    actual_ms: float
    ridge_ms: float
    law_ms: float
    squared_percent: float


@dataclass(frozen=True)
class Diagnosis:
    """The error taken apart."""

    scopes: tuple[Scope, ...]
    shares: tuple[Share, ...]
    worst: tuple[WorstEvent, ...]
    first_token_squared_percent: float
    warmup_squared_percent: float
    slow_squared_percent: float
    slow: SlowEvents


def diagnose(
    frame: pd.DataFrame, division: Division, ridge_ms: FloatArray, law_ms: FloatArray | None,
    slow: SlowEvents, seed: int = 0,
) -> Diagnosis:  # fmt: skip
    """Take the error of the random division apart.

    Parameters
    ----------
    frame
        Events, shape (n, columns).
    division
        The random division.
    ridge_ms, law_ms
        Predictions of the pooled ridge and of our law, shape (n,), NaN outside the test events.
    slow
        Slow events of the frame.
    seed
        Seed of the intervals.
    """
    fold = division.folds[0]
    test = np.zeros(len(frame), dtype=bool)
    test[fold.test] = True
    square = np.where(test, (ridge_ms - frame["latency_ms"].to_numpy(float)) ** 2, 0.0)
    total = float(square.sum()) or 1.0
    kinds = _kinds(frame)
    scopes = tuple(
        _scope(name, frame, keep, test, law_ms, apart=apart, seed=seed)
        for name, keep, apart in _scopes(frame, slow)
    )

    def percent(mask: BoolArray) -> float:
        return float(100.0 * square[mask].sum() / total)

    return Diagnosis(
        scopes=scopes,
        shares=tuple(_shares(kinds, fold.test, np.sqrt(square), square)),
        worst=tuple(_worst(frame, kinds, fold.test, ridge_ms, law_ms, square / total)),
        first_token_squared_percent=percent(_flag(frame, "first_token")),
        warmup_squared_percent=percent(_flag(frame, "warmup")),
        slow_squared_percent=percent(slow.mask & ~_flag(frame, "warmup")),
        slow=slow,
    )


def _scopes(frame: pd.DataFrame, slow: SlowEvents) -> list[tuple[str, BoolArray, bool]]:
    """Name, events and whether the phases get a ridge each."""
    warm, first = _flag(frame, "warmup"), _flag(frame, "first_token")
    every = np.ones(len(frame), dtype=bool)
    settled = ~warm
    scopes = [
        ("everything pooled", every, False),
        ("without warm-up", settled, False),
        ("without first tokens", ~first, False),
        ("without warm-up and first tokens", settled & ~first, False),
        ("prefill and decode apart, no warm-up", settled, True),
        ("prefill alone, no warm-up", settled & first, False),
        ("decode alone, no warm-up, no slow events", settled & ~first & ~slow.mask, False),
    ]
    seen: list[tuple[BoolArray, bool]] = []
    kept = []
    for name, keep, apart in scopes:
        if keep.any() and not any(a == apart and (k == keep).all() for k, a in seen):
            kept.append((name, keep, apart))
            seen.append((keep, apart))
    return kept


def _scope(
    name: str, frame: pd.DataFrame, keep: BoolArray, test: BoolArray, law_ms: FloatArray | None,
    *, apart: bool, seed: int,
) -> Scope:  # fmt: skip
    train_rows, test_rows = np.flatnonzero(keep & ~test), np.flatnonzero(keep & test)
    actual, request = frame["latency_ms"].to_numpy(float), frame["request_code"].to_numpy()

    def figures(predicted: FloatArray) -> Figures:
        return figures_of(actual[test_rows], predicted, request[test_rows], seed=seed)

    ridge = None
    first = _flag(frame, "first_token")
    parts = [first, ~first] if apart else [np.ones(len(frame), dtype=bool)]
    predicted = np.full(len(frame), np.nan)
    for part in parts:
        learn, ask = train_rows[part[train_rows]], test_rows[part[test_rows]]
        if len(learn) >= LEAST_TRAIN and len(ask):
            model = thesis_ridge().fit(matrix(frame.iloc[learn]), actual[learn])
            predicted[ask] = model.predict(matrix(frame.iloc[ask]))
    if len(test_rows) and not np.isnan(predicted[test_rows]).any():
        ridge = figures(predicted[test_rows])
    law = figures(law_ms[test_rows]) if law_ms is not None and len(test_rows) else None
    return Scope(name, int(keep.sum()), ridge, law)


def _shares(
    kinds: npt.NDArray[np.object_], test: npt.NDArray[np.intp], absolute: FloatArray,
    square: FloatArray,
) -> list[Share]:  # fmt: skip
    found = []
    for kind in dict.fromkeys(_KINDS):
        mine = test[kinds[test] == kind]
        if len(mine):
            found.append(Share(
                kind, len(mine), 100.0 * len(mine) / len(test),
                float(100.0 * absolute[mine].sum() / (absolute.sum() or 1.0)),
                float(100.0 * square[mine].sum() / (square.sum() or 1.0)),
            ))  # fmt: skip
    return found


def _worst(
    frame: pd.DataFrame, kinds: npt.NDArray[np.object_], test: npt.NDArray[np.intp],
    ridge_ms: FloatArray, law_ms: FloatArray | None, share: FloatArray,
) -> list[WorstEvent]:  # fmt: skip
    rows = test[np.argsort(-share[test], kind="stable")][:WORST]
    batch = (
        frame["batch_size"].fillna(1.0) if "batch_size" in frame else pd.Series(1.0, frame.index)
    )
    return [
        WorstEvent(
            int(frame["row"].iloc[i]), str(kinds[i]), float(frame["isl"].iloc[i]),
            float(frame["context_len"].iloc[i]), float(batch.iloc[i]),
            float(frame["latency_ms"].iloc[i]), float(ridge_ms[i]),
            float(law_ms[i]) if law_ms is not None else float("nan"), float(100.0 * share[i]),
        )
        for i in rows
    ]  # fmt: skip


_KINDS = tuple(
    f"{kind}{mark}"
    for kind in ("first token", "first decode step", "later token")
    for mark in ("", ", warm-up")
)


def _kinds(frame: pd.DataFrame) -> npt.NDArray[np.object_]:
    kind = np.where(_flag(frame, "first_decode"), "first decode step", "later token")
    kind = np.where(_flag(frame, "first_token"), "first token", kind).astype(object)
    return np.asarray(kind + np.where(_flag(frame, "warmup"), ", warm-up", "").astype(object))


def _flag(frame: pd.DataFrame, name: str) -> BoolArray:
    return frame[name].to_numpy(dtype=bool)
