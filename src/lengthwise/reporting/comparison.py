"""Compare two laws: what differs, which one is faster where, how each does on the other's data.

A table is compared through the law fitted to it. Deployments are matched by name; where each side
has one law of a phase left, these two are matched, whatever they are called.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from lengthwise.calibration.groups import Group, groups_of, step_rows
from lengthwise.calibration.lawset import LawSet
from lengthwise.calibration.phase_law import PhaseLaw
from lengthwise.errors import NothingUsableError
from lengthwise.evaluation.scores import mape
from lengthwise.prediction.chunked import InChunks
from lengthwise.prediction.coefficients import coefficients_of, terms_of
from lengthwise.reporting.figures.chart import Axis, Chart, Points, plain
from lengthwise.reporting.figures.prepare import (
    LENGTH_LABEL,
    TIME_LABEL,
    plain_steps,
    points_at,
    two_lines,
)
from lengthwise.reporting.sources import Source
from lengthwise.units import FloatArray, s_to_ms

GRID_POINTS = 200
EQUAL = 0.01
"""Ratios within 1 % of 1 count as equal."""


@dataclass(frozen=True)
class Difference:
    """One coefficient on both sides; ``clear`` when their 90 % intervals do not overlap."""

    name: str
    unit: str
    first: float | None
    second: float | None
    clear: bool


@dataclass(frozen=True)
class Stretch:
    """A range of lengths and which side is faster there: ``first``, ``second`` or ``equal``."""

    low: float
    high: float
    faster: str


@dataclass(frozen=True)
class Pair:
    """Two laws of one phase.

    Attributes
    ----------
    phase, first, second
        Phase and deployments.
    batch
        Batch size at which times are compared.
    lengths, ratio
        Lengths, tokens, and time of the second over time of the first; shape (n,).
    stretches
        Ranges of lengths by the faster side.
    crossings
        Lengths at which both are equally fast, tokens.
    differences, terms
        Coefficients that both or one of them have; terms of each law.
    errors
        MAPE, percent, by ``"first on second's data"`` and the like; empty without tables.
    chart
        Both curves with measured points.
    """

    phase: str
    first: str
    second: str
    batch: float
    lengths: FloatArray
    ratio: FloatArray
    stretches: tuple[Stretch, ...]
    crossings: tuple[float, ...]
    differences: tuple[Difference, ...]
    terms: tuple[str, str]
    errors: dict[str, float]
    chart: Chart

    def to_dict(self) -> dict[str, Any]:
        """Give everything but the chart, ready for JSON."""
        out = {k: v for k, v in vars(self).items() if k != "chart"}
        out["stretches"] = [asdict(s) for s in self.stretches]
        out["differences"] = [asdict(d) for d in self.differences]
        clean: dict[str, Any] = plain(out)
        return clean


@dataclass(frozen=True)
class Comparison:
    """All pairs, and the laws that only one side has."""

    first: str
    second: str
    pairs: tuple[Pair, ...]
    only_first: tuple[str, ...]
    only_second: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Give everything, ready for JSON."""
        return {
            "first": self.first, "second": self.second,
            "pairs": [pair.to_dict() for pair in self.pairs],
            "only_first": list(self.only_first), "only_second": list(self.only_second),
        }  # fmt: skip


Key = tuple[str, str]


def compare(first: Source, second: Source, formulation: str = "hachiya-patias") -> Comparison:
    """Compare two sources; tables are fitted with ``formulation``.

    Raises
    ------
    NothingUsableError
        If they have no phase in common, or too many deployments that differ in name.
    """
    laws = [_laws(source, formulation) for source in (first, second)]
    groups = [_groups(source) for source in (first, second)]
    matched = list(_matches(*laws))
    if not matched:
        raise NothingUsableError(
            "two things to compare must share a deployment, or have one each of a phase",
            got=f"{_names(laws[0])} against {_names(laws[1])}",
            remedy="give both the same model, hardware and engine, or compare one deployment each",
        )
    names = (first.stem, second.stem)
    pairs = [
        _pair((laws[0], laws[1]), (a, b), (groups[0].get(a), groups[1].get(b)), names)
        for a, b in matched
    ]
    left = [sorted(set(side.laws_) - {pair[i] for pair in matched}) for i, side in enumerate(laws)]
    only = [tuple(f"{deployment}, {phase}" for deployment, phase in keys) for keys in left]
    return Comparison(first.name, second.name, tuple(pairs), only[0], only[1])


def crossings(lengths: FloatArray, ratio: FloatArray) -> list[float]:
    """Find where a ratio passes 1, by interpolation in logarithms.

    >>> crossings(np.array([1.0, 4.0]), np.array([0.5, 2.0]))
    [2.0]
    """
    x, y = np.log(lengths), np.log(ratio)
    at = np.flatnonzero(np.sign(y[:-1]) * np.sign(y[1:]) < 0)
    found = x[at] - y[at] * (x[at + 1] - x[at]) / (y[at + 1] - y[at])
    return [float(round(v, 9)) for v in np.exp(found)]


