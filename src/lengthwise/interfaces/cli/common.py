"""What commands share: JSON, tables that fit the terminal, common options."""

from __future__ import annotations

import json
import math
import os
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lengthwise.errors import InputError, LengthwiseError, OutputError, shown
from lengthwise.interfaces.cli.counts import parse_length

if TYPE_CHECKING:
    from rich.table import Table

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]
Output = Annotated[Path | None, typer.Option("-o", "--output", help="File to write.")]
TableFile = Annotated[
    Path, typer.Argument(help="Measurement table: .csv, .tsv, .parquet or .jsonl.")
]


MAX_WIDTH = 120
PIPED_WIDTH = 100
MAX_LINE = 1500


def length_option(help_text: str) -> Any:
    """Return an option for one length in tokens, as 8192, 8k or 1M."""
    return typer.Option(help=help_text, parser=_length, metavar="TOKENS")


def _length(value: Any) -> int:
    try:
        return parse_length(str(value))
    except InputError as error:
        raise typer.BadParameter(str(error)) from None


def print_json(value: Any) -> None:
    """Print a value as JSON; numbers that are not finite become null."""
    print(json.dumps(plain(value), indent=2, ensure_ascii=False, allow_nan=False))


def plain(value: Any) -> Any:
    """Turn dataclass results, numpy values, paths and tables into what JSON knows.

    >>> plain({"a": float("nan"), "b": (1, 2), "c": Path("x")})
    {'a': None, 'b': [1, 2], 'c': 'x'}
    """
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (str, bool, int)) or value is None:
        return value
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if hasattr(value, "to_dict"):
        is_table = hasattr(value, "columns")
        return plain(value.to_dict("records") if is_table else value.to_dict())
    if hasattr(value, "tolist"):  # numpy scalars and arrays
        return plain(value.tolist())
    if isinstance(value, (Sequence, set, frozenset)):
        return [plain(item) for item in value]
    return str(value)


@contextmanager
def disk_errors(folder: Path) -> Iterator[None]:
    """Turn a full disk or a lost folder into a message; what is in ``folder`` already stays."""
    try:
        yield
    except (OSError, OutputError) as error:
        got = error.got if isinstance(error, OutputError) else error.strerror or str(error)
        raise LengthwiseError(
            "the results must be written", got=got,
            remedy=f"free some space or name another file with -o; finished steps are in {folder}",
        ) from None  # fmt: skip


def width() -> int:
    """Give the columns to write in: the terminal's, or 100 when the output is piped.

    The environment variable COLUMNS overrules both.
    """
    if not sys.stdout.isatty() and "COLUMNS" not in os.environ:
        return PIPED_WIDTH
    return min(MAX_WIDTH, shutil.get_terminal_size().columns)


def print_table(columns: Sequence[str], rows: Sequence[Sequence[Any]], *, title: str = "") -> None:
    """Print a table: on a terminal fitted to its width, in a pipe aligned and never cut.

    Columns of numbers are aligned to the right. Colour follows NO_COLOR and the terminal.

    Parameters
    ----------
    columns
        Headings, units included.
    rows
        Cells, already formatted or plain values (None prints as a dash).
    """
    from rich.console import Console

    console = Console(highlight=False, markup=False, emoji=False)
    cells = [["-" if cell is None else shown(cell) for cell in row] for row in rows]
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = 10_000  # a pipe has no width; trailing space is stripped below
    if _natural_width(columns, cells) > console.width and len(columns) > 2:
        print("\n".join(_stacked(columns, cells, title)))
        return
    table = _rich_table(columns, cells, title)
    if console.width < 10_000:
        console.print(table)
        return
    with console.capture() as captured:
        console.print(table)
    print("\n".join(line.rstrip() for line in captured.get().splitlines()).strip("\n"))


def _rich_table(columns: Sequence[str], cells: Sequence[Sequence[str]], title: str) -> Table:
    from rich import box
    from rich.table import Table

    table = Table(title=title or None, box=box.SIMPLE_HEAD, title_justify="left", pad_edge=False)
    for i, name in enumerate(columns):
        numeric = bool(cells) and all(_is_number(row[i]) for row in cells)
        table.add_column(name, justify="right" if numeric else "left", overflow="fold")
    for row in cells:
        table.add_row(*row)
    return table


def _natural_width(columns: Sequence[str], cells: Sequence[Sequence[str]]) -> int:
    widths = [max(map(len, column)) for column in zip(columns, *cells, strict=True)]
    return sum(widths) + 3 * len(widths)


def _stacked(columns: Sequence[str], cells: Sequence[Sequence[str]], title: str) -> Iterator[str]:
    """Lay a table out for a narrow terminal: the first cell on its own line, the rest below it."""
    rest = list(zip(columns, *cells, strict=True))[1:]
    widths = [max(map(len, column)) for column in rest]
    numeric = [all(_is_number(cell) for cell in column[1:]) for column in rest]

    def line(row: Sequence[str]) -> str:
        fitted = zip(row, widths, numeric, strict=True)
        aligned = (c.rjust(w) if right else c.ljust(w) for c, w, right in fitted)
        return "  " + "  ".join(aligned).rstrip()

    if title:
        yield title
        yield ""
    yield columns[0]
    yield line(columns[1:])
    previous = None
    for row in cells:
        if row[0] != previous:
            yield ""
            yield row[0]
        previous = row[0]
        yield line(row[1:])


def _is_number(cell: Any) -> bool:
    text = str(cell).strip() if cell is not None else "-"
    if text in ("-", "n/a"):
        return True
    head = text.split()[0].rstrip("%x") if text.split() else ""
    try:
        float(head.replace(",", ""))
    except ValueError:
        return False
    return True


def log(text: str) -> None:
    """Write a line of progress to stderr; one that a name makes endless is cut."""
    print(shown(text, MAX_LINE) if len(text) > MAX_LINE else text, file=sys.stderr)
