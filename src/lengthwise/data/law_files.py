"""Laws and tables mistaken for each other: what a file is, and which command takes it.

Laws are read in a higher layer; here they are known by the mark near their beginning.
"""

from __future__ import annotations

from pathlib import Path
from typing import NoReturn

from lengthwise.data.opening import read_head
from lengthwise.errors import ArtifactError, FileFormatError

LAW, STEP_LAW = "lengthwise-law", "lengthwise-step-law"
WHAT = {LAW: "a law of measured lengths", STEP_LAW: "a step law"}
TABLE_SUFFIXES = (".csv", ".tsv", ".parquet", ".jsonl", ".ndjson", ".xlsx")
_HEAD = 200
_REMEDY = {
    LAW: "give it a law of measured lengths: lengthwise fit TABLE -o law.json; lengthwise predict, "
    "suggest and serve take step laws",
    STEP_LAW: "make a step law with lengthwise fit TABLE --formulation step -o law.json",
}


def law_kind(path: str | Path) -> str | None:
    """Return the kind a law file says it is, without reading all of it; None for other files.

    >>> law_kind("no-such-file.json") is None
    True
    """
    try:
        head = read_head(path, _HEAD)
    except (OSError, FileFormatError):
        return None
    return next((kind for kind in WHAT if f'"{kind}"'.encode() in head), None)


def refuse_law(path: str | Path) -> None:
    """Refuse a law where a table is read, saying which commands take it."""
    kind = law_kind(path)
    if kind is not None:
        raise FileFormatError(
            "a table of measurements is read here", got=f"{path}, {WHAT[kind]}",
            remedy="give the table; lengthwise predict takes laws",
        )  # fmt: skip


def refuse_table(path: Path) -> None:
    """Refuse a table where a law is read, saying how to make a law of it."""
    name = path.name.lower().removesuffix(".gz")
    if name.endswith(TABLE_SUFFIXES) and law_kind(path) is None and path.is_file():
        raise ArtifactError(
            "a law file is read here", got=f"{path}, a table by its name",
            remedy=f"make a law of it first: lengthwise fit {path} -o law.json",
        )  # fmt: skip


def refuse_other_kind(path: Path, wanted: str, found: object) -> NoReturn:
    """Refuse a JSON file that is not a law of the wanted kind, saying what it is."""
    other = isinstance(found, str) and found in WHAT
    what = WHAT[str(found)] if other else f"a JSON file of kind {found!r:.40}"
    remedy = _REMEDY[wanted] if other else "make one with lengthwise fit TABLE -o law.json"
    raise ArtifactError(f"{WHAT[wanted]} is read here", got=f"{path}, {what}", remedy=remedy)
