r"""Rows of one point that differ far beyond their noise, and the column that tells them apart.

Two runs that were given the same names merge as repeats: one with another driver, another file,
another option that no column of the table names. With r the deviation of ln(time) from the mean of
its point, and the values v of a column within a deployment,

    share = 1 - \frac{\sum (r - mean_v r)^2 / (n - points - values)}{\sum r^2 / (n - points)}

is how much of the scatter a column explains, values that are each seen once explaining nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from lengthwise.data.identity import deployment_of
from lengthwise.data.load import with_classes
from lengthwise.data.points import point_of
from lengthwise.data.schema import COLUMNS, STEP_PHASES
from lengthwise.units import FloatArray

RATIO = 1.2
"""Factor between the values of a column from which they are not the same thing."""
SHARE, SURE_SHARE = 0.5, 0.8
"""Share of the scatter that a column explains to be named; the second with few rows."""
FEW = 8
"""Degrees of freedom below which more has to be explained."""
FEWEST = 3
MOST_VALUES = 20
MOST_ROWS = 200_000

OF_TABLE = ("source", "clock")
"""Columns of the table that are no part of a deployment and can tell rows apart."""
_NOT_SETTINGS = re.compile(
    r"_(ms|s|ns|us|j|w|mib|gib|bytes|percent|mean|median|p\d+\w*|std|stddev|min|max|var|ts|ids?|len"
    r"|lens|tokens|index|rate|count|time|seconds|hash)$|^(n_|num_)?(requests?|prompts|completed|"
    r"failed|chunks|runs|users|samples)$|timestamp|date|uuid|seed|throughput|_per_s|energy|power|"
    r"latency|duration|statistic|over_repeats|file|path|^(id|index|row|time|stage|point|turn|"
    r"status|error|ok|finish_reason)$|^(isl|osl|ttft|tpot|itl|e2e|asked|in_flight|token)_|relative_"
)
"""Names of what is measured, counted or identified, not set."""

IntArray = npt.NDArray[np.intp]


@dataclass(frozen=True)
class Separation:
    """A column that tells rows of one point apart.

    Attributes
    ----------
    column
        Its name.
    rows
        Positions of the rows of the points concerned.
    ratio
        Largest factor between its values.
    values
        The fastest and the slowest value, as text.
    """

    column: str
    rows: IntArray
    ratio: float
    values: tuple[str, str]


def separations(frame: pd.DataFrame, candidates: Sequence[str] | None = None) -> list[Separation]:
    """Find the column that best tells rows of one point apart, in each phase.

    Parameters
    ----------
    frame
        Usable rows of a prepared table.
    candidates
        Columns to try; by default all that may be a setting, and the source.

    Examples
    --------
    >>> rows = {"phase": "prefill", "isl": [64, 512, 64, 512, 64, 512], "batch_size": 1,
    ...         "driver": ["a", "a", "b", "b", "a", "b"], "latency_ms": [1, 8, 3, 24, 1, 24]}
    >>> [(s.column, round(s.ratio)) for s in separations(pd.DataFrame(rows))]
    [('driver', 3)]
    """
    names = list(candidates) if candidates is not None else may_separate(frame)
    if not names or len(frame) > MOST_ROWS:
        return []
    found = []
    for phase in frame["phase"].unique():
        at = np.flatnonzero((frame["phase"] == phase).to_numpy())
        scatter = _Scatter.of(frame.iloc[at], str(phase))
        tried = (_judged(scatter, name) for name in names) if scatter is not None else ()
        best = max((one for one in tried if one), key=lambda pair: pair[0], default=None)
        if best is not None:
            one = best[1]
            found.append(Separation(one.column, at[one.rows], one.ratio, one.values))
    return found


def may_separate(frame: pd.DataFrame, *, extra_only: bool = False) -> list[str]:
    """List the columns whose values may be settings, by their names and values.

    >>> may_separate(pd.DataFrame({"driver": ["a", "b"], "itl_p99_ms": 3.5, "source": "f"}))
    ['driver', 'source']
    """
    known = () if extra_only else OF_TABLE
    names = [str(c) for c in frame.columns if c not in COLUMNS or c in known]
    return [name for name in names if not _NOT_SETTINGS.search(name.lower()) and
            _is_discrete(frame[name])]  # fmt: skip


def _is_discrete(values: pd.Series) -> bool:
    if pd.api.types.is_float_dtype(values):
        known = values.dropna()
        return bool((known == np.floor(known)).all())
    return not (pd.api.types.is_object_dtype(values) and values.map(_is_nested).any())


def _is_nested(value: Any) -> bool:
    return isinstance(value, (list, dict, tuple, set, np.ndarray))


@dataclass(frozen=True)
class _Scatter:
    """Deviations r of ln(time) from the mean of their point, and who was measured."""

    frame: pd.DataFrame
    rows: IntArray
    deviation: FloatArray
    deployment: IntArray
    points: int

    @classmethod
    def of(cls, frame: pd.DataFrame, phase: str) -> _Scatter | None:
        time = _time(frame, phase)
        codes = pd.Series(_points(frame, phase))
        good = np.isfinite(time) & (time > 0)
        repeated = (codes[good].groupby(codes[good]).transform("size") > 1).to_numpy()
        rows = np.flatnonzero(good)[repeated]
        if not len(rows):
            return None
        point = codes.to_numpy()[rows]
        log = pd.Series(np.log(time[rows]))
        deviation = (log - log.groupby(point).transform("mean")).to_numpy(float)
        points = len(np.unique(point))
        if len(rows) - points < FEWEST or float(np.std(deviation)) < np.log(RATIO) / 4:
            return None
        part = frame.iloc[rows]
        who = np.asarray(deployment_of(part).cat.codes, dtype=np.intp)
        return cls(part, rows, deviation, who, points)


def _time(frame: pd.DataFrame, phase: str) -> FloatArray:
    names = ("latency_ms",) if phase in STEP_PHASES else ("tpot_ms", "e2e_ms", "ttft_ms")
    known = [name for name in names if name in frame and frame[name].notna().any()]
    if not known:
        return np.full(len(frame), np.nan)
    return frame[known[0]].to_numpy(dtype=float)


def _points(frame: pd.DataFrame, phase: str) -> IntArray:
    """Return the number of each row's point; prompts within a third of a doubling are one."""
    if phase != "request" or "isl" not in frame:
        return point_of(frame)
    near = np.round(3.0 * np.log2(frame["isl"].clip(lower=1.0).to_numpy(dtype=float)))
    keys = with_classes(frame)[[c for c in ("batch_size", "concurrency") if c in frame]]
    keys = keys.assign(_near=near, _deployment=deployment_of(frame).cat.codes)
    return np.asarray(keys.groupby(list(keys), dropna=False, sort=False).ngroup())


