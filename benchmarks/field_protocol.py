"""Leave-long-out on one curve at a time: train on its short part, ask for the rest.

A curve is one phase of one deployment: repeats of a length are their median. Lengths up to
max/factor may be trained on, and every longer one is asked for. Cases train on all of these
lengths, or on a few that are drawn (the longest always among them, the same ones for every
formulation); in a spoilt case one of the drawn times is multiplied by 1.5 to 3.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pandas as pd

from lengthwise.errors import LengthwiseError
from lengthwise.evaluation import scores
from lengthwise.evaluation.estimator import Estimator
from lengthwise.units import FloatArray

Positions = npt.NDArray[np.intp]

FEWEST, LEVEL = 3, 0.9
DRAWN, SPOILT = (3, 4, 6), 4
FACTOR, SHORT_FACTOR = 4.0, 2.0
TESTS = ("all_4", "all_2", *(f"drawn_{m}" for m in DRAWN), "spoilt")
EXTRA = ("curve_id", "curve_kind", "kind", "setup", "x_len", "derived", "notes", "measured_on",
         "engine_build", "kv_dtype", "n_gpus", "repeat", "clock", "source")  # fmt: skip


@dataclass(frozen=True)
class Curve:
    """Step times over length: x in tokens, ascending, and one table row for each."""

    source: str
    kind: str
    setup: str
    name: str
    x: FloatArray
    table: pd.DataFrame = field(repr=False)


@dataclass(frozen=True)
class Case:
    """Rows of a curve to train on and to ask for; ``spoilt`` is the position of a wrong time."""

    test: str
    train: Positions
    asked: Positions
    spoilt: int | None = None
    by: float = 1.0


@dataclass(frozen=True)
class Score:
    """What one formulation made of one case; percent, NaN where it gives no intervals.

    ``ape``, ``doublings``, ``covered``, ``width``, ``interval`` are per asked point.
    """

    curve: Curve
    test: str
    formulation: str
    mape: float
    failed: str = ""
    named: tuple[int, ...] = ()
    spoilt: int | None = None
    doublings: FloatArray = field(default_factory=lambda: np.empty(0))
    covered: FloatArray = field(default_factory=lambda: np.empty(0))
    width: FloatArray = field(default_factory=lambda: np.empty(0))
    interval: FloatArray = field(default_factory=lambda: np.empty(0))


def curves_of(source: str, table: pd.DataFrame) -> list[Curve]:
    """Split a dataset of curves; rows at one length become one row with their median time."""
    found = []
    for name, rows in table.groupby("curve_id", sort=True):
        median = rows.groupby("x_len")["latency_ms"].median()
        first = rows.drop_duplicates("x_len").sort_values("x_len")
        plain = first.assign(latency_ms=median.to_numpy()).drop(
            columns=list(EXTRA), errors="ignore"
        )
        plain = plain.dropna(axis=1, how="all").reset_index(drop=True)
        kind, setup = (str(rows[c].iloc[0]) for c in ("kind", "setup"))
        x = first["x_len"].to_numpy(dtype=float)
        found.append(Curve(source, kind, setup, str(name), x, plain))
    return found


def cases_of(curve: Curve) -> Iterator[Case]:
    """Yield the cases that the curve is long enough for."""
    short, asked = split(curve.x, SHORT_FACTOR)
    if len(short) >= FEWEST and len(asked):
        yield Case("all_2", short, asked)
    short, asked = split(curve.x, FACTOR)
    if len(short) < FEWEST or not len(asked):
        return
    yield Case("all_4", short, asked)
    for m in DRAWN:
        if len(short) >= m:
            yield Case(f"drawn_{m}", drawn(short, m, seed_of(curve, f"drawn_{m}")), asked)
    if len(short) >= SPOILT:
        rng = seed_of(curve, "spoilt")
        train = drawn(short, SPOILT, rng)
        yield Case("spoilt", train, asked, int(rng.integers(SPOILT)), float(rng.uniform(1.5, 3.0)))


def split(x: FloatArray, factor: float) -> tuple[Positions, Positions]:
    """Return the positions of lengths up to max/factor and of those beyond."""
    return np.flatnonzero(x <= x.max() / factor), np.flatnonzero(x > x.max() / factor)


def drawn(short: Positions, m: int, rng: np.random.Generator) -> Positions:
    """Draw m positions, ascending, the last always among them."""
    return np.append(np.sort(rng.choice(short[:-1], m - 1, replace=False)), short[-1])


def seed_of(curve: Curve, test: str) -> np.random.Generator:
    """Return random numbers that only curve and test decide."""
    return np.random.default_rng(zlib.crc32(f"{curve.source}|{curve.name}|{test}".encode()))


def score(
    curve: Curve, case: Case, formulation: str, law: Estimator,
    named: Callable[[Estimator], tuple[int, ...]],
) -> Score:  # fmt: skip
    """Fit one law to one case and judge what it predicts for the longer lengths."""
    train = curve.table.iloc[case.train].reset_index(drop=True)
    if case.spoilt is not None:
        by = np.where(np.arange(len(train)) == case.spoilt, case.by, 1.0)
        train["latency_ms"] = train["latency_ms"] * by
    points = curve.table.iloc[case.asked]
    actual = points["latency_ms"].to_numpy(dtype=float)
    try:
        predicted = law.fit(train).predict(points)
        bounds = law.predict_interval(points, LEVEL) if gives_intervals(law) else None
    except LengthwiseError as error:
        return Score(curve, case.test, formulation, float("inf"), str(error), (), case.spoilt)
    judged = {} if bounds is None else _intervals(actual, predicted, *bounds.T)
    reach = np.log2(curve.x[case.asked] / curve.x[case.train[-1]])
    mape = scores.mape(actual, predicted)
    return Score(curve, case.test, formulation, mape, "", named(law), case.spoilt, reach, **judged)


def gives_intervals(law: Estimator) -> bool:
    """Tell whether a law was asked to calibrate intervals."""
    return bool(getattr(law, "intervals", True))


def _intervals(
    actual: FloatArray, predicted: FloatArray, lo: FloatArray, hi: FloatArray
) -> dict[str, FloatArray]:
    return {
        "covered": ((lo <= actual) & (actual <= hi)).astype(float),
        "width": scores.width_percent(predicted, lo, hi),
        "interval": scores.interval_score_percent(actual, lo, hi, LEVEL),
    }
