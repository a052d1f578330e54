"""The directory of one run: what was asked, every step as it is measured, what came of it.

    run.json      manifest: command, settings, machine, versions, seed, status
    steps.jsonl   one line per step, in the order measured; written and synced after each visit
    summary.json  medians, spread and quality of the measurement
    summary.csv   one row per point

A process that is killed loses at most the visit in flight: a visit whose lines are not all there is
dropped when the run is resumed.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lengthwise.errors import InputError

MANIFEST, STEPS = "run.json", "steps.jsonl"
SCHEMA_VERSION = 1


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

    def start(self, manifest: Mapping[str, Any]) -> None:
        """Begin a run: an earlier one in this directory is replaced."""
        self.path.mkdir(parents=True, exist_ok=True)
        (self.path / STEPS).write_text("")
        self.write_manifest(manifest)

    def write_manifest(self, manifest: Mapping[str, Any]) -> None:
        """Write the manifest in one go, so that a crash leaves the old or the new one."""
        text = json.dumps({"schema_version": SCHEMA_VERSION, **manifest}, indent=2, default=str)
        self.write_text(MANIFEST, text + "\n")

    def write_text(self, name: str, text: str) -> None:
        """Replace a file of the run."""
        draft = self.path / f".{name}.part"
        draft.write_text(text)
        draft.replace(self.path / name)

    def manifest(self) -> dict[str, Any]:
        """Read the manifest.

        Raises
        ------
        InputError
            If it is absent or damaged.
        """
        path = self.path / MANIFEST
        try:
            found = json.loads(path.read_text())
        except FileNotFoundError:
            raise InputError("a run to resume must have been started", got=f"no {path}",
                             remedy="leave --resume out") from None  # fmt: skip
        except ValueError as error:
            raise InputError("the manifest of a run must be JSON", got=f"{path} ({error})",
                             remedy="start again without --resume") from None  # fmt: skip
        return dict(found)

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
        for line in (self.path / STEPS).read_text().splitlines():
            try:
                row = json.loads(line)
            except ValueError:
                continue  # the line in flight when the process ended
            found.setdefault(row["visit"], []).append(row)
        whole = [v for v in found.values() if len(v) == v[0]["visit_rows"]]
        return [row for visit in whole for row in visit]

    def keep(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Rewrite the steps with these rows only: what a resumed run goes on from."""
        self.write_text(STEPS, "".join(json.dumps(row) + "\n" for row in rows))
