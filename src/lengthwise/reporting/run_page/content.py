"""What the page of a run shows, as plain data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from lengthwise.reporting.figures.chart import Chart

Facts = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Tile:
    """A figure on top of the page: what it is, its value, what it tells."""

    what: str
    value: str
    why: str


@dataclass(frozen=True)
class Column:
    """A column: heading, the heading it stands under, whether it holds numbers or long text."""

    name: str
    group: str = ""
    numeric: bool = True
    long: bool = False

    @property
    def kind(self) -> str:
        """Class of its cells in the page."""
        return "n" if self.numeric else "long" if self.long else "word"


@dataclass(frozen=True)
class Grid:
    """A table, its cells as text; every row is as long as ``columns``."""

    title: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""

    @property
    def groups(self) -> tuple[tuple[str, int], ...]:
        """Headings over the headings and how many columns each spans; empty if there are none.

        >>> Grid("", (Column("isl"), Column("p50", "TTFT"), Column("p99", "TTFT")), ()).groups
        (('', 1), ('TTFT', 2))
        """
        found: list[tuple[str, int]] = []
        for column in self.columns:
            if found and found[-1][0] == column.group:
                found[-1] = (column.group, found[-1][1] + 1)
            else:
                found.append((column.group, 1))
        return tuple(found) if any(name for name, _ in found) else ()


@dataclass(frozen=True)
class RunPage:
    """A whole page.

    Attributes
    ----------
    title, subtitle
        What was measured, and on what.
    problem
        Why the run is not whole; empty if it is.
    key
        What line and shade of the figures mean.
    facts
        Tables of names and values by heading.
    """

    title: str
    subtitle: str
    when: str
    version: str
    problem: str = ""
    tiles: tuple[Tile, ...] = ()
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    charts: tuple[Chart, ...] = ()
    key: str = ""
    grids: tuple[Grid, ...] = ()
    facts: Mapping[str, Facts] = field(default_factory=dict)


PROBLEMS = {
    "budget": "The budget ended it: every point was visited at least once, not all repeats.",
    "interrupted": "It was interrupted: points are missing. Repeat its command with --resume.",
    "failed": "It ended early: points are missing. Repeat its command with --resume.",
}
