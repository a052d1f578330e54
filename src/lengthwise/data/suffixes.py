"""Which format of a table the suffix of its file names."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

Format = Literal["csv", "tsv", "parquet", "jsonl"]

SUFFIXES: dict[str, Format] = {
    ".csv": "csv", ".tsv": "tsv", ".tab": "tsv", ".txt": "csv", ".parquet": "parquet",
    ".pq": "parquet", ".jsonl": "jsonl", ".ndjson": "jsonl",
}  # fmt: skip


def table_suffix(path: Path) -> str:
    """Return the suffix that names the format, in small letters; ``.gz`` is looked through.

    >>> table_suffix(Path("a.CSV.gz")), table_suffix(Path("a.parquet"))
    ('.csv', '.parquet')
    """
    return (Path(path.stem) if path.suffix.lower() == ".gz" else path).suffix.lower()