def _judged(scatter: _Scatter, name: str) -> tuple[float, Separation] | None:
    """Weigh a column: the share it explains, and what it separates; None if not enough."""
    codes, values = pd.factorize(scatter.frame[name].astype(str))
    if not 2 <= len(values) <= MOST_VALUES:
        return None
    table = pd.DataFrame({"r": scatter.deviation, "d": scatter.deployment, "v": codes})
    cells = table.groupby(["d", "v"])["r"]
    freedom = len(table) - scatter.points
    left = freedom - (cells.ngroups - table["d"].nunique())
    if left < 1 or float((table["r"] ** 2).sum()) == 0.0:
        return None
    rest = float(((table["r"] - cells.transform("mean")) ** 2).sum()) / left
    share = 1.0 - rest / (float((table["r"] ** 2).sum()) / freedom)
    means = cells.mean().unstack("v")
    spread = means.max(axis=1) - means.min(axis=1)
    ratio = float(np.exp(spread.max()))
    if share < (SHARE if left >= FEW else SURE_SHARE) or ratio < RATIO:
        return None
    worst = means.to_numpy(dtype=float)[int(np.argmax(spread))]
    order = means.columns.to_numpy(dtype=int)
    ends = str(values[order[np.nanargmin(worst)]]), str(values[order[np.nanargmax(worst)]])
    return share, Separation(name, scatter.rows, ratio, ends)


def described(found: Separation) -> Iterator[str]:
    """Yield what was seen and what to do about it."""
    fast, slow = found.values
    yield (
        f"rows of one point differ {found.ratio:.3g} times, and {found.column} tells them apart "
        f"({fast} is fastest, {slow} slowest): a fit takes them for repeats"
    )
    yield (
        f"import again with --map settings={found.column}, so that each is a deployment of its "
        "own, or leave one out"
    )
