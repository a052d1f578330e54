"""Which files to import, and what each of them is: a plain table or the result of a tool."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lengthwise.data.formats import registry
from lengthwise.data.formats.base import Document
from lengthwise.data.law_files import refuse_law
from lengthwise.data.limits import FILES
from lengthwise.data.opening import is_packed
from lengthwise.data.parsing import json_inside
from lengthwise.data.schema import PHASES
from lengthwise.data.signatures import UTF16, binary_guess
from lengthwise.errors import FileFormatError

PLAIN = "table"

LARGEST_TEXT = 256 << 20
"""Text above this, bytes, is a plain table unless it begins as JSON: tools write less."""

_SUFFIXES = {
    ".json", ".jsonl", ".ndjson", ".csv", ".yaml", ".yml", ".sql", ".gz", ".msgpack", ".md", ".txt",
    ".log", ".out",
}  # fmt: skip
_REPEATS = {
    "aiperf-csv", "serving-csv", "serving-console", "vllm-offline-console", "ollama-verbose",
}  # fmt: skip
"""Formats that tell again what a file beside them tells better; taken where they are alone."""
_SWEEP = "run=*.json"


@dataclass(frozen=True)
class Files:
    """Files to read, and a sentence on those of a folder that were not."""

    paths: list[Path]
    ignored: str = ""


def expand(paths: Sequence[Path], file_format: str | None = None) -> Files:
    """Replace folders by the result files in them.

    A folder of ``vllm bench sweep`` has ``run=N.json`` at any depth and summaries of them beside;
    of any other folder every file of a known format is taken. Plain tables in a folder are not:
    most tools write their results as CSV too.
    """
    found: list[Path] = []
    ignored: list[Path] = []
    for path in paths:
        if not path.is_dir():
            found.append(path)
            continue
        inside, rest = _in_folder(path, file_format)
        found += inside
        ignored += rest
    names = ", ".join(sorted({path.name for path in ignored})[:8])
    more = ", ..." if len({path.name for path in ignored}) > 8 else ""
    return Files(found, f"not read: {names}{more}" if ignored else "")


def kind_of(path: Path) -> str:
    r"""Name the format of a file, ``table`` for a plain table.

    Raises
    ------
    FileFormatError
        If the content is neither.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "t.csv")
    ...     _ = path.write_text("phase,isl,latency_ms\nprefill,512,20.5\n")
    ...     kind_of(path)
    'table'
    """
    refuse_law(path)
    if _is_plain_for_sure(path):
        return PLAIN
    document = Document(path)
    binary = binary_guess(document.head, path)
    if binary is not None and binary is not UTF16:
        return PLAIN  # whose reader says what it is
    found = registry.candidates(document)
    if found:
        return found[0] if len(found) == 1 else registry.sniff(path)
    if document.head.lstrip()[:1] not in (b"{", b"["):
        return PLAIN
    if _is_lines(document):
        return PLAIN
    raise registry.unknown(document)


def _is_plain_for_sure(path: Path) -> bool:
    """Whether content or absence of it is a matter for the reader of tables, errors included."""
    if not path.is_file():
        return True
    try:
        head = Document(path).head
    except (OSError, FileFormatError):
        return True
    start = head.lstrip()[:1]
    if not start or head.startswith(b"PAR1"):
        return True
    if start == b"{":
        return _has_phase(head)
    if start == b"[":
        return False
    first = head.partition(b"\n")[0].decode("utf-8", errors="replace")
    names = {name.strip(' "') for name in first.replace("\t", ",").split(",")}
    return "phase" in names or (path.stat().st_size > LARGEST_TEXT and not is_packed(path))


def _has_phase(head: bytes) -> bool:
    """Whether the first line is a row of the measurement table."""
    row = json_inside(head.partition(b"\n")[0])
    return isinstance(row, dict) and row.get("phase") in PHASES


def _is_lines(document: Document) -> bool:
    """Whether JSON comes one flat object a line, as a table does, sound or not."""
    lines = [line for line in document.text.splitlines() if line.strip()]
    first = json_inside(lines[0])
    flat = isinstance(first, dict) and not any(isinstance(v, (dict, list)) for v in first.values())
    return flat and bool(first)


def _in_folder(folder: Path, file_format: str | None) -> tuple[list[Path], list[Path]]:
    runs = sorted(folder.rglob(_SWEEP))
    whole = [path for path in runs if _is_result(path, file_format)]
    if whole:  # a run that failed leaves a file without results
        return whole, [path for path in runs if path not in set(whole)]
    everything = sorted(
        path for path in folder.rglob("*")
        if path.is_file() and not _is_hidden(path.relative_to(folder))
    )  # fmt: skip
    if len(everything) > FILES.value:
        FILES.refuse(folder, f"{len(everything):,}", "name the files or a folder inside")
    known = [
        path for path in everything
        if not _is_of_a_phase(path) and _is_result(path, file_format)
    ]  # fmt: skip
    known = _without_repeats(known)
    if not known:
        raise FileFormatError(
            "a folder to import must hold result files of a benchmark tool",
            got=f"{folder} with {len(everything):,} files and none of a known format",
            remedy="name plain tables one by one; lengthwise import --help lists the formats",
        )
    taken = set(known)
    return known, [path for path in everything if path not in taken]


def _without_repeats(paths: list[Path]) -> list[Path]:
    """Leave out console text and CSV summaries where better files of the same runs lie beside."""
    first = [path for path in paths if not _REPEATS & set(registry.candidates(Document(path)))]
    return first or paths


def _is_hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


def _is_of_a_phase(path: Path) -> bool:
    """Whether AIPerf wrote this for one phase: warm-up, or what the files above say already."""
    above = (parent.parent for parent in path.parents if parent.name == "phases")
    return any(next(top.glob("profile_export*"), None) is not None for top in above)


def _is_result(path: Path, file_format: str | None) -> bool:
    if path.suffix.lower() not in _SUFFIXES or _is_plain_for_sure(path):
        return False
    try:
        found = registry.candidates(Document(path))
    except FileFormatError:  # it is said not to be read; the others are
        return False
    if file_format is not None:
        return file_format in found
    return len(found) == 1
