"""Text that tools print: labels with values, markdown tables, durations, arguments of a command."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass

from lengthwise.data.formats.fields import Row, number
from lengthwise.data.report import Flag

TOLERANCE = 0.02
"""Share by which two printed figures of one quantity may differ unflagged."""

_RULE = re.compile(r"[\s|:+=-]*-[\s|:+=-]*")
_FIGURE = re.compile(
    r"([-+]?\d[\d,]*\.?\d*(?:[eE][-+]?\d+)?)(?:\s*[^\d\s.]{1,4}\s*(\d[\d,]*\.?\d*))?"
)
_GO_UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "μs": 1e-6,
             "ns": 1e-9}  # fmt: skip
_GO = re.compile(r"(\d+(?:\.\d+)?)(ms|us|µs|μs|ns|h|m|s)")


@dataclass(frozen=True)
class MarkdownTable:
    """A table of text: its column names, its rows, and where it stands in the text."""

    names: tuple[str, ...]
    rows: tuple[dict[str, str], ...]
    start: int
    end: int


def figure(text: str) -> tuple[float, float]:
    """Return the number in a text and its spread after a sign such as ±; NaN where there is none.

    >>> figure("5120.00 ± 10.00"), figure("1,146.31")
    ((5120.0, 10.0), (1146.31, nan))
    """
    found = _FIGURE.search(text)
    if not found:
        return math.nan, math.nan
    spread = found[2].replace(",", "") if found[2] else None
    return number(found[1].replace(",", ""), "a figure"), number(spread, "a spread")


def labelled(text: str) -> dict[str, str]:
    r"""Return the values of lines such as ``Mean TTFT (ms):   30.5`` by label; the first one wins.

    >>> labelled("Successful requests:   8\nMean TTFT (ms):   30.5  ")
    {'Successful requests': '8', 'Mean TTFT (ms)': '30.5'}
    """
    found: dict[str, str] = {}
    for line in text.splitlines():
        label, sign, value = line.strip(" \t|>*#-").partition(":")
        if sign and value.strip():
            found.setdefault(label.strip(), value.strip())
    return found


def markdown_tables(text: str) -> Iterator[MarkdownTable]:
    """Yield the tables of a text whose cells stand between bars, in order."""
    names: tuple[str, ...] = ()
    rows: list[dict[str, str]] = []
    start = at = 0
    previous: tuple[int, str] = (0, "")
    for line in text.splitlines(keepends=True):
        plain = line.strip()
        barred = plain.startswith("|") and plain.count("|") > 1
        if barred and _RULE.fullmatch(plain):
            if names and rows:
                yield MarkdownTable(names, tuple(rows), start, previous[0])
            names, rows, start = cells_of(previous[1]), [], previous[0]
        elif barred and names:
            rows.append(dict(zip(names, cells_of(plain), strict=False)))
        elif not barred and names:
            yield MarkdownTable(names, tuple(rows), start, at)
            names, rows = (), []
        previous = (at, plain)
        at += len(line)
    if names:
        yield MarkdownTable(names, tuple(rows), start, at)


def cells_of(line: str) -> tuple[str, ...]:
    """Return the cells of a line between bars.

    >>> cells_of("| pp512 | 5120.00 ± 10.00 |")
    ('pp512', '5120.00 ± 10.00')
    """
    return tuple(cell.strip().strip("*`") for cell in line.strip().strip("|").split("|"))


def go_seconds(text: str) -> float:
    """Return the seconds in a duration as Go prints it; NaN when it is none.

    >>> go_seconds("1m13.5s"), go_seconds("250ms"), go_seconds("fast")
    (73.5, 0.25, nan)
    """
    plain = text.strip()
    parts = _GO.findall(plain)
    if not parts or "".join(value + unit for value, unit in parts) != plain:
        return math.nan
    return math.fsum(float(value) * _GO_UNITS[unit] for value, unit in parts)


def argument(text: str, *names: str) -> str | None:
    """Return an argument of the last command or ``Namespace(...)`` in a text, None without.

    >>> argument("vllm bench serve --model m --batch-size=8", "batch_size")
    '8'
    >>> argument("Namespace(model='org/m', seed=0)", "model")
    'org/m'
    """
    for name in names:
        option = name.replace("_", "[-_]")
        found = re.findall(
            rf"(?:--{option}(?:\s+|=)|[(,\s]{name}=)(?:'([^']*)'|\"([^\"]*)\"|([^\s,)\\]+))", text
        )
        value = "".join(found[-1]) if found else ""
        if value not in ("", "None"):
            return value
    return None


def disagreement(rows: list[int], pairs: dict[str, tuple[float, float]]) -> list[Flag]:
    """Flag rows whose printed figures contradict each other.

    Parameters
    ----------
    rows
        Positions of the rows that the figures belong to.
    pairs
        What is compared, with the printed figure and the one computed from others.

    Examples
    --------
    >>> disagreement([0], {"tokens/s": (100.0, 100.4)})
    []
    >>> disagreement([0], {"tokens/s": (100.0, 50.0)})[0].message
    'the file prints tokens/s 100 where its other figures give 50'
    """
    wrong = [
        f"{what} {printed:.5g} where its other figures give {computed:.5g}"
        for what, (printed, computed) in pairs.items()
        if abs(printed - computed) > TOLERANCE * max(abs(printed), abs(computed))
    ]
    if not wrong:
        return []
    return [Flag.of(
        "figures disagree", "warning", rows, f"the file prints {'; '.join(wrong)}",
        "check that the text is whole and was not edited; figures of several runs may be mixed",
    )]  # fmt: skip


def whole(value: object, what: str) -> float:
    """Return a whole count out of text; NaN when there is none.

    >>> whole("512", "isl"), whole(None, "isl")
    (512.0, nan)
    """
    count = figure(str(value))[0] if value not in (None, "") else math.nan
    return count if count == count and count == math.floor(count) else math.nan


def repeated_mean(spread: float, mean: float) -> Row:
    """Return the columns of a row that is the mean of repetitions of one thing.

    >>> repeated_mean(2.0, 100.0)
    {'over_repeats': 'mean', 'relative_stddev': 0.02}
    """
    known = mean > 0 and spread == spread
    return {"over_repeats": "mean", "relative_stddev": spread / mean if known else None}
