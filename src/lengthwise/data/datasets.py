"""Measured data by name: find the files, check their bytes, read them as a measurement table.

A dataset is looked for in the package (the project's own measurements), then in the folder that the
environment variable ``LENGTHWISE_DATA`` names, then in the download cache, and is downloaded last.
Nothing is read before its SHA-256 agrees with the registry.
"""

from __future__ import annotations

import difflib
import hashlib
import os
from functools import lru_cache
from importlib import import_module
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from lengthwise.data.registry import DatasetFile, DatasetInfo, registry
from lengthwise.errors import FileFormatError, InputError, LengthwiseError

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["DATA_VARIABLE", "available", "describe", "fetch", "names", "table"]

DATA_VARIABLE = "LENGTHWISE_DATA"
"""Environment variable with the folder of local copies (one subfolder per dataset)."""

_READERS = {
    "own-openvino-cpu": "own_openvino",
    "own-llamacpp-cpu": "own_llamacpp",
    "own-transformers-cpu": "own_transformers",
    "own-chunked-cpu": "own_chunked",
    "own-openvino-short-cpu": "own_openvino_short",
    "own-mixed-cpu": "own_mixed",
    "own-settings-cpu": "own_settings",
}


def names() -> list[str]:
    """List the names of all datasets.

    >>> names()[:3]
    ['own-openvino-cpu', 'own-llamacpp-cpu', 'own-transformers-cpu']
    """
    return list(registry())


def describe(name: str) -> DatasetInfo:
    """Give source, licence, citation and files of a dataset.

    Raises
    ------
    InputError
        If no dataset has this name; the message lists close ones.

    Examples
    --------
    >>> describe("hat").rows, describe("hat").files[0].commit[:7]
    (8000, '35d1282')
    """
    known = registry()
    if name not in known:
        close = difflib.get_close_matches(name, known, n=3, cutoff=0.4)
        raise InputError(
            "the dataset must be one that lengthwise knows",
            got=repr(name),
            remedy=f"use one of {', '.join(close or known)} (lengthwise data list shows all)",
        )
    return known[name]


def available(name: str) -> bool:
    """Whether the files are on this machine (not whether their bytes are right).

    >>> available("own-openvino-cpu")
    True
    """
    info = describe(name)
    return any(_complete(info, folder) for folder in _folders(info))


def fetch(name: str) -> Path:
    """Find the files of a dataset, or download them, and check their SHA-256.

    Returns
    -------
    Path
        The folder that holds the files.

    Raises
    ------
    InputError
        If the files are not here and cannot be downloaded, or `LENGTHWISE_DATA` is no folder.
    FileFormatError
        If a file differs from the registered one.
    LengthwiseError
        If a download fails.
    """
    info = describe(name)
    for folder in _folders(info):
        if _complete(info, folder):
            for file in info.files:
                _check(folder / file.path, file)
            return folder
    if not info.downloadable:
        raise _not_downloadable(info)
    return _download(info)


def table(name: str) -> pd.DataFrame:
    """Read a dataset as a measurement table; extra columns are kept.

    Raises
    ------
    InputError
        If the dataset is a trace or a set of coefficients, and for all reasons of `fetch`.

    Examples
    --------
    >>> own = table("own-openvino-cpu")
    >>> len(own), int(own["isl"].max())
    (4842, 16384)
    """
    info = describe(name)
    if info.kind == "coefficients":
        raise InputError(
            f"{name} holds fitted coefficients, no measurements", got="a request for its table",
            remedy=f'call lengthwise.data.readers.{name}.coefficients(fetch("{name}"))',
        )  # fmt: skip
    if info.kind == "trace":
        raise InputError(
            f"{name} is a workload (arrivals and lengths) without latencies",
            got="a request for its table",
            remedy=f"replay it in a simulation; lengthwise data fetch {name} gives its files",
        )
    reader = import_module(f"lengthwise.data.readers.{_READERS.get(name, name)}")
    frame: pd.DataFrame = reader.read(fetch(name))
    return frame


def _folders(info: DatasetInfo) -> list[Path]:
    """Places to look in, nearest first."""
    if info.ships:
        return [Path(str(files("lengthwise.data"))) / info.folder]
    local = _local_root()
    cache = [_cache_root() / info.folder]
    return [local / info.folder, *cache] if local else cache


def _local_root() -> Path | None:
    value = os.environ.get(DATA_VARIABLE, "")
    if not value:
        return None
    root = Path(value).expanduser()
    if not root.is_dir():
        raise InputError(
            f"{DATA_VARIABLE} must name a folder", got=repr(value),
            remedy=f"point {DATA_VARIABLE} at the folder of local copies, or unset it",
        )  # fmt: skip
    return root


def _cache_root() -> Path:
    import pooch

    return Path(pooch.os_cache("lengthwise"))


def _complete(info: DatasetInfo, folder: Path) -> bool:
    return all((folder / file.path).is_file() for file in info.files)


def _check(path: Path, file: DatasetFile) -> None:
    status = path.stat()
    found = _sha256(path, status.st_mtime_ns, status.st_size)
    if found != file.sha256:
        raise FileFormatError(
            f"{path.name} must have the registered SHA-256 {file.sha256[:12]}...",
            got=f"{found[:12]}... in {path}",
            remedy="remove this copy and fetch again, or restore the original file",
        )


@lru_cache(maxsize=256)
def _sha256(path: Path, mtime_ns: int, size: int) -> str:
    """Hash a file once for each state of it."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _not_downloadable(info: DatasetInfo) -> InputError:
    why = next(file for file in info.files if not file.commit)
    return InputError(
        f"{info.name} can only be read from a local copy, because {why.path} differs from what is "
        f"published ({why.not_upstream})",
        got=f"no copy of {info.folder}/{why.path} on this machine",
        remedy=f"set {DATA_VARIABLE} to a folder that holds {info.folder}/ "
        f"(made from github.com/{info.repository} at {info.commit})",
    )


def _download(info: DatasetInfo) -> Path:
    import pooch

    folder = _cache_root() / info.folder
    for file in info.files:
        target = folder / file.path
        try:
            pooch.retrieve(
                info.url(file), known_hash=f"sha256:{file.sha256}", fname=target.name,
                path=target.parent, progressbar=False,
            )  # fmt: skip
        except (OSError, ValueError) as error:
            raise LengthwiseError(
                f"{info.url(file)} must download with SHA-256 {file.sha256[:12]}...",
                got=f"{type(error).__name__}: {error}",
                remedy=f"check the connection, or set {DATA_VARIABLE} to a folder with a copy",
            ) from None
    return folder
