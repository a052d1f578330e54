"""Kinds of files that are written, and how one that is there is known again.

A file of a kind may be replaced by a newer one of the same kind when it can be made again from what
was measured. Measurements cannot: they are replaced when asked for by name only (``--force``).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from lengthwise.data.opening import open_file
from lengthwise.data.suffixes import SUFFIXES, table_suffix
from lengthwise.errors import FileFormatError, LengthwiseError

_TABLES = tuple(SUFFIXES)
_END_BYTES = 8192
PRODUCER = "lengthwise"
"""What pages and pictures name as the program that made them."""


@dataclass(frozen=True)
class Kind:
    """A kind of file.

    Attributes
    ----------
    name
        As in a sentence: ``a law``.
    suffixes
        Endings it may have, the usual one first.
    is_own
        Whether a file that is there is of this kind, and so may be replaced.
    any_suffix
        Other endings are accepted, except those of tables, pages and pictures.
    """

    name: str
    suffixes: tuple[str, ...]
    is_own: Callable[[Path], bool]
    any_suffix: bool = False

    def accepts(self, path: Path) -> bool:
        """Whether a file of this kind may be called so; ``.gz`` after the suffix of a text table.

        >>> LAW.accepts(Path("a.json")), LAW.accepts(Path("a.csv")), SCORES.accepts(Path("x"))
        (True, False, True)
        """
        if self.any_suffix:
            return path.suffix.lower() not in _TAKEN
        suffix = table_suffix(path) if self.suffixes == _TABLES else path.suffix.lower()
        return suffix in self.suffixes


def holds(*marks: str) -> Callable[[Path], bool]:
    """Return a test of whether one of the texts is near the beginning or the end of a file."""
    wanted = [mark.encode() for mark in marks]

    def test(path: Path) -> bool:
        ends = _ends(path)
        return any(mark in ends for mark in wanted)

    return test


def _ends(path: Path) -> bytes:
    try:
        with open_file(path, packed=False) as file:
            head = file.read(_END_BYTES)
            file.seek(max(path.stat().st_size - _END_BYTES, 0))
            return head + file.read(_END_BYTES)
    except (OSError, FileFormatError):
        return b""


def _never(path: Path) -> bool:
    return False


def _is_of_study(path: Path) -> bool:
    """Whether a file is a study, or its predictions beside it."""
    return holds('"lengthwise-study"')(path.with_name("study.json"))


def _has_predictions(path: Path) -> bool:
    """Whether a table has the columns that predictions have and measurements have not."""
    from lengthwise.data.files import iter_tables  # here: it brings pandas

    try:
        names = set(next(iter_tables(path, 100)).columns)
    except (LengthwiseError, StopIteration):
        return False
    return "provenance" in names and bool(names & {"lo_ms", "ttft_lo_ms"})


DEMO = "lengthwise demo"
"""What the rows behind the page of a demo name as their maker."""

PICTURES = (".png", ".svg", ".pdf")
PAGES = (".html", ".htm")
_TAKEN = {*_TABLES, *PICTURES, *PAGES, ".gz", ".yaml", ".yml", ".toml", ".gguf"}

LAW = Kind("a law", (".json",), holds('"lengthwise-law"', '"lengthwise-step-law"'), True)
SCORES = Kind("an evaluation", (".json",), holds('"lengthwise-evaluation"'), True)
PAGE = Kind("a page", PAGES, holds(f'content="{PRODUCER} '))
REPORT_DATA = Kind("the content of a report", (".json",), holds('"lengthwise-report"'))
PICTURE = Kind("a picture", PICTURES, holds(f"{PRODUCER} picture"))
PREDICTIONS = Kind("a table of predictions", _TABLES, _has_predictions)
DEMO_ROWS = Kind("the rows of a demo", (".parquet",), holds(DEMO))
MEASUREMENTS = Kind("a table of measurements", _TABLES, _never)
STUDY = Kind("a study", (".json", ".csv"), _is_of_study)
HARDWARE = Kind("a hardware file", (".toml",), _never)
LLMD_REPORT = Kind("an llm-d report", (".yaml", ".yml", ".jsonl", ".json"), _never)
