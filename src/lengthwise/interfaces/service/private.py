"""Files and folders that only their owner may read: the state holds what clients have sent."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from pathlib import Path

from lengthwise.errors import InputError

FOLDER, FILE = 0o700, 0o600
_OPEN = 0o077
"""Bits of others."""


def keep_private() -> None:
    """Make every file that this process creates one of its owner alone."""
    os.umask(_OPEN)


def private_folder(path: Path) -> Path:
    """Make a folder that only its owner may enter, and return it.

    One that is there already is refused when it is somebody else's (root may own it, as volumes of
    containers are), and closed to others where it is ours and holds nothing but state.

    Raises
    ------
    InputError
        If the folder, or the state in it, is another user's.
    OSError
        If it cannot be made.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as place:
    ...     oct(private_folder(Path(place) / "state").stat().st_mode & 0o777)
    '0o700'
    """
    path.mkdir(mode=FOLDER, parents=True, exist_ok=True)
    for found in (path, *path.glob("service.db*"), *path.glob("law.json")):
        _refuse_foreign(found, path)
    if path.stat().st_uid == os.geteuid() and _is_state(path):
        with suppress(OSError):
            path.chmod(FOLDER)
            for file in path.iterdir():
                if file.is_file() and not file.is_symlink() and file.stat().st_mode & _OPEN:
                    file.chmod(FILE)
    return path


def _refuse_foreign(path: Path, folder: Path) -> None:
    for owner in {path.lstat().st_uid, path.stat().st_uid}:
        if owner not in (os.geteuid(), 0):
            raise InputError("the state directory must be ours, or root's",
                             got=f"{path} of user {owner}, we are user {os.geteuid()}",
                             remedy=f"give another with --state DIR, or chown {folder}",
                             )  # fmt: skip


def _is_state(folder: Path) -> bool:
    """Whether a folder holds nothing, or a database of ours, and is no place shared by all."""
    if folder.stat().st_mode & stat.S_ISVTX:
        return False
    return (folder / "service.db").exists() or (folder / "law.json").exists() or not any(
        folder.iterdir()
    )  # fmt: skip
