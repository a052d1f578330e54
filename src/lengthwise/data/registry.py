"""The dataset registry: ``datasets.toml`` as frozen objects.

Each dataset names its licence, its citation, the repository and commit it comes from, and the
exact bytes (SHA-256) of every file. A file whose bytes are an upstream file carries the commit to
download it from; a file that was converted says so and cannot be downloaded.
"""

from __future__ import annotations

import tomllib
from dataclasses import asdict, dataclass, fields
from functools import cache
from importlib.resources import files
from typing import Any, Literal

DatasetKind = Literal["steps", "requests", "coefficients", "trace"]
OWN_FOLDER = "own"


@dataclass(frozen=True)
class DatasetFile:
    """One file: its bytes, and where they come from.

    Attributes
    ----------
    path
        Path inside the folder of the dataset.
    sha256, size_bytes
        The exact content.
    upstream
        Path inside the source repository (what it was made from, for a converted file).
    commit
        Commit whose ``upstream`` has exactly these bytes; empty for a converted file.
    not_upstream
        Why the bytes are no upstream file.
    """

    path: str
    sha256: str
    size_bytes: int
    upstream: str = ""
    commit: str = ""
    not_upstream: str = ""


@dataclass(frozen=True)
class DatasetInfo:
    """One dataset: what was measured, by whom, under which licence.

    Attributes
    ----------
    rows
        Rows of the measurement table (requests for a trace, 0 for coefficients).
    kind
        ``steps`` and ``requests`` become measurement tables; ``coefficients`` and ``trace`` do not.
    """

    name: str
    folder: str
    title: str
    measured: str
    licence: str
    repository: str
    commit: str
    citation: str
    kind: DatasetKind
    rows: int
    files: tuple[DatasetFile, ...]
    note: str = ""

    @property
    def ships(self) -> bool:
        """Whether the dataset is part of the package."""
        return self.folder == OWN_FOLDER

    @property
    def downloadable(self) -> bool:
        """Whether every file can be downloaded with exactly these bytes."""
        return not self.ships and all(file.commit for file in self.files)

    @property
    def size_bytes(self) -> int:
        """Bytes of all files."""
        return sum(file.size_bytes for file in self.files)

    def url(self, file: DatasetFile) -> str:
        """Address of a file at its pinned commit (empty if it cannot be downloaded)."""
        if not file.commit:
            return ""
        return f"https://raw.githubusercontent.com/{self.repository}/{file.commit}/{file.upstream}"

    def to_dict(self) -> dict[str, Any]:
        """Give everything as a dictionary ready for JSON, with the address of each file."""
        plain = asdict(self) | {"size_bytes": self.size_bytes, "downloadable": self.downloadable}
        plain["files"] = [asdict(file) | {"url": self.url(file)} for file in self.files]
        return plain


@cache
def registry() -> dict[str, DatasetInfo]:
    """Read ``datasets.toml``: name to dataset, in the order of the file.

    >>> registry()["splitwise"].licence
    'MIT'
    """
    text = files("lengthwise.data").joinpath("datasets.toml").read_text(encoding="utf-8")
    return {entry["name"]: _info(entry) for entry in tomllib.loads(text)["dataset"]}


def _info(entry: dict[str, Any]) -> DatasetInfo:
    known = {field.name for field in fields(DatasetInfo)}
    parts = tuple(DatasetFile(**file) for file in entry["file"])
    return DatasetInfo(**{k: v for k, v in entry.items() if k in known}, files=parts)
