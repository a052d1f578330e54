"""What an import did: rows, reasons, flags and assumptions. Nothing is dropped silently."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from html import escape
from textwrap import fill
from typing import Any, Literal, Self

from lengthwise.errors import printable, shown
from lengthwise.units import counted

Severity = Literal["info", "warning", "error"]

MAX_ROWS = 20
"""Row numbers a flag lists; the count says how many there are."""

LONGEST_NAME, MAX_NAMES = 60, 40
"""Characters of a name of a column, and the number of them, that a report shows as text."""

_MARK = {"info": "i", "warning": "!", "error": "x"}


@dataclass(frozen=True)
class Flag:
    """Something that looks wrong in a table. Flagged rows are kept.

    Attributes
    ----------
    rule
        Short name of the check.
    severity
        ``error`` (rows cannot be used), ``warning`` (they probably mislead a fit) or ``info``.
    rows
        Positions of the rows, 0 for the first; at most 20.
    message, remedy
        What was seen, with values; what to do about it.
    count
        Number of rows concerned.
    lines
        Lines of the file on which the rows stand, where they are known.

    Examples
    --------
    >>> print(Flag.of("duplicate", "warning", range(30), "30 rows repeat others", "drop them"))
    duplicate: 30 rows repeat others. Remedy: drop them.
    """

    rule: str
    severity: Severity
    rows: tuple[int, ...]
    message: str
    remedy: str
    count: int = 0
    lines: tuple[int, ...] = ()

    @classmethod
    def of(
        cls, rule: str, severity: Severity, rows: Sequence[int], message: str, remedy: str
    ) -> Self:
        """Make a flag from any number of rows."""
        shown = tuple(int(row) for row in rows[:MAX_ROWS])
        return cls(rule, severity, shown, message, remedy, len(rows))

    def __str__(self) -> str:
        return f"{self.rule}: {self.message}. Remedy: {self.remedy}."


@dataclass(frozen=True, repr=False)
class ImportReport:
    """Account of an import.

    Attributes
    ----------
    source, format
        File (or dataset) and the format it was read as.
    rows_read
        Rows found.
    rows_kept
        Rows a fit can use; ``rows_read - rows_kept`` is the sum of ``skipped``. Rows that cannot be
        used stay in the written table.
    skipped
        Unusable rows by reason.
    flags
        What looks wrong.
    assumptions
        What was taken for granted.
    unknown_columns
        Columns outside the measurement table; kept as they are.

    Examples
    --------
    >>> print(ImportReport("runs.csv", "csv", 10, 9, {"latency_ms is missing": 1}))
    runs.csv (csv): 10 rows read, 9 usable
      1 row not usable: latency_ms is missing
    """

    source: str
    format: str
    rows_read: int
    rows_kept: int
    skipped: dict[str, int] = field(default_factory=dict)
    flags: list[Flag] = field(default_factory=list)
    assumptions: list[str] = field(default_factory=list)
    unknown_columns: list[str] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """Give the same fields as a dictionary ready for JSON."""
        return asdict(self)

    def __repr__(self) -> str:
        counts = f"{self.rows_read:,} rows read, {self.rows_kept:,} usable"
        return f"ImportReport({self.source!r}, {self.format}: {counts}, {len(self.flags)} flags)"

    def _repr_html_(self) -> str:
        return f"<pre>{escape(self.render())}</pre>"

    def __str__(self) -> str:
        return self.render()

    def render(self, width: int = 100) -> str:
        """Write the report as text of at most ``width`` columns."""
        head = f"{shown(self.source)} ({self.format})"
        counts = f"{counted(self.rows_read, 'row')} read, {self.rows_kept:,} usable"
        fits = len(head) + 2 + len(counts) <= width
        lines = [f"{head}: {counts}"] if fits else [f"{head}:", f"  {counts}"]
        for reason, count in self.skipped.items():
            lines.append(f"  {counted(count, 'row')} not usable: {shown(reason)}")
        for text in self.assumptions:
            lines.append(fill(f"assumed: {shown(text)}", width, **_indents(2)))
        if self.unknown_columns:
            names = [shown(name, LONGEST_NAME) for name in self.unknown_columns[:MAX_NAMES]]
            more = len(self.unknown_columns) - len(names)
            text = f"kept as extra columns: {', '.join(names)}"
            text += f" and {more:,} more" if more else ""
            lines.append(fill(text, width, **_indents(2)))
        return printable("\n".join([*lines, *_flag_lines(self.flags, width)]))


def _flag_lines(flags: list[Flag], width: int) -> list[str]:
    if not flags:
        return []
    looks = "thing looks" if len(flags) == 1 else "things look"
    numbers = "by lines of the file" if flags[0].lines else "rows count from 0"
    lines = ["", f"{len(flags)} {looks} wrong ({numbers}; all are kept)"]
    for flag in flags:
        mark = _MARK[flag.severity]
        lines.append(
            fill(f"{mark} {flag.rule}: {shown(flag.message)}", width, **_indents(2, hanging=2))
        )
        where = "" if not flag.rows else f" [{_where(flag)}]"
        lines.append(fill(f"-> {shown(flag.remedy)}{where}", width, **_indents(4, hanging=3)))
    return lines


def _indents(first: int, hanging: int = 2) -> dict[str, Any]:
    return {
        "initial_indent": " " * first, "subsequent_indent": " " * (first + hanging),
        "break_on_hyphens": False, "break_long_words": False,
    }  # fmt: skip


def _where(flag: Flag) -> str:
    numbers, what = (flag.lines, "line") if flag.lines else (flag.rows, "row")
    first = ", ".join(map(str, numbers[:6]))
    more = flag.count - min(len(flag.rows), 6)
    return f"{what}{'s' if flag.count > 1 else ''} {first}" + (
        f" and {more:,} more" if more > 0 else ""
    )