def stretches(lengths: FloatArray, ratio: FloatArray) -> list[Stretch]:
    """Divide the lengths by which side is faster.

    >>> [s.faster for s in stretches(np.array([1.0, 2.0, 4.0]), np.array([0.5, 1.0, 2.0]))]
    ['second', 'equal', 'first']
    """
    side = np.where(ratio > 1 + EQUAL, 1, np.where(ratio < 1 - EQUAL, -1, 0))
    edges = [0, *(np.flatnonzero(np.diff(side)) + 1).tolist(), len(side)]
    names = {1: "first", -1: "second", 0: "equal"}
    return [
        Stretch(float(lengths[a]), float(lengths[b - 1]), names[int(side[a])])
        for a, b in pairwise(edges)
    ]


def _laws(source: Source, formulation: str) -> LawSet:
    if source.laws is not None:
        return source.laws
    assert source.table is not None
    return LawSet(formulation, intervals=False).fit(step_rows(source.table))


def _groups(source: Source) -> dict[Key, Group]:
    if source.table is None:
        return {}
    return {(g.deployment, g.phase): g for g in groups_of(source.table)}


def _matches(a: LawSet, b: LawSet) -> Iterator[tuple[Key, Key]]:
    shared = [key for key in a.laws_ if key in b.laws_]
    yield from ((key, key) for key in sorted(shared))
    for phase in sorted({p for _, p in a.laws_}):
        rest = [[k for k in side.laws_ if k[1] == phase and k not in shared] for side in (a, b)]
        if len(rest[0]) == 1 and len(rest[1]) == 1:
            yield rest[0][0], rest[1][0]


def _names(laws: LawSet) -> str:
    found = sorted({f"{deployment}, {phase}" for deployment, phase in laws.laws_})
    return "; ".join(found[:3]) + (f" and {len(found) - 3} more" if len(found) > 3 else "")


def _pair(
    sets: tuple[LawSet, LawSet], keys: tuple[Key, Key],
    groups: tuple[Group | None, Group | None], names: tuple[str, str],
) -> Pair:  # fmt: skip
    laws = sets[0].laws_[keys[0]], sets[1].laws_[keys[1]]
    phase, batch = keys[0][1], max(law.domain.sequences[0] for law in laws)
    low = min(law.domain.length[0] for law in laws)
    high = max(law.domain.length[1] for law in laws)
    doublings = 2.0 ** np.arange(np.ceil(np.log2(low)), np.floor(np.log2(high)) + 1)
    lengths = np.unique([*np.geomspace(low, max(high, low * 1.01), GRID_POINTS), *doublings])
    times = [
        InChunks(laws_of, math.nan).predict(points_at(phase, law.labels, lengths, batch))
        for laws_of, law in zip(sets, laws, strict=True)
    ]
    ratio = times[1] / times[0]
    return Pair(
        phase, keys[0][0], keys[1][0], batch, lengths, ratio, tuple(stretches(lengths, ratio)),
        tuple(crossings(lengths, ratio)), tuple(_differences(*laws)),
        (terms_of(laws[0].law), terms_of(laws[1].law)), _errors(laws, groups),
        _chart(laws, batch, lengths, times, names, groups),
    )  # fmt: skip


def _differences(a: PhaseLaw, b: PhaseLaw) -> list[Difference]:
    if type(a.law) is not type(b.law):
        return []
    sides = [{c.name: c for c in coefficients_of(law.law)} for law in (a, b)]
    out = []
    for name in dict.fromkeys([*sides[0], *sides[1]]):
        x, y = sides[0].get(name), sides[1].get(name)
        known = x or y
        assert known is not None
        clear = bool(x and y and (x.lo > y.hi or y.lo > x.hi))
        out.append(
            Difference(name, known.unit, x.value if x else None, y.value if y else None, clear)
        )
    return out


def _errors(
    laws: tuple[PhaseLaw, PhaseLaw], groups: tuple[Group | None, Group | None]
) -> dict[str, float]:
    words = ("first", "second")
    return {
        f"{words[i]} on the data of the {words[j]}": mape(
            group.y_s, laws[i].law.predict_work(group.work)
        )
        for j, group in enumerate(groups)
        if group is not None
        for i in range(2)
    }


def _chart(
    laws: tuple[PhaseLaw, PhaseLaw], batch: float, lengths: FloatArray, times: list[FloatArray],
    names: tuple[str, str], groups: tuple[Group | None, Group | None],
) -> Chart:  # fmt: skip
    """Draw both curves, each dashed beyond its own data."""
    phase = laws[0].phase
    lines = [
        line
        for i, (name, time) in enumerate(zip(names, times, strict=True))
        for line in two_lines(name, lengths, time, laws[i].domain.length[1], i)
    ]
    points = []
    for i, group in enumerate(groups):
        if group is not None:
            rows = (group.work.sequences == batch) & plain_steps(group)
            points.append(Points("", group.work.length[rows], s_to_ms(group.y_s[rows]), i))
    return Chart(
        f"{phase}, batch {batch:g}", Axis(LENGTH_LABEL[phase], "tokens"),
        Axis(f"time of one {TIME_LABEL[phase]}", "ms"), tuple(lines), points=tuple(points),
    )  # fmt: skip
