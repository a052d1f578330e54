"""What a measurement of a server leaves on the disk, and what of it is whole.

Requests and gaps are handed to the system as each request ends, so a killed process loses what was
in flight. When a point ends both files are synced, and then a line of ``points.jsonl`` says how
long they are: a run that is resumed cuts them there and goes on with the next point.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

from lengthwise.measurement.http.record import Job, Record
from lengthwise.measurement.run_directory import POINTS, REQUESTS, STEPS, RunDirectory, objects

LINES = (REQUESTS, STEPS, POINTS)


@dataclass(frozen=True)
class KeptPoint:
    """A whole point of an earlier part of a run.

    Attributes
    ----------
    rows
        Its rows of the measurement table, labels included.
    summary
        Its figures, as :func:`~.summary.summary_of` gave them.
    ends
        Length of ``requests.jsonl``, ``steps.jsonl`` and ``points.jsonl`` after it, bytes.
    """

    rows: list[dict[str, Any]]
    summary: dict[str, Any]
    ends: tuple[int, int, int]


class Recorder:
    """Writes requests and points to a started run directory; a context manager.

    Parameters
    ----------
    folder
        The run directory.
    kept
        Whole points to go on after; whatever the files hold beyond them is dropped.
    """

    def __init__(self, folder: Path, kept: Sequence[KeptPoint] = ()) -> None:
        self.labels: dict[str, Any] = {}
        self._ends = list(kept[-1].ends if kept else (0, 0, 0))
        self._files = [
            _cut(folder / name, end) for name, end in zip(LINES, self._ends, strict=True)
        ]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:  # fmt: skip
        self.close()

    def close(self) -> None:
        """Close the files."""
        for file in self._files:
            with suppress(OSError):  # all was flushed; a full disk was reported when it was met
                file.close()

    def __call__(self, record: Record) -> None:
        """Keep one request; raises OSError when the disk is full."""
        self._write(0, record.request_line(self.labels))
        self._write(1, record.step_lines())

    def end_point(self, number: int, requests: int, summary: dict[str, Any]) -> None:
        """Say that a point is whole; from now on a resumed run keeps it."""
        for file in self._files[:2]:
            os.fsync(file.fileno())
        line = {"point": number, "requests": requests, "requests_end": self._ends[0],
                "steps_end": self._ends[1], "summary": summary}  # fmt: skip
        self._write(2, json.dumps(line) + "\n")
        os.fsync(self._files[2].fileno())

    def _write(self, which: int, text: str) -> None:
        data = text.encode()
        self._files[which].write(data)
        self._files[which].flush()
        self._ends[which] += len(data)


def whole_points(into: RunDirectory) -> list[KeptPoint]:
    """Read the points of a run that are whole: from the first on, up to the first that is not."""
    kept: list[KeptPoint] = []
    points, requests = into.read_bytes(POINTS), into.read_bytes(REQUESTS)
    steps = into.path / STEPS
    steps_size = steps.stat().st_size if steps.is_file() else 0
    start = end = 0
    for line, point in zip(points.splitlines(keepends=True), objects(points), strict=True):
        end += len(line)
        if point is None or not line.endswith(b"\n") or point.get("point") != len(kept):
            break
        lines = list(objects(requests[start : point["requests_end"]]))
        rows = [_blank(row.get("request_rate")) | row for row in lines if row is not None]
        if not len(rows) == len(lines) == point["requests"] or point["steps_end"] > steps_size:
            break
        start = point["requests_end"]
        kept.append(KeptPoint(rows, point["summary"], (start, point["steps_end"], end)))
    return kept


@cache
def _blank(rate: float | None) -> dict[str, Any]:
    """Give the columns of a request with what a line leaves out: unknown values and no text."""
    row = Record(Job("", 0, 0, request_rate=rate), "").to_row()
    return {name: "" if value == "" else None for name, value in row.items()}


def _cut(path: Path, size: int) -> BinaryIO:
    """Open a file to add to it after its first ``size`` bytes; the rest is dropped."""
    if not size:
        return path.open("wb")
    file = path.open("r+b")
    file.truncate(size)
    file.seek(size)
    return file
