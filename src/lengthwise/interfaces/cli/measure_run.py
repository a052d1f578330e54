"""The run directory of a measurement, whatever is measured: begun or gone on with, and ended."""

from __future__ import annotations

import json
import shlex
import sys
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lengthwise.data.output import is_stream
from lengthwise.data.output_check import Source
from lengthwise.data.output_kinds import MEASUREMENTS
from lengthwise.errors import InputError, MissingExtraError
from lengthwise.interfaces.cli.common import log, plain
from lengthwise.interfaces.cli.outputs import check_output, wrote
from lengthwise.measurement.run_directory import (
    MANIFEST,
    REPORT,
    REQUESTS,
    STEPS,
    SUMMARY,
    SUMMARY_TABLE,
    RunDirectory,
)
from lengthwise.units import counted

if TYPE_CHECKING:
    import pandas as pd


class MeasuredRun:
    """One measurement: its table, its run directory and its manifest.

    Parameters
    ----------
    output
        The table; the run directory stands beside it as ``NAME.run``.
    asked
        Settings that all parts of a resumed run share.
    resume
        Go on with the run that is there.

    Raises
    ------
    InputError
        If the run to resume is absent or damaged, or was asked for something else.
    """

    def __init__(self, output: Path, asked: Mapping[str, Any], *, resume: bool) -> None:
        self.output, self.resume = output, resume
        self.into = RunDirectory(run_of(output))
        self.manifest: dict[str, Any] = {"command": _command(), "status": "running", **plain(asked)}
        self._begun: float | None = None
        if resume:
            self.manifest = self.into.manifest()
            self.check_same(asked)

    def check_same(self, now: Mapping[str, Any], *, remedy: str = "") -> None:
        """Refuse to go on with a run that had other settings; dots lead into the manifest."""
        remedy = remedy or f"repeat the command in {self.into.path / MANIFEST}"
        for name, value in plain(now).items():
            was: Any = self.manifest
            for key in name.split("."):
                was = was.get(key) if isinstance(was, dict) else None
            found = difference(was, value, name)
            if found:
                raise InputError(f"a resumed run must have the same {name}", got=found,
                                 remedy=f"{remedy}, or leave --resume out")  # fmt: skip

    def begin(self, facts: Mapping[str, Any], lines: Sequence[str], *, there: str = "") -> None:
        """Write the manifest, now that measuring begins.

        Parameters
        ----------
        facts
            What was found out besides what was asked.
        lines
            Files the run adds lines to; a new run empties them.
        there
            What of a resumed run is there already, in words.
        """
        from lengthwise.measurement.machine import describe, load_average, pressure

        now = datetime.now(UTC)
        started = now.isoformat(timespec="seconds")
        parts = [*self._parts(), {"started": now.isoformat(timespec="milliseconds")}]
        self.manifest |= {"started": self.manifest.get("started", started), "status": "running",
                          **facts, "machine": describe(), "load_average": load_average(),
                          "cpu_pressure_percent": pressure(), "output": self.output.name,
                          "parts": parts}  # fmt: skip
        self._begun = time.monotonic()
        if self.resume:
            log(f"resuming: {there}")
            self.into.write_manifest(self.manifest)
        else:
            self.into.start(self.manifest, lines)

    def end(
        self, table: pd.DataFrame | None, summary: Mapping[str, Any],
        points: Sequence[Mapping[str, Any]], facts: Mapping[str, Any],
    ) -> None:  # fmt: skip
        """Write table, manifest, summaries and, if it can be done, the report.

        Parameters
        ----------
        table
            What was measured; None for nothing, and then no table is written.
        summary, points
            For ``summary.json`` and, one row each, for ``summary.csv``.
        facts
            Status and whatever else is known at the end.
        """
        import pandas as pd

        from lengthwise.data.spreadsheet import without_formulas
        from lengthwise.data.table import write_table

        if table is not None:
            write_table(table, self.output)
        self.manifest |= {**facts, **self._time(), "rows": 0 if table is None else len(table)}
        self.into.write_manifest(self.manifest)
        self.into.write_text(SUMMARY, json.dumps(plain(summary), indent=1) + "\n")
        self.into.write_text(
            SUMMARY_TABLE, without_formulas(pd.DataFrame(points)).to_csv(index=False)
        )
        self._report(plain(summary), table)

    def say_written(self) -> None:
        """Tell where table, run and report are."""
        rows = counted(self.manifest["rows"], "row")
        wrote(self.output, rows, f" and the run to {self.into.path}")
        if self.report is not None:
            log(f"to look at: {self.report}")

    def files(self) -> dict[str, Any]:
        """Give table, run directory and report for JSON."""
        return {"output": self.output, "run": self.into.path, "report": self.report}

    @property
    def report(self) -> Path | None:
        """The page of the run, None where it was not written."""
        path = self.into.path / REPORT
        return path if path.is_file() else None

    def _report(self, summary: dict[str, Any], table: pd.DataFrame | None) -> None:
        """Write the report; whatever goes wrong is said, and the measurement stands."""
        try:
            (self.into.path / REPORT).unlink(missing_ok=True)
            from lengthwise.reporting.run_page import write_run_page

            write_run_page(self.into, self.manifest, summary, table)
        except MissingExtraError as error:
            log(f"no {REPORT}: {error}")
        except Exception as error:
            log(f"no {REPORT}: {type(error).__name__}: {str(error)[:300]}")

    def _time(self) -> dict[str, Any]:
        """Close the part that was begun; nothing changes where none was."""
        if self._begun is None:
            return {}
        last = self.manifest["parts"][-1]
        last["seconds"] = round(time.monotonic() - self._begun, 1)
        seconds = sum(part["seconds"] for part in self.manifest["parts"])
        finished = datetime.now(UTC).isoformat(timespec="seconds")
        return {"finished": finished, "seconds": round(seconds, 1)}

    def _parts(self) -> list[dict[str, Any]]:
        """Give the earlier parts; one that was killed took until its last line."""
        parts = [dict(part) for part in self.manifest.get("parts", [])] if self.resume else []
        if parts and "seconds" not in parts[-1]:
            files = [self.into.path / name for name in (REQUESTS, STEPS)]
            last = max((f.stat().st_mtime for f in files if f.is_file()), default=0.0)
            start = datetime.fromisoformat(parts[-1]["started"]).timestamp()
            parts[-1]["seconds"] = round(max(last - start, 0.0), 1)
        return parts


