"""What is asked of an output before any work is done for it.

An output must not be one of the files that are read, whatever name it goes by (another path, a
link, other case). A file that is there is replaced without being asked for (``force``) only where
it is empty or of the same kind, and never where it holds measurements.
"""

from __future__ import annotations

import os
import re
import stat
import tempfile
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from lengthwise.data.output import check_kind, is_stream, target_of
from lengthwise.data.output_kinds import MEASUREMENTS, PAGE, PICTURE, Kind
from lengthwise.errors import FileFormatError, InputError, MissingExtraError

Source = str | Path | None

_NEEDS = {PAGE.name: "jinja2", PICTURE.name: "matplotlib"}


def check_output(
    path: str | Path, kind: Kind, *, inputs: Sequence[Source] = (), force: bool = False
) -> None:
    """Refuse an output that could not be written, or that would cost somebody a file.

    Parameters
    ----------
    path
        File, device, pipe, or ``-``.
    kind
        What will be written.
    inputs
        What is read; names that are no files are passed over.
    force
        Whether a file that is there may be replaced, whatever it holds.

    Raises
    ------
    InputError
        With the rule that is broken.
    MissingExtraError
        If a page or a picture needs a package that is absent.

    Examples
    --------
    >>> from lengthwise.data.output_kinds import LAW
    >>> try:
    ...     check_output("law.parquet", LAW)
    ... except InputError as error:
    ...     print(error)
    a law must not be called so, but got law.parquet. Remedy: name it law.json.
    """
    path = Path(path)
    _check_needs(kind)
    if is_stream(path):
        return
    target = target_of(path)
    try:
        status = target.stat()
    except FileNotFoundError:
        status = None
    except OSError as error:
        raise InputError("the output must be a file that can be written",
                         got=f"{path} ({error.strerror})", remedy="name another",
                         ) from None  # fmt: skip
    if status is not None:
        check_kind(path, status.st_mode)
    _check_name(path, kind)
    _check_writable(target.parent, None if status is None else target)
    if status is not None and stat.S_ISREG(status.st_mode):
        check_not_read(path, inputs)
        _check_replaced(path, target, kind, status.st_size, force)


def check_folder(
    folder: str | Path, names: str, kind: Kind, *, inputs: Sequence[Source] = (),
    force: bool = False,
) -> None:  # fmt: skip
    """Refuse a folder to write several files to: as :func:`check_output` does for one.

    Parameters
    ----------
    folder
        Made when it is absent.
    names
        Regular expression of the names that will be written.
    kind
        What each of them is.

    Raises
    ------
    InputError
        With the rule that is broken.
    MissingExtraError
        If a picture needs a package that is absent.
    """
    folder = Path(folder)
    _check_needs(kind)
    if is_stream(folder) or (folder.exists() and not folder.is_dir()):
        raise InputError("the output must be a folder", got=f"the file {folder}",
                         remedy="name a folder; it is made if it is absent")  # fmt: skip
    if not folder.is_dir():
        _check_writable(next(up for up in target_of(folder).parents if up.exists()))
        return
    _check_writable(target_of(folder))
    for file in sorted(folder.iterdir()):
        if re.fullmatch(names, file.name):
            check_output(file, kind, inputs=inputs, force=force)


def check_not_read(path: str | Path, inputs: Sequence[Source]) -> None:
    """Refuse an output that is one of the files read, under whatever name.

    Raises
    ------
    InputError
        If it is; asking for it does not help.
    """
    for source in inputs:
        if source is not None and _is_same(source, path):
            raise InputError("the output must not be a file that is read",
                             got=f"{path}, which is {source}" if str(path) != str(source)
                             else str(path), remedy="name another file with -o")  # fmt: skip


def _is_same(one: str | Path, other: str | Path) -> bool:
    try:
        return os.path.samefile(one, other)
    except (OSError, ValueError):
        return False


def _check_needs(kind: Kind) -> None:
    package = _NEEDS.get(kind.name)
    if package is not None and find_spec(package) is None:
        raise MissingExtraError(package, "report")


def _check_name(path: Path, kind: Kind) -> None:
    if kind.accepts(path):
        return
    usual = f"{path.name.partition('.')[0]}{kind.suffixes[0]}"
    if kind.any_suffix:
        raise InputError(f"{kind.name} must not be called so", got=path.name,
                         remedy=f"name it {usual}")  # fmt: skip
    raise FileFormatError(f"{kind.name} must end in {', '.join(kind.suffixes)}", got=path.name,
                          remedy=f"name it {usual}")  # fmt: skip


def _check_writable(folder: Path, file: Path | None = None) -> None:
    """Try to make a file in the folder, since rights alone do not tell; look at the old file."""
    if not folder.is_dir():
        raise FileFormatError("the folder to write to must exist", got=str(folder),
                              remedy="make it first")  # fmt: skip
    refused = ""
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        refused = error.strerror or str(error)
    if not refused and file is not None and not _may_write(file):
        refused = "the file is read-only"
    if refused:
        raise InputError("the output must be writable", got=f"{file or folder} ({refused})",
                         remedy="change its rights, or name another")  # fmt: skip


def _may_write(path: Path) -> bool:
    effective = os.access in os.supports_effective_ids
    return os.access(path, os.W_OK, effective_ids=effective)


def _check_replaced(path: Path, target: Path, kind: Kind, size: int, force: bool) -> None:
    if force or size == 0 or kind.is_own(target):
        return
    what = "may hold measurements" if kind is MEASUREMENTS else f"is not {kind.name} of lengthwise"
    raise InputError(f"a file that {what} is not replaced", got=f"{path}, which is there already",
                     remedy="name another file, or add --force to replace it")  # fmt: skip


def partial_path(path: Path) -> Path:
    """Return the name under which an interrupted command leaves what it has.

    >>> partial_path(Path("runs/table.parquet")).name, partial_path(Path("t.csv.gz")).name
    ('table.partial.parquet', 't.partial.csv.gz')
    """
    stem, dot, rest = path.name.rpartition(".")
    if rest.lower() == "gz":
        stem, dot, middle = stem.rpartition(".")
        rest = f"{middle}.gz"
    return path.with_name(f"{stem}.partial{dot}{rest}" if stem else f"{path.name}.partial")
