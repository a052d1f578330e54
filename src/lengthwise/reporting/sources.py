"""What a report or a comparison is about: measurement tables, law files, or both."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from lengthwise.calibration.lawset import LawSet
from lengthwise.data.opening import open_file
from lengthwise.data.table import load
from lengthwise.errors import InputError


@dataclass(frozen=True)
class Source:
    """One file: a table or a law.

    Attributes
    ----------
    name
        File name without folder.
    sha256
        Of the bytes of the file.
    table
        The measurement table, or None.
    laws
        The laws of a law file, or None.
    """

    name: str
    sha256: str
    table: pd.DataFrame | None = None
    laws: LawSet | None = None

    @property
    def stem(self) -> str:
        """Name without its ending."""
        return Path(self.name).stem


def read(path: str | Path) -> Source:
    """Read a law file (``.json``) or a measurement table (any other ending)."""
    file = Path(path)
    if not file.is_file():
        raise InputError("the file must exist", got=str(file), remedy="check the path")
    digest = _sha256(file)
    if file.suffix.lower() == ".json":
        return Source(file.name, digest, laws=_laws(file))
    return Source(file.name, digest, table=load(file))


def read_all(paths: Sequence[str | Path]) -> tuple[Source, ...]:
    """Read several; names that repeat are refused, because they label what is shown."""
    sources = tuple(read(path) for path in paths)
    if not sources:
        raise InputError("a report needs a table or a law", remedy="name at least one file")
    names = [source.name for source in sources]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InputError("files must have different names", got=f"{twice[0]} twice",
                         remedy="copy one under another name")  # fmt: skip
    return sources


def joined(sources: Sequence[Source]) -> pd.DataFrame | None:
    """Put the tables of all sources below each other; None without a table."""
    tables = [s.table for s in sources if s.table is not None]
    return pd.concat(tables, ignore_index=True) if tables else None


def _laws(file: Path) -> LawSet:
    from lengthwise.prediction.artifact import read_law

    return read_law(file)[0]


def _sha256(file: Path) -> str:
    with open_file(file, packed=False) as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
