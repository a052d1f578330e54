"""The directory of one run: what was asked, every step as it is measured, what came of it.

    run.json        manifest: command, settings, machine, versions, seed, status
    requests.jsonl  a server: one row of the measurement table per finished request
    steps.jsonl     an engine: one line per step, synced after each visit; a server: one per gap
    points.jsonl    a server: one line per whole point, its figures and where its lines end
    summary.json    medians, spread and quality of the measurement
    summary.csv     one row per point
    report.html     all of it to look at: figures, summary, facts; needs lengthwise[report]

The measurement table itself stands beside the directory, under the name it was given.

A process that is killed loses at most what was in flight: the visit of an engine, the point of a
server. What is not whole is dropped when the run is resumed.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from lengthwise.data.output import write_text
from lengthwise.errors import InputError

MANIFEST, REQUESTS, STEPS, POINTS = "run.json", "requests.jsonl", "steps.jsonl", "points.jsonl"
SUMMARY, SUMMARY_TABLE, REPORT = "summary.json", "summary.csv", "report.html"
SCHEMA_VERSION = 1


def objects(lines: bytes) -> Iterator[dict[str, Any] | None]:
    r"""Read lines of JSON; None stands for one that is torn or no object.

    >>> list(objects(b'{"a": 1}\n{"a": \n'))
    [{'a': 1}, None]
    """
    for line in lines.splitlines():
        try:
            found = json.loads(line)
        except ValueError:
            found = None  # in flight when the process ended
        yield found if isinstance(found, dict) else None


class RunDirectory:
    """Files of one run.

    Parameters
    ----------
    path
        The directory; made when it is absent.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def exists(self) -> bool:
        """Whether a run was started here."""
        return (self.path / MANIFEST).is_file()

    def start(self, manifest: Mapping[str, Any], lines: Sequence[str] = (STEPS,)) -> None:
        """Begin a run: an earlier one in this directory is replaced.

        Parameters
        ----------
        lines
            Names of the files it will add lines to; they are empty from now on.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        for name in (REQUESTS, STEPS, POINTS, SUMMARY, SUMMARY_TABLE, REPORT):
            if name not in lines:
                (self.path / name).unlink(missing_ok=True)
        for name in lines:
            (self.path / name).write_text("")
        self.write_manifest(manifest)

    def write_manifest(self, manifest: Mapping[str, Any]) -> None:
        """Write the manifest in one go, so that a crash leaves the old or the new one."""
        text = json.dumps({"schema_version": SCHEMA_VERSION, **manifest}, indent=2, default=str)
        self.write_text(MANIFEST, text + "\n")

    def write_text(self, name: str, text: str) -> None:
        """Replace a file of the run."""
        write_text(self.path / name, text)

    def manifest(self) -> dict[str, Any]:
        """Read the manifest.

        Raises
        ------
        InputError
            If it is absent, damaged or of another version.
        """
        path, again = self.path / MANIFEST, "start again without --resume"
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise InputError("a run to resume must have been started", got=f"no {path}",
                             remedy="leave --resume out") from None  # fmt: skip
        except ValueError as error:
            raise InputError("the manifest of a run must be JSON", got=f"{path} ({error})",
                             remedy=again) from None  # fmt: skip
        if not isinstance(found, dict) or found.get("schema_version") != SCHEMA_VERSION:
            version = found.get("schema_version") if isinstance(found, dict) else "none"
            raise InputError(f"the manifest of a run must have schema version {SCHEMA_VERSION}",
                             got=f"{version} in {path}", remedy=again)  # fmt: skip
        return found

    def read_bytes(self, name: str) -> bytes:
        """Read a file of the run; empty where there is none."""
        with suppress(FileNotFoundError):
            return (self.path / name).read_bytes()
        return b""

    def append(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Add the rows of one visit and sync them to the disk."""
        text = "".join(json.dumps(row) + "\n" for row in rows)
        with (self.path / STEPS).open("a") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())

    def rows(self) -> list[dict[str, Any]]:
        """Read the rows of all complete visits; torn lines and visits are left out."""
        found: dict[int, list[dict[str, Any]]] = {}
        for row in objects(self.read_bytes(STEPS)):
            if row is not None and "visit" in row:
                found.setdefault(row["visit"], []).append(row)
        whole = [v for v in found.values() if len(v) == v[0]["visit_rows"]]
        return [row for visit in whole for row in visit]

    def keep(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Rewrite the steps with these rows only: what a resumed run goes on from."""
        self.write_text(STEPS, "".join(json.dumps(row) + "\n" for row in rows))
