"""What the page on known models and hardware says of the public curves."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from results_files import result
from tables_field import KINDS, number

STEP = "step law"


def known(figure: str, part: str = "known") -> str:
    """Errors by kind, source and points, for each level of knowledge.

    Parameters
    ----------
    figure
        ``far``: points beyond max/4; ``unseen``: all points not measured.
    part
        ``known``: curves whose model and hardware are known; ``others``: the rest.
    """
    every = result("known")["levels"]
    levels = every if part == "known" else every[:2]
    head = " | ".join(f"known: {level}" for level in levels)
    rows = [f"| curves | points | {head} |", f"|---|--:|{'--:|' * len(levels)}"]
    for kind, source, found in _sources(part):
        label = f"{KINDS[kind]}, {source} ({found['curves']})"
        if STEP in found:
            cells = ["refused"] * (len(levels) - 1) + [_pair(found[STEP]["0"], figure)]
            rows.append(f"| {label} | 0 | {' | '.join(cells)} |")
        for points in found[levels[0]]:
            cells = [_pair(found[level][points], figure) for level in levels]
            rows.append(f"| {label} | {points} | {' | '.join(cells)} |")
    return "\n".join(rows)


def averages(figure: str) -> str:
    """Geometric means over sources, for each level of knowledge; with what the intervals hold."""
    levels = result("known")["levels"]
    head = " | ".join(f"known: {level}" for level in levels)
    rows = [f"| curves | points | {head} | inside 90 %, width |",
            f"|---|--:|{'--:|' * len(levels)}--:|"]  # fmt: skip
    for kind, label in KINDS.items():
        of_kind = [found for k, _, found in _sources("known") if k == kind]
        law = _mean([f[STEP]["0"] for f in of_kind])
        refused = " | ".join(["refused"] * (len(levels) - 1))
        rows.append(f"| {label} | 0 | {refused} | {_pair(law, figure)} |  |")
        for points in map(str, result("known")["points"]):
            having = [f for f in of_kind if points in f[levels[0]]]
            by = [_mean([f[level][points] for f in having]) for level in levels]
            inside = f"{number(by[-1]['coverage_percent'])} %, {number(by[-1]['width_median'])} %"
            cells = " | ".join(_pair(figures, figure) for figures in by)
            rows.append(f"| {label} | {points} | {cells} | {inside} |")
    return "\n".join(rows)


def _mean(found: list[dict[str, float]]) -> dict[str, float]:
    return {name: math.exp(sum(math.log(f[name]) for f in found) / len(found)) for name in found[0]}


def _sources(part: str) -> Iterator[tuple[str, str, dict[str, Any]]]:
    found = result("known").get(part, {})
    for kind in (kind for kind in KINDS if kind in found):
        for source, figures in found[kind].items():
            yield kind, source, figures


def _pair(figures: dict[str, Any], name: str) -> str:
    return f"{number(figures[f'{name}_median'])} / {number(figures[f'{name}_p90'])} %"


KNOWN: dict[str, Callable[[], str]] = {
    "known-average-far": partial(averages, "far"), "known-far": partial(known, "far"),
    "known-average-unseen": partial(averages, "unseen"), "known-unseen": partial(known, "unseen"),
    "known-others": partial(known, "far", "others"),
}  # fmt: skip
