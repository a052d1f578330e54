"""Files that are no text, by their first bytes: what they are, and what to use instead."""

from __future__ import annotations

import io
import shlex
import struct
import tarfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

from lengthwise.errors import FileFormatError

MOST_NAMES = 3
"""Members of an archive that an error names."""


@dataclass(frozen=True)
class Guess:
    """What a file looks like, and what to use instead of it.

    Attributes
    ----------
    looks
        As in a sentence: ``an Excel workbook``.
    remedy
        What to do, without a full stop; FILE stands for the name of the file.
    """

    looks: str
    remedy: str

    def error(self, path: Path) -> FileFormatError:
        """Return the error for a file of this kind."""
        return FileFormatError(
            "a file must be a table (CSV, TSV, Parquet, JSON lines) or a result file of a tool",
            got=f"{path}, which looks like {self.looks}",
            remedy=self.remedy.replace("FILE", shlex.quote(path.name)),
        )  # fmt: skip


UTF16 = Guess("UTF-16 text", "save it as UTF-8: iconv -f utf-16 -t utf-8 FILE")
"""Text, but no table that is read; results of tools are read in it."""

_SHEET = "save the sheet as CSV and import that"
_PICTURE = "import the numbers behind the picture: the CSV or JSON that it was drawn from"
_UNPACK = "unpack it, and import the files inside (or their folder)"
_WEIGHTS = "this is a model, not a measurement of one: import what a benchmark of it wrote"

_SIGNATURES: tuple[tuple[bytes, Guess], ...] = (
    (b"\xd0\xcf\x11\xe0", Guess("an Excel workbook of the old kind", _SHEET)),
    (b"SQLite format 3\0", Guess(
        "a SQLite database",
        "export one table: sqlite3 -header -csv FILE 'SELECT * FROM name' > name.csv",
    )),
    (b"\x80\x02", Guess("a Python pickle", "write it with DataFrame.to_parquet or to_csv; a "
                        "pickle can run any program, so none is opened")),
    (b"\x89HDF", Guess("an HDF5 file", "write its table with DataFrame.to_parquet or to_csv")),
    (b"\x93NUMPY", Guess("a NumPy array", "write it as CSV with column names")),
    (b"ARROW1", Guess("a Feather file", "write it as Parquet: DataFrame.to_parquet")),
    (b"Obj\x01", Guess("an Avro file", "write it as Parquet or JSON lines")),
    (b"\x28\xb5\x2f\xfd", Guess("a file packed with zstd", "unpack it: zstd -d FILE")),
    (b"BZh91AY", Guess("a file packed with bzip2", "unpack it: bunzip2 FILE")),
    (b"\xfd7zXZ", Guess("a file packed with xz", "unpack it: unxz FILE")),
    (b"\x04\x22\x4d\x18", Guess("a file packed with lz4", "unpack it: lz4 -d FILE")),
    (b"7z\xbc\xaf", Guess("a 7-Zip archive", _UNPACK)),
    (b"Rar!", Guess("a RAR archive", _UNPACK)),
    (b"\x89PNG", Guess("a PNG picture", _PICTURE)),
    (b"\xff\xd8\xff", Guess("a JPEG picture", _PICTURE)),
    (b"GIF8", Guess("a GIF picture", _PICTURE)),
    (b"%PDF", Guess("a PDF document", _PICTURE)),
    (b"GGUF", Guess("weights of a model (GGUF)", _WEIGHTS)),
    (b"\x7fELF", Guess("a program", "name the file that the program wrote")),
    (b"MZ\x90", Guess("a program", "name the file that the program wrote")),
    (b"\xff\xfe", UTF16),
    (b"\xfe\xff", UTF16),
)  # fmt: skip
_PICKLES = tuple(bytes([0x80, protocol]) for protocol in range(2, 6))


def binary_guess(head: bytes, path: Path | None = None) -> Guess | None:
    r"""Return what bytes that are no text look like; None for text and for unknown bytes.

    Parameters
    ----------
    head
        The first bytes, unpacked from gzip.
    path
        The file, to name what an archive holds.

    Examples
    --------
    >>> binary_guess(b"\x89PNG\r\n").looks, binary_guess(b"phase,isl\n")
    ('a PNG picture', None)
    """
    if head.startswith(b"PK\x03\x04"):
        return _zip_guess(path)
    if head[257:262] == b"ustar":
        return Guess(f"a tar archive{_tar_names(head)}", _UNPACK)
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return Guess("a WebP picture", _PICTURE)
    if head.startswith(_PICKLES):
        head = b"\x80\x02"
    return next((guess for mark, guess in _SIGNATURES if head.startswith(mark)), None)


def _zip_guess(path: Path | None) -> Guess:
    names = _zip_names(path)
    if any(name.startswith("xl/") for name in names):
        return Guess("an Excel workbook", _SHEET)
    if any(name.startswith("word/") for name in names):
        return Guess("a Word document", "save its table as CSV and import that")
    if "mimetype" in names and "content.xml" in names:
        return Guess("an OpenDocument file", _SHEET)
    if any(name.endswith(("/data.pkl", "data.pkl")) for name in names):
        return Guess("tensors of PyTorch", "write the numbers as CSV or JSON lines")
    if any(name.endswith(".npy") for name in names):
        return Guess("NumPy arrays (.npz)", "write them as CSV with column names")
    return Guess(f"a zip archive{_listed(names)}", _UNPACK)


def _zip_names(path: Path | None) -> list[str]:
    if path is None:
        return []
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.namelist()
    except (OSError, EOFError, ValueError, RuntimeError, struct.error, zipfile.BadZipFile):
        return []


def _tar_names(head: bytes) -> str:
    names: list[str] = []
    try:
        with tarfile.open(fileobj=io.BytesIO(head), mode="r:") as archive:
            while len(names) <= MOST_NAMES and (member := archive.next()) is not None:
                names.append(member.name)
    except (tarfile.TarError, ValueError, OSError):
        pass  # the head ends inside a member
    return _listed(names)


def _listed(names: list[str]) -> str:
    files = [name for name in names if not name.endswith("/")]
    more = ", ..." if len(files) > MOST_NAMES else ""
    return f" with {', '.join(files[:MOST_NAMES])}{more}" if files else ""