def run_of(output: Path) -> Path:
    """Return the run directory of a table: beside a file, here for a device or a pipe.

    >>> run_of(Path("out/table.parquet")).name, run_of(Path("-")).name
    ('table.run', 'measure.run')
    """
    return Path("measure.run") if is_stream(output) else output.with_suffix(".run")


def check_measured(
    output: Path, *, inputs: Sequence[Source], resume: bool, force: bool, as_json: bool
) -> None:
    """Refuse to measure onto something that would be lost: a table, an earlier run.

    Raises
    ------
    InputError
        If the table cannot or must not be written, or a run is there and is not gone on with.
    """
    into = RunDirectory(run_of(output))
    same = resume and into.exists and into.manifest().get("output") == output.name
    check_output(output, MEASUREMENTS, inputs=inputs, force=force or same, as_json=as_json)
    if into.path.exists() and not into.path.is_dir():
        raise InputError("the run must be written to a folder", got=f"the file {into.path}",
                         remedy="name another table with -o")  # fmt: skip
    if not (resume or force) and into.path.is_dir() and any(into.path.iterdir()):
        raise InputError("an earlier run is not replaced", got=f"{into.path}, which is there "
                         "already", remedy="go on with it by --resume, replace it by --force, or "
                         "name another table with -o")  # fmt: skip


def difference(was: Any, now: Any, name: str) -> str | None:
    """Name the first value that differs, None if none does.

    >>> difference({"repeats": 5, "seed": 0}, {"repeats": 9, "seed": 0}, "plan")
    'plan.repeats is 9 and was 5'
    >>> difference([1, 2], [1], "points")
    'points are 1 and were 2'
    """
    if isinstance(was, dict) and isinstance(now, dict):
        pairs = [(was.get(k), now.get(k), f"{name}.{k}") for k in dict.fromkeys([*was, *now])]
    elif isinstance(was, list) and isinstance(now, list):
        if len(was) != len(now):
            return f"{name} are {len(now)} and were {len(was)}"
        pairs = [(a, b, f"{name}[{i}]") for i, (a, b) in enumerate(zip(was, now, strict=True))]
    else:
        return None if was == now else f"{name} is {_said(now)} and was {_said(was)}"
    return next((found for pair in pairs if (found := difference(*pair))), None)


def _said(value: Any) -> str:
    text = "not set" if value is None or value == "" else str(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def _command() -> str:
    """Give the command as one would type it, whichever way it was started."""
    return shlex.join(["lengthwise", *sys.argv[1:]])
